//! Answers to writes that are lost or broken.

use crate::{
    setup::{Bench, CONNECTIONS, assert_error},
    support::cloud::{change, renamed},
};
use http::{Method, StatusCode};
use isthmus::{
    core::{
        dialect::Proof,
        error::{ErrorKind, ErrorReason},
    },
    model::{Authentication, ConnectionSpec, Field, Psk},
    simulator::{
        faults::{Answer, Fault, Gate, Rule},
        openstack::{Kind, Variant},
    },
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn a_lost_answer_to_a_post_is_looked_up_by_the_mark() {
    let bench = Bench::stock();
    bench.made("other").await;
    bench.forget_requests();
    let lost = Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1);
    bench.cloud.faults().inject(lost);
    let id = bench.made("branch").await;
    assert_eq!(bench.asked(Method::POST), 1);
    assert_eq!(bench.get(&id).await.unwrap().display_name, "branch");

    // The request never arrived, which the gateway cannot know: it looks, and does not send again.
    bench.forget_requests();
    let cut = Rule::on(Method::POST, CONNECTIONS, Fault::CutBeforeHandling).times(1);
    bench.cloud.faults().inject(cut);
    let error = bench.make(&bench.spec("lost")).await.unwrap_err();
    assert_error(&error, ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);
    assert!(error.context.metadata.iter().any(|(key, _)| *key == "mark"));
    assert_eq!(bench.asked(Method::POST), 1);

    // A fault the cloud itself tells of, and nothing that speaks against it.
    let fault =
        json!({"NeutronError": {"type": "HTTPInternalServerError", "message": "m", "detail": ""}});
    let fault = Answer::json(StatusCode::INTERNAL_SERVER_ERROR, &fault);
    bench
        .cloud
        .faults()
        .inject(Rule::on(Method::POST, CONNECTIONS, Fault::Answer(fault)).times(1));
    let error = bench.make(&bench.spec("fault")).await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, ErrorReason::UpstreamError);

    // A broken answer is a lost one.
    bench
        .cloud
        .faults()
        .inject(Rule::on(Method::POST, CONNECTIONS, Fault::TruncateBody).times(1));
    let id = bench.made("truncated").await;
    assert_eq!(bench.get(&id).await.unwrap().display_name, "truncated");
}

/// Has the next request with this method fail so.
fn lose(bench: &Bench, method: Method, fault: Fault) {
    let rule = Rule::on(method, CONNECTIONS, fault).times(1);
    bench.cloud.faults().inject(rule);
}

#[tokio::test]
async fn a_lost_answer_to_a_put_is_looked_up_by_what_was_wanted() {
    let bench = Bench::stock();
    let id = bench.made("branch").await;
    bench.cloud.state().agent_reports(&id, "DOWN");
    lose(&bench, Method::PUT, Fault::CutAfterHandling);
    let written = bench.update(&id, &renamed("new")).await.unwrap();
    assert_eq!(written.connection.unwrap().display_name, "new");
    assert_eq!(written.proof, Proof::Descriptive);
    lose(&bench, Method::PUT, Fault::CutAfterHandling);
    let smaller = ConnectionSpec {
        mtu: Some(1400),
        ..ConnectionSpec::default()
    };
    let smaller = change(&[Field::Mtu], smaller);
    let written = bench.update(&id, &smaller).await.unwrap();
    assert_eq!(
        written.proof,
        Proof::StatusMustMove {
            native_state: "DOWN".to_owned()
        }
    );
}

#[tokio::test]
async fn a_put_that_never_arrived_is_ambiguous() {
    let bench = Bench::stock();
    let id = bench.made("branch").await;
    bench.cloud.state().agent_reports(&id, "DOWN");
    lose(&bench, Method::PUT, Fault::CutBeforeHandling);
    let error = bench.update(&id, &renamed("newer")).await.unwrap_err();
    assert_error(&error, ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);
}

/// Whether a key was changed cannot be read.
#[tokio::test]
async fn a_lost_answer_to_a_new_key_is_ambiguous() {
    let bench = Bench::stock();
    let id = bench.made("branch").await;
    bench.cloud.state().agent_reports(&id, "DOWN");
    lose(&bench, Method::PUT, Fault::CutAfterHandling);
    let key = ConnectionSpec {
        authentication: Some(Authentication::Psk(Psk::new("canary-other"))),
        ..ConnectionSpec::default()
    };
    let error = bench
        .update(&id, &change(&[Field::Authentication], key))
        .await
        .unwrap_err();
    assert_error(&error, ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);
}

#[tokio::test]
async fn a_lost_answer_to_a_delete_is_looked_up_by_what_is_there() {
    let bench = Bench::stock();
    let id = bench.made("branch").await;
    lose(&bench, Method::DELETE, Fault::CutBeforeHandling);
    let error = bench.delete(&id).await.unwrap_err();
    assert_error(&error, ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);
    lose(&bench, Method::DELETE, Fault::CutAfterHandling);
    bench.delete(&id).await.unwrap();
    assert_eq!(bench.cloud.state().row(Kind::Connection, &id), None);
}

#[tokio::test]
async fn more_than_one_candidate_is_named_and_none_is_chosen() {
    let bench = Arc::new(Bench::of(Variant::Otc));
    // The answer is held until somebody else has made a twin, and then cut.
    let gate = Gate::default();
    bench
        .cloud
        .faults()
        .inject(Rule::on(Method::POST, CONNECTIONS, Fault::Hold(gate.clone())).times(1));
    bench
        .cloud
        .faults()
        .inject(Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1));
    let ours = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.make(&bench.spec("twin")).await }
    });
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while bench.asked(Method::POST) == 0 {
        assert!(tokio::time::Instant::now() < end, "no POST");
        tokio::task::yield_now().await;
    }
    let twin = bench.made("twin").await;
    gate.open();
    let error = ours.await.unwrap().unwrap_err();
    assert_error(&error, ErrorKind::Stale, ErrorReason::WriteAmbiguous);
    assert!(error.message.contains(&twin));
}
