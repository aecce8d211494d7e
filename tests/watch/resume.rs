//! Promise 6: a token goes on without gap or repeat.

use crate::support::{
    scripted::{active, failed, gone, in_progress, realized},
    setup::{Setup, is_snapshot, next, next_state, state},
};
use isthmus::{
    core::{
        error::{ErrorKind, ErrorReason},
        realizations::WatchRequest,
        watch::stream::EventKind,
    },
    model::RealizationState as State,
};
use std::time::Duration;

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

#[tokio::test(start_paused = true)]
async fn a_bystander_does_not_make_a_position_forgotten() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", None).await;
    let position = next(&mut watch).await.resume_token();
    drop(watch);
    setup.cloud.say("1", gone());
    let polled = setup.poll("1", false, &[]).await;
    assert_eq!(polled.unwrap_err().reason, ErrorReason::ConnectionNotFound);
    let mut resumed = setup.resume("1", position).await.unwrap();
    assert_eq!(state(&next_state(&mut resumed).await), State::Deleted);
}
