//! What systemd is told of this process, by `sd_notify(3)`: to a datagram socket that `NOTIFY_SOCKET` names, a path or,
//! after `@`, an abstract name. Nothing where nobody asked for it.

use sd_notify::NotifyState;
use std::{
    env, io,
    os::unix::net::{SocketAddr, UnixDatagram},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long a message may wait for its place. It is small, and whoever reads them has little else to do.
const PATIENCE: Duration = Duration::from_secs(1);

/// The service manager, if there is one.
#[derive(Debug, Clone)]
pub struct Manager {
    address: Option<SocketAddr>,
    /// Set when it was told that the process ends: it is not ready any more, whatever a reload has to say.
    ends: Arc<AtomicBool>,
}

impl Manager {
    /// The one that started this process. One that cannot be reached is said once, and told nothing.
    pub fn of_process() -> Manager {
        let named = env::var("NOTIFY_SOCKET").ok();
        let named = named.filter(|name| !name.is_empty());
        let address = named.and_then(|name| {
            let found = address(&name);
            let told = |error: &io::Error| {
                tracing::warn!(%error, "NOTIFY_SOCKET cannot be used: systemd is told nothing");
            };
            found.inspect_err(told).ok()
        });
        Manager {
            address,
            ends: Arc::default(),
        }
    }

    /// Everything is bound, and calls are taken; again after a reload.
    pub fn ready(&self, status: &str) {
        if !self.ends.load(Ordering::Relaxed) {
            self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
        }
    }

    /// The configuration is read again. To be followed by [`Manager::ready`], however that goes.
    pub fn reloading(&self) {
        if self.ends.load(Ordering::Relaxed) {
            return;
        }
        // By this time systemd tells the reload it asked for from an earlier one.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            let status = NotifyState::Status("reloading");
            self.tell(&[NotifyState::Reloading, now, status]);
        }
    }

    /// It ends, and may take so long.
    pub fn stopping(&self, within: Duration) {
        self.ends.store(true, Ordering::Relaxed);
        let extend = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(extend),
            NotifyState::Status("draining"),
        ]);
    }

    /// It lives.
    pub fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// What it is told in one datagram, a line each. What does not arrive is no reason to serve nobody.
    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(address) = &self.address else {
            return;
        };
        let lines: Vec<String> = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = send(address, lines.concat().as_bytes()) {
            tracing::debug!(%error, "systemd was not told");
        }
    }
}

/// How often systemd wants to be told that this process lives; `None` if it does not care.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|every| !every.is_zero())
}

fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        None => SocketAddr::from_pathname(Path::new(name)),
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)
        }
        #[cfg(not(target_os = "linux"))]
        Some(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn send(address: &SocketAddr, message: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send_to_addr(message, address).map(drop)
}
