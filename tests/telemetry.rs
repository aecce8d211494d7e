//! What becomes of spans when the collector is not there, is silent, or comes back. What it receives when all is well is
//! in `trace_tree`.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};
use support::collector::Collector;

/// What is said of a collector that takes nothing, and of one that does again.
const DOWN: &str = "the collector takes no telemetry";
const UP: &str = "the collector takes telemetry again";

/// The program, serving a backend that is not there; killed when dropped.
struct Serving {
    child: Child,
    address: String,
    lines: Receiver<String>,
    read: Vec<String>,
}

impl Serving {
    fn start(name: &str, otlp_endpoint: &str) -> Serving {
        let config = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n\
             [telemetry]\notlp_endpoint = \"{otlp_endpoint}\"\n\
             [[backends]]\nname = \"a\"\ndialect = \"nsx\"\nurl = \"http://127.0.0.1:1\"\n\
             auth = {{ kind = \"basic\", username = \"u\", password = \"p\" }}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(["serve", "--config"])
            .arg(config)
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody may be reading any more.
                let _ = sender.send(line);
            }
        });
        let mut serving = Serving {
            child,
            address: String::new(),
            lines,
            read: Vec::new(),
        };
        let line = serving.until("listen=");
        let (_, rest) = line.split_once("listen=").unwrap();
        serving.address = rest.split_whitespace().next().unwrap().to_owned();
        serving
    }

    /// Reads lines up to one that has this.
    fn until(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("no line has {text}: {:#?}", self.read));
            self.read.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Makes a call, whose span is sent.
    fn call(&self) {
        let url = format!("http://{}", self.address);
        let asked = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(["backends", "--endpoint", &url])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{asked:?}");
    }

    /// Asks it to end and waits: what it wrote, and how long that took.
    fn end(mut self) -> (Vec<String>, Duration) {
        let begun = Instant::now();
        let killed = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(killed.unwrap().success());
        let status = self.child.wait().unwrap();
        let took = begun.elapsed();
        assert!(status.success(), "{status:?}");
        let mut lines = std::mem::take(&mut self.read);
        lines.extend(self.lines.iter());
        (lines, took)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Fails if it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
    for (name, endpoint) in [
        ("gone.toml", "http://127.0.0.1:1"),
        ("silent.toml", &silent),
    ] {
        for is_known in [false, true] {
            let mut serving = Serving::start(name, endpoint);
            let begun = Instant::now();
            for _ in 0..10 {
                serving.call();
            }
            // Ten processes come and go meanwhile; a call held up by a collector would be by seconds.
            assert!(begun.elapsed() < Duration::from_secs(10), "{name}");
            if is_known {
                serving.until(DOWN);
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
    let mut serving = Serving::start("back.toml", &format!("http://user:canary@{address}"));
    serving.call();
    let down = serving.until(DOWN);
    assert!(down.contains(&address.to_string()) && down.contains("traces"));
    serving.call();
    let collector = Collector::default();
    collector.serve_at(address);
    // What waited meanwhile is sent as soon as it is tried again.
    let up = serving.until(UP);
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
