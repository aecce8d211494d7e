//! Logins, and the managers of a cluster.

use crate::{
    setup::{Nsx, nsx, page_of_html, refusal, spec, start},
    support::cloud::Cloud,
};
use futures_util::future::join_all;
use http::Method;
use isthmus::{
    core::error::{ErrorKind, ErrorReason},
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::NsxOptions,
    },
};

#[tokio::test]
async fn a_refused_password_is_not_sent_again() {
    let nsx = nsx();
    nsx.cloud.spoil_login();
    for probe in join_all((0..10).map(|_| nsx.probe())).await {
        assert_eq!(probe.unwrap_err().kind, ErrorKind::BackendAuth);
    }
    assert_eq!(nsx.cloud.state().failed_logins(), 1);
}

#[tokio::test]
async fn a_403_that_no_login_cures_ends_in_one_login() {
    let nsx = start(NsxOptions::default(), "session");
    nsx.probe().await.unwrap();
    let rule = Rule::on(Method::GET, "/sessions", refusal(403, 98));
    nsx.cloud.faults().inject(rule);
    for _ in 0..4 {
        let error = nsx.probe().await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamAuth);
    }
    assert_eq!(nsx.cloud.state().logins(), 2);
}

#[tokio::test]
async fn a_bearer_token_goes_with_every_request() {
    let options = NsxOptions {
        bearer_token: Some("not-a-real-token".to_owned()),
        ..NsxOptions::default()
    };
    start(options, "bearer").probe().await.unwrap();
}

#[tokio::test]
async fn another_manager_takes_over_and_stays() {
    let options = NsxOptions {
        managers: 2,
        ..NsxOptions::default()
    };
    let nsx = start(options, "session");
    let written = nsx.make().await;
    nsx.cloud.manager(0).stop().await.unwrap();
    // The pooled connection breaks under a read, which goes on to the other manager with a login of its own.
    nsx.get(&written.id).await.unwrap();
    nsx.make().await;
    nsx.cloud.manager(0).restart().await.unwrap();
    let before = nsx.cloud.manager(0).requests().total();
    nsx.get(&written.id).await.unwrap();
    assert_eq!(nsx.cloud.manager(0).requests().total(), before);
    assert_eq!(nsx.cloud.state().logins(), 2);

    nsx.cloud.stop().await.unwrap();
    let error = nsx.get(&written.id).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnreachable);
}

/// What a manager may answer that is about itself, and whether a write that was answered so was certainly not begun.
fn of_one_manager() -> Vec<(Fault, bool)> {
    let page = |status, is_not_begun| (page_of_html(status), is_not_begun);
    vec![
        page(429, true),
        page(500, false),
        page(502, false),
        page(503, false),
        page(504, false),
        (refusal(503, 102), true),
        (
            Fault::Answer(Answer::redirect("https://other.example/")),
            true,
        ),
    ]
}

fn two_managers() -> Nsx {
    let options = NsxOptions {
        managers: 2,
        ..NsxOptions::default()
    };
    start(options, "session")
}

#[tokio::test]
async fn what_one_manager_cannot_do_is_asked_of_the_next_without_slowing_down() {
    for (fault, _) in of_one_manager() {
        let nsx = two_managers();
        let written = nsx.make().await;
        let what = format!("{fault:?}");
        nsx.once(Method::GET, "/sessions/*", fault);
        let got = nsx.get(&written.id).await;
        assert!(got.is_ok(), "{what}: {got:?}");
        let usage = nsx.dialect.usage();
        assert_eq!(usage.paused_for, None, "{what}");
        assert_eq!(usage.rate_limit, 60.0, "{what}");
        // It stays with the one that answers.
        let before = nsx.cloud.manager(0).requests().total();
        nsx.get(&written.id).await.unwrap();
        assert_eq!(nsx.cloud.manager(0).requests().total(), before, "{what}");
    }
}

#[tokio::test]
async fn a_manager_that_cannot_log_in_anybody_is_passed_over() {
    for (fault, _) in of_one_manager() {
        let nsx = two_managers();
        let what = format!("{fault:?}");
        nsx.once(Method::POST, "/api/session/create", fault);
        let probed = nsx.probe().await;
        assert!(probed.is_ok(), "{what}: {probed:?}");
        assert_eq!(nsx.dialect.usage().paused_for, None, "{what}");
    }
}

#[tokio::test]
async fn a_write_is_asked_of_the_next_manager_only_if_it_was_not_begun() {
    // At once, because a write that may have begun is looked for as long as there is time.
    let each = of_one_manager()
        .into_iter()
        .map(async |(fault, is_not_begun)| {
            let nsx = two_managers();
            nsx.probe().await.unwrap();
            let what = format!("{fault:?}");
            nsx.once(Method::POST, "/sessions$", fault);
            let made = nsx.create(&spec()).await;
            assert_eq!(made.is_ok(), is_not_begun, "{what}: {made:?}");
            let posts = 1 + usize::from(is_not_begun);
            assert_eq!(nsx.asked(Method::POST, "sessions"), posts, "{what}");
            // What was certainly not made leaves nothing behind.
            let left = usize::from(is_not_begun);
            assert_eq!(nsx.made().1, left, "{what}");
        });
    join_all(each).await;
}

#[tokio::test]
async fn an_account_is_slowed_down_once_every_manager_asks_for_patience() {
    let nsx = two_managers();
    nsx.probe().await.unwrap();
    let rule = Rule::on(Method::GET, "/sessions", page_of_html(429)).times(2);
    let hits = nsx.cloud.faults().inject(rule);
    let error = nsx.probe().await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamThrottled);
    assert!(error.context.retry_after.is_some());
    assert_eq!(hits.count(), 2);
    let usage = nsx.dialect.usage();
    assert!(
        usage.paused_for.is_some() && usage.rate_limit == 30.0,
        "{usage:?}"
    );
}
