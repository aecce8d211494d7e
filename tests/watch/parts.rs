//! Writes to a policy, watched on the connections that use it.

use crate::support::{
    scripted::{Scripted, active, failed, gone, in_progress, login_refused, outage, realized},
    setup::{HEARTBEAT, SECOND, Setup},
};
use isthmus::{
    core::{
        error::{ErrorKind, ErrorReason},
        realizations::{PollRequest, WatchRequest},
        watch::{
            part::{
                self,
                stream::{PartEvent, PartEventKind, PartStatus, PartWatch},
            },
            stream::Outcome,
        },
    },
    model::{Collection, Goal, RealizationState as State, ResourceName, codes},
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const WRITE: &str = "the-write";

fn policy() -> ResourceName {
    ResourceName::parse(Collection::IkePolicies, "backends/a/ikePolicies/p").unwrap()
}

/// A watch of a write with these ids, for nothing in particular.
fn request(ids: &[&str]) -> WatchRequest {
    let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
    WatchRequest {
        write_token: part::token(&policy(), &ids),
        ..WatchRequest::of(policy())
    }
}

/// A cloud on which these use the policy, and are in place.
fn setup(cloud: std::sync::Arc<Scripted>, users: &[&str]) -> Setup {
    for id in users {
        cloud.say(id, realized());
        cloud.uses(id, "p");
    }
    cloud.say("other", realized());
    cloud.uses("other", "q");
    Setup::over(cloud)
}

async fn open(setup: &Setup, request: WatchRequest) -> PartWatch {
    setup.gateway.watch_part(request).await.unwrap()
}

/// The next message, which comes within the heartbeat.
async fn next(watch: &mut PartWatch) -> PartEvent {
    let next = timeout(HEARTBEAT + SECOND, watch.next()).await;
    next.expect("the silence is too long").unwrap().unwrap()
}

fn status(event: &PartEvent) -> Option<&PartStatus> {
    match &event.kind {
        PartEventKind::Snapshot(status) | PartEventKind::Change(status) => Some(status),
        PartEventKind::Heartbeat(_) => None,
    }
}

/// Everything that is told until the end: the states, each once, the last status and the outcome.
async fn to_the_end(watch: &mut PartWatch) -> (Vec<State>, PartStatus, Outcome) {
    let begun = Instant::now();
    let (mut states, mut last) = (Vec::new(), None);
    loop {
        let event = next(watch).await;
        if let Some(status) = status(&event) {
            states.push(status.observation.status.state);
            last = Some(status.clone());
        }
        if let Some(outcome) = event.outcome {
            assert!(watch.next().await.is_none());
            states.dedup();
            return (states, last.unwrap(), outcome);
        }
        assert!(begun.elapsed() < 1000 * SECOND, "it never ends");
    }
}

fn counts(status: &PartStatus) -> (usize, usize, usize, Vec<&str>) {
    let part_use = &status.part_use;
    let waiting = part_use.waiting.iter().map(|name| &*name.id).collect();
    (
        part_use.connections,
        part_use.proven,
        part_use.failed,
        waiting,
    )
}

#[tokio::test(start_paused = true)]
async fn a_write_to_a_part_is_over_when_every_connection_that_uses_it_has_it() {
    let setup = setup(Scripted::new(), &["1", "2", "3"]);
    setup.cloud.say_of_write(WRITE, in_progress());
    let mut watch = open(&setup, request(&[WRITE])).await;
    let first = next(&mut watch).await;
    assert!(matches!(first.kind, PartEventKind::Snapshot(_)));
    let snapshot = status(&first).unwrap();
    assert_eq!(snapshot.observation.name, policy());
    assert_eq!(snapshot.observation.status.state, State::Accepted);
    assert_eq!(counts(snapshot), (3, 0, 0, vec!["1", "2", "3"]));
    let opened = Instant::now();
    while opened.elapsed() < 60 * SECOND {
        // The connections are in place all the time, and the write is not.
        let event = next(&mut watch).await;
        assert_eq!(event.outcome, None);
        if let Some(status) = status(&event) {
            let states = [State::Accepted, State::InProgress];
            assert!(states.contains(&status.observation.status.state));
        }
    }
    setup.cloud.say_of_write(WRITE, realized());
    let told = Instant::now();
    let (states, last, outcome) = to_the_end(&mut watch).await;
    assert_eq!(states, [State::InProgress, State::Realized]);
    assert_eq!(counts(&last), (3, 3, 0, vec![]));
    assert_eq!(outcome, Outcome::Succeeded(None));
    assert!(told.elapsed() <= 3 * SECOND, "{:?}", told.elapsed());
    let asked = setup.cloud.targets();
    let of_other = asked.iter().filter(|target| target.id == "other");
    assert_eq!(of_other.count(), 0, "it does not use the policy");
    setup.poll("1", false, &[]).await.unwrap();
    assert!(setup.cloud.last_target().elsewhere.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_part_that_no_connection_uses_is_done_at_once() {
    let setup = setup(Scripted::new(), &[]);
    let mut watch = open(&setup, request(&[WRITE])).await;
    let (states, last, outcome) = to_the_end(&mut watch).await;
    assert_eq!(
        (states, counts(&last)),
        (vec![State::Realized], (0, 0, 0, vec![]))
    );
    let Outcome::Succeeded(Some(reason)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason.code, codes::NOT_IN_USE);
    assert_eq!(setup.cloud.polls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_on_one_is_told_once_confirmed_and_ends_when_none_waits() {
    let setup = setup(Scripted::new(), &["1", "2"]);
    setup.cloud.say_of_write(WRITE, realized());
    setup.cloud.say("1", failed());
    setup.cloud.say("2", in_progress());
    let mut watch = open(&setup, request(&[WRITE])).await;
    let opened = Instant::now();
    let failed = loop {
        let event = next(&mut watch).await;
        assert_eq!(event.outcome, None);
        if let Some(status) = status(&event)
            && status.observation.status.state == State::Failed
        {
            break status.clone();
        }
    };
    assert!(opened.elapsed() >= 10 * SECOND, "a failure needs two polls");
    assert_eq!(counts(&failed), (2, 0, 1, vec!["2"]));
    let reason = failed.observation.status.reason.unwrap();
    assert!(reason.message.contains("connections/1"), "{reason:?}");
    for _ in 0..5 {
        assert_eq!(next(&mut watch).await.outcome, None, "one waits");
    }
    setup.cloud.say("2", realized());
    let (_, last, outcome) = to_the_end(&mut watch).await;
    assert_eq!(counts(&last), (2, 1, 1, vec![]));
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_vanishes_no_longer_counts_and_one_that_comes_does_not() {
    let setup = setup(Scripted::new(), &["1", "2"]);
    setup.cloud.say_of_write(WRITE, in_progress());
    let mut watch = open(&setup, request(&[WRITE])).await;
    next(&mut watch).await;
    setup.cloud.say("3", realized());
    setup.cloud.uses("3", "p");
    setup.cloud.say("1", gone());
    setup.delete("2").await;
    let (_, last, outcome) = to_the_end(&mut watch).await;
    assert_eq!(counts(&last), (0, 0, 0, vec![]));
    let Outcome::Succeeded(Some(reason)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason.code, codes::NOT_IN_USE);
}

#[tokio::test(start_paused = true)]
async fn where_writes_leave_no_trace_time_tells_as_after_an_update() {
    for (goal, accept_assumed, expected) in [
        (None, false, "succeeded"),
        (Some(Goal::InEffect), false, "undetermined"),
        (Some(Goal::TunnelUp), false, "undetermined"),
        (Some(Goal::TunnelUp), true, "succeeded"),
    ] {
        let setup = setup(Scripted::without_tracking(50), &["1", "2"]);
        for id in ["1", "2"] {
            setup.cloud.say(id, active());
        }
        // Known for long before the write.
        setup.poll("1", true, &[]).await.unwrap();
        let mut watch = open(
            &setup,
            WatchRequest {
                goal,
                accept_assumed,
                ..request(&[])
            },
        )
        .await;
        let opened = Instant::now();
        let (states, last, outcome) = to_the_end(&mut watch).await;
        assert!(opened.elapsed() >= 75 * SECOND, "{:?}", opened.elapsed());
        assert!(opened.elapsed() <= 120 * SECOND, "{:?}", opened.elapsed());
        assert_eq!(
            states,
            [State::Accepted, State::InProgress, State::Realized]
        );
        let (reason, proven) = match (outcome, expected) {
            (Outcome::Succeeded(Some(reason)), "succeeded") => (reason, 2),
            (Outcome::Undetermined(reason), "undetermined") => (reason, 0),
            (outcome, _) => panic!("{goal:?}: {outcome:?}"),
        };
        assert_eq!(reason.code, codes::ASSUMED_AFTER_QUIET_TIME);
        assert_eq!(
            (last.part_use.proven, last.part_use.connections),
            (proven, 2)
        );
        assert!(last.observation.status.assumption.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_part_cannot_be_asked_is_refused_by_field() {
    let setup = setup(Scripted::new(), &["1"]);
    let wrong = [
        (
            WatchRequest {
                write_token: String::new(),
                ..request(&[WRITE])
            },
            "write_token",
        ),
        (
            WatchRequest {
                write_token: "junk".to_owned(),
                ..request(&[WRITE])
            },
            "write_token",
        ),
        (
            WatchRequest {
                resume_token: "some".to_owned(),
                ..request(&[WRITE])
            },
            "resume_token",
        ),
        (
            WatchRequest {
                upstream_request_ids: vec!["r".to_owned()],
                ..request(&[WRITE])
            },
            "upstream_request_ids",
        ),
        (
            WatchRequest {
                goal: Some(Goal::Gone),
                ..request(&[WRITE])
            },
            "goal",
        ),
    ];
    for (request, field) in wrong {
        let error = setup.gateway.watch_part(request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidArgument);
        let fields = error.context.violations.iter().map(|it| it.field.as_str());
        assert_eq!(fields.collect::<Vec<_>>(), [field]);
    }
    assert_eq!((setup.cloud.polls(), setup.cloud.lists()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_no_outcome_and_a_login_lost_for_long_ends_it() {
    let setup = setup(Scripted::new(), &["1", "2"]);
    setup.cloud.say_of_write(WRITE, realized());
    setup.cloud.fail_all(&outage());
    let mut watch = open(&setup, request(&[WRITE])).await;
    next(&mut watch).await;
    let mut heard = None;
    for _ in 0..20 {
        let event = next(&mut watch).await;
        assert_eq!(event.outcome, None);
        if let PartEventKind::Heartbeat(pulse) = event.kind {
            heard = pulse.last_error;
        }
    }
    assert_eq!(heard, Some(ErrorReason::UpstreamUnreachable));
    setup.cloud.say("1", realized());
    setup.cloud.fail_all(&login_refused());
    let error = loop {
        match timeout(HEARTBEAT + SECOND, watch.next()).await.unwrap() {
            Some(Ok(event)) => assert_eq!(event.outcome, None),
            Some(Err(error)) => break error,
            None => panic!("it ended without a reason"),
        }
    };
    assert_eq!(error.reason, ErrorReason::UpstreamAuth);
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn thousands_are_watched_some_at_a_time_and_those_that_hang_hold_up_no_others() {
    let many = 1000;
    let ids: Vec<String> = (0..many).map(|id| format!("{id:04}")).collect();
    let users: Vec<&str> = ids.iter().map(String::as_str).collect();
    let setup = setup(Scripted::new(), &users);
    setup.cloud.say_of_write(WRITE, realized());
    // More than there are places.
    for id in &users[..100] {
        setup.cloud.say(id, in_progress());
    }
    let mut watch = open(&setup, request(&[WRITE])).await;
    let opened = Instant::now();
    let mut most = 0;
    let last = loop {
        let event = next(&mut watch).await;
        assert_eq!(event.outcome, None);
        let watched = setup.gateway.backend(&setup.backend).unwrap().watched;
        most = most.max(watched);
        if let Some(status) = status(&event)
            && status.part_use.proven == many - 100
        {
            break status.clone();
        }
        assert!(
            opened.elapsed() < 1000 * SECOND,
            "those that hang hold up others"
        );
    };
    assert!(most <= 64, "{most}");
    let (connections, _, failed, waiting) = counts(&last);
    assert_eq!((connections, failed), (many, 0));
    assert_eq!(waiting, &users[..64]);
    for id in &users[..100] {
        setup.cloud.say(id, realized());
    }
    let (_, last, outcome) = to_the_end(&mut watch).await;
    assert_eq!(counts(&last), (many, many, 0, vec![]));
    assert_eq!(outcome, Outcome::Succeeded(None));
}

#[tokio::test(start_paused = true)]
async fn two_who_watch_the_same_write_share_polls() {
    let setup = setup(Scripted::new(), &["1"]);
    setup.cloud.say_of_write(WRITE, in_progress());
    let both = request(&[WRITE]);
    let mut one = open(&setup, both.clone()).await;
    let mut other = open(&setup, both).await;
    let opened = Instant::now();
    while opened.elapsed() < 30 * SECOND {
        next(&mut one).await;
        next(&mut other).await;
    }
    let polls = setup.cloud.polls();
    assert!((10..=20).contains(&polls), "{polls} polls in 30 s");
}

#[tokio::test(start_paused = true)]
async fn one_answer_tells_where_a_write_to_a_part_stands() {
    let setup = setup(Scripted::new(), &["1", "2"]);
    setup.cloud.say_of_write(WRITE, realized());
    setup.cloud.say("2", in_progress());
    let asked = request(&[WRITE]);
    let poll = PollRequest {
        name: policy(),
        include_tunnel: false,
        write_token: asked.write_token.clone(),
        upstream_request_ids: Vec::new(),
    };
    let soon = || Instant::now() + 5 * SECOND;
    let seen = setup.gateway.poll_part_now(&poll, soon()).await.unwrap();
    let part_use = seen.part_use.unwrap();
    assert_eq!((part_use.connections, part_use.proven), (2, 1));
    assert_eq!(part_use.waiting, [setup.name("2")]);
    assert_eq!(seen.observation.status.state, State::InProgress);

    let waited = setup
        .gateway
        .wait_part(asked.clone(), soon())
        .await
        .unwrap();
    assert_eq!((waited.outcome, waited.part_use), (None, Some(part_use)));
    setup.cloud.say("2", realized());
    let waited = setup.gateway.wait_part(asked, soon()).await.unwrap();
    assert_eq!(waited.outcome, Some(Outcome::Succeeded(None)));
    assert_eq!(waited.part_use.unwrap().proven, 2);

    setup.cloud.fail_all(&outage());
    let error = setup
        .gateway
        .poll_part_now(&poll, soon())
        .await
        .unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnreachable);
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_while_the_backend_was_there_is_told_before_that_it_is_not() {
    for is_done in [true, false] {
        let setup = setup(Scripted::new(), &["1"]);
        setup.cloud.say_of_write(WRITE, in_progress());
        let mut watch = open(&setup, request(&[WRITE])).await;
        next(&mut watch).await;
        sleep(20 * SECOND).await;
        if is_done {
            setup.cloud.say_of_write(WRITE, realized());
            // Polls see it, and nobody reads.
            sleep(20 * SECOND).await;
        }
        setup.gateway.reload(vec![]).await.unwrap();
        let removed = Instant::now();
        let (mut outcome, mut end) = (None, None);
        while let Some(event) = watch.next().await {
            match event {
                Ok(event) => outcome = event.outcome.or(outcome),
                Err(error) => end = Some(error.reason),
            }
        }
        assert_eq!(removed.elapsed(), Duration::ZERO);
        match is_done {
            true => assert_eq!((outcome, end), (Some(Outcome::Succeeded(None)), None)),
            false => assert_eq!((outcome, end), (None, Some(ErrorReason::BackendRemoved))),
        }
    }
}
