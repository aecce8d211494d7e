//! What proves that a change has taken effect, on a cloud that does not say, and what happens where nothing
//! does.

use crate::{
    calls::{change, gateway, made, remove},
    cloud::{self, Login, QUIET, reports},
    support::running::{Running, id_of},
};
use isthmus::grpc::pb::{self, Goal, RealizationState as State};
use std::time::Instant;

/// A connection that the agent says this of, and a change of it: name and the write's token.
async fn changed(running: &Running, status: &str) -> (String, String, Instant) {
    let (name, _) = made(running).await;
    reports(&id_of(&name), status);
    let token = change(running, &name, "branch 43").await.unwrap();
    let answered = Instant::now();
    (name, token, answered)
}

fn code(realization: &pb::Realization) -> &str {
    let reason = realization.reason.as_ref();
    reason.map_or("", |reason| reason.code.as_str())
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn active_before_and_after_an_update_is_assumed_after_the_quiet_time() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let (name, token, answered) = changed(&running, "ACTIVE").await;
    let watch = running.watch(&name, Goal::Config, &token).await.unwrap();
    let (states, outcome) = watch.end().await;
    assert!(answered.elapsed() >= QUIET, "{:?}", answered.elapsed());
    let (last, before) = states.split_last().unwrap();
    for waiting in before {
        assert_eq!(
            (waiting.state(), waiting.assurance()),
            (State::Accepted, pb::Assurance::IntentStored)
        );
    }
    let awaiting = before.last().expect("the quiet time is seen to pass");
    assert_eq!(
        (code(awaiting), awaiting.native_state.as_str()),
        ("AWAITING_PROOF", "ACTIVE")
    );
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert_eq!(outcome.reason.unwrap().code, "ASSUMED_AFTER_QUIET_TIME");
    assert_eq!(
        (last.state(), last.assurance(), code(last)),
        (
            State::Active,
            pb::Assurance::IntentStored,
            "ASSUMED_AFTER_QUIET_TIME"
        )
    );
    assert_eq!(running.get(&name).await.unwrap().display_name, "branch 43");

    // A change that changes nothing has nothing to wait for.
    let begun = Instant::now();
    let token = change(&running, &name, "branch 43").await.unwrap();
    let watch = running.watch(&name, Goal::Config, &token).await.unwrap();
    let (_, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert!(begun.elapsed() < QUIET, "{:?}", begun.elapsed());
    remove(&running, &name).await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_leaves_and_comes_back_proves_nothing_of_an_update() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let (name, token, _) = changed(&running, "ACTIVE").await;
    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    let as_it_is = running.watch(&name, Goal::TunnelUp, "").await.unwrap();
    let accepted = watch.until(State::Accepted).await;
    assert_eq!(accepted.assurance(), pb::Assurance::IntentStored);
    reports(&id_of(&name), "DOWN");
    loop {
        let (seen, outcome) = watch.next_state().await.unwrap();
        assert_eq!((seen.state(), outcome), (State::Accepted, None));
        if seen.native_state == "DOWN" {
            break;
        }
    }
    reports(&id_of(&name), "ACTIVE");
    let came_back = Instant::now();
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Undetermined);
    assert_eq!(outcome.reason.unwrap().code, "ASSUMED_AFTER_QUIET_TIME");
    assert!(came_back.elapsed() >= QUIET, "{:?}", came_back.elapsed());
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance(), last.native_state.as_str()),
        (State::Active, pb::Assurance::IntentStored, "ACTIVE")
    );
    // Who does not ask about the write asks about the connection as it is.
    let (states, outcome) = as_it_is.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert_eq!(outcome.reason.unwrap().code, "ASSUMED_AFTER_QUIET_TIME");
    assert_eq!(states.last(), Some(last));
    remove(&running, &name).await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_name_leaves_what_is_proven_as_it_was() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let (name, _) = made(&running).await;
    reports(&id_of(&name), "ACTIVE");
    let begun = Instant::now();
    let connection = pb::Connection {
        name: name.clone(),
        display_name: "branch 43".to_owned(),
        ..pb::Connection::default()
    };
    let answer = running.update(connection, &["display_name"]).await;
    let token = answer.unwrap().write_token;
    let watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    let (_, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert_eq!(outcome.reason, None);
    assert!(begun.elapsed() < QUIET, "{:?}", begun.elapsed());
    remove(&running, &name).await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn error_from_before_a_repairing_update_is_not_held_against_it() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let (name, token, _) = changed(&running, "ERROR").await;
    let mut watch = running.watch(&name, Goal::Config, &token).await.unwrap();
    loop {
        let (seen, outcome) = watch.next_state().await.unwrap();
        assert_eq!((seen.state(), outcome), (State::Accepted, None));
        if seen.native_state == "ERROR" {
            break;
        }
    }
    reports(&id_of(&name), "ACTIVE");
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert!(states.iter().all(|seen| seen.state() != State::Failed));
    assert_eq!(states.last().unwrap().state(), State::Active);
    remove(&running, &name).await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn error_that_outlasts_the_quiet_time_fails_the_update() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let (name, token, answered) = changed(&running, "ERROR").await;
    let watch = running.watch(&name, Goal::Config, &token).await.unwrap();
    let (states, outcome) = watch.end().await;
    assert!(answered.elapsed() >= QUIET, "{:?}", answered.elapsed());
    assert_eq!(outcome.result(), pb::outcome::Result::Failed);
    assert_eq!(outcome.reason.unwrap().code, "UPSTREAM_ERROR");
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.native_state.as_str()),
        (State::Failed, "ERROR")
    );
    remove(&running, &name).await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switching_off_is_done_when_the_agent_has_done_it_and_on_again_alike() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let (name, _) = made(&running).await;
    let id = id_of(&name);
    reports(&id, "ACTIVE");
    let switch = async |enabled: bool| {
        let connection = pb::Connection {
            name: name.clone(),
            admin_enabled: Some(enabled),
            ..pb::Connection::default()
        };
        let answer = running
            .update(connection, &["admin_enabled"])
            .await
            .unwrap();
        running
            .watch(&name, Goal::Config, &answer.write_token)
            .await
            .unwrap()
    };

    let mut off = switch(false).await;
    let still = off.until(State::InProgress).await;
    assert_eq!(
        (still.native_state.as_str(), still.intent()),
        ("ACTIVE", pb::Intent::Disabled)
    );
    reports(&id, "DOWN");
    let (states, outcome) = off.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.native_state.as_str(), code(last)),
        (State::Disabled, "DOWN", "ADMIN_DISABLED")
    );
    let rests_on = last.assumption.as_ref().map(|reason| &reason.code[..]);
    assert_eq!(rests_on, Some("ASSUMED_AFTER_QUIET_TIME"));

    let mut on = switch(true).await;
    on.until(State::Accepted).await;
    reports(&id, "ACTIVE");
    let (states, outcome) = on.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert!(states.iter().all(|seen| seen.state() != State::Disabled));
    assert_eq!(states.last().unwrap().state(), State::Active);
    remove(&running, &name).await;
}
