use super::*;
use crate::core::{
    backend::Serving,
    notifier::Follower,
    store::{Batch, Store, StoreError, Volatile},
    watch::{
        log::{
            backend::{BackendLog, Draft},
            window::{Compacted, MOST_BYTES_PER_BACKEND, Window},
            writer::{COMMIT_TIMEOUT, Writer},
        },
        status::ConnectionStatus,
    },
};
use async_trait::async_trait;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

/// What the next commits do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Keeps,
    Fails,
    Hangs,
}

/// A store that records its batches and fails on demand.
#[derive(Debug)]
struct Scripted {
    mood: Mutex<Mood>,
    batches: Mutex<Vec<Batch>>,
    attempts: AtomicUsize,
    /// Each commit takes one permit before it begins.
    may: Semaphore,
}

impl Scripted {
    fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn batches(&self) -> Vec<Batch> {
        self.batches.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for Scripted {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        Ok(Recovered {
            epoch: at_least,
            ..Recovered::default()
        })
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        self.may.acquire().await.unwrap().forget();
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Keeps => self.batches.lock().unwrap().push(batch),
            Mood::Fails => return Err(StoreError("no room".to_owned())),
            Mood::Hangs => std::future::pending().await,
        }
        Ok(())
    }
}

struct Bench {
    log: Arc<Log>,
    backend: BackendLog,
    window: Mutex<Window>,
    followers: Mutex<[Follower; 2]>,
    store: Arc<Scripted>,
    cancel: CancellationToken,
    writer: tokio::task::JoinHandle<()>,
    serving: watch::Receiver<Serving>,
}

impl Bench {
    async fn start(commits_allowed: usize) -> Bench {
        let store = Arc::new(Scripted {
            mood: Mutex::new(Mood::Keeps),
            batches: Mutex::default(),
            attempts: AtomicUsize::new(0),
            may: Semaphore::new(commits_allowed),
        });
        Bench::over(Arc::clone(&store) as Arc<dyn Store>, store).await
    }

    async fn over(written: Arc<dyn Store>, store: Arc<Scripted>) -> Bench {
        let recovered = written.begin(5).await.unwrap();
        let log = Arc::new(Log::recovered(&recovered));
        let writer = Writer::new(Arc::clone(&log), written);
        let cancel = CancellationToken::new();
        let name = "a".parse().unwrap();
        let backend = BackendLog::recovered(name, Arc::clone(&log), Vec::new(), 0);
        let window = Window::of_connection(0);
        let followers = [window.follow(), backend.window().follow()];
        Bench {
            backend,
            window: Mutex::new(window),
            followers: Mutex::new(followers),
            log,
            store,
            serving: writer.subscribe(),
            writer: tokio::spawn(writer.run(cancel.clone())),
            cancel,
        }
    }

    fn append(&self, id: &str) -> u64 {
        self.append_view(id, ConnectionStatus::default())
    }

    fn append_view(&self, id: &str, status: ConnectionStatus) -> u64 {
        let draft = Draft {
            name: ConnectionName::connection(&"a".parse().unwrap(), id).unwrap(),
            observe_time: None,
            found: None,
            status,
            memory: Some(Memory::default()),
        };
        self.backend.append(&mut self.window.lock().unwrap(), draft)
    }

    /// Whether the followers of the connection and of its backend were woken since the last call.
    fn told(&self) -> [bool; 2] {
        let mut followers = self.followers.lock().unwrap();
        followers.each_mut().map(Follower::take_change)
    }

    fn keeping(&self) -> Serving {
        *self.serving.borrow()
    }
}

fn sequences(batch: &Batch) -> Vec<u64> {
    let change = |step: &Step| match step {
        Step::Change(change, _) => change.revision,
        Step::Compact(_, revision) => *revision,
        Step::Forget(_) => 0,
    };
    batch.steps.iter().map(change).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_committed_before_it_is_kept_and_what_comes_meanwhile_is_one_batch() {
    let bench = Bench::start(0).await;
    assert_eq!(bench.append("1"), 1);
    tokio::task::yield_now().await;
    assert_eq!((bench.append("2"), bench.append("1")), (2, 3));
    tokio::task::yield_now().await;
    assert_eq!(bench.log.committed(), 0, "no commit has ended");
    assert_eq!(bench.told(), [false; 2]);

    bench.store.may.add_permits(1);
    bench.log.wait_committed(1).await;
    assert_eq!((bench.log.committed(), bench.told()), (1, [true; 2]));
    bench.store.may.add_permits(1);
    bench.log.wait_committed(3).await;
    let kept: Vec<Vec<u64>> = bench.store.batches().iter().map(sequences).collect();
    assert_eq!(kept, [vec![1], vec![2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn without_changes_nothing_is_written() {
    let bench = Bench::start(9).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(bench.store.attempts.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_holds_nobody_up_and_is_told_of_the_gap_once_it_keeps() {
    let bench = Bench::start(99).await;
    bench.store.mood(Mood::Fails);
    bench.append("1");
    bench.log.wait_committed(1).await;
    assert_eq!(bench.keeping(), Serving::No);
    bench.append("2");
    bench.append("1");
    bench.log.wait_committed(3).await;
    let tried = bench.store.attempts.load(Ordering::SeqCst);
    assert_eq!(tried, 1, "left alone for a while");

    bench.store.mood(Mood::Keeps);
    let mut keeping = bench.serving.clone();
    keeping.wait_for(|it| *it == Serving::Yes).await.unwrap();
    let batches = bench.store.batches();
    assert_eq!(batches.len(), 1);
    assert_eq!((batches[0].gap_until, batches[0].last), (Some(3), 3));
    assert_eq!(sequences(&batches[0]), [2, 3], "of each the newest");

    bench.append("1");
    bench.log.wait_committed(4).await;
    let last = bench.store.batches().pop().unwrap();
    assert_eq!((last.gap_until, sequences(&last)), (None, vec![4]));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_holds_nobody_up_for_long() {
    let bench = Bench::start(99).await;
    bench.store.mood(Mood::Hangs);
    let begun = Instant::now();
    bench.append("1");
    bench.log.wait_committed(1).await;
    assert_eq!(begun.elapsed(), COMMIT_TIMEOUT);
    assert_eq!(bench.keeping(), Serving::No);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_end_is_kept() {
    let bench = Bench::start(99).await;
    bench.append("1");
    bench
        .log
        .forget(&ConnectionName::connection(&"a".parse().unwrap(), "1").unwrap());
    bench.cancel.cancel();
    bench.writer.await.unwrap();
    assert_eq!(sequences(&bench.store.batches()[0]), [1, 0]);
}

#[test]
fn a_store_that_forgot_how_far_it_was_makes_no_number_come_twice() {
    let name = ConnectionName::connection(&"a".parse().unwrap(), "1").unwrap();
    let kept = Arc::new(Observation {
        name,
        epoch: 1,
        revision: 7,
        previous: 0,
        observe_time: None,
        status: ConnectionStatus::default(),
        wire: Wire::default(),
    });
    let log = Log::recovered(&Recovered {
        epoch: 2,
        last: 3,
        log: vec![kept],
        ..Recovered::default()
    });
    assert_eq!((log.latest(), log.committed()), (7, 7));
}

#[test]
fn positions_of_this_life_and_of_earlier_ones_are_told_from_others() {
    let log = Log::recovered(&Recovered {
        epoch: 9,
        earlier: [(3, 10), (5, 20)].into(),
        last: 20,
        ..Recovered::default()
    });
    for (epoch, revision, issued) in [
        (3, 10, true),
        (3, 11, false),
        (5, 20, true),
        (5, 21, false),
        (4, 1, false),
        (9, 20, true),
        (9, 21, false),
        (10, 1, false),
    ] {
        assert_eq!(log.issued(epoch, revision), issued, "({epoch}, {revision})");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_nobody_keeps_is_committed_at_once_and_wakes_nobody_otherwise() {
    let store = Bench::start(0).await.store;
    let bench = Bench::over(Arc::new(Volatile), store).await;
    let revision = bench.append("1");
    let begun = Instant::now();
    bench.log.wait_committed(revision).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let mut committed = bench.log.committed.subscribe();
    let woken = tokio::time::timeout(Duration::from_secs(3600), committed.changed());
    assert!(woken.await.is_err());
}

#[tokio::test]
async fn what_is_remembered_is_bounded_in_bytes() {
    let bench = Bench::start(99).await;
    let status = ConnectionStatus {
        native_state: "x".repeat(MOST_BYTES_PER_BACKEND / 16),
        ..ConnectionStatus::default()
    };
    for _ in 0..20 {
        bench.append_view("1", status.clone());
    }
    let after = |position| bench.backend.window().after(position, 20);
    assert_eq!(after(4), Err(Compacted(5)));
    let rest = after(5).unwrap();
    assert_eq!(rest.len(), 15);

    let kept = (1..=20).map(|revision| {
        Arc::new(Observation {
            revision,
            ..Observation::clone(&rest[0])
        })
    });
    let log = Arc::clone(&bench.log);
    let recovered = BackendLog::recovered("a".parse().unwrap(), log, kept.collect(), 0);
    let compacted = recovered.window().compacted();
    assert_eq!(
        compacted, 5,
        "also of what was kept before there was a bound"
    );
}
