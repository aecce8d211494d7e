//! A store that an earlier version of this program wrote is read whole: what is kept is kept under `serde(default)`,
//! where a field whose name has changed would silently read as nothing.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use isthmus::{
    core::{
        dialect::Dialect,
        error::ErrorReason,
        gateway::Gateway,
        realizations::{WatchManyRequest, WatchRequest},
        store::Store,
        watch::{
            knowledge::{Memory, QuietMemory, WriteKind},
            log::{Observation, Wire},
            status::{Assumption, ConnectionStatus},
            stream::{EventKind, Outcome},
        },
    },
    model::{
        Assurance, BackendName, ConnectionName, Intent, Node, Parent, RealizationState as State,
        Reason, Tunnel, TunnelStatus, codes,
    },
    store::RedbStore,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use support::scripted::{Scripted, active, gone, in_progress, realized, watch_request};
use tempfile::TempDir;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store");
    folder.join(name)
}

/// The time of day at which everything in the fixture happened.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_726_400)
}

fn backend() -> BackendName {
    "a".parse().unwrap()
}

fn named(id: &str) -> ConnectionName {
    ConnectionName::connection(&backend(), id).unwrap()
}

/// The fixture's store, as the program of today reads a copy of it.
async fn store(folder: &TempDir) -> RedbStore {
    let path = folder.path().join("log.redb");
    std::fs::copy(fixture("2026-11.redb"), &path).unwrap();
    let store = RedbStore::open(&path).await.unwrap();
    assert_eq!(store.set_aside(), None, "it is sound");
    store
}

const FIRST: u64 = 1_763_726_400_000;
const THIRD: u64 = FIRST + 2;

/// A connection, and what was said of it last.
fn kept(
    id: &str,
    sequence: u64,
    status: ConnectionStatus,
    memory: Memory,
) -> (Arc<Observation>, Memory) {
    let latest = Observation {
        name: named(id),
        epoch: if sequence <= 3 { FIRST } else { THIRD },
        revision: sequence,
        previous: sequence - 1,
        observe_time: Some(then()),
        status,
        wire: Wire::default(),
    };
    (Arc::new(latest), memory)
}

fn never_written() -> Vec<(Arc<Observation>, Memory)> {
    let memory = |writes| Memory {
        writes,
        ..Memory::default()
    };
    let early = ConnectionStatus {
        state: State::InProgress,
        assurance: Assurance::ControlPlane,
        native_state: "2".to_owned(),
        ..ConnectionStatus::default()
    };
    // More nodes than are told one by one.
    let node = |at: usize| Node {
        id: format!("tn-{at}"),
        kind: "EdgeNode".to_owned(),
        display_name: format!("edge {at}"),
        state: if at == 69 {
            State::Failed
        } else {
            State::Realized
        },
        native_state: "in_sync".to_owned(),
        message: "words".to_owned(),
    };
    let large = ConnectionStatus {
        state: State::Realized,
        assurance: Assurance::InEffect,
        reason: Some(Reason::new(codes::IKE_DOWN, "no answer")),
        native_state: "DOWN".to_owned(),
        nodes: (0..70).map(node).collect(),
        tunnel: Some(Tunnel {
            status: TunnelStatus::Degraded,
            native_status: "NEGOTIATING".to_owned(),
            fail_reason: "no answer".to_owned(),
            total: 3,
            negotiated: 2,
            failed: 1,
            update_time: Some(then()),
            realtime: true,
        }),
        writes: 20,
        ..ConnectionStatus::default()
    };
    let refused = ConnectionStatus {
        reason: Some(Reason::new(codes::UPSTREAM_AUTH, "the login was refused")),
        writes: 21,
        login_lost: true,
        ..ConnectionStatus::default()
    };
    let vanished = ConnectionStatus {
        state: State::Deleted,
        assurance: Assurance::ControlPlane,
        writes: 17,
        confirmed: true,
        ..ConnectionStatus::default()
    };
    vec![
        kept("early", 3, early, memory(0)),
        kept("large", 21, large, memory(20)),
        kept("refused", 24, refused, memory(21)),
        kept("vanished", 20, vanished, memory(17)),
    ]
}

fn written() -> Vec<(Arc<Observation>, Memory)> {
    let reason = Reason::new(
        codes::NO_REQUEST_ID,
        "the cloud cannot tell which write its status speaks for; it has been quiet long enough",
    );
    let made = ConnectionStatus {
        state: State::Down,
        assurance: Assurance::IntentStored,
        reason: Some(reason.clone()),
        native_state: "DOWN".to_owned(),
        intent: Intent::Enabled,
        writes: 9,
        assumption: Some(Assumption {
            reason,
            as_is: Assurance::InEffect,
            made: true,
        }),
        ..ConnectionStatus::default()
    };
    let memory_of_made = Memory {
        intent: Intent::Enabled,
        last_write: Some((WriteKind::Create, Intent::Enabled)),
        writes: 9,
        wanted: vec![(9, Intent::Enabled)],
        quiet: Some(QuietMemory {
            movement_proves: false,
            made: true,
            last: Some(("DOWN".to_owned(), State::Down)),
        }),
        ..Memory::default()
    };
    let proof = ConnectionStatus {
        state: State::InProgress,
        assurance: Assurance::IntentStored,
        native_state: "in_progress".to_owned(),
        intent: Intent::Enabled,
        nodes: in_progress().unwrap().nodes,
        request_ids: vec!["r-1".to_owned(), "r-2".to_owned()],
        writes: 4,
        ..ConnectionStatus::default()
    };
    let memory_of_proof = Memory {
        intent: Intent::Enabled,
        last_write: Some((WriteKind::Update, Intent::Enabled)),
        writes: 4,
        wanted: vec![(4, Intent::Enabled)],
        outstanding: vec!["r-1".to_owned(), "r-2".to_owned()],
        ..Memory::default()
    };
    let quiet = ConnectionStatus {
        state: State::Accepted,
        assurance: Assurance::IntentStored,
        reason: Some(Reason::new(
            codes::AWAITING_PROOF,
            "what the cloud says may still describe the configuration before the write",
        )),
        native_state: "ACTIVE".to_owned(),
        intent: Intent::Enabled,
        writes: 7,
        ..ConnectionStatus::default()
    };
    let memory_of_quiet = Memory {
        intent: Intent::Enabled,
        last_write: Some((WriteKind::Update, Intent::Enabled)),
        writes: 7,
        wanted: vec![(7, Intent::Enabled)],
        quiet: Some(QuietMemory {
            movement_proves: true,
            made: false,
            last: Some(("ACTIVE".to_owned(), State::Active)),
        }),
        ..Memory::default()
    };
    vec![
        kept("made-0", 11, made, memory_of_made),
        kept("proof", 6, proof, memory_of_proof),
        kept("quiet", 8, quiet, memory_of_quiet),
    ]
}

fn deleted() -> Vec<(Arc<Observation>, Memory)> {
    let memory = |writes, wanted: &[(u64, Intent)]| Memory {
        intent: Intent::Deleted,
        last_write: Some((WriteKind::Delete, Intent::Deleted)),
        writes,
        wanted: wanted.to_vec(),
        ..Memory::default()
    };
    let often = ConnectionStatus {
        state: State::Deleting,
        assurance: Assurance::IntentStored,
        intent: Intent::Deleted,
        writes: 14,
        ..ConnectionStatus::default()
    };
    let removed = ConnectionStatus {
        state: State::Deleted,
        assurance: Assurance::ControlPlane,
        intent: Intent::Deleted,
        writes: 16,
        ..ConnectionStatus::default()
    };
    let wanted = [
        (12, Intent::Enabled),
        (13, Intent::Enabled),
        (14, Intent::Deleted),
    ];
    vec![
        kept("often", 15, often, memory(14, &wanted)),
        kept("removed", 17, removed, memory(16, &[(16, Intent::Deleted)])),
    ]
}

#[tokio::test]
async fn every_field_that_was_kept_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let found = store(&folder).await.begin(0).await.unwrap();
    assert_eq!(found.epoch, THIRD + 1);
    assert_eq!(
        found.earlier,
        [(FIRST, 3), (FIRST + 1, 3), (THIRD, 24)].into()
    );
    assert_eq!((found.last, found.floor), (24, 0));
    assert_eq!(found.floors, [(backend(), 2)].into());
    let positions = found.log.iter().map(|it| (it.revision, it.previous));
    let expected = (3..=24).map(|sequence| (sequence, sequence - 1));
    assert_eq!(positions.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    for (latest, _) in &found.connections {
        let in_log = found.log.iter().rfind(|it| it.name == latest.name);
        assert_eq!(in_log, Some(latest));
    }
    let mut expected = [never_written(), written(), deleted()].concat();
    expected.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    assert_eq!(found.connections, expected);
}

/// A gateway that goes on with a copy of the fixture, over a scripted cloud, and the tokens that were given out then.
async fn resumed(folder: &TempDir) -> (Arc<Gateway>, Arc<Scripted>, impl Fn(&str) -> String) {
    let store = Arc::new(store(folder).await);
    let cloud = Scripted::new();
    let dialect: Arc<dyn Dialect> = cloud.clone();
    let backends = vec![(Scripted::settings("a"), dialect)];
    let gateway = Gateway::start_with_store(backends, 15 * SECOND, store);
    let tokens = std::fs::read_to_string(fixture("2026-11.json")).unwrap();
    let tokens: BTreeMap<String, String> = serde_json::from_str(&tokens).unwrap();
    let token = move |what: &str| tokens[what].clone();
    (gateway.await.unwrap(), cloud, token)
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_from_each_position_that_was_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let (gateway, _, token) = resumed(&folder).await;
    let resume = async |id: &str, resume_token: String| {
        let request = WatchRequest {
            resume_token,
            ..watch_request(named(id))
        };
        gateway.watch(request).await
    };
    let too_early = resume("early", token("early first")).await.unwrap_err();
    assert_eq!(too_early.reason, ErrorReason::Compacted);
    for (id, missed) in [
        ("early", [].as_slice()),
        ("proof", &[5, 6]),
        ("quiet", &[8]),
        ("made-0", &[10, 11]),
        ("often", &[14, 15]),
        ("vanished", &[19, 20]),
        ("large", &[]),
    ] {
        let from = if id == "early" { "last" } else { "first" };
        let watch = resume(id, token(&format!("{id} {from}"))).await;
        let mut watch = watch.unwrap();
        for sequence in missed {
            let event = watch.next().await.unwrap().unwrap();
            assert!(matches!(event.kind, EventKind::Change(it) if it.revision == *sequence));
        }
    }
    let mut refused = resume("refused", token("refused last")).await.unwrap();
    let ended = refused.next().await.unwrap().unwrap_err();
    assert_eq!(ended.reason, ErrorReason::UpstreamAuth);

    let all = WatchManyRequest {
        parent: Parent::One(backend()),
        resume_token: token("all"),
        include_tunnel: false,
        snapshot_if_compacted: false,
        deadline: None,
    };
    let mut all = gateway.watch_many(all).await.unwrap();
    let event = all.next().await.unwrap().unwrap();
    let told = event.changes.iter().map(|(change, _)| change.revision);
    assert_eq!(told.collect::<Vec<_>>(), (4..=24).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_watch_stays_bound_to_each_write_that_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let (gateway, cloud, token) = resumed(&folder).await;
    cloud.say("proof", realized());
    cloud.say("quiet", active());
    cloud.say("made-0", active());
    cloud.say("often", gone());
    let quiet = codes::ASSUMED_AFTER_QUIET_TIME;
    for (id, write, expected) in [
        ("proof", "proof write", Ok(None)),
        ("quiet", "quiet write", Ok(Some(quiet))),
        ("made-0", "made-0 write", Ok(Some(codes::NO_REQUEST_ID))),
        ("often", "often first write", Err(codes::SUPERSEDED)),
        ("often", "often second write", Err(codes::SUPERSEDED)),
        ("often", "often third write", Ok(None)),
        ("removed", "removed write", Ok(None)),
    ] {
        let request = WatchRequest {
            write_token: token(write),
            ..watch_request(named(id))
        };
        let until = Instant::now() + 3600 * SECOND;
        let ended = gateway.wait(request, until).await.unwrap();
        let outcome = match ended.outcome {
            Some(Outcome::Succeeded(reason)) => Ok(reason.map(|it| it.code)),
            Some(Outcome::Failed(reason)) => Err(reason.code),
            other => panic!("{write}: {other:?}"),
        };
        let expected = expected.map(|code| code.map(str::to_owned));
        assert_eq!(outcome, expected.map_err(str::to_owned), "{write}");
    }
    let asked = cloud.targets();
    assert!(asked.iter().any(|it| it.request_ids == ["r-1", "r-2"]));
}
