//! Promise 10: every end has a reason. A wait ends as well.

use crate::support::{
    scripted::{active, failed, login_refused, outage, realized},
    setup::{SECOND, Setup, next, next_state, state},
};
use isthmus::{
    core::{
        error::{ErrorKind, ErrorReason},
        realizations::WatchRequest,
        watch::stream::{EventKind, Outcome},
    },
    model::{Goal, Intent, RealizationState as State},
};
use tokio::time::Instant;

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
        (waited.observation.status.state, waited.outcome),
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
async fn a_poll_now_is_of_now() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let standing = setup.poll("1", true, &[]).await.unwrap();
    assert_eq!(standing.observation.status.state, State::Active);
    assert!(setup.cloud.last_target().want_tunnel);
    setup.cloud.say("1", failed());
    let standing = setup.poll("1", false, &[]).await.unwrap();
    assert_eq!(standing.observation.status.state, State::Failed);
    setup.cloud.say("1", Err(outage()));
    let error = setup.poll("1", false, &[]).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnreachable);
    let error = setup.poll("none", false, &[]).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ConnectionNotFound);
}

#[tokio::test(start_paused = true)]
async fn what_is_intended_is_told_with_what_is() {
    let setup = Setup::new();
    let (id, token) = setup.create().await;
    let mut watch = setup.watch_write(&id, token).await;
    let EventKind::Snapshot(entry, _) = next(&mut watch).await.kind else {
        panic!()
    };
    assert_eq!(entry.status.intent, Intent::Enabled);
}
