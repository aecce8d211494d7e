//! The program, serving.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

/// The program; killed when dropped.
pub struct Serving {
    child: Child,
    /// Where it serves.
    pub address: SocketAddr,
    /// Where its page for Prometheus is.
    pub page: SocketAddr,
}

impl Serving {
    /// Starts it with this configuration, which is written into `folder`, and waits until it serves.
    pub fn start(folder: &Path, config: &str) -> Serving {
        let file = folder.join("isthmus.toml");
        fs::write(&file, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(["serve", "--config"])
            .arg(file)
            .env("RUST_LOG", "info")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "200")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (address, page) = loop {
            let line = lines.next().expect("it says where it serves").unwrap();
            if let Some(address) = field(&line, "listen=") {
                break (address, field(&line, "metrics="));
            }
        };
        // Somebody has to read what it says, or it would wait for that.
        thread::spawn(move || lines.for_each(drop));
        Serving {
            child,
            address,
            page: page.expect("it is said with it"),
        }
    }

    /// Asks it to end, and waits for that.
    pub fn end(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

fn field(line: &str, name: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(name)?;
    rest.split_whitespace().next()?.parse().ok()
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Fails if it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
