//! Promise 4: exactly one outcome.

use crate::support::{
    scripted::{active, failed, gone, outage, realized},
    setup::{SECOND, Setup, is_success, next, next_state, state},
};
use isthmus::{
    core::{
        dialect::Proof,
        watch::stream::{EventKind, Outcome},
    },
    model::{RealizationState as State, codes},
};
use std::time::Duration;
use tokio::time::Instant;

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
        (entry.status.state, entry.status.nodes.len()),
        (State::InProgress, 2)
    );
    setup.cloud.say(&id, realized());
    let last = next_state(&mut watch).await;
    let EventKind::Change(entry) = &last.kind else {
        panic!()
    };
    assert_eq!(entry.status.native_state, "in_sync");
    assert_eq!(entry.status.request_ids, ["r-1"]);
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
