//! Which names are remembered, and for how long: a client can name anything.

use super::*;
use crate::{
    core::{
        error::{ErrorKind, ErrorReason},
        gateway::Gateway,
        listing::tests::{Rows, gateway},
        realizations::{PollRequest, WatchManyRequest, WatchRequest},
        watch::{
            names::REMEMBERED,
            stream::EventKind,
            token::{ResumeToken, WriteToken},
        },
    },
    model::{BackendName, Goal, Parent},
};

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    rows: Arc<Rows>,
    gateway: Arc<Gateway>,
    poller: Arc<Poller>,
}

impl Bench {
    fn new() -> Bench {
        let rows = Rows::new(100);
        let gateway = gateway(&[("a", &rows)]);
        let poller = gateway.poller(&backend()).unwrap();
        Bench {
            rows,
            gateway,
            poller,
        }
    }

    fn known(&self) -> usize {
        self.poller.names.all().len()
    }

    async fn poll(&self, request: PollRequest) -> Result<()> {
        let deadline = Instant::now() + SECOND;
        self.gateway.poll_now(&request, deadline).await.map(drop)
    }

    /// A change of another connection, which advances the log.
    async fn something_happens(&self, id: &str) {
        self.rows.put(id, "x");
        self.poll(poll(id)).await.unwrap();
    }
}

fn backend() -> BackendName {
    "a".parse().unwrap()
}

fn named(id: &str) -> ConnectionName {
    ConnectionName::connection(&backend(), id).unwrap()
}

fn poll(id: &str) -> PollRequest {
    PollRequest {
        name: named(id),
        include_tunnel: false,
        write_token: String::new(),
        upstream_request_ids: Vec::new(),
    }
}

fn watch(id: &str) -> WatchRequest {
    WatchRequest {
        name: named(id),
        goal: None,
        write_token: String::new(),
        resume_token: String::new(),
        accept_partial: false,
        include_tunnel: false,
        snapshot_if_compacted: false,
        accept_assumed: false,
        upstream_request_ids: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn junk_tokens_leave_nothing_behind() {
    let bench = Bench::new();
    let epoch = bench.poller.log().shared().epoch();
    for number in 0..10_000 {
        let id = format!("junk-{number}");
        let name = named(&id).to_string();
        let write_token = WriteToken::new(name.clone(), epoch, 7).encode();
        let resume_token = ResumeToken::new(name, epoch, 7).encode();
        let polled = bench.poll(PollRequest {
            write_token: write_token.clone(),
            ..poll(&id)
        });
        assert_eq!(polled.await.unwrap_err().kind, ErrorKind::OutOfRange);
        let bound = WatchRequest {
            write_token,
            ..watch(&id)
        };
        let error = bench.gateway.watch(bound.clone()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::OutOfRange);
        let waited = bench.gateway.wait(bound, Instant::now() + SECOND).await;
        assert_eq!(waited.unwrap_err().kind, ErrorKind::OutOfRange);
        let resumed = bench.gateway.watch(WatchRequest {
            resume_token,
            ..watch(&id)
        });
        assert_eq!(resumed.await.unwrap_err().kind, ErrorKind::OutOfRange);
        let elsewhere = bench.poll(PollRequest {
            upstream_request_ids: vec![id.clone()],
            ..poll(&id)
        });
        assert_eq!(elsewhere.await.unwrap_err().kind, ErrorKind::NotExpressible);
    }
    assert_eq!(bench.known(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_no_cloud_has_shown_is_forgotten_with_the_last_call_that_uses_it() {
    let bench = Bench::new();
    let error = bench.poll(poll("nothing")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(bench.known(), 0, "the cloud says that there is none");

    let gone = WatchRequest {
        goal: Some(Goal::Gone),
        ..watch("nothing")
    };
    let ended = bench.gateway.wait(gone, Instant::now() + SECOND).await;
    assert!(ended.unwrap().outcome.is_some());
    assert_eq!(bench.known(), 0, "nor was there ever");

    *bench.rows.is_down.lock().unwrap() = true;
    assert!(bench.poll(poll("1")).await.is_err());
    assert_eq!(bench.known(), 0, "nobody knows");
    let mut first = bench.gateway.watch(watch("1")).await.unwrap();
    let second = bench.gateway.watch(watch("1")).await.unwrap();
    let event = first.next().await.unwrap().unwrap();
    assert!(matches!(&event.kind, EventKind::Snapshot(seen, _) if seen.revision > 0));
    drop(first);
    assert_eq!(bench.known(), 1, "one still watches");
    drop(second);
    assert_eq!(bench.known(), 0);
    *bench.rows.is_down.lock().unwrap() = false;
    bench.something_happens("other").await;
    let resume_token = event.resume_token();
    let resumed = bench.gateway.watch(WatchRequest {
        resume_token,
        ..watch("1")
    });
    let error = resumed.await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::OutOfRange, ErrorReason::Compacted)
    );
    assert_eq!(bench.known(), 1, "only what was shown");
}

#[tokio::test(start_paused = true)]
async fn polls_that_take_longer_than_their_callers_wait_leave_nothing_behind() {
    let bench = Bench::new();
    *bench.rows.takes.lock().unwrap() = 5 * SECOND;
    for number in 0..1_000 {
        let request = poll(&format!("junk-{number}"));
        let deadline = Instant::now() + SECOND / 1_000;
        assert!(bench.gateway.poll_now(&request, deadline).await.is_err());
    }
    assert!(bench.known() <= MAX_POLLS, "{}", bench.known());
    let scheduled = bench.poller.timetable.queue().next(&Stake::ALL);
    assert_eq!(scheduled, None, "what is forgotten is not looked at");
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(bench.known(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_is_remembered_so_that_a_watch_can_go_on() {
    let bench = Bench::new();
    for id in ["looked-at", "listed"] {
        bench.rows.put(id, "x");
    }
    let mut watched = bench.gateway.watch(watch("looked-at")).await.unwrap();
    let token = watched.next().await.unwrap().unwrap().resume_token();
    drop(watched);
    let many = WatchManyRequest {
        parent: Parent::Every,
        resume_token: String::new(),
        include_tunnel: false,
        snapshot_if_compacted: false,
        deadline: None,
    };
    drop(bench.gateway.watch_many(many).await.unwrap());
    assert_eq!(bench.known(), 2);
    let resumed = bench.gateway.watch(WatchRequest {
        resume_token: token,
        ..watch("looked-at")
    });
    drop(resumed.await.unwrap());
    tokio::time::sleep(REMEMBERED + 60 * SECOND).await;
    assert_eq!(bench.known(), 0, "nor for ever");
}

#[tokio::test(start_paused = true)]
async fn what_no_cloud_has_shown_is_told_to_nobody_who_watches_all() {
    let bench = Bench::new();
    let many = WatchManyRequest {
        parent: Parent::One(backend()),
        resume_token: String::new(),
        include_tunnel: false,
        snapshot_if_compacted: false,
        deadline: None,
    };
    let mut all = bench.gateway.watch_many(many).await.unwrap();
    while !all.next().await.unwrap().unwrap().synced {}
    for junk in ["no-such", "nor-such"] {
        assert!(bench.poll(poll(junk)).await.is_err());
        *bench.rows.is_down.lock().unwrap() = true;
        drop(bench.gateway.watch(watch(junk)).await.unwrap());
        *bench.rows.is_down.lock().unwrap() = false;
    }
    bench.something_happens("there").await;
    let told = all.next().await.unwrap().unwrap();
    let names = told.changes.iter().map(|(change, _)| &*change.name.id);
    let names: Vec<&str> = names.collect();
    assert_eq!(names, ["there"]);
    let entries = bench.poller.log().window().after(0, u64::MAX).unwrap();
    assert_eq!(entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn watched_connections_are_counted_each_once() {
    let bench = Bench::new();
    bench.rows.put("1", "x");
    bench.rows.put("2", "x");
    let watched = || bench.gateway.backend(&backend()).unwrap().watched;
    let open = async |id| bench.gateway.watch(watch(id)).await.unwrap();
    let (one, again, two) = (open("1").await, open("1").await, open("2").await);
    assert_eq!(watched(), 2);
    drop(one);
    assert_eq!(watched(), 2);
    drop(two);
    assert_eq!(watched(), 1);
    drop(again);
    assert_eq!(watched(), 0);
    assert_eq!(bench.known(), 2);
}
