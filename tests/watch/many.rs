//! Watching many connections at once.

use crate::support::{
    scripted::{Answer, Scripted, active, failed, in_progress, seen},
    setup::{HEARTBEAT, SECOND, Setup, is_success, many_request, next, next_many, next_state},
};
use isthmus::{
    core::{
        clock,
        dialect::Dialect,
        gateway::Gateway,
        realizations::{WatchManyRequest, WatchRequest},
    },
    grpc::convert::realization::many_event,
    model::{Assurance, Goal, Node, RealizationState as State},
};
use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

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
        (unseen.status.state, unseen.status.assurance),
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
                .map(|(entry, _)| (entry.name.id.to_string(), entry.status.state)),
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
        .map(|entry| (&*entry.name.id, entry.status.state))
        .collect();
    assert_eq!(told, [("2", State::Deleting), ("3", State::Unknown)]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_from_ten_thousand_connections_is_packed() {
    const CONNECTIONS: usize = 10_000;
    let setup = Setup::new();
    let ids: Vec<String> = (0..CONNECTIONS).map(|at| format!("{at:05}")).collect();
    let say = |answer: fn() -> Answer| {
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
    // Longer than it takes to poll all, and nobody reads meanwhile.
    tokio::time::sleep(45 * SECOND).await;
    let (mut messages, mut told) = (0, Vec::new());
    while told.len() < CONNECTIONS {
        let event = next_many(&mut watch).await;
        messages += 1;
        for (entry, left_out) in event.changes {
            assert_eq!((entry.status.state, left_out), (State::Active, 0));
            told.push((entry.revision, entry.name.id.to_string()));
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
            let bytes = many_event(event).into_bytes().len();
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
    assert_eq!(event.changes[0].0.status.state, State::Failed);
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
    // It is polled no more, and that shows whatever the clock says.
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
