//! The servers: who may use them when, what they were seeded with, and the agent that is not there.

use crate::support::{clouds::References, site::World};
use isthmus::{core::settings::PollSettings, dialects::settings::Given};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The name of the only backend of most gateways here.
pub const BACKEND: &str = "live";
/// Between polls of a fresh write; what the tests hold the gateway to.
pub const FRESH: Duration = Duration::from_secs(1);
/// Between polls when nothing is at stake.
pub const STABLE: Duration = Duration::from_secs(3);
/// How long an update must be quiet, unless the stated time is what is tried.
pub const QUIET: Duration = Duration::from_secs(4);

/// What the servers are started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knobs {
    /// Tokens live for an hour, and Neutron asks Keystone about each every two seconds, so that one that is
    /// taken back is refused soon.
    LongTokens,
    /// Tokens live for 20 seconds. Neutron's own, too, so that it logs in for every token it does not know: it
    /// is left to remember them.
    ShortTokens,
}

impl Knobs {
    fn environment(self) -> [(&'static str, &'static str); 3] {
        let (life, cache) = match self {
            Knobs::LongTokens => ("3600", "2"),
            Knobs::ShortTokens => ("20", "300"),
        };
        [
            ("ISTHMUS_LIVE_TOKEN_SECONDS", life),
            ("ISTHMUS_LIVE_TOKEN_CACHE_SECONDS", cache),
            ("ISTHMUS_LIVE_PAGE_MAX", "100"),
        ]
    }
}

/// Tests that want the same knobs share the servers, unless they stop one or measure time.
static SERVERS: RwLock<Option<Knobs>> = RwLock::const_new(None);

/// The right to use the servers together with others.
pub type Shared = RwLockReadGuard<'static, Option<Knobs>>;
/// The right to use the servers alone.
pub type Alone = RwLockWriteGuard<'static, Option<Knobs>>;

/// Waits for the servers with long tokens.
pub async fn shared() -> Shared {
    shared_with(Knobs::LongTokens).await
}

/// Waits for the servers with these knobs.
pub async fn shared_with(knobs: Knobs) -> Shared {
    loop {
        if let Ok(shared) = SERVERS.try_read()
            && *shared == Some(knobs)
        {
            return shared;
        }
        // Never in the queue for writing: those who go on with the same knobs would wait behind it.
        if let Ok(mut servers) = SERVERS.try_write() {
            turn(&mut servers, knobs).await;
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Waits until no other test uses the servers, with long tokens.
pub async fn alone() -> Alone {
    loop {
        if let Ok(mut servers) = SERVERS.try_write() {
            turn(&mut servers, Knobs::LongTokens).await;
            return servers;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn turn(servers: &mut Option<Knobs>, knobs: Knobs) {
    if *servers != Some(knobs) {
        println!("servers: {knobs:?}");
        *servers = None;
        up(knobs).await;
        *servers = Some(knobs);
    }
}

/// Starts what is not running, and again what runs with other knobs.
pub async fn up(knobs: Knobs) {
    script("up", &[], &knobs.environment()).await;
}

/// Stops Neutron.
pub async fn neutron_down() {
    script("down", &["neutron"], &[]).await;
}

/// What `up` printed.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("`up` prints {name}"))
}

/// The id of an object that was seeded: `seeded("OTHER", "CONNECTION")`.
pub fn seeded(project: &str, what: &str) -> String {
    variable(&format!("LIVE_{project}_{what}_ID"))
}

/// The full name of a seeded connection.
pub fn seeded_connection(project: &str) -> String {
    name_of(&seeded(project, "CONNECTION"))
}

/// The full name of the connection with this id.
pub fn name_of(id: &str) -> String {
    format!("backends/{BACKEND}/connections/{id}")
}

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The project, by name.
    pub project: String,
}

impl Login {
    /// A member of the project `demo`.
    pub fn demo() -> Login {
        Login::of("demo")
    }

    /// A member of the project `other`.
    pub fn other() -> Login {
        Login::of("other")
    }

    /// One whose only role on `demo` is `reader`.
    pub fn reader() -> Login {
        Login {
            user: variable("LIVE_READER_USER"),
            password: variable("LIVE_READER_PASSWORD"),
            project: "demo".to_owned(),
        }
    }

    fn of(project: &str) -> Login {
        let upper = project.to_uppercase();
        Login {
            user: variable(&format!("LIVE_{upper}_USER")),
            password: variable(&format!("LIVE_{upper}_PASSWORD")),
            project: project.to_owned(),
        }
    }
}

/// Which of the simulated clouds the servers are.
pub fn series() -> World {
    match variable("ISTHMUS_LIVE_SERIES").as_str() {
        "2026.2" => World::Newest,
        _ => World::Neutron,
    }
}

/// A backend for this login.
pub fn settings(login: &Login) -> Given {
    let mut given = Given::new(BACKEND.parse().unwrap(), "openstack")
        .with("variant", series().names().1)
        .with("auth.kind", "password")
        .with("auth.username", &login.user)
        .with("auth.password", &login.password)
        .with("auth.auth_url", variable("LIVE_KEYSTONE_URL"))
        .with("auth.project_name", &login.project)
        .with("auth.user_domain_id", "default")
        .with("auth.project_domain_id", "default");
    given.core.poll = PollSettings {
        fresh: FRESH,
        stable: STABLE,
        quiet_after_update: QUIET,
        confirm_failure: Duration::from_secs(2),
        vanish_grace: Duration::from_secs(4),
        ..PollSettings::default()
    };
    given
}

/// What a connection of `demo` refers to.
pub fn references() -> References {
    References {
        vpn_service: seeded("DEMO", "VPN_SERVICE"),
        ike_policy: seeded("DEMO", "IKE_POLICY"),
        ipsec_policy: seeded("DEMO", "IPSEC_POLICY"),
        local_endpoint_group: seeded("DEMO", "LOCAL_ENDPOINT_GROUP"),
        peer_endpoint_group: seeded("DEMO", "PEER_ENDPOINT_GROUP"),
    }
}

/// Runs one of the scripts beside `up`, and returns what it prints.
pub async fn script(
    name: &str,
    arguments: &[&str],
    environment: &[(&'static str, &'static str)],
) -> String {
    let mut command = Command::new(format!("{}/{name}", variable("LIVE_SCRIPTS")));
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success(), "{name}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Copies a connection; the ids of the copies, sorted. Only one test at a time may do so in one project.
pub async fn copies(id: &str, count: usize) -> Vec<String> {
    let printed = script("copies", &[id, &count.to_string()], &[]).await;
    let mut ids: Vec<String> = printed.lines().map(str::to_owned).collect();
    ids.sort();
    ids
}

/// Reports statuses as the VPN agent would. One for all tests: it takes seconds to start.
struct Agent {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    _script: Child,
}

impl Agent {
    fn start() -> Agent {
        let mut script = Command::new(variable("LIVE_STATUS_SCRIPT"))
            .arg("--stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the status script starts");
        let orders = script.stdin.take().unwrap();
        let mut answers = BufReader::new(script.stdout.take().unwrap());
        let mut ready = String::new();
        answers.read_line(&mut ready).unwrap();
        assert_eq!(ready.trim(), "ready");
        Agent {
            orders,
            answers,
            _script: script,
        }
    }
}

/// Reports a status as the agent would, or with ` --force` writes one that no agent reports. It is stored
/// when this returns. The script ends with the process, which closes its input.
pub fn reports(id: &str, status: &str) -> Instant {
    static AGENT: OnceLock<Mutex<Agent>> = OnceLock::new();
    tokio::task::block_in_place(|| {
        let agent = AGENT.get_or_init(|| Mutex::new(Agent::start()));
        let mut agent = agent.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(agent.orders, "{id} {status}").unwrap();
        agent.orders.flush().unwrap();
        let mut answer = String::new();
        agent.answers.read_line(&mut answer).unwrap();
        assert!(answer.starts_with("ok "), "{id} {status}: {answer}");
        Instant::now()
    })
}
