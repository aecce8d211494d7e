//! What becomes of spans when the collector is not there, is silent, or comes back. What it receives when all is well is
//! in `trace_tree`.

use crate::{
    served::{Configured, Served, endpoint, nsx},
    support::collector::Collector,
};
use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

/// What is said of a collector that takes nothing, and of one that does again.
const DOWN: &str = "the collector takes no telemetry";
const UP: &str = "the collector takes telemetry again";

/// The program, serving a backend that is not there.
struct Serving {
    served: Served,
    endpoint: String,
}

impl Serving {
    fn start(otlp_endpoint: &str) -> Serving {
        let telemetry = format!("[telemetry]\notlp_endpoint = \"{otlp_endpoint}\"\n");
        let server = "[server]\nlisten = \"127.0.0.1:0\"\n";
        let configured = Configured::new(&format!("{server}{telemetry}{}", nsx("a", "")));
        let mut command = configured.command();
        command.env("RUST_LOG", "info");
        let served = Served::start(command);
        let endpoint = endpoint(&served.line(&["serving", "listen="]));
        Serving { served, endpoint }
    }

    /// Makes a call, whose span is sent.
    fn call(&self) {
        let told = self.served.ask(&self.endpoint, &["backends"]);
        assert!(told.contains("\na "), "{told}");
    }

    /// Asks it to end and waits: what it wrote, and how long that took.
    fn end(mut self) -> (Vec<String>, Duration) {
        let begun = Instant::now();
        self.served.signal("TERM");
        let status = self.served.end(|_| {});
        let took = begun.elapsed();
        assert!(status.success(), "{status:?}");
        let lines = self.served.logged();
        (lines.lines().map(str::to_owned).collect(), took)
    }
}

fn with<'a>(lines: &'a [String], text: &str) -> Vec<&'a String> {
    lines.iter().filter(|line| line.contains(text)).collect()
}

#[test]
fn a_collector_that_is_gone_or_silent_delays_nothing() {
    // Accepts, since the kernel does, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for (name, endpoint) in [("gone", "http://127.0.0.1:1"), ("silent", &silent)] {
        for is_known in [false, true] {
            let serving = Serving::start(endpoint);
            let begun = Instant::now();
            for _ in 0..10 {
                serving.call();
            }
            // Ten processes come and go meanwhile; a call held up by a collector would be by seconds.
            assert!(begun.elapsed() < Duration::from_secs(10), "{name}");
            if is_known {
                serving.served.line(&[DOWN]);
            }
            let (lines, took) = serving.end();
            // 0.3 s for the last spans, and none if nobody takes them. The rest is for a busy machine.
            let most = Duration::from_millis(1500);
            assert!(took < most, "{name}: {took:?} {lines:#?}");
            // Of each signal that was tried before, and of all at the end.
            let (down, last) = (
                with(&lines, DOWN),
                with(&lines, "the last spans or metrics"),
            );
            let of = |signal: &str| down.iter().filter(|line| line.contains(signal)).count();
            assert!(
                of("traces") <= 1 && of("metrics") <= 1 && last.len() <= 1,
                "{name}: {lines:#?}"
            );
            assert!(!down.is_empty() || !last.is_empty(), "{name}: {lines:#?}");
            // Standard error is a pipe here.
            assert!(with(&lines, "\x1b").is_empty(), "{lines:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_comes_back_gets_spans_again_and_both_are_said_once() {
    // Whoever takes the port in between makes the test fail, and no worse.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = free.local_addr().unwrap();
    drop(free);
    let serving = Serving::start(&format!("http://user:canary@{address}"));
    serving.call();
    let down = serving.served.line(&[DOWN]);
    assert!(down.contains(&address.to_string()) && down.contains("traces"));
    serving.call();
    let collector = Collector::default();
    collector.serve_at(address);
    // What waited meanwhile is sent as soon as it is tried again.
    let up = serving.served.line(&[UP]);
    assert!(up.contains("for_s=") && up.contains("failed="), "{up}");
    let waited = collector.spans().len();
    assert!(waited > 0);
    serving.call();
    let (lines, _) = serving.end();
    assert_eq!(with(&lines, DOWN).len(), 1, "{lines:#?}");
    assert_eq!(with(&lines, UP).len(), 1, "{lines:#?}");
    assert!(with(&lines, "canary").is_empty(), "{lines:#?}");
    assert!(collector.spans().len() > waited, "the last span leaves");
}
