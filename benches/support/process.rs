//! The bench starts itself again, once for each role, pinned to a core, and talks to it by lines of JSON.
//!
//! ```text
//!   bench ──taskset -c CORE──► bench --role NAME ARGUMENT
//!     │  stdin: one line a command ──►│
//!     │◄── stdout: one line an answer │      stdin closed: the role ends
//! ```

use serde::{Serialize, de::DeserializeOwned};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{self, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The longest that one command may take. Nothing here is meant to take half as long.
const PATIENCE: Duration = Duration::from_secs(180);

/// Which role this process was started for, and with what; `None` if it is the bench itself.
pub fn role() -> Option<(String, String)> {
    let mut args = env::args().skip(1);
    if args.next()? != "--role" {
        return None;
    }
    let name = args.next().expect("a role has a name");
    let argument = args.next().expect("a role has an argument");
    Some((name, argument))
}

/// What a role was started with.
pub fn argument<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("the bench wrote the argument itself")
}

/// A program on one core.
pub fn pinned(core: usize, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// A process that ends with this value.
#[derive(Debug)]
pub struct Owned(process::Child);

impl Owned {
    /// Starts it.
    pub fn start(command: &mut Command) -> Owned {
        let program = command.get_program().to_owned();
        match command.spawn() {
            Ok(child) => Owned(child),
            Err(error) => panic!("cannot start {}: {error}", program.display()),
        }
    }

    /// Its process id: `taskset` becomes the program it starts.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This bench in another role.
#[derive(Debug)]
pub struct Peer {
    name: String,
    process: Owned,
    commands: ChildStdin,
    answers: Receiver<String>,
}

impl Peer {
    /// Starts it on a core.
    pub fn start(role: &str, core: usize, argument: &impl Serialize) -> Peer {
        let this = env::current_exe().expect("the bench is a file");
        let argument = serde_json::to_string(argument).expect("arguments are plain data");
        let mut command = pinned(core, &this.to_string_lossy());
        command.args(["--role", role, &argument]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Instead of every minute, so that a short bench has it, too; where there is a collector.
        command.env("OTEL_METRIC_EXPORT_INTERVAL", "5000");
        if env::var_os("BENCH_LOGS").is_none() {
            command.stderr(Stdio::null());
        }
        let mut process = Owned::start(&mut command);
        let commands = process.0.stdin.take().expect("piped");
        let stdout = process.0.stdout.take().expect("piped");
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Peer {
            name: role.to_owned(),
            process,
            commands,
            answers,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its next answer.
    pub fn hear<T: DeserializeOwned>(&self) -> T {
        let line = self.answers.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| {
            panic!(
                "the role `{}` ended or does not answer; BENCH_LOGS=1 shows what it says",
                self.name
            )
        });
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the role `{}` said {line}: {error}", self.name))
    }

    /// Tells it to do something.
    pub fn tell(&mut self, command: &impl Serialize) {
        let line = serde_json::to_string(command).expect("commands are plain data");
        writeln!(self.commands, "{line}")
            .unwrap_or_else(|error| panic!("the role `{}` is gone: {error}", self.name));
    }

    /// Tells it to do something, and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, command: &impl Serialize) -> T {
        self.tell(command);
        self.hear()
    }
}

/// The other end: what a role is told.
#[derive(Debug)]
pub struct Commands(UnboundedReceiver<String>);

impl Commands {
    /// Begins to read. Once per process.
    pub fn begin() -> Commands {
        let (sender, receiver) = unbounded_channel();
        thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Commands(receiver)
    }

    /// The next command; `None` when the bench is gone, or done with this role.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        let line = self.0.recv().await?;
        Some(serde_json::from_str(&line).expect("the bench wrote the command itself"))
    }
}

/// Answers the bench.
pub fn answer(answer: &impl Serialize) {
    let line = serde_json::to_string(answer).expect("answers are plain data");
    println!("{line}");
}

/// Waits. Only for the bench itself, which has nothing else to do.
#[allow(
    clippy::disallowed_methods,
    reason = "there is no runtime in the bench itself"
)]
pub fn pause(time: Duration) {
    thread::sleep(time);
}

/// Runs a role as the command runs in earnest: with a worker for each core it has.
pub fn serve(role: impl Future<Output = ()> + Send + 'static) {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be had")
        // Spawned: what the main thread ran itself would cost the server a switch of threads each time it is woken.
        .block_on(async { tokio::spawn(role).await.expect("the role does not panic") });
}

/// Runs a role that makes load, with as little as possible around it.
pub fn load(role: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be had")
        .block_on(role);
}
