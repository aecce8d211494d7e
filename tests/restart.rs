//! What of a watch outlives the gateway: over a scripted cloud with paused time, and a real file. The next gateway
//! begins with a copy of the file as it is at that moment, as after a kill; the first one is not asked to end.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use async_trait::async_trait;
use isthmus::{
    core::{
        backend::Serving,
        dialect::Proof,
        error::{ErrorKind, ErrorReason},
        realizations::{WatchManyRequest, WatchRequest},
        store::{Batch, Record, RecordChange, Recovered, Store, StoreError},
        watch::{
            log::Observation,
            stream::{EventKind, Outcome, WatchEvent},
            token::ResumeToken,
        },
    },
    model::{Assurance, BackendName, Goal, Parent, RealizationState as State, codes},
    store::RedbStore,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use support::{
    scripted::{Scripted, active, failed, in_progress, realized, seen},
    setup::{SECOND, Setup, next, next_state},
};
use tempfile::TempDir;
use tokio::time::Instant;

struct Life {
    setup: Setup,
    folder: TempDir,
}

impl Life {
    async fn first() -> Life {
        Life::over(Scripted::new(), tempfile::tempdir().unwrap()).await
    }

    async fn over(cloud: Arc<Scripted>, folder: TempDir) -> Life {
        let store = RedbStore::open(&folder.path().join("log.redb")).await;
        Life::with(cloud, folder, Arc::new(store.unwrap())).await
    }

    async fn with(cloud: Arc<Scripted>, folder: TempDir, store: Arc<dyn Store>) -> Life {
        let setup = Setup::kept(cloud, store).await;
        Life { setup, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("log.redb")
    }

    /// The gateway that is started after this one was killed now.
    async fn killed(self) -> Life {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(self.file(), folder.path().join("log.redb")).unwrap();
        Life::over(self.setup.cloud, folder).await
    }

    /// The gateway that is started after this one ended and its file was lost.
    async fn lost(self) -> Life {
        // Epochs are milliseconds of the real clock, and no process starts twice in one.
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(2) {
            tokio::task::yield_now().await;
        }
        Life::over(self.setup.cloud, tempfile::tempdir().unwrap()).await
    }
}

/// A store on a disk that can be full.
#[derive(Debug)]
struct OnDisk {
    store: RedbStore,
    full: AtomicBool,
}

impl OnDisk {
    fn room(&self) -> Result<(), StoreError> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(StoreError("no space left on the device".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for OnDisk {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        self.store.begin(at_least).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.room()?;
        self.store.commit(batch).await
    }

    fn keeps_records(&self) -> bool {
        self.store.keeps_records()
    }

    async fn records(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        self.store.records(prefix).await
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        self.room()?;
        self.store.write_records(changes).await
    }
}

fn backend() -> BackendName {
    "a".parse().unwrap()
}

fn step(number: usize) -> isthmus::core::error::Result<isthmus::model::Sighting> {
    seen(
        State::InProgress,
        Assurance::IntentStored,
        &number.to_string(),
    )
}

fn entry(event: &WatchEvent) -> Option<&Observation> {
    match &event.kind {
        EventKind::Snapshot(entry, _) | EventKind::Change(entry) => Some(entry),
        EventKind::Heartbeat(_) => None,
    }
}

fn position(event: &WatchEvent) -> (u64, u64) {
    let entry = entry(event).unwrap();
    (entry.epoch, entry.revision)
}

fn native(event: &WatchEvent) -> &str {
    &entry(event).unwrap().status.native_state
}

#[tokio::test(start_paused = true)]
async fn a_resume_after_a_kill_brings_what_was_missed_and_nothing_twice() {
    let life = Life::first().await;
    life.setup.cloud.say("1", step(0));
    let (mut left, mut stayed) = (
        life.setup.watch("1", None).await,
        life.setup.watch("1", None).await,
    );
    let first = next(&mut left).await;
    next(&mut stayed).await;
    for number in 1..=3 {
        life.setup.cloud.say("1", step(number));
        assert_eq!(native(&next_state(&mut stayed).await), number.to_string());
    }
    drop((left, stayed));
    let life = life.killed().await;
    let mut watch = life.setup.resume("1", &first.resume_token()).await.unwrap();
    let mut told = vec![first];
    for number in 1..=5 {
        if number > 3 {
            life.setup.cloud.say("1", step(number));
        }
        told.push(next_state(&mut watch).await);
    }
    let natives: Vec<&str> = told.iter().map(native).collect();
    assert_eq!(natives, ["0", "1", "2", "3", "4", "5"]);
    let grows = |two: &[WatchEvent]| position(&two[0]) < position(&two[1]);
    assert!(told.windows(2).all(grows), "{told:?}");
    let times = |two: &[WatchEvent]| {
        entry(&two[0]).unwrap().observe_time <= entry(&two[1]).unwrap().observe_time
    };
    assert!(told.windows(2).all(times));
    let lives: Vec<u64> = told.iter().map(|event| position(event).0).collect();
    assert!(lives[3] < lives[4], "each start is a new, higher epoch");
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_was_told_is_kept_however_soon_the_kill_comes() {
    let mut life = Life::first().await;
    life.setup.cloud.say("1", step(0));
    let mut token = String::new();
    let mut told = Vec::new();
    for number in 0..8 {
        life.setup.cloud.say("1", step(number));
        let mut watch = match token.as_str() {
            "" => life.setup.watch("1", None).await,
            token => life.setup.resume("1", token).await.unwrap(),
        };
        let event = next_state(&mut watch).await;
        told.push(native(&event).to_owned());
        token = event.resume_token();
        drop(watch);
        life = life.killed().await;
    }
    assert_eq!(told, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_many_resumes_after_a_kill() {
    let life = Life::first().await;
    for id in ["1", "2", "3"] {
        life.setup.cloud.say(id, step(0));
    }
    let request = |resume_token: &str| WatchManyRequest {
        parent: Parent::One(backend()),
        resume_token: resume_token.to_owned(),
        include_tunnel: false,
        snapshot_if_compacted: false,
        deadline: None,
    };
    let mut watch = life.setup.gateway.watch_many(request("")).await.unwrap();
    let mut token = loop {
        let event = watch.next().await.unwrap().unwrap();
        if event.synced {
            break event.resume_token;
        }
    };
    // Seen for the first time, each.
    let mut seen = 0;
    while seen < 3 {
        let event = watch.next().await.unwrap().unwrap();
        seen += event.changes.len();
        token = event.resume_token;
    }
    life.setup.cloud.say("2", step(1));
    while watch.next().await.unwrap().unwrap().changes.is_empty() {}
    drop(watch);

    let life = life.killed().await;
    let mut watch = life
        .setup
        .gateway
        .watch_many(request(&token))
        .await
        .unwrap();
    life.setup.cloud.say("3", step(2));
    let mut told = Vec::new();
    while told.len() < 2 {
        let event = watch.next().await.unwrap().unwrap();
        assert!(event.snapshots.is_empty());
        for (entry, left_out) in event.changes {
            assert_eq!(left_out, 0);
            told.push((entry.name.id.to_string(), entry.status.native_state.clone()));
        }
    }
    let expected = [("2", "1"), ("3", "2")].map(|(id, native)| (id.to_owned(), native.to_owned()));
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_watch_stays_bound_to_its_write() {
    let life = Life::first().await;
    life.setup
        .cloud
        .prove_by(Proof::RequestIds(vec!["r-1".into(), "r-2".into()]));
    let (id, token) = life.setup.create().await;
    let life = life.killed().await;
    life.setup.cloud.say(&id, realized());
    let request = WatchRequest {
        write_token: token,
        ..life.setup.request(&id)
    };
    let mut watch = life.setup.open(request).await.unwrap();
    let last = loop {
        let event = next(&mut watch).await;
        if event.outcome.is_some() {
            break event;
        }
    };
    assert!(matches!(last.outcome, Some(Outcome::Succeeded(_))));
    assert_eq!(life.setup.cloud.last_target().request_ids, ["r-1", "r-2"]);
    assert_eq!(entry(&last).unwrap().status.request_ids, ["r-1", "r-2"]);
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_time_begins_again_because_nobody_polled_meanwhile() {
    let life = Life::first().await;
    life.setup.cloud.say("1", active());
    let native_state = "ACTIVE".to_owned();
    life.setup
        .cloud
        .prove_by(Proof::StatusMustMove { native_state });
    let token = life.setup.update("1").await;
    let bound = WatchRequest {
        write_token: token,
        ..life.setup.request("1")
    };
    let quiet = Scripted::settings("a").poll.quiet_after_update;
    let mut watch = life.setup.open(bound.clone()).await.unwrap();
    let almost = tokio::time::timeout(quiet - 5 * SECOND, async {
        while next(&mut watch).await.outcome.is_none() {}
    });
    assert!(almost.await.is_err(), "not quiet for long enough");
    drop(watch);

    let life = life.killed().await;
    let begun = Instant::now();
    let mut watch = life.setup.open(bound).await.unwrap();
    let last = loop {
        let event = next(&mut watch).await;
        if event.outcome.is_some() {
            break event;
        }
    };
    assert!(begun.elapsed() >= quiet, "{:?}", begun.elapsed());
    let Some(Outcome::Succeeded(Some(reason))) = last.outcome else {
        panic!("{last:?}")
    };
    assert_eq!(reason.code, codes::ASSUMED_AFTER_QUIET_TIME);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_was_not_read_is_read_after_the_kill_once() {
    let life = Life::first().await;
    let (id, token) = life.setup.create().await;
    let bound = WatchRequest {
        write_token: token,
        ..life.setup.request(&id)
    };
    let (mut mine, mut other) = (
        life.setup.open(bound.clone()).await.unwrap(),
        life.setup.open(bound.clone()).await.unwrap(),
    );
    let begin = next(&mut mine).await.resume_token();
    life.setup.cloud.say(&id, failed());
    let outcome = loop {
        if let Some(outcome) = next(&mut other).await.outcome {
            break outcome;
        }
    };
    assert!(matches!(outcome, Outcome::Failed(_)));
    drop((mine, other));

    let life = life.killed().await;
    // Whatever the cloud says now: that it had failed was said, and confirmed.
    life.setup.cloud.say(&id, in_progress());
    let request = WatchRequest {
        resume_token: begin,
        ..bound
    };
    let mut watch = life.setup.open(request).await.unwrap();
    let mut outcomes = Vec::new();
    while let Some(event) = watch.next().await {
        outcomes.extend(event.unwrap().outcome);
    }
    assert_eq!(outcomes, [outcome]);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_a_lost_store_are_out_of_range_or_begin_anew() {
    let life = Life::first().await;
    let (id, write_token) = life.setup.create().await;
    let mut watch = life.setup.watch(&id, None).await;
    let resume_token = next(&mut watch).await.resume_token();
    drop(watch);

    let life = life.lost().await;
    // The new log has gone further than the lost one, so that the numbers alone would do.
    life.setup.cloud.say(&id, in_progress());
    let mut other = life.setup.watch(&id, None).await;
    next(&mut other).await;
    for number in 0..5 {
        life.setup.cloud.say(&id, step(number));
        next_state(&mut other).await;
    }
    let error = life.setup.resume(&id, &resume_token).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::OutOfRange, ErrorReason::Compacted)
    );
    let bound = WatchRequest {
        write_token,
        ..life.setup.request(&id)
    };
    let error = life.setup.open(bound).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::Compacted);
    let anew = WatchRequest {
        resume_token,
        snapshot_if_compacted: true,
        ..life.setup.request(&id)
    };
    let mut watch = life.setup.open(anew).await.unwrap();
    let first = next(&mut watch).await;
    assert!(matches!(first.kind, EventKind::Snapshot(..)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_forgotten_leaves_no_position_behind() {
    let life = Life::first().await;
    life.setup.cloud.say("1", step(0));
    let (old, _) = life.setup.create().await;
    let token_of_old = life.setup.update(&old).await;
    let mut watch = life.setup.watch("1", None).await;
    let event = next(&mut watch).await;
    life.setup.cloud.say("1", step(1));
    next_state(&mut watch).await;
    drop(watch);
    // Nobody watches for longer than anything is remembered.
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let error = life
        .setup
        .resume("1", &event.resume_token())
        .await
        .unwrap_err();
    assert_eq!(
        error.reason,
        ErrorReason::Compacted,
        "something may be missing"
    );

    // As many writes as before must not make the old token name a new one.
    life.setup.update(&old).await;
    life.setup.update(&old).await;
    let life = life.killed().await;
    let bound = WatchRequest {
        write_token: token_of_old,
        goal: Some(Goal::Config),
        ..life.setup.request(&old)
    };
    let error = life.setup.open(bound).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::Compacted);
}

#[tokio::test(start_paused = true)]
async fn polls_that_find_no_change_write_nothing() {
    let life = Life::first().await;
    life.setup.cloud.say("1", active());
    let mut watch = life.setup.watch("1", None).await;
    next(&mut watch).await;
    let before = std::fs::read(life.file()).unwrap();
    let polls = life.setup.cloud.polls();
    tokio::time::timeout(600 * SECOND, async {
        loop {
            assert!(entry(&next(&mut watch).await).is_none());
        }
    })
    .await
    .unwrap_err();
    assert!(life.setup.cloud.polls() > polls + 10);
    assert!(std::fs::read(life.file()).unwrap() == before);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_no_watch_and_what_cannot_be_kept_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("log.redb")).await;
    let disk = Arc::new(OnDisk {
        store: store.unwrap(),
        full: AtomicBool::new(false),
    });
    let life = Life::with(Scripted::new(), folder, Arc::clone(&disk) as Arc<dyn Store>).await;
    let mut keeping = life.setup.gateway.keeping().unwrap();
    life.setup.cloud.say("1", step(0));
    let mut watch = life.setup.watch("1", None).await;
    let kept = next(&mut watch).await.resume_token();

    disk.full.store(true, Ordering::SeqCst);
    life.setup.cloud.say("1", step(1));
    let lost = next_state(&mut watch).await;
    assert_eq!(native(&lost), "1");
    assert_eq!(*keeping.borrow_and_update(), Serving::No);
    let made = life.setup.cloud.made();
    let refused = life.setup.try_create().await.unwrap_err();
    assert_eq!(refused.reason, ErrorReason::StoreUnavailable);
    assert!(refused.context.retry_after.is_some());
    assert_eq!(life.setup.cloud.made(), made, "nothing was sent");
    let after_a_kill_now = {
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(life.file(), copy.path().join("log.redb")).unwrap();
        Life::over(Arc::clone(&life.setup.cloud), copy).await
    };
    let refused = after_a_kill_now
        .setup
        .resume("1", &lost.resume_token())
        .await;
    assert_eq!(refused.unwrap_err().reason, ErrorReason::Compacted);
    assert!(after_a_kill_now.setup.resume("1", &kept).await.is_ok());

    disk.full.store(false, Ordering::SeqCst);
    let again = keeping.wait_for(|serving| *serving == Serving::Yes).await;
    again.unwrap();
    let life = life.killed().await;
    life.setup.cloud.say("1", step(2));
    let mut watch = life.setup.resume("1", &lost.resume_token()).await.unwrap();
    assert_eq!(native(&next_state(&mut watch).await), "2");
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_store_that_is_deleted_while_nothing_happens_is_made_again_with_every_position() {
    let life = Life::first().await;
    life.setup.cloud.say("1", step(0));
    let mut watch = life.setup.watch("1", None).await;
    let kept = next(&mut watch).await.resume_token();
    let (id, write_token) = life.setup.create().await;
    let mut keeping = life.setup.gateway.keeping().unwrap();

    std::fs::remove_file(life.file()).unwrap();
    tokio::time::sleep(30 * SECOND).await;
    assert!(!keeping.has_changed().unwrap(), "nothing was lost");
    assert_eq!(*keeping.borrow_and_update(), Serving::Yes);

    let life = life.killed().await;
    life.setup.cloud.say("1", step(1));
    let mut watch = life.setup.resume("1", &kept).await.unwrap();
    assert_eq!(native(&next_state(&mut watch).await), "1");
    let bound = WatchRequest {
        write_token,
        ..life.setup.request(&id)
    };
    assert!(life.setup.open(bound).await.is_ok());
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_store_that_is_replaced_is_told_and_positions_meanwhile_end_with_the_process() {
    let life = Life::first().await;
    let moved = life.folder.path().join("moved");
    let mut keeping = life.setup.gateway.keeping().unwrap();
    life.setup.cloud.say("1", step(0));
    let mut watch = life.setup.watch("1", None).await;
    let kept = next(&mut watch).await.resume_token();

    std::fs::rename(life.file(), &moved).unwrap();
    std::fs::write(life.file(), "somebody else's").unwrap();
    let told = keeping.wait_for(|serving| *serving == Serving::No).await;
    drop(told.unwrap());
    life.setup.cloud.say("1", step(1));
    let lost = next_state(&mut watch).await.resume_token();
    life.setup.cloud.say("1", step(2));
    let newest = next_state(&mut watch).await.resume_token();
    assert_eq!(std::fs::read(life.file()).unwrap(), b"somebody else's");

    std::fs::rename(&moved, life.file()).unwrap();
    let again = keeping.wait_for(|serving| *serving == Serving::Yes).await;
    drop(again.unwrap());
    let life = life.killed().await;
    let refused = life.setup.resume("1", &kept).await.map(drop).unwrap_err();
    assert_eq!(refused.reason, ErrorReason::Compacted);
    for behind_what_is_missing in [lost, newest] {
        let resumed = life.setup.resume("1", &behind_what_is_missing).await;
        assert!(resumed.is_ok());
    }
}

/// A store whose file was lost and made anew in the middle of a life, so that it knows no backend.
#[derive(Debug)]
struct MadeAnew(RedbStore);

#[async_trait]
impl Store for MadeAnew {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        let mut recovered = self.0.begin(at_least).await?;
        recovered.last = 9;
        recovered.floor = 7;
        recovered.earlier.insert(3, 9);
        Ok(recovered)
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.0.commit(batch).await
    }

    fn keeps_records(&self) -> bool {
        self.0.keeps_records()
    }

    async fn records(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        self.0.records(prefix).await
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        self.0.write_records(changes).await
    }
}

#[tokio::test(start_paused = true)]
async fn positions_before_the_gap_are_refused_also_of_a_backend_that_has_nothing_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("log.redb")).await;
    let store = Arc::new(MadeAnew(store.unwrap()));
    let life = Life::with(Scripted::new(), folder, store).await;
    for (sequence, is_kept) in [(6, false), (7, true), (9, true), (10, false)] {
        let token = ResumeToken::new("backends/a".to_owned(), 3, sequence);
        let request = WatchManyRequest {
            parent: Parent::One(backend()),
            resume_token: token.encode(),
            snapshot_if_compacted: false,
            include_tunnel: false,
            deadline: None,
        };
        let opened = life.setup.gateway.watch_many(request).await;
        assert_eq!(opened.is_ok(), is_kept, "{sequence}");
    }
}
