//! Answers to writes that are lost or broken.

use crate::{
    setup::{nsx, page_of_html, refusal, spec},
    support::{cloud::change, writes::Writes},
};
use futures_util::future::join_all;
use http::Method;
use isthmus::{
    core::{
        dialect::{Call, Mark, Proof},
        error::{ErrorKind, ErrorReason},
    },
    model::{ConnectionSpec, Field},
    simulator::faults::{Fault, Gate, Rule},
};
use std::time::Duration;

#[tokio::test]
async fn a_lost_answer_to_a_post_is_found_by_its_mark_and_never_sent_again() {
    let faults = [
        Fault::CutAfterHandling,
        Fault::TruncateBody,
        Fault::EndlessBody,
    ];
    let of_path = |path| faults.iter().map(move |fault| (fault.clone(), path));
    let cases = ["/peer-endpoints$", "/sessions$"]
        .into_iter()
        .flat_map(of_path);
    // At once, because what was never handled is looked for as long as there is time.
    join_all(cases.map(async |(fault, path)| {
        let never_handled = matches!(fault, Fault::EndlessBody);
        let nsx = nsx();
        nsx.once(Method::POST, path, fault);
        let made = nsx.create(&spec()).await;
        assert_eq!(nsx.asked(Method::POST, path.trim_matches(['/', '$'])), 1);
        if never_handled {
            let error = made.unwrap_err();
            assert_eq!(error.reason, ErrorReason::WriteAmbiguous);
            assert_eq!(
                error.context.leftovers.len(),
                usize::from(path == "/sessions$")
            );
            return;
        }
        let written = made.unwrap();
        assert_eq!(written.proof, Proof::RequestIdMissing);
        assert_eq!(nsx.made(), (1, 1));
        assert!(nsx.get(&written.id).await.unwrap().managed);
    }))
    .await;
}

#[tokio::test]
async fn a_lost_answer_that_cannot_be_found_out_is_said_so() {
    let nsx = nsx();
    nsx.once(Method::POST, "/sessions$", Fault::CutAfterHandling);
    let rule = Rule::on(Method::GET, "/sessions$", refusal(500, 99));
    nsx.cloud.faults().inject(rule);
    let error = nsx.create(&spec()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous)
    );
    assert_eq!(error.context.leftovers[0].kind, "peerEndpoints");
    assert_eq!(
        nsx.made(),
        (1, 1),
        "a session that may be there keeps its peer endpoint"
    );
}

#[tokio::test]
async fn a_post_that_the_cloud_says_failed_has_failed_if_nothing_shows_otherwise() {
    let nsx = nsx();
    nsx.once(Method::POST, "/sessions$", refusal(500, 607));
    let error = nsx.create(&spec()).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamError);
    assert_eq!(nsx.made(), (0, 0));
}

#[tokio::test]
async fn a_proxy_that_lost_the_answer_does_not_say_that_the_post_failed() {
    let nsx = nsx();
    nsx.once(Method::POST, "/sessions$", page_of_html(502));
    let error = nsx.create(&spec()).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::WriteAmbiguous);
    assert_eq!(error.context.leftovers.len(), 1);
}

#[tokio::test]
async fn a_lost_answer_to_a_put_or_delete_is_found_out_by_reading() {
    let nsx = nsx();
    let written = nsx.make().await;
    let values = ConnectionSpec {
        display_name: "x".to_owned(),
        ..ConnectionSpec::default()
    };
    let rename = change(&[Field::DisplayName], values);
    nsx.once(Method::PUT, "/sessions/", Fault::CutBeforeHandling);
    let error = nsx.update(&written.id, &rename).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::WriteAmbiguous);

    nsx.once(Method::PUT, "/sessions/", Fault::CutAfterHandling);
    let done = nsx.update(&written.id, &rename).await.unwrap();
    assert_eq!(done.proof, Proof::RequestIdMissing);
    assert_eq!(done.connection.unwrap().display_name, "x");

    nsx.once(Method::DELETE, "/sessions/", Fault::CutAfterHandling);
    let done = nsx.delete(&written.id).await.unwrap();
    assert_eq!(done.proof, Proof::RequestIdMissing);
    assert_eq!(nsx.made(), (0, 0));
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_time_to_poll() {
    let nsx = nsx();
    let held = Fault::HoldAnswer(Gate::default());
    nsx.once(Method::POST, "/sessions$", held);
    let call = Call::unary(Duration::from_millis(1500));
    let made = nsx.dialect.create(&spec(), &Mark::new(), &call).await;
    assert_eq!(made.unwrap().proof, Proof::RequestIdMissing);
    assert_eq!(nsx.made(), (1, 1));
}
