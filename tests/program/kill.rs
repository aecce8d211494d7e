//! The program itself, killed under a thousand open watches that come back with their tokens: no change is lost, none
//! told twice, each outcome exactly once.

use crate::support::clouds::References;
use isthmus::{
    grpc::pb::{
        self, Goal, WatchRealizationRequest, WatchRealizationResponse,
        connection_service_client::ConnectionServiceClient,
        realization_service_client::RealizationServiceClient, watch_realization_response::Event,
    },
    simulator::openstack::{OpenstackOptions, OpenstackSimulator},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

const CONNECTIONS: usize = 20;
const WATCHES: usize = 1_000;
const CHANNELS: usize = 4;
const KILLS: usize = 3;
/// Longer than any machine takes; a watch that hangs ends the test with what it waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// The gateway as a process; killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: nothing is drained, nothing is flushed.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Process {
    async fn start(configuration: &Path, address: SocketAddr) -> Process {
        let child = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(["serve", "--config"])
            .arg(configuration)
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process(child);
        timeout(PATIENCE, async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the gateway listens");
        process
    }
}

fn configuration(folder: &Path, address: SocketAddr, cloud: &OpenstackSimulator) -> String {
    let member = cloud.inventory().member;
    format!(
        "[server]\nlisten = \"{address}\"\n\
         [store]\npath = \"{store}\"\n\
         [[backends]]\nname = \"os\"\ndialect = \"openstack\"\nvariant = \"neutron\"\n\
         auth = {{ kind = \"password\", username = \"{user}\", password = \"{password}\", auth_url = \"{auth_url}\", \
         project_name = \"{project}\", user_domain_id = \"default\", project_domain_id = \"default\" }}\n\
         poll = {{ fresh = \"200ms\", stable = \"200ms\" }}\n",
        store = folder.join("log.redb").display(),
        user = member.name,
        password = member.password,
        auth_url = cloud.keystone_url(),
        project = cloud.inventory().project.project_name,
    )
}

/// What one watch was told, over all its streams.
#[derive(Default)]
struct Told {
    connection: String,
    /// (epoch, sequence), status, and how many were left out before.
    entries: Vec<(u64, String, u64)>,
    outcomes: Vec<pb::Outcome>,
    streams: usize,
}

/// Watches until its outcome, or until the cloud's last word if it waits for none; comes back with its token
/// whenever its stream breaks.
async fn watch(
    channel: Channel,
    name: String,
    write_token: Option<String>,
    last: &str,
    opened: &AtomicUsize,
) -> Told {
    let mut told = Told {
        connection: name.clone(),
        ..Told::default()
    };
    let mut client = RealizationServiceClient::new(channel);
    let mut request = WatchRealizationRequest {
        name,
        write_token: write_token.clone().unwrap_or_default(),
        ..WatchRealizationRequest::default()
    };
    if write_token.is_some() {
        request.set_goal(Goal::TunnelUp);
    }
    loop {
        let mut stream = match client.watch_realization(request.clone()).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                may_come_back(&status);
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        told.streams += 1;
        opened.fetch_add(1, Ordering::SeqCst);
        loop {
            match stream.message().await {
                Ok(Some(message)) => {
                    request.resume_token.clone_from(&message.resume_token);
                    let is_last = take(&mut told, message, last);
                    if is_last && write_token.is_none() {
                        return told;
                    }
                }
                Ok(None) => return told,
                Err(status) => {
                    may_come_back(&status);
                    break;
                }
            }
        }
    }
}

/// A kill breaks connections; it never makes the next gateway refuse a token.
fn may_come_back(status: &Status) {
    let broken = matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
    );
    assert!(broken, "{status:?}");
}

fn take(told: &mut Told, message: WatchRealizationResponse, last: &str) -> bool {
    told.outcomes.extend(message.outcome);
    let realization = match message.event {
        Some(Event::Snapshot(realization)) => {
            assert!(told.entries.is_empty(), "a second snapshot");
            realization
        }
        Some(Event::Change(realization)) => realization,
        Some(Event::Heartbeat(_)) | None => return false,
    };
    let is_last = realization.native_state == last;
    told.entries.push((
        realization.sequence,
        realization.native_state,
        message.coalesced,
    ));
    is_last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_watches_outlive_kills_of_the_gateway() {
    let cloud = OpenstackSimulator::start(OpenstackOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Free now; the child takes it in a moment, and again after each kill.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let file = folder.path().join("isthmus.toml");
    std::fs::write(&file, configuration(folder.path(), address, &cloud)).unwrap();
    let mut process = Process::start(&file, address).await;

    let channels: Vec<Channel> = (0..CHANNELS)
        .map(|_| {
            Endpoint::from_shared(format!("http://{address}"))
                .unwrap()
                .connect_lazy()
        })
        .collect();
    let wanted = References::of(&cloud).connection("os");
    let mut names = Vec::new();
    for _ in 0..CONNECTIONS {
        let request = pb::CreateConnectionRequest {
            parent: "backends/os".to_owned(),
            connection: Some(wanted.clone()),
            validate_only: false,
            ..Default::default()
        };
        let mut client = ConnectionServiceClient::new(channels[0].clone());
        let answer = client.create_connection(request).await.unwrap();
        let answer = answer.into_inner();
        names.push((answer.connection.unwrap().name, answer.write_token));
    }
    let ids: Vec<String> = names
        .iter()
        .map(|(name, _)| name.rsplit('/').next().unwrap().to_owned())
        .collect();

    let opened = Arc::new(AtomicUsize::new(0));
    let mut watches = JoinSet::new();
    for number in 0..WATCHES {
        let (name, token) = names[number % CONNECTIONS].clone();
        // Every other one waits for the outcome of the write.
        let token = (number / CONNECTIONS).is_multiple_of(2).then_some(token);
        let channel = channels[number % CHANNELS].clone();
        let opened = Arc::clone(&opened);
        watches.spawn(async move { watch(channel, name, token, "ACTIVE", &opened).await });
    }

    // Changes all the time, and kills in the midst of them.
    let state = Arc::new(cloud.state().clone());
    let change = |round: usize| {
        for (at, id) in ids.iter().enumerate() {
            let status = ["PENDING_CREATE", "DOWN", "BUILD"][(round + at) % 3];
            assert!(state.set_status(id, status));
        }
    };
    for kill in 0..KILLS {
        let begun = Instant::now();
        let mut round = kill;
        let least = Duration::from_millis(2_000 + 137 * kill as u64);
        // Not before everybody is back, however slow the machine.
        while begun.elapsed() < least || opened.load(Ordering::SeqCst) < WATCHES * (kill + 1) {
            assert!(begun.elapsed() < PATIENCE, "not everybody comes back");
            change(round);
            round += 1;
            sleep(Duration::from_millis(300)).await;
        }
        drop(process);
        change(round + 1);
        process = Process::start(&file, address).await;
    }
    for id in &ids {
        assert!(state.set_status(id, "ACTIVE"));
    }

    let mut all = Vec::new();
    let finished = timeout(PATIENCE, async {
        while let Some(told) = watches.join_next().await {
            all.push(told.unwrap());
        }
    })
    .await;
    assert!(finished.is_ok(), "{} watches are still open", watches.len());
    drop(process);
    check(&all);
}

/// Holds what all were told against each other.
fn check(all: &[Told]) {
    assert_eq!(all.len(), WATCHES);
    let mut entries: BTreeMap<&str, BTreeMap<u64, &str>> = BTreeMap::new();
    for told in all {
        let of_one = entries.entry(&told.connection).or_default();
        for (sequence, status, _) in &told.entries {
            let known = of_one.insert(*sequence, status);
            assert!(
                known.is_none_or(|known| known == status),
                "{}: {sequence} means two things",
                told.connection
            );
        }
    }
    let (mut bound, mut came_back) = (0, 0);
    for told in all {
        let sequences: Vec<u64> = told.entries.iter().map(|(at, ..)| *at).collect();
        assert!(
            sequences.is_sorted_by(|one, next| one < next),
            "twice, or out of order: {sequences:?}"
        );
        // Between two messages lies nothing but what the second one counts.
        let known: BTreeSet<u64> = entries[told.connection.as_str()].keys().copied().collect();
        for pair in told.entries.windows(2) {
            let between = known.range(pair[0].0 + 1..pair[1].0).count() as u64;
            assert_eq!(between, pair[1].2, "lost before {pair:?} of {sequences:?}");
        }
        bound += usize::from(!told.outcomes.is_empty());
        assert!(told.outcomes.len() <= 1, "an outcome twice");
        let succeeded = pb::outcome::Result::Succeeded;
        assert!(told.outcomes.iter().all(|it| it.result() == succeeded));
        let last = told.entries.last().map(|(_, status, _)| status.as_str());
        assert_eq!(last, Some("ACTIVE"));
        came_back += usize::from(told.streams > KILLS);
    }
    assert_eq!(bound, WATCHES / 2, "each bound watch has its outcome");
    assert_eq!(came_back, WATCHES, "everybody saw every kill");
    let changes: usize = entries.values().map(BTreeMap::len).sum();
    assert!(changes > CONNECTIONS * KILLS * 3, "only {changes} changes");
    println!("{WATCHES} watches, {changes} changes, {came_back} on a stream of each gateway");
}
