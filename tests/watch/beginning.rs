//! Promises 1 and 2: the snapshot comes first, and sequences and times only grow.

use crate::support::{
    scripted::{active, failed, in_progress, outage, realized},
    setup::{Setup, is_snapshot, is_success, next, next_state, state},
};
use isthmus::{
    core::{
        error::{ErrorKind, ErrorReason},
        watch::stream::EventKind,
    },
    model::{Assurance, Goal, RealizationState as State},
};

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
        (entry.status.state, entry.status.assurance, *stale),
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
        assert!(entry.revision > last.0);
        assert!(entry.observe_time >= last.1);
        last = (entry.revision, entry.observe_time);
        setup
            .cloud
            .say("1", if round % 2 == 0 { active() } else { realized() });
    }
}
