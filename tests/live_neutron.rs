//! The gateway against a real Keystone and a real Neutron VPNaaS, which nobody here wrote.
//!
//! `tests/live/openstack/up` starts them and prints the environment this reads; without it the test says
//! that it was skipped.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use isthmus::{
    core::settings::{AuthKind, AuthSettings, BackendSettings, PollSettings},
    grpc::pb::{self, Goal, RealizationState as State},
};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};
use support::{clouds::References, running::Running};

const BACKEND: &str = "live";
/// Between looks at a fresh write; what the test holds the gateway to.
const FRESH: Duration = Duration::from_secs(1);

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("`up` prints {name}"))
}

fn settings() -> BackendSettings {
    BackendSettings {
        name: BACKEND.parse().unwrap(),
        dialect: "openstack".into(),
        variant: Some("neutron".into()),
        urls: vec![],
        ca_file: None,
        insecure_skip_verify: false,
        timeout: Duration::from_secs(10),
        read_only: false,
        auth: AuthSettings {
            kind: AuthKind::Password,
            username: Some(variable("LIVE_DEMO_USER")),
            password: Some(variable("LIVE_DEMO_PASSWORD").into()),
            auth_url: Some(variable("LIVE_KEYSTONE_URL")),
            project_name: Some(variable("LIVE_DEMO_PROJECT")),
            user_domain_id: Some("default".into()),
            project_domain_id: Some("default".into()),
            ..AuthSettings::default()
        },
        poll: PollSettings {
            fresh: FRESH,
            stable: 3 * FRESH,
            ..PollSettings::default()
        },
    }
}

fn references() -> References {
    References {
        vpn_service: variable("LIVE_DEMO_VPN_SERVICE_ID"),
        ike_policy: variable("LIVE_DEMO_IKE_POLICY_ID"),
        ipsec_policy: variable("LIVE_DEMO_IPSEC_POLICY_ID"),
        local_endpoint_group: variable("LIVE_DEMO_LOCAL_ENDPOINT_GROUP_ID"),
        peer_endpoint_group: variable("LIVE_DEMO_PEER_ENDPOINT_GROUP_ID"),
    }
}

/// Reports statuses as the VPN agent would.
struct Agent {
    script: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
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
            script,
            orders,
            answers,
        }
    }

    /// Reports a status; it is stored when this returns.
    fn reports(&mut self, id: &str, status: &str) -> Instant {
        writeln!(self.orders, "{id} {status}").unwrap();
        self.orders.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(
            answer.starts_with("ok "),
            "the agent's report was not taken: {answer}"
        );
        Instant::now()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_a_real_neutron_comes_up_under_watch_and_goes_again() {
    if env::var("LIVE_NEUTRON_URL").is_err() {
        println!("skipped: needs a real Neutron, see tests/live/openstack/README.md");
        return;
    }
    let running = Running::start(vec![settings()]).await;
    let mut agent = tokio::task::spawn_blocking(Agent::start).await.unwrap();

    let (connection, token) = running
        .create(BACKEND, references().connection(BACKEND))
        .await
        .unwrap();
    let name = connection.name;
    let id = name.rsplit('/').next().unwrap().to_owned();
    assert!(connection.managed);
    assert!(connection.peer.unwrap().psk_set);
    assert_eq!(
        connection.description, "",
        "the gateway's mark is not shown"
    );

    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    let pending = watch.until(State::Pending).await;
    assert_eq!(pending.native_state, "PENDING_CREATE");

    // One poll interval, a tenth of jitter, and what the look itself takes.
    let soon = FRESH + FRESH / 10 + Duration::from_millis(500);
    let reported = agent.reports(&id, "DOWN");
    let (down, outcome) = watch.next_state().await.unwrap();
    let lag = reported.elapsed();
    println!("DOWN was seen {lag:?} after the agent reported it");
    assert_eq!((down.native_state.as_str(), outcome), ("DOWN", None));
    assert!(lag <= soon, "{lag:?}");

    let reported = agent.reports(&id, "ACTIVE");
    let (states, outcome) = watch.end().await;
    let lag = reported.elapsed();
    println!("ACTIVE was seen {lag:?} after the agent reported it");
    assert!(lag <= soon, "{lag:?}");
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance()),
        (State::Active, pb::Assurance::TunnelUp)
    );

    let token = running.delete(&name).await.unwrap();
    let (states, outcome) = running
        .watch(&name, Goal::Unspecified, &token)
        .await
        .unwrap()
        .end()
        .await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert_eq!(states.last().unwrap().state(), State::Deleted);
    let request = pb::GetConnectionRequest { name };
    let gone = running
        .connections()
        .get_connection(request)
        .await
        .unwrap_err();
    assert_eq!(gone.code(), tonic::Code::NotFound);
}
