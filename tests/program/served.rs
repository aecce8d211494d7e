//! `isthmus serve` as a process, by what it logs.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than any machine takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A backend that nobody answers for: what is reloaded is not asked anything.
pub fn nsx(name: &str, more: &str) -> String {
    format!(
        "[[backends]]\nname = \"{name}\"\ndialect = \"nsx\"\nurl = \"http://127.0.0.1:9\"\n\
         auth = {{ kind = \"basic\", username = \"u\", password = \"canary-of-{name}\" }}\n{more}"
    )
}

/// A folder with a configuration that listens on a free port of 127.0.0.1.
pub struct Configured {
    folder: TempDir,
}

impl Configured {
    /// One that says this.
    pub fn new(text: &str) -> Configured {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let configured = Configured { folder };
        configured.write("isthmus.toml", text);
        configured
    }

    /// A file in its folder.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a file at once, as editors do. Nobody else may read it: it may have secrets, and would be warned of.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.at("new");
        fs::write(&new, text).expect("the folder is ours");
        fs::set_permissions(&new, Permissions::from_mode(0o600)).expect("the file is ours");
        fs::rename(new, self.at(name)).expect("the folder is ours");
    }

    /// The program, to be given what else it needs.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
        command.args(["serve", "--config"]);
        command.arg(self.at("isthmus.toml"));
        command
    }

    /// Starts it, and waits until it serves.
    pub fn serve(&self) -> Served {
        let served = Served::start(self.command());
        served.line(&["serving", "listen="]);
        served
    }
}

/// A running process; killed when dropped.
pub struct Served {
    child: Child,
    lines: Arc<(Mutex<Lines>, Condvar)>,
}

#[derive(Default)]
struct Lines {
    all: Vec<String>,
    /// How many of them were waited for.
    passed: usize,
    ended: bool,
}

impl Served {
    /// Starts this one.
    pub fn start(mut command: Command) -> Served {
        for variable in ["RUST_LOG", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            if !command.get_envs().any(|(set, _)| set == variable) {
                command.env_remove(variable);
            }
        }
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .expect("the program was built for this test");
        let lines = Arc::<(Mutex<Lines>, Condvar)>::default();
        let told = BufReader::new(child.stderr.take().expect("it is piped"));
        let kept = Arc::clone(&lines);
        thread::spawn(move || {
            for line in told.lines() {
                let Ok(line) = line else { break };
                kept.0.lock().unwrap().all.push(line);
                kept.1.notify_all();
            }
            kept.0.lock().unwrap().ended = true;
            kept.1.notify_all();
        });
        Served { child, lines }
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that has all of these, after the one that was waited for before.
    #[track_caller]
    pub fn line(&self, pieces: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.lines.0.lock().unwrap();
        loop {
            let new = &lines.all[lines.passed..];
            let fits = |line: &String| pieces.iter().all(|piece| line.contains(piece));
            if let Some(at) = new.iter().position(fits) {
                let line = new[at].clone();
                lines.passed += at + 1;
                return line;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.ended {
                panic!("no line with {pieces:?} in\n{}", lines.all.join("\n"));
            }
            lines = self.lines.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Everything it logged so far.
    pub fn logged(&self) -> String {
        self.lines.0.lock().unwrap().all.join("\n")
    }

    /// Sends it a signal, as `HUP`.
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let kill = kill.arg(format!("-{name}")).arg(self.id().to_string());
        kill.stderr(Stdio::null());
        let _ = kill.status().expect("there is a `kill`");
    }

    /// Whether it is still there.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    /// Waits for its end and for its last line, doing this again and again until it has ended.
    #[track_caller]
    pub fn end(&mut self, meanwhile: impl Fn(&Served)) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            meanwhile(self);
            #[expect(
                clippy::disallowed_methods,
                reason = "another process, which tells nobody here when it ends; and no runtime thread"
            )]
            thread::sleep(Duration::from_millis(5));
        };
        let lines = self.lines.0.lock().unwrap();
        let (_lines, timed_out) = self
            .lines
            .1
            .wait_timeout_while(lines, PATIENCE, |lines| !lines.ended)
            .unwrap();
        assert!(
            !timed_out.timed_out(),
            "somebody else has its standard error"
        );
        status
    }

    /// What the command line says of it, asked with these words.
    pub fn ask(&self, endpoint: &str, words: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(words)
            .args(["--endpoint", endpoint])
            .output()
            .expect("the program was built for this test");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the line that says where it listens.
pub fn endpoint(serving: &str) -> String {
    let (_, rest) = serving.split_once("listen=").expect("it says where");
    let address = rest.split(' ').next().expect("there is one");
    format!("http://{address}")
}

/// Makes a link lead elsewhere, at once.
pub fn relink(link: &Path, target: &str) {
    let new = link.with_extension("new");
    std::os::unix::fs::symlink(target, &new).expect("the folder is ours");
    fs::rename(new, link).expect("the folder is ours");
}
