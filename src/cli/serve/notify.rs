//! Notifications to systemd by `sd_notify(3)`, sent to the datagram socket in `NOTIFY_SOCKET`: a path, or an abstract
//! name after `@`. Without the variable nothing is sent.

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

/// The write timeout of a notification. Messages are small, and the service manager reads them promptly.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct Manager {
    address: Option<SocketAddr>,
    /// Set once the process is ending. From then on it does not report itself ready, even after a reload.
    ends: Arc<AtomicBool>,
}

impl Manager {
    /// Returns the manager that started this process. An unusable address is logged once, and nothing is sent to it.
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

    /// Reports that everything is bound and calls are accepted, at the start and after a reload.
    pub fn ready(&self, status: &str) {
        if !self.ends.load(Ordering::Relaxed) {
            self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
        }
    }

    /// Reports that a reload has begun. [`Manager::ready`] must follow, whatever the result.
    pub fn reloading(&self) {
        if self.ends.load(Ordering::Relaxed) {
            return;
        }
        // systemd uses this time to tell the reload that it asked for from an earlier one.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            let status = NotifyState::Status("reloading");
            self.tell(&[NotifyState::Reloading, now, status]);
        }
    }

    /// Reports that the process is ending, and may take up to `within`.
    pub fn stopping(&self, within: Duration) {
        self.ends.store(true, Ordering::Relaxed);
        let extend = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(extend),
            NotifyState::Status("draining"),
        ]);
    }

    /// Sends the keep-alive of the watchdog.
    pub fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// Sends states in one datagram, a line each. A failed notification does not stop the gateway.
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

/// Returns the watchdog period that systemd asks for, or `None` if there is none.
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
