//! Polls one and at many.

use crate::{
    setup::{Bench, CONNECTIONS, assert_error, lists},
    support::cloud::{call, target},
};
use http::{Method, StatusCode};
use isthmus::{
    core::{
        dialect::Target,
        error::{Error, ErrorKind, ErrorReason},
    },
    model::{Assurance, RealizationState as State, Sighting},
    simulator::{
        faults::{Answer, Fault, Gate, Rule},
        openstack::{Kind, Variant},
    },
};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn many_are_polled_by_one_list_and_those_missing_alone() {
    let bench = Bench::stock();
    let (a, b, c) = (
        bench.made("a").await,
        bench.made("b").await,
        bench.made("c").await,
    );
    let unasked = bench.made("unasked").await;
    bench.cloud.state().agent_reports(&a, "ACTIVE");
    bench.cloud.state().agent_reports(&b, "DOWN");
    bench.forget_requests();
    let seen = bench.poll_all(&[&c, &a, &b]).await;
    let states: Vec<State> = seen.iter().map(|it| it.as_ref().unwrap().state).collect();
    assert_eq!(states, [State::Pending, State::Active, State::Down]);
    assert_eq!(seen[1].as_ref().unwrap().admin_enabled, Some(true));
    let queries = bench.queries();
    assert_eq!(queries.len(), 1, "{queries:?}");
    assert!(queries[0].starts_with(&format!(
        "{CONNECTIONS}?fields=id&fields=status&fields=admin_state_up&id="
    )));
    assert!(!queries[0].contains(&unasked));

    bench
        .cloud
        .state()
        .hide_from_list(Kind::Connection, &a, true);
    bench.cloud.state().vanish(Kind::Connection, &b);
    bench.forget_requests();
    let seen = bench.poll_all(&[&a, &b, &c]).await;
    let states: Vec<State> = seen.iter().map(|it| it.as_ref().unwrap().state).collect();
    assert_eq!(states, [State::Active, State::Deleted, State::Pending]);
    assert_eq!(seen[1].as_ref().unwrap().assurance, Assurance::IntentStored);
    assert_eq!(
        bench.queries().len(),
        3,
        "one LIST, and a GET for each that is not in it"
    );

    // One alone is a GET.
    bench.forget_requests();
    bench.poll_one(&c).await.unwrap();
    assert_eq!(
        bench.queries(),
        [format!(
            "{CONNECTIONS}/{c}?fields=id&fields=status&fields=admin_state_up"
        )]
    );
}

#[tokio::test]
async fn a_cloud_with_small_pages_is_polled_page_by_page() {
    let bench = Bench::stock();
    let mut made = Vec::new();
    for number in 0..10 {
        made.push(bench.made(&format!("c{number}")).await);
    }
    let ids: Vec<&str> = made.iter().map(String::as_str).collect();
    bench.cloud.state().set_page_cap(Some(4));
    bench.forget_requests();
    for seen in bench.poll_all(&ids).await {
        assert_eq!(seen.unwrap().state, State::Pending);
    }
    let queries = bench.queries();
    assert_eq!(queries.len(), 3, "{queries:#?}");
    let lists = |query: &String| query.starts_with(&format!("{CONNECTIONS}?"));
    assert!(queries.iter().all(lists), "{queries:#?}");

    // A full page may be the last, and what none of them has is asked for alone.
    bench.cloud.state().vanish(Kind::Connection, ids[0]);
    bench.cloud.state().vanish(Kind::Connection, ids[9]);
    bench.forget_requests();
    let seen = bench.poll_all(&ids).await;
    let gone = |seen: &Result<Sighting, Error>| seen.as_ref().unwrap().state == State::Deleted;
    let gone: Vec<usize> = (0..10).filter(|at| gone(&seen[*at])).collect();
    assert_eq!(gone, [0, 9]);
    let queries = bench.queries();
    let lists = queries.iter().filter(|query| lists(query)).count();
    assert_eq!((lists, queries.len()), (3, 5), "{queries:#?}");
}

#[tokio::test]
async fn what_hangs_holds_up_nothing_else_of_its_poll() {
    let bench = Bench::stock();
    let mut made = Vec::new();
    for number in 0..3 {
        made.push(bench.made(&format!("c{number}")).await);
    }
    let state = bench.cloud.state();
    state.hide_from_list(Kind::Connection, &made[1], true);
    let gate = Gate::default();
    let path = format!("{CONNECTIONS}/{}", made[1]);
    let hold = Rule::on(Method::GET, &path, Fault::Hold(gate.clone()));
    bench.cloud.faults().inject(hold);
    let targets: Vec<Target> = made.iter().map(|id| target(id)).collect();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let tell = |place: usize, seen: Result<Sighting, Error>| {
        told.send((place, seen.unwrap().state)).unwrap();
    };
    let call = call();
    let poll = bench.dialect.poll_around(&targets, &call, &tell);
    let hear = async {
        let mut first = [heard.recv().await.unwrap(), heard.recv().await.unwrap()];
        first.sort_by_key(|(place, _)| *place);
        gate.open();
        (first, heard.recv().await.unwrap())
    };
    let (_, (first, last)) = tokio::join!(poll, hear);
    assert_eq!(first, [(0, State::Pending), (2, State::Pending)]);
    assert_eq!(last, (1, State::Pending));
}

#[tokio::test]
async fn one_list_is_enough_for_a_thousand_where_it_shows_everything() {
    for variant in [Variant::Otc, Variant::K5] {
        let bench = Bench::of(variant);
        let made: Vec<String> = (0..1000).map(|number| format!("{number:036}")).collect();
        let row = |id| json!({"id": id, "status": "ACTIVE", "admin_state_up": true});
        lists(&bench, made.iter().map(row).collect());
        assert!(bench.dialect.capabilities().look_batch >= made.len());
        bench.forget_requests();
        let targets: Vec<Target> = made[1..].iter().map(|id| target(id)).collect();
        let told = AtomicUsize::new(0);
        let tell = |_, seen: Result<Sighting, Error>| {
            assert_eq!(seen.unwrap().state, State::Active);
            told.fetch_add(1, Ordering::SeqCst);
        };
        let all = bench.dialect.poll_around(&targets, &call(), &tell).await;
        assert_eq!(told.into_inner(), targets.len());
        // Also the one that was not asked for.
        assert_eq!(all, Some(made));
        assert_eq!(bench.queries().len(), 1);
    }
}

#[tokio::test]
async fn whatever_the_cloud_says_of_a_status_is_shown() {
    let bench = Bench::stock();
    let id = bench.made("a").await;
    for (status, state) in [
        ("BUILD", State::Pending),
        ("pending-update", State::InProgress),
        ("PENDING DELETE", State::Deleting),
        ("ERROR", State::Failed),
        ("REHEARSING", State::Unknown),
    ] {
        bench.cloud.state().set_status(&id, status);
        let seen = bench.poll_one(&id).await.unwrap();
        assert_eq!((seen.state, seen.native_state.as_str()), (state, status));
    }
    bench.cloud.state().set_status_null(&id);
    assert_eq!(bench.poll_one(&id).await.unwrap().state, State::Unknown);
    bench.cloud.state().set_status_absent(&id);
    assert_eq!(bench.poll_one(&id).await.unwrap().state, State::Unknown);

    let mut off = bench.spec("off");
    off.admin_enabled = Some(false);
    let written = bench.create(&off).await.unwrap();
    assert_eq!(written.warnings[0].field, "admin_enabled");
    let seen = bench.poll_one(&written.id).await.unwrap();
    assert_eq!(
        (seen.state, seen.assurance),
        (State::Disabled, Assurance::IntentStored)
    );
    assert_eq!(seen.reason.unwrap().code, "ADMIN_DISABLED");
}

#[tokio::test]
async fn an_outage_tells_nothing_of_a_connection() {
    let bench = Bench::stock();
    let (a, b) = (bench.made("a").await, bench.made("b").await);
    for (fault, reason) in [
        (
            Fault::Answer(Answer::html_bad_gateway()),
            ErrorReason::UpstreamError,
        ),
        (
            Fault::Answer(Answer::redirect("http://127.0.0.1:1/")),
            ErrorReason::UpstreamError,
        ),
        (
            Fault::Answer(Answer::status(StatusCode::NOT_FOUND)),
            ErrorReason::ApiAbsent,
        ),
        (
            Fault::Answer(Answer::json(StatusCode::OK, &json!({}))),
            ErrorReason::UpstreamBrokenAnswer,
        ),
        (Fault::Garbage, ErrorReason::UpstreamUnreachable),
        (Fault::EndlessBody, ErrorReason::UpstreamBrokenAnswer),
    ] {
        bench
            .cloud
            .faults()
            .inject(Rule::on(Method::GET, CONNECTIONS, fault));
        for seen in bench.poll_all(&[&a, &b]).await {
            assert_eq!(seen.unwrap_err().reason, reason);
        }
        bench.cloud.faults().clear();
    }
    // A proxy's 404 for the item alone proves nothing either.
    let html = Answer::text(
        StatusCode::NOT_FOUND,
        "text/html",
        format!("<html>{a}</html>"),
    );
    bench.cloud.faults().inject(Rule::on(
        Method::GET,
        format!("{CONNECTIONS}/*$"),
        Fault::Answer(html),
    ));
    let error = bench.poll_one(&a).await.unwrap_err();
    assert_error(
        &error,
        ErrorKind::Unavailable,
        ErrorReason::UpstreamBrokenAnswer,
    );
}

#[tokio::test]
async fn down_says_why_nothing_more_is_known() {
    let bench = Bench::stock();
    let id = bench.made("a").await;
    bench.cloud.state().agent_reports(&id, "DOWN");
    let seen = bench.poll_one(&id).await.unwrap();
    assert_eq!(
        (seen.state, seen.assurance, seen.native_state.as_str()),
        (State::Down, Assurance::ControlPlane, "DOWN")
    );
    assert_eq!(seen.reason.unwrap().code, "TUNNEL_DOWN");
}
