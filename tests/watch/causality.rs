//! Promise 5: what is decided about a write is seen after it.

use crate::support::{
    scripted::{active, in_progress, realized},
    setup::{SECOND, Setup, next, next_state, state},
};
use isthmus::{
    core::{
        dialect::Proof,
        error::{ErrorKind, ErrorReason},
        realizations::WatchRequest,
    },
    model::{Goal, RealizationState as State},
};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_poll_that_began_before_the_write_was_done_decides_nothing() {
    let setup = Setup::new();
    setup.cloud.say("1", realized());
    let mut bystander = setup.watch("1", None).await;
    next(&mut bystander).await;
    // A poll is under way, and will bring what was true before the write.
    setup.cloud.hold();
    let polls = setup.cloud.polls();
    while setup.cloud.polls() == polls {
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
