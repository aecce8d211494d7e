//! What systemd is told: the program itself, with a socket in place of the service manager.

use crate::served::{Configured, PATIENCE, Served, nsx};
use std::{
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    process::Command,
    time::{Duration, Instant},
};

fn configuration(more: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndrain = \"3s\"\n{more}{}",
        nsx("a", "")
    )
}

/// The service manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn new(socket: UnixDatagram) -> Manager {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager(socket)
    }

    /// The next message, in lines.
    #[track_caller]
    fn told(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).expect("it is told something");
        let text = String::from_utf8(message[..length].to_vec()).unwrap();
        assert!(text.ends_with('\n'), "{text:?}");
        text.lines().map(str::to_owned).collect()
    }

    /// The next that is no sign of life.
    #[track_caller]
    fn news(&self) -> Vec<String> {
        loop {
            let told = self.told();
            if told != ["WATCHDOG=1"] {
                return told;
            }
        }
    }

    /// Everything that comes until the process has ended, but signs of life.
    fn rest(&self) -> Vec<String> {
        self.0.set_nonblocking(true).unwrap();
        let mut rest = Vec::new();
        let mut message = [0; 4096];
        while let Ok(length) = self.0.recv(&mut message) {
            let text = String::from_utf8(message[..length].to_vec()).unwrap();
            rest.extend(
                text.lines()
                    .filter(|line| *line != "WATCHDOG=1")
                    .map(str::to_owned),
            );
        }
        rest
    }
}

/// The program under `sh`, which knows its number before it becomes it.
fn under(configured: &Configured, socket: &str, variables: &str) -> Served {
    let program = configured.command();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("export {variables}; exec \"$@\"")]);
    shell
        .arg("sh")
        .arg(program.get_program())
        .args(program.get_args());
    shell.env("NOTIFY_SOCKET", socket);
    Served::start(shell)
}

#[test]
fn a_service_is_ready_reloads_lives_and_stops_in_this_order() {
    let configured = Configured::new(&configuration(""));
    let path = configured.at("notify");
    let manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    let alive = "WATCHDOG_USEC=200000 WATCHDOG_PID=$$";
    let mut served = under(&configured, path.to_str().unwrap(), alive);

    let ready = manager.news();
    let endpoint = crate::served::endpoint(&served.line(&["serving", "listen="]));
    let address = endpoint.strip_prefix("http://").unwrap();
    assert_eq!(
        ready,
        [
            "READY=1".to_owned(),
            format!("STATUS=serving 1 backend at {address}")
        ]
    );

    // Twice in each period, and no less often over ten of them than once in each.
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(manager.told(), ["WATCHDOG=1"]);
    }
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1500), "{took:?}");

    served.signal("HUP");
    let reloading = manager.news();
    assert_eq!(reloading[0], "RELOADING=1");
    let since_start: u64 = reloading[1]
        .strip_prefix("MONOTONIC_USEC=")
        .unwrap()
        .parse()
        .unwrap();
    let up = std::fs::read_to_string("/proc/uptime").unwrap();
    let up: f64 = up.split(' ').next().unwrap().parse().unwrap();
    let apart = (up - since_start as f64 / 1e6).abs();
    assert!(apart < PATIENCE.as_secs_f64(), "{apart}");
    assert_eq!(manager.news()[0], "READY=1");

    configured.write("isthmus.toml", "[server]\nlisten = 5\n");
    served.signal("HUP");
    assert_eq!(manager.news()[0], "RELOADING=1");
    let refused = manager.news();
    assert_eq!(refused[0], "READY=1");
    assert!(
        refused[1].ends_with("the last reload was refused, see the log"),
        "{refused:?}"
    );

    served.signal("TERM");
    let stopping = manager.news();
    // Twice the drain, and what comes after it.
    assert_eq!(
        stopping,
        [
            "STOPPING=1",
            "EXTEND_TIMEOUT_USEC=21000000",
            "STATUS=draining"
        ]
    );
    assert_eq!(served.end(|_| {}).code(), Some(0));
    assert_eq!(manager.rest(), [""; 0]);
}

#[test]
fn it_is_told_at_an_abstract_name_too_and_lives_only_for_who_asked() {
    let configured = Configured::new(&configuration(""));
    let name = format!("isthmus-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::new(UnixDatagram::bind_addr(&address).unwrap());
    // The watchdog is for another process.
    let other = "WATCHDOG_USEC=1000 WATCHDOG_PID=1";
    let mut served = under(&configured, &format!("@{name}"), other);
    assert_eq!(manager.told()[0], "READY=1");
    served.signal("TERM");
    assert_eq!(manager.told()[0], "STOPPING=1");
    assert_eq!(served.end(|_| {}).code(), Some(0));
}

#[test]
fn nobody_is_told_that_it_is_ready_before_it_is_bound() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = configuration("").replace("127.0.0.1:0", &address.to_string());
    let configured = Configured::new(&text);
    let path = configured.at("notify");
    let manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    let mut served = under(&configured, path.to_str().unwrap(), "NONE=1");
    assert_ne!(served.end(|_| {}).code(), Some(0));
    assert_eq!(manager.rest(), [""; 0]);
    assert!(served.logged().contains("could not serve: listening on"));
}

#[test]
fn a_manager_that_is_gone_stops_nobody() {
    let configured = Configured::new(&configuration(""));
    let gone = configured.at("gone");
    let mut served = under(
        &configured,
        gone.to_str().unwrap(),
        "WATCHDOG_USEC=1000 WATCHDOG_PID=$$",
    );
    served.line(&["serving", "listen="]);
    served.signal("TERM");
    assert_eq!(served.end(|_| {}).code(), Some(0));
}
