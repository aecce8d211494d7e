//! Promise 3: what a slow reader misses is counted.

use crate::support::{
    scripted::{in_progress, realized, seen},
    setup::{Setup, is_success, next, next_state, state},
};
use isthmus::{
    core::{
        error::{ErrorKind, ErrorReason},
        watch::stream::CONFLATE_BEYOND,
    },
    model::{Assurance, RealizationState as State},
};

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
