//! Updates that a cloud cannot prove.

use crate::support::{
    scripted::{active, seen},
    setup::{SECOND, Setup, next},
};
use isthmus::{
    core::{
        dialect::Proof,
        realizations::WatchRequest,
        watch::stream::{EventKind, Outcome},
    },
    model::{Assurance, Goal, RealizationState as State, codes},
};
use tokio::time::Instant;

/// A connection that says ACTIVE before and after an update whose status tells nothing of it; the update's token.
async fn updated_while_active(setup: &Setup) -> String {
    setup.cloud.say("1", active());
    setup.cloud.prove_by(Proof::StatusMustMove {
        native_state: "ACTIVE".into(),
    });
    setup.update("1").await
}

#[tokio::test(start_paused = true)]
async fn without_its_token_an_update_is_judged_by_what_is_there_after_the_quiet_time() {
    for goal in [Goal::Config, Goal::InEffect, Goal::TunnelUp] {
        let setup = Setup::new();
        updated_while_active(&setup).await;
        let written = Instant::now();
        let mut watch = setup.watch("1", Some(goal)).await;
        let last = loop {
            let event = next(&mut watch).await;
            if event.outcome.is_some() {
                break event;
            }
            assert!(written.elapsed() < 120 * SECOND, "{goal:?} never ends");
        };
        assert!(written.elapsed() >= 75 * SECOND, "{goal:?}");
        let Some(Outcome::Succeeded(Some(reason))) = last.outcome else {
            panic!("{goal:?}: {:?}", last.outcome)
        };
        assert_eq!(reason.code, codes::ASSUMED_AFTER_QUIET_TIME, "{goal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_its_token_an_update_that_nobody_can_prove_ends_undetermined() {
    for (goal, accept_assumed, expected) in [
        (Goal::Config, false, "succeeded"),
        (Goal::InEffect, false, "undetermined"),
        (Goal::TunnelUp, false, "undetermined"),
        (Goal::TunnelUp, true, "succeeded"),
    ] {
        let setup = Setup::new();
        let write_token = updated_while_active(&setup).await;
        let written = Instant::now();
        let request = WatchRequest {
            goal: Some(goal),
            write_token,
            accept_assumed,
            ..setup.request("1")
        };
        let mut watch = setup.gateway.watch(request).await.unwrap();
        let (last, evidence) = loop {
            let event = next(&mut watch).await;
            let after = written.elapsed();
            if let (Some(outcome), EventKind::Change(entry)) = (event.outcome, event.kind) {
                assert!(after >= 75 * SECOND, "{goal:?} after {after:?}");
                break (outcome, entry);
            }
            assert!(after < 120 * SECOND, "{goal:?} never ends");
        };
        let (result, reason) = match last {
            Outcome::Succeeded(reason) => ("succeeded", reason),
            Outcome::Failed(reason) => ("failed", Some(reason)),
            Outcome::Undetermined(reason) => ("undetermined", Some(reason)),
        };
        assert_eq!(result, expected, "{goal:?}");
        assert_eq!(reason.unwrap().code, codes::ASSUMED_AFTER_QUIET_TIME);
        // What the cloud says is told to everybody alike; only the outcome differs.
        assert_eq!(
            (evidence.status.state, evidence.status.assurance),
            (State::Active, Assurance::IntentStored)
        );
        assert!(watch.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_may_still_be_proven_goes_on() {
    let setup = Setup::new();
    let write_token = updated_while_active(&setup).await;
    let down = seen(State::Down, Assurance::ControlPlane, "DOWN");
    setup.cloud.say("1", down);
    let request = WatchRequest {
        goal: Some(Goal::TunnelUp),
        write_token,
        ..setup.request("1")
    };
    let mut watch = setup.gateway.watch(request).await.unwrap();
    let written = Instant::now();
    while written.elapsed() < 600 * SECOND {
        let event = next(&mut watch).await;
        assert_eq!(event.outcome, None, "after {:?}", written.elapsed());
    }
    // It comes up, and whether by the update nobody can tell.
    setup.cloud.say("1", active());
    let up = Instant::now();
    let outcome = loop {
        if let Some(outcome) = next(&mut watch).await.outcome {
            break outcome;
        }
    };
    assert!(matches!(outcome, Outcome::Undetermined(_)), "{outcome:?}");
    assert!(up.elapsed() >= 75 * SECOND);
}
