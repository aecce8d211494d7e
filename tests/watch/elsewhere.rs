//! Writes made elsewhere, watched by their upstream request ids.

use crate::support::{
    scripted::{failed, in_progress, realized},
    setup::{SECOND, Setup, is_success, next, state},
};
use isthmus::{
    core::{
        error::{Error, ErrorKind, ErrorReason},
        realizations::WatchRequest,
        watch::stream::{Outcome, Watch},
    },
    model::{Goal, RealizationState as State},
};
use tokio::time::Instant;

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
    let polled = setup.poll("1", false, &[]).await;
    assert_eq!(polled.unwrap().observation.status.state, State::Realized);
    assert_eq!(setup.cloud.last_target().elsewhere, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_a_write_made_elsewhere_speaks_for_it() {
    let setup = Setup::new();
    setup.cloud.say("1", realized());
    setup.cloud.say_of_write("theirs", in_progress());
    let theirs = ["theirs".to_owned()];
    let poll = async || {
        let polled = setup.poll("1", false, &theirs).await;
        polled.unwrap().observation
    };
    assert_eq!(poll().await.status.state, State::InProgress);
    setup.cloud.say_of_write("theirs", realized());
    let seen = poll().await;
    assert_eq!(
        (seen.status.state, &seen.status.request_ids[..]),
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
    assert_eq!(waited.observation.status.request_ids, theirs);
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
