//! Backends that come, go and change while the gateway runs: who is not concerned notices nothing, and who is, is told. Over
//! scripted clouds with paused time, and once over real sockets.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use async_trait::async_trait;
use isthmus::{
    core::{
        dialect::Dialect,
        error::{Error, ErrorKind, ErrorReason},
        gateway::Gateway,
        realizations::{PollRequest, WatchManyRequest, WatchRequest},
        reload::{NotReloaded, Reloaded},
        request_id::How,
        settings::{BackendSettings, Identity, PollSettings},
        store::{Batch, Record, RecordChange, Recovered, Store, StoreError},
        watch::{
            many::WatchMany,
            stream::{EventKind, Watch},
        },
    },
    grpc::pb,
    model::{
        Assurance, BackendName, ConnectionName, Goal, NewConnection, Parent,
        RealizationState as State,
    },
    store::RedbStore,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use support::{
    running::{Running, reason},
    scripted::{Answer, Scripted, active, seen, watch_request},
    setup::{HEARTBEAT, SECOND, many_request, soon},
};
use tokio::{
    task::{JoinSet, yield_now},
    time::sleep,
};

type Backend = (BackendSettings, Arc<dyn Dialect>);

/// A backend as it is configured: its name, what else is said of it, and its cloud.
fn backend(name: &str, identity: u64, cloud: &Arc<Scripted>) -> Backend {
    let settings = BackendSettings {
        identity: Identity::of_hash(identity),
        ..Scripted::settings(name)
    };
    (settings, Arc::<Scripted>::clone(cloud))
}

/// The same, polled at another interval where nothing is at stake.
fn polled_every(stable: Duration, (settings, dialect): Backend) -> Backend {
    let poll = PollSettings {
        stable,
        ..settings.poll
    };
    (BackendSettings { poll, ..settings }, dialect)
}

fn named(name: &str) -> BackendName {
    name.parse().unwrap()
}

fn connection(backend: &str, id: &str) -> ConnectionName {
    ConnectionName::connection(&named(backend), id).unwrap()
}

/// What a poll brings in the so-manyth step of a connection.
fn step(number: usize) -> Answer {
    seen(State::Active, Assurance::TunnelUp, &number.to_string())
}

async fn watch(gateway: &Gateway, backend: &str, id: &str) -> Watch {
    let request = watch_request(connection(backend, id));
    gateway.watch(request).await.unwrap()
}

async fn resume(gateway: &Gateway, backend: &str, id: &str, token: &str) -> Result<Watch, Error> {
    let request = WatchRequest {
        resume_token: token.to_owned(),
        ..watch_request(connection(backend, id))
    };
    gateway.watch(request).await
}

/// How a watch went: what the cloud was said to say, in order, why it ended, and where it was then.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Course {
    told: Vec<String>,
    end: Option<(ErrorKind, ErrorReason)>,
    token: String,
}

/// Follows a watch until it is told `last`, or it ends.
async fn follow(mut watch: Watch, last: &str) -> Course {
    let mut course = Course::default();
    while let Some(event) = watch.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                course.end = Some((error.kind, error.reason));
                return course;
            }
        };
        course.token = event.resume_token();
        assert_eq!(event.coalesced, 0);
        if let EventKind::Snapshot(entry, _) | EventKind::Change(entry) = &event.kind {
            course.told.push(entry.status.native_state.to_string());
            if course.told.last().unwrap() == last {
                return course;
            }
        }
    }
    course
}

const REMOVED: Option<(ErrorKind, ErrorReason)> =
    Some((ErrorKind::NotFound, ErrorReason::BackendRemoved));

/// A gateway over clouds `a`, `b` and `c`, of which the last is spoken to in one of two ways.
struct World {
    a: Arc<Scripted>,
    b: Arc<Scripted>,
    c: [Arc<Scripted>; 2],
    gateway: Arc<Gateway>,
}

impl World {
    fn new() -> World {
        let [a, b, c, other_c] = [(); 4].map(|()| Scripted::new());
        let backends = vec![
            backend("a", 0, &a),
            backend("b", 0, &b),
            backend("c", 0, &c),
        ];
        let gateway = Gateway::start(backends, HEARTBEAT);
        World {
            a,
            b,
            c: [c, other_c],
            gateway,
        }
    }

    fn say(&self, id: &str, answer: &Answer) {
        for cloud in [&self.a, &self.b, &self.c[0], &self.c[1]] {
            cloud.say(id, answer.clone());
        }
    }

    async fn reload(&self, backends: Vec<Backend>) -> Reloaded {
        self.gateway.reload(backends).await.unwrap()
    }
}

/// Who is not concerned: watches of a backend that is polled at another interval, of one whose dialect is another, and of
/// one that stays as it is, while a third comes and goes.
#[tokio::test(start_paused = true)]
async fn reloads_under_a_thousand_watches_and_changes_end_and_lose_nothing_that_is_not_concerned() {
    const ROUNDS: usize = 8;
    let world = World::new();
    let ids: Vec<String> = (0..350).map(|at| format!("{at:03}")).collect();
    ids.iter().for_each(|id| world.say(id, &step(0)));
    let (mut going_on, mut ending) = (JoinSet::new(), JoinSet::new());
    for id in &ids {
        for name in ["a", "c"] {
            let watch = watch(&world.gateway, name, id).await;
            going_on.spawn(async move { follow(watch, &ROUNDS.to_string()).await });
        }
    }
    for round in 1..=ROUNDS {
        // `b` is there in every second round, and another one each time.
        let there = round % 2 == 1;
        if there {
            for id in &ids {
                let watch = watch(&world.gateway, "b", id).await;
                ending.spawn(async move { (round, follow(watch, "never").await) });
            }
        }
        ids.iter().for_each(|id| world.say(id, &step(round)));
        // In the middle of the polls that see the step.
        sleep(Duration::from_millis(9_137 * round as u64 % 30_000)).await;
        let interval = SECOND * (10 + 5 * (round as u32 % 4));
        let mut backends = vec![
            polled_every(interval, backend("a", 0, &world.a)),
            backend("c", round as u64, &world.c[round % 2]),
        ];
        if !there {
            backends.push(backend("b", round as u64, &world.b));
        }
        let done = world.reload(backends).await;
        assert_eq!(done.changed, [named("a"), named("c")]);
        let (come, gone) = (done.added.len(), done.removed.len());
        assert_eq!((come, gone), (usize::from(!there), usize::from(there)));
        // All of them, after the stable interval at the latest.
        sleep(SECOND * 34).await;
    }
    let all: Vec<String> = (0..=ROUNDS).map(|round| round.to_string()).collect();
    assert_eq!(going_on.len(), 700);
    while let Some(course) = going_on.join_next().await {
        let Course { told, end, .. } = course.unwrap();
        assert_eq!((told, end), (all.clone(), None));
    }
    assert_eq!(ending.len(), 350 * ROUNDS / 2);
    while let Some(ended) = ending.join_next().await {
        let (round, Course { told, end, .. }) = ended.unwrap();
        assert_eq!(end, REMOVED);
        let steps = told.iter().map(|it| it.parse::<usize>().unwrap());
        let steps: Vec<usize> = steps.collect();
        assert!(steps == [round - 1] || steps == [round - 1, round] || steps == [round]);
    }
}

#[tokio::test(start_paused = true)]
async fn another_interval_is_kept_from_the_reload_on() {
    let world = World::new();
    world.say("1", &active());
    let _watch = tokio::spawn(follow(watch(&world.gateway, "a", "1").await, "never"));
    let polls = async |seconds: u32| {
        let before = world.a.polls();
        sleep(SECOND * seconds).await;
        world.a.polls() - before
    };
    let before = polls(300).await;
    assert!((9..=12).contains(&before), "{before}");
    let others = [backend("b", 0, &world.b), backend("c", 0, &world.c[0])];
    let mut backends = vec![polled_every(SECOND * 5, backend("a", 0, &world.a))];
    backends.extend(others);
    let done = world.reload(backends).await;
    let expected = Reloaded {
        changed: vec![named("a")],
        kept: vec![named("b"), named("c")],
        ..Reloaded::default()
    };
    assert_eq!(done, expected);
    // The first is not waited for as long as it was planned before.
    assert!(polls(6).await >= 1);
    let after = polls(300).await;
    assert!((54..=68).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn whether_a_backend_may_be_written_to_is_as_it_is_configured_now() {
    let world = World::new();
    let create = async || {
        let (wanted, how) = (NewConnection::default(), How::default());
        let created = world.gateway.create(&named("a"), wanted, how, soon()).await;
        created.err().map(|error| error.reason)
    };
    for (read_only, expected) in [(true, Some(ErrorReason::ReadOnly)), (false, None)] {
        let (mut settings, dialect) = backend("a", 0, &world.a);
        settings.read_only = read_only;
        world.reload(vec![(settings, dialect)]).await;
        assert_eq!(create().await, expected);
        let told = world.gateway.backend(&named("a")).unwrap();
        assert_eq!(told.read_only, read_only);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_ends_with_the_dialect_that_it_began_with() {
    let (before, after) = (Scripted::new(), Scripted::new());
    let gateway = Gateway::start(vec![backend("a", 0, &before)], HEARTBEAT);
    let create = |gateway: &Arc<Gateway>| {
        let gateway = Arc::clone(gateway);
        tokio::spawn(async move {
            let (wanted, how) = (NewConnection::default(), How::default());
            gateway.create(&named("a"), wanted, how, soon()).await
        })
    };
    before.hold_writes();
    let under_way = create(&gateway);
    sleep(SECOND).await;
    let done = gateway.reload(vec![backend("a", 1, &after)]).await;
    assert_eq!(done.unwrap().changed, [named("a")]);
    assert!(create(&gateway).await.unwrap().is_ok());
    assert_eq!((before.made(), after.made()), (0, 1));
    before.release_writes();
    assert!(under_way.await.unwrap().is_ok());
    assert_eq!((before.made(), after.made()), (1, 1));
    // Nobody needs the one from before any more.
    sleep(SECOND * 40).await;
    assert_eq!(Arc::strong_count(&before), 1);
}

/// Everything that waits for a backend is told, and then nothing of it is left.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_backend_that_is_removed_is_told_and_nothing_is_left_of_it() {
    let (cloud, other) = (Scripted::new(), Scripted::new());
    cloud.say("1", active());
    let gateway = Gateway::start(
        vec![backend("a", 0, &cloud), backend("b", 0, &other)],
        HEARTBEAT,
    );
    let of_one = watch(&gateway, "a", "1").await;
    let mut of_all = many(&gateway, Parent::One(named("a")), "").await;
    while !of_all.next().await.unwrap().unwrap().synced {}
    let deadline = soon();
    let wait = {
        let gateway = Arc::clone(&gateway);
        let request = WatchRequest {
            goal: Some(Goal::Gone),
            ..watch_request(connection("a", "1"))
        };
        tokio::spawn(async move { gateway.wait(request, deadline).await })
    };
    sleep(SECOND).await;
    cloud.hold();
    let poll = {
        let gateway = Arc::clone(&gateway);
        let request = PollRequest {
            name: connection("a", "1"),
            include_tunnel: false,
            write_token: String::new(),
            upstream_request_ids: Vec::new(),
        };
        tokio::spawn(async move { gateway.poll_now(&request, deadline).await })
    };
    cloud.hold_writes();
    let write = {
        let gateway = Arc::clone(&gateway);
        let (wanted, how) = (NewConnection::default(), How::default());
        tokio::spawn(async move { gateway.create(&named("a"), wanted, how, deadline).await })
    };
    sleep(SECOND).await;
    let member = Arc::clone(gateway.present().get(&named("a")).unwrap());
    let left = (Arc::downgrade(&member), Arc::downgrade(member.poller()));
    drop(member);

    let done = gateway.reload(vec![backend("b", 0, &other)]).await.unwrap();
    assert_eq!(
        (done.removed, done.kept),
        (vec![named("a")], vec![named("b")])
    );
    assert_eq!(follow(of_one, "never").await.end, REMOVED);
    let ended = of_all.next().await.unwrap().unwrap_err();
    assert_eq!(Some((ended.kind, ended.reason)), REMOVED);
    assert!(of_all.next().await.is_none());
    for ended in [wait.await.unwrap(), poll.await.unwrap()] {
        let error = ended.unwrap_err();
        assert_eq!(Some((error.kind, error.reason)), REMOVED);
    }
    let read = gateway.get(&connection("a", "1"), deadline).await;
    assert_eq!(read.unwrap_err().reason, ErrorReason::BackendNotFound);
    let names: Vec<_> = gateway.backends().into_iter().map(|it| it.name).collect();
    assert_eq!(names, [named("b")]);

    // What was begun is not given up.
    assert!(left.1.upgrade().is_some());
    cloud.release_writes();
    assert!(write.await.unwrap().is_ok());
    assert_eq!(cloud.made(), 1);
    drop(of_all);
    yield_now().await;
    assert!(left.0.upgrade().is_none() && left.1.upgrade().is_none());
    assert_eq!(Arc::strong_count(&cloud), 1);
}

async fn many(gateway: &Gateway, parent: Parent, token: &str) -> WatchMany {
    let request = WatchManyRequest {
        parent,
        resume_token: token.to_owned(),
        ..many_request()
    };
    gateway.watch_many(request).await.unwrap()
}

/// What a watch over all told: connections with what their cloud says, backends that are gone, and where it was then.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    states: Vec<(String, String)>,
    unreachable: Vec<String>,
    token: String,
}

/// Everything that is told until nothing was for a while.
async fn told(watch: &mut WatchMany) -> Told {
    let mut told = Told::default();
    loop {
        let event = watch.next().await.unwrap().unwrap();
        told.token.clone_from(&event.resume_token);
        let gone = event.unreachable.iter().map(|name| name.to_string());
        told.unreachable.extend(gone);
        let changes = event.changes.iter().map(|(entry, _)| entry);
        for entry in event.snapshots.iter().chain(changes) {
            let says = entry.status.native_state.to_string();
            told.states.push((entry.name.to_string(), says));
        }
        if event.heartbeat.is_some() {
            return told;
        }
    }
}

fn states(all: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    let each = all.iter();
    let each = each.map(|(name, says)| {
        let (backend, id) = name.split_once('/').unwrap();
        (connection(backend, id).to_string(), (*says).to_owned())
    });
    each.collect()
}

fn newest(told: &Told) -> BTreeSet<(String, String)> {
    let seen = told.states.iter().filter(|(_, says)| !says.is_empty());
    seen.cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_all_is_told_who_comes_and_goes() {
    let world = World::new();
    let a = || backend("a", 0, &world.a);
    let b = || backend("b", 0, &world.b);
    world.reload(vec![a()]).await;
    world.a.say("1", step(0));
    let mut watch = many(&world.gateway, Parent::Every, "").await;
    let first = told(&mut watch).await;
    assert_eq!(newest(&first), states(&[("a/1", "0")]));

    world.b.say("1", step(0));
    world.b.say("2", step(0));
    world.reload(vec![a(), b()]).await;
    let joined = told(&mut watch).await;
    assert_eq!(newest(&joined), states(&[("b/1", "0"), ("b/2", "0")]));
    assert_eq!(joined.states.len(), 2, "each once: {joined:?}");

    // Who was told nothing of it is told when they come back, and no less by who goes on.
    let mut resumed = many(&world.gateway, Parent::Every, &first.token).await;
    assert_eq!(newest(&told(&mut resumed).await), newest(&joined));
    let mut resumed = many(&world.gateway, Parent::Every, &joined.token).await;
    assert_eq!(told(&mut resumed).await.states, []);

    world.b.say("1", step(1));
    world.a.say("1", step(1));
    world.reload(vec![a()]).await;
    sleep(SECOND * 40).await;
    let gone = told(&mut watch).await;
    assert_eq!(gone.unreachable, ["backends/b"]);
    assert_eq!(
        newest(&gone),
        states(&[("a/1", "1")]),
        "and nothing is gone"
    );

    world.reload(vec![a(), b()]).await;
    let back = told(&mut watch).await;
    assert_eq!(newest(&back), states(&[("b/1", "1"), ("b/2", "0")]));
    assert_eq!(back.unreachable, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn one_that_becomes_another_kind_of_cloud_goes_and_comes() {
    let (before, after) = (Scripted::new(), Scripted::without_tracking(1));
    before.say("1", step(0));
    after.say("2", step(0));
    let gateway = Gateway::start(vec![backend("a", 0, &before)], HEARTBEAT);
    let watched = watch(&gateway, "a", "1").await;
    let mut all = many(&gateway, Parent::Every, "").await;
    told(&mut all).await;
    let done = gateway.reload(vec![backend("a", 1, &after)]).await.unwrap();
    assert_eq!(
        (done.removed, done.added),
        (vec![named("a")], vec![named("a")])
    );
    assert_eq!(follow(watched, "never").await.end, REMOVED);
    let now = told(&mut all).await;
    assert_eq!(now.unreachable, ["backends/a"]);
    assert_eq!(newest(&now), states(&[("a/2", "0")]));
    let told = gateway.backend(&named("a")).unwrap();
    assert!(!told.capabilities.write_tracking);
}

/// What was begun there ends there.
#[tokio::test(start_paused = true)]
async fn one_that_is_configured_for_another_cloud_goes_and_comes() {
    let (before, after) = (Scripted::at("https://a"), Scripted::at("https://b"));
    before.say("1", step(0));
    after.say("2", step(0));
    let gateway = Gateway::start(vec![backend("a", 0, &before)], HEARTBEAT);
    let watched = watch(&gateway, "a", "1").await;
    let mut all = many(&gateway, Parent::Every, "").await;
    told(&mut all).await;
    // Another login to the same cloud.
    let again = Scripted::at("https://a");
    again.say("1", step(0));
    let done = gateway.reload(vec![backend("a", 1, &again)]).await.unwrap();
    assert_eq!(done.changed, [named("a")]);
    let done = gateway.reload(vec![backend("a", 2, &after)]).await.unwrap();
    assert_eq!(
        (done.removed, done.added),
        (vec![named("a")], vec![named("a")])
    );
    let course = follow(watched, "never").await;
    assert_eq!((course.told, course.end), (vec!["0".to_owned()], REMOVED));
    let now = told(&mut all).await;
    assert_eq!(now.unreachable, ["backends/a"]);
    assert_eq!(newest(&now), states(&[("a/2", "0")]), "and nothing is gone");
}

/// A store whose records cannot be read for a while.
#[derive(Debug)]
struct Unread {
    store: RedbStore,
    fails: AtomicBool,
}

#[async_trait]
impl Store for Unread {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        self.store.begin(at_least).await
    }

    async fn recall(&self, backend: &BackendName) -> Result<Option<Recovered>, StoreError> {
        self.store.recall(backend).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.store.commit(batch).await
    }

    fn keeps_records(&self) -> bool {
        true
    }

    async fn records(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(StoreError("it cannot be read".to_owned())),
            false => self.store.records(prefix).await,
        }
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        self.store.write_records(changes).await
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_goes_on_from_what_the_store_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("log.redb")).await;
    let store = Arc::new(Unread {
        store: store.unwrap(),
        fails: AtomicBool::new(false),
    });
    let (a, b) = (Scripted::new(), Scripted::new());
    b.say("1", step(0));
    b.say("2", step(0));
    let both = || vec![backend("a", 0, &a), backend("b", 0, &b)];
    let kept: Arc<dyn Store> = Arc::<Unread>::clone(&store);
    let gateway = Gateway::start_with_store(both(), HEARTBEAT, kept).await;
    let gateway = gateway.unwrap();
    let follows = [
        watch(&gateway, "b", "1").await,
        watch(&gateway, "b", "2").await,
    ];
    let follows = follows.map(|watch| tokio::spawn(follow(watch, "never")));
    b.say("1", step(1));
    sleep(SECOND * 40).await;
    let removed = gateway.reload(vec![backend("a", 0, &a)]).await.unwrap();
    assert_eq!(removed.removed, [named("b")]);
    let mut tokens = Vec::new();
    for followed in follows {
        let course = followed.await.unwrap();
        assert_eq!(course.end, REMOVED);
        tokens.push(course.token);
    }
    b.say("1", step(2));

    store.fails.store(true, Ordering::SeqCst);
    let mut wanted = both();
    wanted[0].0.read_only = true;
    let refused = gateway.reload(wanted).await.unwrap_err();
    assert!(matches!(refused, NotReloaded::Store(_)), "{refused}");
    assert!(!gateway.backend(&named("a")).unwrap().read_only);
    assert!(gateway.backend(&named("b")).is_err());

    store.fails.store(false, Ordering::SeqCst);
    let back = gateway.reload(both()).await.unwrap();
    assert_eq!(
        (back.added, back.kept),
        (vec![named("b")], vec![named("a")])
    );
    for (id, steps) in [("1", vec!["2", "3"]), ("2", vec!["3"])] {
        let token = &tokens[id.parse::<usize>().unwrap() - 1];
        let watch = resume(&gateway, "b", id, token).await.unwrap();
        let course = tokio::spawn(follow(watch, "3"));
        sleep(SECOND * 40).await;
        b.say(id, step(3));
        let told = course.await.unwrap().told;
        assert_eq!(told, steps, "without a gap, and nothing twice");
    }

    // One that nothing was ever kept of begins as at any start.
    let mut backends = both();
    backends.push(backend("c", 0, &b));
    let more = gateway.reload(backends).await.unwrap();
    assert_eq!(more.added, [named("c")]);
    let course = follow(watch(&gateway, "c", "1").await, "3").await;
    assert_eq!(course.told, ["3"]);
    gateway.shut_down(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_store_one_that_comes_back_remembers_nothing_and_says_so() {
    let world = World::new();
    world.say("1", &step(0));
    let course = tokio::spawn(follow(watch(&world.gateway, "b", "1").await, "never"));
    sleep(SECOND).await;
    world.reload(vec![backend("a", 0, &world.a)]).await;
    let token = course.await.unwrap().token;
    // Somewhere something happens.
    watch(&world.gateway, "a", "1").await;
    world
        .reload(vec![backend("a", 0, &world.a), backend("b", 0, &world.b)])
        .await;
    let error = resume(&world.gateway, "b", "1", &token).await.unwrap_err();
    let expected = (ErrorKind::OutOfRange, ErrorReason::Compacted);
    assert_eq!((error.kind, error.reason), expected);
}

/// Both have one ledger: a write that is under way is not taken for one that was left.
#[tokio::test(start_paused = true)]
async fn a_name_is_taken_over_once_the_writes_of_before_have_ended() {
    let (a, other) = (Scripted::new(), Scripted::new());
    let gateway = Gateway::start(
        vec![backend("a", 0, &a), backend("b", 0, &other)],
        HEARTBEAT,
    );
    a.hold_writes();
    let write = {
        let gateway = Arc::clone(&gateway);
        let (wanted, how) = (NewConnection::default(), How::default());
        tokio::spawn(async move { gateway.create(&named("a"), wanted, how, soon()).await })
    };
    sleep(SECOND).await;
    gateway.reload(vec![backend("b", 0, &other)]).await.unwrap();
    let reload = |backends: Vec<Backend>| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { gateway.reload(backends).await })
    };
    let back = reload(vec![backend("a", 0, &a), backend("b", 0, &other)]);
    sleep(SECOND).await;
    assert!(!back.is_finished());
    assert!(gateway.backend(&named("a")).is_err());
    // It holds up no other reload, however long that takes; the last one counts.
    sleep(SECOND * 5).await;
    assert_eq!(back.await.unwrap().unwrap().added, [named("a")]);
    let without = reload(vec![backend("b", 1, &other)]).await.unwrap();
    assert_eq!(without.unwrap().changed, [named("b")]);
    let next = reload(vec![backend("a", 0, &a)]).await.unwrap();
    assert_eq!(next.unwrap().removed, [named("b")]);
    assert!(gateway.backend(&named("a")).is_err());
    a.release_writes();
    assert!(write.await.unwrap().is_ok());
    sleep(SECOND).await;
    assert_eq!(gateway.unfinished(&named("a")).len(), 0);
    assert!(gateway.backend(&named("a")).is_ok() && gateway.backend(&named("b")).is_err());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reloaded_that_makes_no_sense_or_comes_too_late() {
    let world = World::new();
    let twice = vec![backend("a", 0, &world.a), backend("a", 1, &world.b)];
    let refused = world.gateway.reload(twice).await;
    assert_eq!(refused, Err(NotReloaded::Twice(named("a"))));
    assert_eq!(world.gateway.backends().len(), 3);
    world.gateway.shut_down(SECOND).await;
    let late = world.gateway.reload(Vec::new()).await;
    assert_eq!(late, Err(NotReloaded::ShuttingDown));
    assert_eq!(world.gateway.backends().len(), 3);
}

/// As clients see it.
#[tokio::test]
async fn on_the_wire_a_stream_ends_with_its_reason_and_others_go_on() {
    let [a, b] = [(); 2].map(|()| Scripted::new());
    a.say("1", active());
    b.say("1", active());
    let both = vec![backend("a", 0, &a), backend("b", 0, &b)];
    let running = Running::serve(Gateway::start(both, HEARTBEAT)).await;
    let mut realizations = running.realizations();
    let mut streams = Vec::new();
    for backend in ["a", "b"] {
        let request = pb::WatchRealizationRequest {
            name: connection(backend, "1").to_string(),
            ..pb::WatchRealizationRequest::default()
        };
        let stream = realizations.watch_realization(request).await.unwrap();
        let mut stream = stream.into_inner();
        let first = stream.message().await.unwrap().unwrap();
        assert!(!first.resume_token.is_empty());
        streams.push(stream);
    }
    let only_a = vec![polled_every(SECOND / 10, backend("a", 0, &a))];
    running.gateway.reload(only_a).await.unwrap();
    let status = streams.pop().unwrap().message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    assert_eq!(reason(&status), "BACKEND_REMOVED");
    let request = pb::GetRealizationRequest {
        name: connection("b", "1").to_string(),
        ..pb::GetRealizationRequest::default()
    };
    let status = realizations.get_realization(request).await.unwrap_err();
    assert_eq!(reason(&status), "BACKEND_NOT_FOUND");
    a.say("1", step(7));
    let change = streams.pop().unwrap().message().await.unwrap().unwrap();
    assert!(matches!(
        change.event,
        Some(pb::watch_realization_response::Event::Change(_))
    ));
    let listed = running
        .backends()
        .list_backends(pb::ListBackendsRequest::default())
        .await
        .unwrap();
    let names = listed.into_inner().backends.into_iter().map(|it| it.name);
    assert_eq!(names.collect::<Vec<_>>(), ["backends/a"]);
}
