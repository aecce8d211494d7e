//! A secret is rotated in its file and in its cloud while calls and polls go on: none is refused, the account stays far from
//! its lock, and neither secret is seen anywhere.
//!
//! The files and the sockets are real. What a test waits for is calls that end, never time. Every kind of login has its own
//! cloud, and all of them are tried at the same time.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::join_all;
use isthmus::{
    cli::check,
    config::SecretFile,
    core::{
        dialect::{Call, Dialect},
        error::{Error, ErrorReason},
        secret::Refreshed,
    },
    simulator::{
        nsx::{NsxOptions, NsxSimulator},
        openstack::{OpenstackOptions, OpenstackSimulator, Variant},
    },
};
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::running::install_provider;
use tempfile::TempDir;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing_subscriber::fmt::MakeWriter;

const OLD: &str = "canary-of-yesterday-7d1e";
const NEW: &str = "canary-of-tomorrow-93bf";
/// What NSX takes before it locks an account.
const LOCK: u64 = 5;
/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cloud with an account whose secret can be changed.
enum Cloud {
    Nsx(NsxSimulator),
    /// And the id of the user, or of the credential.
    Openstack(OpenstackSimulator, String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Login {
    Basic,
    Session,
    Bearer,
    Password(Variant),
    Credential,
}

const LOGINS: [Login; 7] = [
    Login::Basic,
    Login::Session,
    Login::Bearer,
    Login::Password(Variant::Neutron),
    Login::Password(Variant::Otc),
    Login::Password(Variant::K5),
    Login::Credential,
];

impl Cloud {
    fn start(login: Login) -> Cloud {
        match login {
            Login::Basic | Login::Session | Login::Bearer => {
                let options = NsxOptions {
                    password: OLD.to_owned(),
                    bearer_token: Some(OLD.to_owned()),
                    ..NsxOptions::default()
                };
                Cloud::Nsx(NsxSimulator::start(options).unwrap())
            }
            Login::Password(_) | Login::Credential => {
                let options = OpenstackOptions {
                    variant: match login {
                        Login::Password(variant) => variant,
                        _ => Variant::default(),
                    },
                    // A token that is revoked is refused at once, so that each rotation needs a login.
                    token_cache_time: Duration::ZERO,
                    ..OpenstackOptions::default()
                };
                let cloud = OpenstackSimulator::start(options).unwrap();
                let inventory = cloud.inventory();
                let id = match login {
                    Login::Credential => inventory.application_credential.id,
                    _ => inventory.member.id,
                };
                assert!(cloud.state().rotate_secret(id, OLD));
                Cloud::Openstack(cloud, id.to_owned())
            }
        }
    }

    /// The backend's table, with the secret in the file `secret`.
    fn table(&self, login: Login) -> String {
        let head = "[[backends]]\nname = \"cloud\"\ninsecure_skip_verify = true\n";
        match self {
            Cloud::Nsx(cloud) => {
                let auth = match login {
                    Login::Bearer => "kind = \"bearer\", token_file = \"secret\"".to_owned(),
                    _ => format!(
                        "kind = \"{}\", username = \"{}\", password_file = \"secret\"",
                        if login == Login::Basic {
                            "basic"
                        } else {
                            "session"
                        },
                        NsxOptions::default().username,
                    ),
                };
                let urls = cloud.urls();
                format!("{head}dialect = \"nsx\"\nurl = {urls:?}\nauth = {{ {auth} }}\n")
            }
            Cloud::Openstack(cloud, id) => {
                let variant = match login {
                    Login::Password(Variant::Otc) => "otc",
                    Login::Password(Variant::K5) => "k5",
                    _ => "neutron",
                };
                let auth = match login {
                    Login::Credential => format!(
                        "kind = \"application_credential\", application_credential_id = \"{id}\", \
                         application_credential_secret_file = \"secret\""
                    ),
                    _ => format!(
                        "kind = \"password\", username = \"{}\", password_file = \"secret\", project_name = \"{}\"",
                        cloud.inventory().member.name,
                        cloud.inventory().project.project_name,
                    ),
                };
                format!(
                    "{head}dialect = \"openstack\"\nvariant = \"{variant}\"\nauth = {{ auth_url = \"{}\", {auth} }}\n",
                    cloud.keystone_url()
                )
            }
        }
    }

    /// The account takes this secret, too.
    fn rotate(&self, secret: &str) {
        match self {
            Cloud::Nsx(cloud) => {
                let user = NsxOptions::default().username;
                cloud.state().rotate_password(&user, secret);
                cloud.state().accept_token(secret);
            }
            Cloud::Openstack(cloud, id) => assert!(cloud.state().rotate_secret(id, secret)),
        }
    }

    /// What was before is taken no more, nor who logged in with it.
    fn retire(&self) {
        match self {
            Cloud::Nsx(cloud) => {
                cloud.state().retire_passwords();
                cloud.state().reject_token(OLD);
                cloud.state().expire_sessions();
            }
            Cloud::Openstack(cloud, _) => {
                cloud.state().retire_secrets();
                cloud.state().revoke_all_tokens();
            }
        }
    }

    fn failed_logins(&self) -> u64 {
        match self {
            Cloud::Nsx(cloud) => cloud.state().failed_logins(),
            Cloud::Openstack(cloud, _) => cloud.state().logins().refused,
        }
    }
}

/// A backend on a cloud, by its configuration.
struct Backend {
    cloud: Cloud,
    folder: TempDir,
    dialect: Arc<dyn Dialect>,
    secrets: Vec<SecretFile>,
}

impl Backend {
    fn new(login: Login) -> Backend {
        install_provider();
        let cloud = Cloud::start(login);
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("secret"), format!("{OLD}\n")).unwrap();
        fs::write(at("isthmus.toml"), cloud.table(login)).unwrap();
        let config = check::read(&at("isthmus.toml"));
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.secrets.len(), 1);
        assert_eq!(config.secrets[0].backend, "cloud");
        let dialect = Arc::clone(&config.backends[0].1);
        Backend {
            cloud,
            folder,
            dialect,
            secrets: config.secrets,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// Replaces the file as an editor does.
    fn write(&self, secret: &str) {
        let new = self.folder.path().join("secret.new");
        fs::write(&new, format!("{secret}\n")).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    /// What `serve` does every two seconds.
    async fn look(&self) -> Refreshed {
        let secret = self.secrets[0].secret.upgrade().unwrap();
        secret.refresh().await
    }
}

/// Calls and polls that go on until they are stopped.
struct Calls {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Vec<Error>>>,
}

impl Calls {
    /// Six callers, of which two poll.
    fn on(backend: &Backend) -> Calls {
        let (begun, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let stop = Arc::new(AtomicBool::new(false));
        let caller = |polls: bool| {
            let (begun, ended) = (Arc::clone(&begun), Arc::clone(&ended));
            let (stop, dialect) = (Arc::clone(&stop), Arc::clone(&backend.dialect));
            tokio::spawn(async move {
                let mut errors = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let call = match polls {
                        true => Call::poll(Duration::from_secs(30)),
                        false => Call::unary(Duration::from_secs(30)),
                    };
                    begun.fetch_add(1, Ordering::SeqCst);
                    errors.extend(dialect.probe(&call).await.err());
                    ended.fetch_add(1, Ordering::SeqCst);
                }
                errors
            })
        };
        let callers = [false, false, true, false, true, false].map(caller).into();
        Calls {
            begun,
            ended,
            stop,
            callers,
        }
    }

    /// Waits until ten calls were begun from now on, and have ended.
    async fn go_on(&self) {
        let from = self.begun.load(Ordering::SeqCst);
        let going = async {
            while self.ended.load(Ordering::SeqCst) < from + 16 {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, going).await.expect("calls go on");
    }

    async fn stop(self) -> Vec<Error> {
        self.stop.store(true, Ordering::SeqCst);
        let mut errors = Vec::new();
        for caller in self.callers {
            errors.extend(timeout(PATIENCE, caller).await.unwrap().unwrap());
        }
        errors
    }
}

/// Everything that is logged in this process, at every level.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Logs;

    fn make_writer(&self) -> Logs {
        self.clone()
    }
}

fn logs() -> &'static Logs {
    static LOGS: OnceLock<Logs> = OnceLock::new();
    LOGS.get_or_init(|| {
        let logs = Logs::default();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(logs.clone())
            .init();
        logs
    })
}

fn assert_unseen(what: &str) {
    let logged = String::from_utf8_lossy(&logs().0.lock().unwrap()).into_owned();
    assert!(!logged.is_empty());
    let user = NsxOptions::default().username;
    for secret in [OLD, NEW] {
        let basic = BASE64_STANDARD.encode(format!("{user}:{secret}"));
        for form in [secret, &basic] {
            assert!(!what.contains(form), "{what}");
            assert!(!logged.contains(form), "in the log");
        }
    }
}

/// What one attempt can cost: what was under way with the old secret when it ended.
fn one_attempt(login: Login) -> u64 {
    match login {
        // As many as may be under way.
        Login::Basic => 3,
        // Not counted as failed logins, however many.
        Login::Bearer => 0,
        // One login is made at a time.
        Login::Session | Login::Password(_) | Login::Credential => 1,
    }
}

#[tokio::test]
async fn where_both_are_taken_for_a_while_nothing_is_refused() {
    logs();
    join_all(LOGINS.map(async |login| {
        let backend = Backend::new(login);
        let calls = Calls::on(&backend);
        calls.go_on().await;
        backend.cloud.rotate(NEW);
        backend.write(NEW);
        assert!(matches!(backend.look().await, Refreshed::Changed));
        calls.go_on().await;
        backend.cloud.retire();
        calls.go_on().await;
        let errors = calls.stop().await;
        assert!(errors.is_empty(), "{login:?}: {errors:?}");
        assert_eq!(backend.cloud.failed_logins(), 0, "{login:?}");
        assert_unseen(&format!("{errors:?} {:?}", backend.dialect));
    }))
    .await;
}

#[tokio::test]
async fn where_the_old_one_ends_at_once_what_is_under_way_is_repeated() {
    logs();
    join_all(LOGINS.map(async |login| {
        let backend = Backend::new(login);
        let calls = Calls::on(&backend);
        calls.go_on().await;
        // Nobody looks at the file: a login that is refused does.
        backend.write(NEW);
        backend.cloud.rotate(NEW);
        backend.cloud.retire();
        calls.go_on().await;
        calls.go_on().await;
        let errors = calls.stop().await;
        assert!(errors.is_empty(), "{login:?}: {errors:?}");
        let failed = backend.cloud.failed_logins();
        assert!(failed <= one_attempt(login), "{login:?}: {failed}");
        assert_unseen(&format!("{errors:?} {:?}", backend.dialect));
    }))
    .await;
}

#[tokio::test]
async fn a_file_that_comes_a_moment_later_is_waited_for() {
    logs();
    join_all(LOGINS.map(async |login| {
        let backend = Backend::new(login);
        let calls = Calls::on(&backend);
        calls.go_on().await;
        backend.cloud.rotate(NEW);
        backend.cloud.retire();
        let refused = async {
            // A bearer token that is refused is no failed login; its callers wait all the same.
            while backend.cloud.failed_logins() < one_attempt(login).min(1) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, refused).await.expect("it is noticed");
        backend.write(NEW);
        assert!(!matches!(backend.look().await, Refreshed::Unreadable(_)));
        calls.go_on().await;
        let errors = calls.stop().await;
        assert!(errors.is_empty(), "{login:?}: {errors:?}");
        let failed = backend.cloud.failed_logins();
        assert!(failed <= one_attempt(login), "{login:?}: {failed}");
        assert_unseen(&format!("{errors:?}"));
    }))
    .await;
}

#[tokio::test]
async fn a_file_that_is_early_is_used_when_its_time_comes() {
    logs();
    join_all(LOGINS.map(async |login| {
        let backend = Backend::new(login);
        let calls = Calls::on(&backend);
        calls.go_on().await;
        backend.write(NEW);
        assert!(matches!(backend.look().await, Refreshed::Changed));
        // The cloud takes the old one only, and is not asked for more than one try.
        calls.go_on().await;
        calls.go_on().await;
        let failed = backend.cloud.failed_logins();
        assert!(failed <= 1, "{login:?}: {failed}");
        backend.cloud.rotate(NEW);
        backend.cloud.retire();
        calls.go_on().await;
        let errors = calls.stop().await;
        assert!(errors.is_empty(), "{login:?}: {errors:?}");
        let failed = backend.cloud.failed_logins();
        assert!(failed <= 2, "{login:?}: {failed}");
        assert_unseen(&format!("{errors:?}"));
    }))
    .await;
}

#[tokio::test]
async fn what_stays_the_same_or_cannot_be_read_is_no_change() {
    logs();
    join_all(LOGINS.map(async |login| {
        let backend = Backend::new(login);
        let calls = Calls::on(&backend);
        calls.go_on().await;
        backend.write(OLD);
        assert!(matches!(backend.look().await, Refreshed::Same), "{login:?}");
        fs::write(backend.file(), "").unwrap();
        assert!(matches!(backend.look().await, Refreshed::Unreadable(_)));
        if login != Login::Bearer {
            // A login with what it was is needed.
            backend.cloud.retire();
        }
        fs::remove_file(backend.file()).unwrap();
        assert!(matches!(backend.look().await, Refreshed::Unreadable(_)));
        calls.go_on().await;
        let errors = calls.stop().await;
        assert!(errors.is_empty(), "{login:?}: {errors:?}");
        assert_eq!(backend.cloud.failed_logins(), 0, "{login:?}");
    }))
    .await;
}

/// Whoever rotates to a secret that the cloud does not take is told, and does not lock the account by trying others.
#[tokio::test]
async fn wrong_secrets_one_after_the_other_lock_nobody_out() {
    logs();
    join_all([Login::Basic, Login::Session].map(async |login| {
        let backend = Backend::new(login);
        let probe = async || {
            backend
                .dialect
                .probe(&Call::unary(Duration::from_secs(2)))
                .await
        };
        probe().await.unwrap();
        backend.cloud.rotate(NEW);
        backend.cloud.retire();
        for attempt in 0..12 {
            backend.write(&format!("{OLD}-{attempt}"));
            assert!(matches!(backend.look().await, Refreshed::Changed));
            let refused = probe().await.unwrap_err();
            assert_eq!(refused.reason, ErrorReason::UpstreamAuth);
            if attempt == 0 {
                let failed = backend.cloud.failed_logins();
                assert!(failed <= 2, "{login:?}: each secret once: {failed}");
            }
            assert_unseen(&format!("{refused:?} {refused}"));
        }
        let failed = backend.cloud.failed_logins();
        assert!(failed < LOCK, "{login:?}: {failed}");
    }))
    .await;
}

/// Each reload binds the backend anew. To the cloud it is the same account, of which it goes on counting.
#[tokio::test]
async fn a_wrong_secret_is_not_tried_anew_with_each_reload() {
    logs();
    join_all(LOGINS.map(async |login| {
        let backend = Backend::new(login);
        backend.cloud.rotate(NEW);
        backend.cloud.retire();
        backend.write("wrong");
        for reload in 0..6 {
            // Once more with another wrong one, which is tried.
            if reload == 5 {
                backend.write("as wrong");
            }
            let config = check::read(&backend.folder.path().join("isthmus.toml"));
            let config = config.unwrap_or_else(|problems| panic!("{problems}"));
            // It has no time to wait and ask again.
            let call = Call::unary(Duration::from_secs(2));
            let refused = config.backends[0].1.probe(&call).await.unwrap_err();
            assert_eq!(refused.reason, ErrorReason::UpstreamAuth, "{login:?}");
            let failed = backend.cloud.failed_logins();
            let most = if reload == 5 { 3 } else { 2 };
            assert!(failed <= most, "{login:?}: {failed} at reload {reload}");
        }
    }))
    .await;
}
