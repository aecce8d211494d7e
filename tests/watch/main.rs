//! The promises of a watch, one by one, over a scripted cloud and with paused time: the seconds here are
//! the seconds of the contract in `proto/isthmus/v1/realization_service.proto`.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "../support/mod.rs"]
mod support;

use futures_util::future::{join, join_all};
use isthmus::{
    core::{
        clock,
        dialect::{Dialect, Proof},
        error::{Error, ErrorKind, ErrorReason},
        gateway::Gateway,
        realizations::{LookRequest, Standing, WatchManyRequest, WatchRequest},
        settings::BackendSettings,
        watch::{
            many::ManyEvent,
            stream::{CONFLATE_BEYOND, EventKind, Outcome, Watch, WatchEvent},
        },
    },
    grpc::convert::{backend::backend, realization::many_event},
    model::{
        Assurance, BackendName, ConnectionChange, ConnectionName, ConnectionSpec, Goal, Intent,
        Node, Parent, RealizationState as State, codes,
    },
};
use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, SystemTime},
};
use support::scripted::{
    Scripted, active, failed, gone, in_progress, login_refused, outage, realized, seen,
    watch_request,
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(15);

/// When a caller goes away.
fn soon() -> Instant {
    Instant::now() + 30 * SECOND
}

struct Setup {
    cloud: Arc<Scripted>,
    gateway: Arc<Gateway>,
    backend: BackendName,
}

impl Setup {
    fn new() -> Setup {
        Setup::with(Scripted::settings("a"))
    }

    fn with(settings: BackendSettings) -> Setup {
        let cloud = Scripted::new();
        let backend = settings.name.clone();
        let dialect: Arc<dyn Dialect> = cloud.clone();
        let gateway = Gateway::start(vec![(settings, dialect)], HEARTBEAT);
        Setup {
            cloud,
            gateway,
            backend,
        }
    }

    fn name(&self, id: &str) -> ConnectionName {
        ConnectionName::connection(&self.backend, id).unwrap()
    }

    fn request(&self, id: &str) -> WatchRequest {
        watch_request(self.name(id))
    }

    async fn watch(&self, id: &str, goal: Option<Goal>) -> Watch {
        self.gateway
            .watch(WatchRequest {
                goal,
                ..self.request(id)
            })
            .await
            .unwrap()
    }

    async fn watch_write(&self, id: &str, write_token: String) -> Watch {
        self.gateway
            .watch(WatchRequest {
                write_token,
                ..self.request(id)
            })
            .await
            .unwrap()
    }

    async fn resume(&self, id: &str, resume_token: String) -> Result<Watch, Error> {
        self.gateway
            .watch(WatchRequest {
                resume_token,
                ..self.request(id)
            })
            .await
    }

    async fn look(&self, id: &str, tunnel: bool, elsewhere: &[String]) -> Result<Standing, Error> {
        let request = LookRequest {
            name: self.name(id),
            include_tunnel: tunnel,
            write_token: String::new(),
            upstream_request_ids: elsewhere.to_vec(),
        };
        self.gateway
            .look_now(&request, Instant::now() + 5 * SECOND)
            .await
    }

    async fn create(&self) -> (String, String) {
        let accepted = self
            .gateway
            .create(&self.backend, ConnectionSpec::default(), false, soon())
            .await
            .unwrap();
        (accepted.name.unwrap().id.to_string(), accepted.write_token)
    }

    async fn update(&self, id: &str) -> String {
        let change = ConnectionChange::default();
        self.gateway
            .update(&self.name(id), change, false, soon())
            .await
            .unwrap()
            .write_token
    }

    async fn delete(&self, id: &str) -> String {
        self.gateway
            .delete(&self.name(id), None, false, soon())
            .await
            .unwrap()
            .write_token
    }
}

async fn next(watch: &mut Watch) -> WatchEvent {
    watch
        .next()
        .await
        .expect("the stream goes on")
        .expect("no error")
}

/// The next message that is not a heartbeat.
async fn next_state(watch: &mut Watch) -> WatchEvent {
    loop {
        let event = next(watch).await;
        if !matches!(event.kind, EventKind::Heartbeat(_)) || event.outcome.is_some() {
            return event;
        }
    }
}

fn state(event: &WatchEvent) -> State {
    match &event.kind {
        EventKind::Snapshot(entry, _) | EventKind::Change(entry) => entry.view.state,
        EventKind::Heartbeat(_) => panic!("a heartbeat has no state"),
    }
}

fn is_snapshot(event: &WatchEvent) -> bool {
    matches!(event.kind, EventKind::Snapshot(..))
}

fn is_success(event: &WatchEvent) -> bool {
    matches!(event.outcome, Some(Outcome::Succeeded(_)))
}

// 1. Snapshot first.

#[tokio::test(start_paused = true)]
async fn the_first_message_is_where_it_stands_now() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", None).await;
    let first = next(&mut watch).await;
    assert!(is_snapshot(&first));
    assert_eq!(state(&first), State::Active);
    setup.cloud.say("1", failed());
    let second = next_state(&mut watch).await;
    assert!(!is_snapshot(&second));
    assert_eq!(state(&second), State::Failed);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_cloud_is_a_snapshot_of_unknown_and_not_an_error() {
    let setup = Setup::new();
    setup.cloud.say("1", Err(outage()));
    let mut watch = setup.watch("1", Some(Goal::Config)).await;
    let first = next(&mut watch).await;
    let EventKind::Snapshot(entry, stale) = &first.kind else {
        panic!("a snapshot")
    };
    assert_eq!(
        (entry.view.state, entry.view.assurance, *stale),
        (State::Unknown, Assurance::None, true)
    );
    assert_eq!(entry.observe_time, None);
    setup.cloud.say("1", realized());
    assert!(is_success(&next_state(&mut watch).await));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_cannot_be_watched_unless_it_is_to_be_gone() {
    let setup = Setup::new();
    let error = setup
        .gateway
        .watch(setup.request("none"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::NotFound, ErrorReason::ConnectionNotFound)
    );
    let mut watch = setup.watch("none", Some(Goal::Gone)).await;
    assert!(is_success(&next(&mut watch).await));
}

// 2. Monotone and unique.

#[tokio::test(start_paused = true)]
async fn sequences_grow_and_times_do_not_go_back() {
    let setup = Setup::new();
    setup.cloud.say("1", in_progress());
    let mut watch = setup.watch("1", None).await;
    let mut last = (0, None);
    for round in 0..20 {
        let event = next_state(&mut watch).await;
        let (EventKind::Snapshot(entry, _) | EventKind::Change(entry)) = &event.kind else {
            panic!()
        };
        assert!(entry.sequence > last.0);
        assert!(entry.observe_time >= last.1);
        last = (entry.sequence, entry.observe_time);
        setup
            .cloud
            .say("1", if round % 2 == 0 { active() } else { realized() });
    }
}

// 3. Coalescing is counted.

#[tokio::test(start_paused = true)]
async fn a_slow_reader_misses_states_but_never_the_latest_failure_or_the_outcome() {
    let setup = Setup::new();
    let (id, token) = setup.create().await;
    setup.cloud.say(&id, in_progress());
    let mut slow = setup.watch_write(&id, token).await;
    let mut quick = setup.watch(&id, None).await;
    assert_eq!(state(&next(&mut slow).await), State::Accepted);
    next(&mut quick).await;
    let rounds = CONFLATE_BEYOND + 4;
    for round in 0..rounds {
        let native = format!("step {round}");
        let seen_state = if round == rounds - 3 {
            State::Failed
        } else {
            State::InProgress
        };
        setup
            .cloud
            .say(&id, seen(seen_state, Assurance::IntentStored, &native));
        while state(&next_state(&mut quick).await) != seen_state {}
    }
    setup.cloud.say(&id, realized());
    while state(&next_state(&mut quick).await) != State::Realized {}

    let failure = next(&mut slow).await;
    assert_eq!(state(&failure), State::Failed);
    assert!(failure.coalesced > 0);
    let mut counted = failure.coalesced;
    let last = loop {
        let event = next(&mut slow).await;
        counted += event.coalesced;
        if event.outcome.is_some() {
            break event;
        }
    };
    assert!(is_success(&last));
    assert!(counted as usize >= rounds - 4, "{counted} left out");
    assert!(slow.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reader_beyond_the_window_is_told_so() {
    let setup = Setup::new();
    setup.cloud.say("1", in_progress());
    let mut slow = setup.watch("1", None).await;
    let mut quick = setup.watch("1", None).await;
    next(&mut slow).await;
    next(&mut quick).await;
    for round in 0..isthmus::core::watch::log::WINDOW_PER_CONNECTION + 2 {
        setup.cloud.say(
            "1",
            seen(
                State::InProgress,
                Assurance::IntentStored,
                &round.to_string(),
            ),
        );
        next_state(&mut quick).await;
    }
    let error = slow.next().await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::OutOfRange, ErrorReason::Compacted)
    );
    assert!(slow.next().await.is_none());
}

// 4. Exactly one outcome.

#[tokio::test(start_paused = true)]
async fn a_success_is_told_once_with_its_evidence_and_ends_the_watch() {
    let setup = Setup::new();
    setup.cloud.prove_by(Proof::RequestIds(vec!["r-1".into()]));
    let (id, token) = setup.create().await;
    let mut watch = setup.watch_write(&id, token).await;
    assert_eq!(state(&next(&mut watch).await), State::Accepted);
    let progress = next_state(&mut watch).await;
    let EventKind::Change(entry) = &progress.kind else {
        panic!()
    };
    assert_eq!(
        (entry.view.state, entry.view.nodes.len()),
        (State::InProgress, 2)
    );
    setup.cloud.say(&id, realized());
    let last = next_state(&mut watch).await;
    let EventKind::Change(entry) = &last.kind else {
        panic!()
    };
    assert_eq!(entry.view.native_state, "in_sync");
    assert_eq!(entry.view.request_ids, ["r-1"]);
    assert!(is_success(&last));
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shown_at_once_and_an_outcome_after_ten_seconds() {
    let setup = Setup::new();
    let (id, token) = setup.create().await;
    setup.cloud.say(&id, failed());
    let mut watch = setup.watch_write(&id, token).await;
    next(&mut watch).await;
    let shown = next_state(&mut watch).await;
    let first_seen = Instant::now();
    assert_eq!(
        (state(&shown), shown.outcome.is_none()),
        (State::Failed, true)
    );
    let last = next_state(&mut watch).await;
    assert!(matches!(last.outcome, Some(Outcome::Failed(_))));
    assert!(first_seen.elapsed() >= 10 * SECOND);
    assert!(first_seen.elapsed() < 14 * SECOND);
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_never_an_outcome_and_what_follows_it_continues_the_watch() {
    let setup = Setup::new();
    let (id, token) = setup.create().await;
    let mut watch = setup.watch_write(&id, token).await;
    next(&mut watch).await;
    next_state(&mut watch).await;
    setup.cloud.fail_all(&outage());
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(600) {
        let event = next(&mut watch).await;
        assert!(event.outcome.is_none());
        assert!(matches!(event.kind, EventKind::Heartbeat(_)));
    }
    setup.cloud.say(&id, realized());
    assert!(is_success(&next_state(&mut watch).await));
}

#[tokio::test(start_paused = true)]
async fn a_delete_ends_when_it_is_gone() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let token = setup.delete("1").await;
    let mut watch = setup.watch_write("1", token).await;
    assert_eq!(state(&next(&mut watch).await), State::Deleting);
    setup.cloud.say("1", gone());
    let last = next_state(&mut watch).await;
    assert_eq!(state(&last), State::Deleted);
    assert!(is_success(&last));
}

#[tokio::test(start_paused = true)]
async fn what_vanishes_under_a_create_fails_after_its_grace() {
    let setup = Setup::new();
    let (id, token) = setup.create().await;
    setup.cloud.say(&id, gone());
    let mut watch = setup.watch_write(&id, token).await;
    next(&mut watch).await;
    assert_eq!(state(&next_state(&mut watch).await), State::Deleted);
    let first_seen = Instant::now();
    let last = next_state(&mut watch).await;
    let Some(Outcome::Failed(reason)) = last.outcome else {
        panic!("a failure")
    };
    assert_eq!(reason.code, codes::VANISHED);
    assert!(first_seen.elapsed() >= 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn our_own_delete_supersedes_a_watch_for_anything_else() {
    let setup = Setup::new();
    let (id, token) = setup.create().await;
    let mut watch = setup.watch_write(&id, token).await;
    next(&mut watch).await;
    setup.delete(&id).await;
    let last = loop {
        let event = next_state(&mut watch).await;
        if event.outcome.is_some() {
            break event;
        }
    };
    let Some(Outcome::Failed(reason)) = last.outcome else {
        panic!("a failure")
    };
    assert_eq!(reason.code, codes::SUPERSEDED);
}

// 5. Causality.

#[tokio::test(start_paused = true)]
async fn a_look_that_began_before_the_write_was_done_decides_nothing() {
    let setup = Setup::new();
    setup.cloud.say("1", realized());
    let mut bystander = setup.watch("1", None).await;
    next(&mut bystander).await;
    // A look is under way, and will bring what was true before the write.
    setup.cloud.hold();
    let looks = setup.cloud.looks();
    while setup.cloud.looks() == looks {
        tokio::time::advance(SECOND).await;
        tokio::task::yield_now().await;
    }
    setup.cloud.prove_by(Proof::RequestIds(vec!["r-2".into()]));
    let token = setup.update("1").await;
    setup.cloud.say("1", in_progress());
    let mut watch = setup.watch_write("1", token).await;
    setup.cloud.release();
    assert_eq!(state(&next(&mut watch).await), State::Accepted);
    let after = next_state(&mut watch).await;
    assert_eq!((state(&after), after.outcome), (State::InProgress, None));
    assert_eq!(setup.cloud.last_target().request_ids, ["r-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_a_token_is_not_ended_by_what_was_known_long_ago() {
    let setup = Setup::new();
    setup.cloud.say("1", realized());
    drop(setup.watch("1", None).await);
    tokio::time::advance(Duration::from_secs(300)).await;
    setup.cloud.say("1", in_progress());
    let mut watch = setup.watch("1", Some(Goal::Config)).await;
    let first = next(&mut watch).await;
    assert_eq!((state(&first), first.outcome), (State::InProgress, None));
}

#[tokio::test(start_paused = true)]
async fn a_deletes_token_goes_with_no_other_goal() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let write_token = setup.delete("1").await;
    let request = WatchRequest {
        goal: Some(Goal::Config),
        write_token,
        ..setup.request("1")
    };
    let error = setup.gateway.watch(request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    assert_eq!(error.context.violations[0].field, "goal");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_connection_is_refused() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    setup.cloud.say("2", active());
    let write_token = setup.update("1").await;
    let request = WatchRequest {
        write_token,
        ..setup.request("2")
    };
    assert_eq!(
        setup.gateway.watch(request).await.unwrap_err().reason,
        ErrorReason::WrongToken
    );
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_to_be_off_cannot_be_waited_for() {
    let setup = Setup::new();
    let mut off = active();
    off.as_mut().unwrap().admin_enabled = Some(false);
    setup.cloud.say("1", off);
    let request = WatchRequest {
        goal: Some(Goal::TunnelUp),
        ..setup.request("1")
    };
    let error = setup.gateway.watch(request).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::FailedPrecondition, ErrorReason::GoalUnreachable)
    );
}

// 6. Resumable.

#[tokio::test(start_paused = true)]
async fn a_resume_brings_what_was_missed_and_nothing_twice() {
    let setup = Setup::new();
    setup.cloud.say("1", in_progress());
    let mut watch = setup.watch("1", None).await;
    let token = next(&mut watch).await.resume_token();
    drop(watch);
    let mut bystander = setup.watch("1", None).await;
    for answer in [failed(), active(), realized()] {
        let wanted = answer.as_ref().unwrap().state;
        setup.cloud.say("1", answer);
        while state(&next_state(&mut bystander).await) != wanted {}
    }
    let mut resumed = setup.resume("1", token).await.unwrap();
    let mut states = Vec::new();
    for _ in 0..3 {
        let event = next_state(&mut resumed).await;
        assert!(!is_snapshot(&event));
        states.push(state(&event));
    }
    assert_eq!(states, [State::Failed, State::Active, State::Realized]);
    let quiet = next(&mut resumed).await;
    assert!(matches!(quiet.kind, EventKind::Heartbeat(_)));
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_life_is_out_of_range_or_begins_anew() {
    let first = Setup::new();
    first.cloud.say("1", active());
    let token = next(&mut first.watch("1", None).await).await.resume_token();
    // The epoch is the time of the start in milliseconds, which paused time does not move.
    std::hint::black_box((0..2_000_000u64).sum::<u64>());
    let since = std::time::SystemTime::now();
    while since.elapsed().unwrap() < Duration::from_millis(2) {}

    let second = Setup::new();
    second.cloud.say("1", active());
    let error = second.resume("1", token.clone()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::OutOfRange, ErrorReason::Compacted)
    );
    let request = WatchRequest {
        resume_token: token,
        snapshot_if_compacted: true,
        ..second.request("1")
    };
    let mut anew = second.gateway.watch(request).await.unwrap();
    assert!(is_snapshot(&next(&mut anew).await));
}

// 7. Liveness.

#[tokio::test(start_paused = true)]
async fn silence_never_exceeds_the_heartbeat() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", None).await;
    next(&mut watch).await;
    for beat in 0..20 {
        let before = Instant::now();
        if beat == 10 {
            setup.cloud.fail_all(&outage());
        }
        let event = next(&mut watch).await;
        assert!(before.elapsed() <= HEARTBEAT + Duration::from_millis(10));
        let EventKind::Heartbeat(pulse) = event.kind else {
            panic!("nothing changes here")
        };
        assert!(pulse.last_success.is_some());
        assert!(pulse.interval > Duration::ZERO);
        assert_eq!(pulse.budget_used, 0.25, "as the dialect says");
        if beat < 10 {
            assert_eq!((pulse.stale, pulse.last_error), (false, None));
        }
        if beat > 16 {
            assert_eq!(
                (pulse.stale, pulse.last_error),
                (true, Some(ErrorReason::UpstreamUnreachable))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_goes_on_does_not_wait_for_a_cloud_that_hangs() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", None).await;
    let token = next(&mut watch).await.resume_token().to_owned();
    drop(watch);
    tokio::time::advance(Duration::from_secs(60)).await;
    setup.cloud.hold();
    let before = Instant::now();
    let mut resumed = setup.resume("1", token).await.unwrap();
    let event = next(&mut resumed).await;
    assert!(matches!(event.kind, EventKind::Heartbeat(_)));
    assert!(before.elapsed() <= HEARTBEAT + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_many_is_not_stale_because_the_clock_on_the_wall_jumps() {
    fn jumping() -> SystemTime {
        thread_local!(static READ: Cell<u64> = const { Cell::new(0) });
        let hours = READ.replace(READ.get() + 1) % 3;
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + 3600 * hours)
    }
    let setup = Setup::new();
    setup.cloud.say("1", active());
    clock::set(jumping);
    let mut watch = setup.gateway.watch_many(many_request()).await.unwrap();
    let mut heartbeats = 0;
    while heartbeats < 6 {
        let Some(pulse) = next_many(&mut watch).await.heartbeat else {
            continue;
        };
        heartbeats += 1;
        assert!(!pulse.stale, "{pulse:?}");
        assert!(pulse.interval > Duration::ZERO, "{pulse:?}");
    }
    // It is looked at no more, and that shows whatever the clock says.
    setup.cloud.hold();
    let mut stale = false;
    for _ in 0..20 {
        let pulse = next_many(&mut watch).await.heartbeat;
        stale |= pulse.is_some_and(|pulse| pulse.stale);
    }
    assert!(stale);
    clock::set(SystemTime::now);
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_many_counts_silence_from_when_it_was_asked_for() {
    let clouds = ["a", "b", "c"].map(|name| (Scripted::settings(name), Scripted::new()));
    let backends = clouds.iter().map(|(settings, cloud)| {
        let dialect: Arc<dyn Dialect> = Arc::clone(cloud) as _;
        (settings.clone(), dialect)
    });
    let gateway = Gateway::start(backends.collect(), HEARTBEAT);
    let mut watch = gateway.watch_many(many_request()).await.unwrap();
    let resume_token = next_many(&mut watch).await.resume_token;
    drop(watch);
    tokio::time::advance(Duration::from_secs(60)).await;
    clouds.iter().for_each(|(_, cloud)| cloud.hold());
    let before = Instant::now();
    let request = WatchManyRequest {
        resume_token,
        ..many_request()
    };
    let mut resumed = gateway.watch_many(request).await.unwrap();
    assert!(next_many(&mut resumed).await.heartbeat.is_some());
    assert!(before.elapsed() <= HEARTBEAT + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_many_begins_in_time_though_a_cloud_hangs() {
    let clouds = ["a", "b"].map(|name| (Scripted::settings(name), Scripted::new()));
    let backends = clouds.iter().map(|(settings, cloud)| {
        let dialect: Arc<dyn Dialect> = Arc::clone(cloud) as _;
        (settings.clone(), dialect)
    });
    let gateway = Gateway::start(backends.collect(), HEARTBEAT);
    clouds[0].1.hold();
    clouds[1].1.say("1", active());
    for time in [SECOND / 5, SECOND, 5 * SECOND] {
        let asked = Instant::now();
        let request = WatchManyRequest {
            deadline: Some(asked + time),
            ..many_request()
        };
        let mut watch = gateway.watch_many(request).await.unwrap();
        let first = next_many(&mut watch).await;
        assert!(asked.elapsed() < time, "{:?} of {time:?}", asked.elapsed());
        assert_eq!(first.unreachable, ["a".parse().unwrap()]);
        assert_eq!((first.snapshots.len(), first.synced), (1, true));
    }
    let health = gateway.backend(&"a".parse().unwrap()).unwrap().health;
    assert_eq!(
        health.reason, None,
        "whose caller is short of time tells nothing of a cloud"
    );
}

// 8. Bounded lag.

#[tokio::test(start_paused = true)]
async fn a_backend_tells_its_budget_and_the_longest_interval_there_is_now() {
    let setup = Setup::new();
    let told = || backend(setup.gateway.backend(&setup.backend).unwrap());
    let budget = told().budget.unwrap();
    assert_eq!((budget.rate_limit, budget.rate_used), (20.0, 5.0));
    assert_eq!(
        (budget.watched_connections, budget.longest_interval),
        (0, None)
    );

    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", None).await;
    next(&mut watch).await;
    // The longer nothing changes, the longer the intervals.
    for _ in 0..20 {
        let event = next(&mut watch).await;
        let EventKind::Heartbeat(pulse) = event.kind else {
            continue;
        };
        let budget = told().budget.unwrap();
        assert_eq!(budget.watched_connections, 1);
        let longest = Duration::try_from(budget.longest_interval.unwrap()).unwrap();
        assert_eq!(longest, pulse.interval, "as the heartbeat says");
    }
    drop(watch);
    assert_eq!(told().budget.unwrap().watched_connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_fresh_write_is_told_within_the_stated_interval() {
    let setup = Setup::new();
    let (id, token) = setup.create().await;
    let mut watch = setup.watch_write(&id, token).await;
    next(&mut watch).await;
    next_state(&mut watch).await;
    setup.cloud.say(&id, realized());
    let changed = Instant::now();
    next_state(&mut watch).await;
    assert!(
        changed.elapsed() <= Duration::from_millis(2200),
        "2 s and a tenth of jitter"
    );
}

// 9. Isolation.

#[tokio::test(start_paused = true)]
async fn two_hundred_watchers_cost_the_cloud_no_more_than_one() {
    async fn looks_in_a_minute(watchers: usize) -> usize {
        let setup = Setup::new();
        let (id, token) = setup.create().await;
        let mut watches = Vec::new();
        for index in 0..watchers {
            let write_token = if index % 2 == 0 {
                token.clone()
            } else {
                String::new()
            };
            let request = WatchRequest {
                write_token,
                ..setup.request(&id)
            };
            watches.push(setup.gateway.watch(request).await.unwrap());
        }
        tokio::time::sleep(60 * SECOND).await;
        setup.cloud.looks()
    }
    let one = looks_in_a_minute(1).await;
    let many = looks_in_a_minute(200).await;
    assert!(one >= 25, "{one} looks");
    assert!(
        many <= one + 3,
        "{many} looks for 200 watchers, {one} for one"
    );
}

#[tokio::test(start_paused = true)]
async fn two_hundred_watchers_of_all_who_come_at_once_cost_one_list() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    setup.cloud.hold();
    let open = || async { setup.gateway.watch_many(many_request()).await.unwrap() };
    let watches = join_all((0..200).map(|_| open()));
    let release = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        setup.cloud.release();
    };
    let (mut watches, ()) = join(watches, release).await;
    assert_eq!(setup.cloud.lists(), 1);
    assert_eq!(next_many(&mut watches[199]).await.snapshots.len(), 1);

    // Nor more if it fails.
    drop(watches);
    tokio::time::advance(Duration::from_secs(60)).await;
    let before = setup.cloud.lists();
    setup.cloud.hold();
    let watches = join_all((0..200).map(|_| open())).await;
    assert_eq!(watches.len(), 200);
    assert_eq!(setup.cloud.lists(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn with_no_watcher_left_the_cloud_is_not_asked() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    drop(setup.watch("1", None).await);
    let looks = setup.cloud.looks();
    tokio::time::sleep(600 * SECOND).await;
    assert!(setup.cloud.looks() <= looks + 1);
}

// 10. Every end has a reason.

#[tokio::test(start_paused = true)]
async fn a_login_refused_for_too_long_ends_the_watch_without_an_outcome() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", Some(Goal::Gone)).await;
    next(&mut watch).await;
    setup.cloud.say("1", Err(login_refused()));
    let since = Instant::now();
    let unknown = next_state(&mut watch).await;
    assert_eq!((state(&unknown), unknown.outcome), (State::Unknown, None));
    let error = loop {
        match watch.next().await.unwrap() {
            Ok(event) => assert!(event.outcome.is_none()),
            Err(error) => break error,
        }
        assert!(since.elapsed() < 1_200 * SECOND, "it goes on");
    };
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Unavailable, ErrorReason::UpstreamAuth)
    );
    assert!(since.elapsed() >= 600 * SECOND);
    assert!(watch.next().await.is_none());
}

// Waiting and looking.

#[tokio::test(start_paused = true)]
async fn a_wait_answers_the_outcome_or_where_it_stands_when_time_is_up() {
    let setup = Setup::new();
    let (id, write_token) = setup.create().await;
    let request = WatchRequest {
        write_token,
        ..setup.request(&id)
    };
    let waited = setup
        .gateway
        .wait(request.clone(), Instant::now() + 5 * SECOND)
        .await
        .unwrap();
    assert_eq!(
        (waited.observation.view.state, waited.outcome),
        (State::InProgress, None)
    );
    setup.cloud.say(&id, realized());
    let waited = setup
        .gateway
        .wait(request, Instant::now() + 5 * SECOND)
        .await
        .unwrap();
    assert_eq!(waited.outcome, Some(Outcome::Succeeded(None)));
    let aimless = setup
        .gateway
        .wait(setup.request(&id), Instant::now() + SECOND)
        .await
        .unwrap_err();
    assert_eq!(aimless.context.violations[0].field, "goal");
}

#[tokio::test(start_paused = true)]
async fn a_look_now_is_of_now() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let standing = setup.look("1", true, &[]).await.unwrap();
    assert_eq!(standing.observation.view.state, State::Active);
    assert!(setup.cloud.last_target().want_tunnel);
    setup.cloud.say("1", failed());
    let standing = setup.look("1", false, &[]).await.unwrap();
    assert_eq!(standing.observation.view.state, State::Failed);
    setup.cloud.say("1", Err(outage()));
    let error = setup.look("1", false, &[]).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnreachable);
    let error = setup.look("none", false, &[]).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ConnectionNotFound);
}

// Watching many.

async fn next_many(watch: &mut isthmus::core::watch::many::WatchMany) -> ManyEvent {
    watch
        .next()
        .await
        .expect("the stream goes on")
        .expect("no error")
}

fn many_request() -> WatchManyRequest {
    WatchManyRequest {
        parent: Parent::Every,
        resume_token: String::new(),
        include_tunnel: false,
        snapshot_if_compacted: false,
        deadline: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_many_lists_then_syncs_then_changes() {
    let setup = Setup::new();
    for id in ["1", "2", "3"] {
        setup.cloud.say(id, active());
    }
    let mut watch = setup.gateway.watch_many(many_request()).await.unwrap();
    let first = next_many(&mut watch).await;
    assert_eq!((first.snapshots.len(), first.synced), (3, true));
    let unseen = &first.snapshots[0];
    assert_eq!(
        (unseen.view.state, unseen.view.assurance),
        (State::Unknown, Assurance::None)
    );
    assert_eq!(unseen.observe_time, None);

    let mut told = Vec::new();
    while told.len() < 3 {
        let event = next_many(&mut watch).await;
        told.extend(
            event
                .changes
                .iter()
                .map(|(entry, _)| (entry.name.id.to_string(), entry.view.state)),
        );
    }
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let all_active: Vec<_> = ["1", "2", "3"]
        .map(|id| (id.to_owned(), State::Active))
        .into();
    assert_eq!(told, all_active);

    // One made later joins by itself.
    let (id, _) = setup.create().await;
    let joined = loop {
        let event = next_many(&mut watch).await;
        if let Some((entry, _)) = event.changes.first() {
            break entry.name.id.to_string();
        }
    };
    assert_eq!(joined, id);
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_many_does_not_begin_with_what_was_removed() {
    let setup = Setup::new();
    for id in ["1", "2", "3"] {
        setup.cloud.say(id, active());
    }
    setup.delete("1").await;
    setup.delete("2").await;
    // Of the one that is still on its way out there is something to say.
    setup.cloud.forget("1");
    let mut watch = setup.gateway.watch_many(many_request()).await.unwrap();
    let first = next_many(&mut watch).await;
    let told: Vec<_> = first
        .snapshots
        .iter()
        .map(|entry| (&*entry.name.id, entry.view.state))
        .collect();
    assert_eq!(told, [("2", State::Deleting), ("3", State::Unknown)]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_from_ten_thousand_connections_is_packed() {
    const CONNECTIONS: usize = 10_000;
    let setup = Setup::new();
    let ids: Vec<String> = (0..CONNECTIONS).map(|at| format!("{at:05}")).collect();
    let say = |answer: fn() -> support::scripted::Answer| {
        ids.iter().for_each(|id| setup.cloud.say(id, answer()));
    };
    say(in_progress);
    let mut watch = setup.gateway.watch_many(many_request()).await.unwrap();
    while !next_many(&mut watch).await.synced {}
    let mut seen = 0;
    while seen < CONNECTIONS {
        seen += next_many(&mut watch).await.changes.len();
    }
    say(active);
    // Longer than it takes to look at all, and nobody reads meanwhile.
    tokio::time::sleep(45 * SECOND).await;
    let (mut messages, mut told) = (0, Vec::new());
    while told.len() < CONNECTIONS {
        let event = next_many(&mut watch).await;
        messages += 1;
        for (entry, left_out) in event.changes {
            assert_eq!((entry.view.state, left_out), (State::Active, 0));
            told.push((entry.sequence, entry.name.id.to_string()));
        }
    }
    assert!(messages <= CONNECTIONS / 256 + 1, "{messages} messages");
    assert!(told.is_sorted(), "in the order in which it was seen");
    let mut names: Vec<String> = told.into_iter().map(|(_, id)| id).collect();
    names.sort();
    assert!(names == ids, "everything, and nothing twice");
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_many_does_not_begin_with_names_that_somebody_made_up() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let request = WatchRequest {
        write_token: "of no write".to_owned(),
        ..setup.request("nowhere")
    };
    setup.gateway.watch(request).await.unwrap_err();
    let mut waiting = setup.watch("never", Some(Goal::Gone)).await;
    let mut watch = setup.gateway.watch_many(many_request()).await.unwrap();
    let first = next_many(&mut watch).await;
    let told: Vec<_> = first
        .snapshots
        .iter()
        .map(|entry| &*entry.name.id)
        .collect();
    assert_eq!(told, ["1"]);
    assert!(is_success(&next(&mut waiting).await));
}

#[tokio::test(start_paused = true)]
async fn a_message_over_many_stays_small_however_much_the_cloud_says_of_each() {
    // What a client takes in one message unless it is configured otherwise; above, the watch could never go on.
    const TAKEN: usize = 4 << 20;
    const CONNECTIONS: usize = 300;
    let setup = Setup::new();
    let say = |words: &str| {
        for at in 0..CONNECTIONS {
            let answer = seen(State::InProgress, Assurance::IntentStored, words);
            let mut sighting = answer.unwrap();
            let node = Node {
                message: words.repeat(200),
                ..Node::default()
            };
            sighting.nodes = vec![node; 100].into();
            setup.cloud.say(&format!("{at:03}"), Ok(sighting));
        }
    };
    say("a");
    let mut watch = setup.gateway.watch_many(many_request()).await.unwrap();
    let mut seen = 0;
    while seen < CONNECTIONS {
        seen += next_many(&mut watch).await.changes.len();
    }
    say("b");
    tokio::time::sleep(45 * SECOND).await;
    let mut later = setup.gateway.watch_many(many_request()).await.unwrap();
    for watch in [&mut watch, &mut later] {
        let mut told = 0;
        while told < CONNECTIONS {
            let event = next_many(watch).await;
            told += event.changes.len() + event.snapshots.len();
            let bytes = many_event(event).bytes().len();
            assert!(bytes < TAKEN, "{bytes} bytes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_many_resumes_without_gap_or_repeat() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let mut watch = setup.gateway.watch_many(many_request()).await.unwrap();
    next_many(&mut watch).await;
    let seen_active = next_many(&mut watch).await;
    assert_eq!(seen_active.changes.len(), 1);
    drop(watch);
    let mut bystander = setup.watch("1", None).await;
    next(&mut bystander).await;
    setup.cloud.say("1", failed());
    next_state(&mut bystander).await;

    let request = WatchManyRequest {
        resume_token: seen_active.resume_token,
        ..many_request()
    };
    let mut resumed = setup.gateway.watch_many(request).await.unwrap();
    let event = next_many(&mut resumed).await;
    assert!(event.snapshots.is_empty());
    assert_eq!(event.changes[0].0.view.state, State::Failed);
}

#[tokio::test(start_paused = true)]
async fn what_is_intended_is_told_with_what_is() {
    let setup = Setup::new();
    let (id, token) = setup.create().await;
    let mut watch = setup.watch_write(&id, token).await;
    let EventKind::Snapshot(entry, _) = next(&mut watch).await.kind else {
        panic!()
    };
    assert_eq!(entry.view.intent, Intent::Enabled);
}

// Updates that a cloud cannot prove.

/// A connection that says ACTIVE before and after an update whose status tells nothing of it; the update's token.
async fn updated_while_active(setup: &Setup) -> String {
    setup.cloud.say("1", active());
    setup.cloud.prove_by(Proof::StatusMustMove {
        native_state: "ACTIVE".into(),
    });
    setup.update("1").await
}

#[tokio::test(start_paused = true)]
async fn without_its_token_an_update_is_judged_by_what_is_there_after_the_quiet_time() {
    for goal in [Goal::Config, Goal::InEffect, Goal::TunnelUp] {
        let setup = Setup::new();
        updated_while_active(&setup).await;
        let written = Instant::now();
        let mut watch = setup.watch("1", Some(goal)).await;
        let last = loop {
            let event = next(&mut watch).await;
            if event.outcome.is_some() {
                break event;
            }
            assert!(written.elapsed() < 120 * SECOND, "{goal:?} never ends");
        };
        assert!(written.elapsed() >= 75 * SECOND, "{goal:?}");
        let Some(Outcome::Succeeded(Some(reason))) = last.outcome else {
            panic!("{goal:?}: {:?}", last.outcome)
        };
        assert_eq!(reason.code, codes::ASSUMED_AFTER_QUIET_TIME, "{goal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_its_token_an_update_that_nobody_can_prove_ends_undetermined() {
    for (goal, accept_assumed, expected) in [
        (Goal::Config, false, "succeeded"),
        (Goal::InEffect, false, "undetermined"),
        (Goal::TunnelUp, false, "undetermined"),
        (Goal::TunnelUp, true, "succeeded"),
    ] {
        let setup = Setup::new();
        let write_token = updated_while_active(&setup).await;
        let written = Instant::now();
        let request = WatchRequest {
            goal: Some(goal),
            write_token,
            accept_assumed,
            ..setup.request("1")
        };
        let mut watch = setup.gateway.watch(request).await.unwrap();
        let (last, evidence) = loop {
            let event = next(&mut watch).await;
            let after = written.elapsed();
            if let (Some(outcome), EventKind::Change(entry)) = (event.outcome, event.kind) {
                assert!(after >= 75 * SECOND, "{goal:?} after {after:?}");
                break (outcome, entry);
            }
            assert!(after < 120 * SECOND, "{goal:?} never ends");
        };
        let (result, reason) = match last {
            Outcome::Succeeded(reason) => ("succeeded", reason),
            Outcome::Failed(reason) => ("failed", Some(reason)),
            Outcome::Undetermined(reason) => ("undetermined", Some(reason)),
        };
        assert_eq!(result, expected, "{goal:?}");
        assert_eq!(reason.unwrap().code, codes::ASSUMED_AFTER_QUIET_TIME);
        // What the cloud says is told to everybody alike; only the outcome differs.
        assert_eq!(
            (evidence.view.state, evidence.view.assurance),
            (State::Active, Assurance::IntentStored)
        );
        assert!(watch.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_may_still_be_proven_goes_on() {
    let setup = Setup::new();
    let write_token = updated_while_active(&setup).await;
    let down = seen(State::Down, Assurance::ControlPlane, "DOWN");
    setup.cloud.say("1", down);
    let request = WatchRequest {
        goal: Some(Goal::TunnelUp),
        write_token,
        ..setup.request("1")
    };
    let mut watch = setup.gateway.watch(request).await.unwrap();
    let written = Instant::now();
    while written.elapsed() < 600 * SECOND {
        let event = next(&mut watch).await;
        assert_eq!(event.outcome, None, "after {:?}", written.elapsed());
    }
    // It comes up, and whether by the update nobody can tell.
    setup.cloud.say("1", active());
    let up = Instant::now();
    let outcome = loop {
        if let Some(outcome) = next(&mut watch).await.outcome {
            break outcome;
        }
    };
    assert!(matches!(outcome, Outcome::Undetermined(_)), "{outcome:?}");
    assert!(up.elapsed() >= 75 * SECOND);
}

// Writes made elsewhere.

impl Setup {
    /// A watch for a write that somebody else made to a connection that is in place.
    async fn watch_elsewhere(&self, id: &str, request_id: &str) -> Result<Watch, Error> {
        let request = WatchRequest {
            upstream_request_ids: vec![request_id.to_owned()],
            ..self.request(id)
        };
        self.gateway.watch(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_made_elsewhere_is_watched_to_its_outcome() {
    let outcomes = [(realized(), "succeeded"), (failed(), "failed")];
    for (end, expected) in outcomes {
        let setup = Setup::new();
        setup.cloud.say("1", realized());
        setup.cloud.say_of_write("theirs", in_progress());
        let mut watch = setup.watch_elsewhere("1", "theirs").await.unwrap();
        let opened = Instant::now();
        // The connection is in place, and that write is not.
        while opened.elapsed() < 60 * SECOND {
            assert_eq!(next(&mut watch).await.outcome, None);
        }
        setup.cloud.say_of_write("theirs", end);
        let told = Instant::now();
        let outcome = loop {
            if let Some(outcome) = next(&mut watch).await.outcome {
                break outcome;
            }
        };
        match expected {
            "succeeded" => {
                assert_eq!(outcome, Outcome::Succeeded(None));
                assert!(told.elapsed() <= 3 * SECOND);
            }
            _ => {
                assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
                assert!(told.elapsed() >= 10 * SECOND, "a failure needs two looks");
            }
        }
        assert!(watch.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn who_names_ids_that_mean_nothing_disturbs_nobody() {
    let setup = Setup::new();
    setup.cloud.say("1", realized());
    let mut junk = setup.watch_elsewhere("1", "junk").await.unwrap();
    setup.cloud.say_of_write("of another object", failed());
    let mut other = setup
        .watch_elsewhere("1", "of another object")
        .await
        .unwrap();
    let mut honest = setup.watch("1", Some(Goal::Config)).await;
    assert!(is_success(&next(&mut honest).await));
    assert_eq!(state(&next(&mut other).await), State::Realized);
    let opened = Instant::now();
    while opened.elapsed() < 60 * SECOND {
        assert_eq!(next(&mut junk).await.outcome, None);
    }
    drop((junk, other));
    let looked = setup.look("1", false, &[]).await;
    assert_eq!(looked.unwrap().observation.view.state, State::Realized);
    assert_eq!(setup.cloud.last_target().elsewhere, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_a_write_made_elsewhere_speaks_for_it() {
    let setup = Setup::new();
    setup.cloud.say("1", realized());
    setup.cloud.say_of_write("theirs", in_progress());
    let theirs = ["theirs".to_owned()];
    let look = async || {
        let looked = setup.look("1", false, &theirs).await;
        looked.unwrap().observation
    };
    assert_eq!(look().await.view.state, State::InProgress);
    setup.cloud.say_of_write("theirs", realized());
    let seen = look().await;
    assert_eq!(
        (seen.view.state, &seen.view.request_ids[..]),
        (State::Realized, &theirs[..])
    );
    let waited = setup.gateway.wait(
        WatchRequest {
            upstream_request_ids: theirs.to_vec(),
            ..setup.request("1")
        },
        Instant::now() + 5 * SECOND,
    );
    let waited = waited.await.unwrap();
    assert_eq!(waited.outcome, Some(Outcome::Succeeded(None)));
    assert_eq!(waited.observation.view.request_ids, theirs);
}

#[tokio::test(start_paused = true)]
async fn ids_of_writes_are_refused_where_they_mean_nothing() {
    let setup = Setup::new();
    setup.cloud.say("1", realized());
    let gone = WatchRequest {
        upstream_request_ids: vec!["theirs".to_owned()],
        goal: Some(Goal::Gone),
        ..setup.request("1")
    };
    let error = setup.gateway.watch(gone).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    assert_eq!(error.context.violations[0].field, "upstream_request_ids");

    let mut held = Vec::new();
    let error = loop {
        match setup.watch_elsewhere("1", &held.len().to_string()).await {
            Ok(watch) => held.push(watch),
            Err(error) => break error,
        }
    };
    assert_eq!((held.len(), error.reason), (16, ErrorReason::LimitExceeded));
}

// What somebody else watches changes nothing for the rest.

#[tokio::test(start_paused = true)]
async fn a_bystander_does_not_make_a_write_forgotten() {
    // Of our own delete, and of a create whose connection somebody else removed.
    for ours in [true, false] {
        let setup = Setup::new();
        let (id, made) = setup.create().await;
        let token = if ours { setup.delete(&id).await } else { made };
        setup.cloud.say(&id, gone());
        let mut watch = setup.watch(&id, Some(Goal::Gone)).await;
        while next(&mut watch).await.outcome.is_none() {}
        drop(watch);
        let error = setup.gateway.watch(setup.request(&id)).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::ConnectionNotFound);
        let mut watch = setup.watch_write(&id, token).await;
        let outcome = loop {
            if let Some(outcome) = next(&mut watch).await.outcome {
                break outcome;
            }
        };
        assert_eq!(matches!(outcome, Outcome::Succeeded(_)), ours);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bystander_does_not_make_a_position_forgotten() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", None).await;
    let position = next(&mut watch).await.resume_token();
    drop(watch);
    setup.cloud.say("1", gone());
    let looked = setup.look("1", false, &[]).await;
    assert_eq!(looked.unwrap_err().reason, ErrorReason::ConnectionNotFound);
    let mut resumed = setup.resume("1", position).await.unwrap();
    assert_eq!(state(&next_state(&mut resumed).await), State::Deleted);
}
