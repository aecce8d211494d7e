//! What differs between Neutron, its releases, and the clouds that descend from it.

use crate::{
    setup::{Bench, CONNECTIONS, EVERY_VARIANT, assert_error, lists, taken, walk},
    support::cloud::{page, renamed},
};
use http::Method;
use isthmus::{
    core::error::{ErrorKind, ErrorReason},
    model::{Connection, Details, RealizationState as State},
    simulator::{
        faults::{Fault, Foreign404, Rule},
        openstack::{FieldsTaken, Kind, OpenstackOptions, Series, Variant},
    },
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn the_newest_release_takes_every_query_that_is_sent() {
    let bench = Bench::new(OpenstackOptions {
        series: Series::V2026_2,
        ..OpenstackOptions::default()
    });
    let (a, b) = (bench.made("a").await, bench.made("b").await);
    let lost = Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1);
    bench.cloud.faults().inject(lost);
    bench.made("c").await;
    for seen in bench.poll_all(&[&a, &b]).await {
        assert_eq!(seen.unwrap().state, State::Pending);
    }
    assert_eq!(walk(&bench, 2, |_| {}).await.len(), 3);
}

#[tokio::test]
async fn open_telekom_cloud_has_no_mark_and_no_filters() {
    let bench = Bench::new(OpenstackOptions {
        variant: Variant::Otc,
        blank_in_status: true,
        ..OpenstackOptions::default()
    });
    let (a, b) = (bench.made("a").await, bench.made("b").await);
    let read = bench.get(&a).await.unwrap();
    assert!(!read.managed && read.description.is_empty());
    assert_eq!(
        read.vpn_service.as_deref(),
        Some(bench.cloud.inventory().project.service_id)
    );
    bench.forget_requests();
    for seen in bench.poll_all(&[&a, &b]).await {
        let seen = seen.unwrap();
        assert_eq!(
            (seen.state, seen.native_state.as_str()),
            (State::Pending, "PENDING CREATE")
        );
    }
    assert_eq!(
        bench.queries(),
        [format!(
            "{CONNECTIONS}?fields=id&fields=status&fields=admin_state_up"
        )]
    );
    assert_eq!(
        walk(&bench, 1, |_| {}).await,
        BTreeSet::from([a.clone(), b.clone()])
    );
    bench.cloud.state().set_status(&a, "FROZEN");
    assert_eq!(bench.poll_one(&a).await.unwrap().state, State::Disabled);
    bench.delete(&b).await.unwrap();
    assert_eq!(bench.poll_one(&b).await.unwrap().state, State::Deleted);

    // One with the same name, service and address was there before; it is not taken for the new one.
    let lost = Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1);
    bench.cloud.faults().inject(lost);
    let twin = bench.made("a").await;
    assert_ne!(twin, a);
    let quota = bench.cloud.inventory().project.project_id;
    bench
        .cloud
        .state()
        .set_quota(quota, Kind::Connection, Some(0));
    let error = bench.make(&bench.spec("c")).await.unwrap_err();
    assert_error(&error, ErrorKind::QuotaExceeded, ErrorReason::QuotaExceeded);
}

#[tokio::test]
async fn a_cloud_that_takes_only_one_of_several_fields_is_asked_for_all() {
    for taken in [FieldsTaken::First, FieldsTaken::Last] {
        let bench = Bench::of(Variant::Otc);
        bench.cloud.state().set_fields_taken(taken);
        bench.probe().await.unwrap();
        let (a, b) = (bench.made("a").await, bench.made("b").await);
        bench.cloud.state().agent_reports(&a, "ACTIVE");
        let states = async || {
            let seen = bench.poll_all(&[&a, &b]).await;
            let states: Vec<State> = seen.iter().map(|it| it.as_ref().unwrap().state).collect();
            states
        };
        assert_eq!(states().await, [State::Active, State::Pending], "{taken:?}");
        bench.forget_requests();
        assert_eq!(states().await, [State::Active, State::Pending], "{taken:?}");
        assert_eq!(bench.queries(), [format!("{CONNECTIONS}?")], "{taken:?}");
        // What was there before a lost POST, and what is there now, are told apart by whole rows.
        let lost = Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1);
        bench.cloud.faults().inject(lost);
        let twin = bench.made("a").await;
        assert_ne!(twin, a);
        assert_eq!(walk(&bench, 1, |_| {}).await.len(), 3);
        bench.delete(&b).await.unwrap();
        assert_eq!(bench.poll_one(&b).await.unwrap().state, State::Deleted);
    }
}

/// The two examples of its documents differ; the simulated one answers each way.
#[tokio::test]
async fn open_telekom_cloud_shows_one_connection_in_two_shapes() {
    let bench = Bench::of(Variant::Otc);
    let id = bench.made("a").await;
    let shown = bench.get(&id).await.unwrap();
    let first = page(50);
    let listed = bench.list(&first).await.unwrap();
    let listed = &listed.items[0];
    let details = |connection: &Connection| match &connection.details {
        Some(Details::Openstack(details)) => details.clone(),
        other => panic!("{other:?}"),
    };
    let (show, list) = (details(&shown), details(listed));
    assert!(show.created_at.is_empty() && !list.created_at.is_empty());
    assert_eq!(show.project_id, list.project_id);
    assert!(!show.project_id.is_empty());
    assert_eq!((&shown.etag, &shown.peer), (&listed.etag, &listed.peer));
    assert_eq!(shown.dpd, listed.dpd);
}

#[tokio::test]
async fn k5_has_networks_inside_connections_and_an_at_before_peers() {
    let bench = Bench::new(OpenstackOptions {
        variant: Variant::K5,
        at_before_peer_id: true,
        ..OpenstackOptions::default()
    });
    assert!(!bench.dialect.capabilities().endpoint_groups);
    let (a, b) = (
        bench.make(&bench.legacy_spec("a")).await.unwrap(),
        bench.make(&bench.legacy_spec("b")).await.unwrap(),
    );
    let read = bench.get(&a).await.unwrap();
    assert_eq!(read.peer.id, "198.51.100.20");
    assert_eq!(read.native["peer_id"], Value::from("@198.51.100.20"));
    assert!(read.managed);
    bench.forget_requests();
    for seen in bench.poll_all(&[&a, &b]).await {
        assert_eq!(seen.unwrap().state, State::Pending);
    }
    assert_eq!(bench.queries(), [format!("{CONNECTIONS}?")]);
    bench.cloud.state().vanish(Kind::Connection, &b);
    assert_eq!(bench.poll_one(&b).await.unwrap().state, State::Deleted);
}

#[tokio::test]
async fn an_etag_does_not_depend_on_how_the_cloud_spells_what_is_the_same() {
    let bench = Bench::of(Variant::K5);
    let id = bench.make(&bench.legacy_spec("a")).await.unwrap();
    let state = bench.cloud.state();
    state.agent_reports(&id, "DOWN");
    for spelled_before in [false, true] {
        state.set_at_before_peer_id(spelled_before);
        let read = bench.get(&id).await.unwrap();
        assert_eq!(read.peer.id, "198.51.100.20");
        state.set_at_before_peer_id(!spelled_before);
        let again = bench.get(&id).await.unwrap();
        assert_eq!(read.etag, again.etag);
        let mut renamed = renamed(&format!("after {spelled_before}"));
        renamed.etag = Some(read.etag);
        bench.update(&id, &renamed).await.unwrap();
    }
    // Another peer is another etag.
    let before = bench.get(&id).await.unwrap().etag;
    state.set_attribute(Kind::Connection, &id, "peer_id", Some("other".into()));
    let after = bench.get(&id).await.unwrap().etag;
    assert_ne!(before, after);
}

#[tokio::test]
async fn gone_is_said_by_the_clouds_own_words_in_every_variant() {
    for variant in EVERY_VARIANT {
        let bench = Bench::of(variant);
        let spec = taken(&bench, variant, "a");
        let id = bench.make(&spec).await.unwrap();
        let item = format!("{CONNECTIONS}/");
        for shape in Foreign404::ALL {
            let rule = Rule::at(&*item, Fault::Foreign404(shape));
            bench.cloud.faults().inject(rule);
            let at = format!("{variant:?} {shape:?}");
            for error in [
                bench.get(&id).await.unwrap_err(),
                bench.poll_one(&id).await.unwrap_err(),
                bench.delete(&id).await.unwrap_err(),
                bench.update(&id, &renamed("x")).await.unwrap_err(),
            ] {
                assert_eq!(error.reason, ErrorReason::UpstreamBrokenAnswer, "{at}");
            }
            bench.cloud.faults().clear();
        }
        // The cloud's own words are contradicted by a list that shows the connection.
        let row = bench.cloud.state().row(Kind::Connection, &id).unwrap();
        lists(&bench, json!([row]));
        bench.cloud.state().vanish(Kind::Connection, &id);
        for error in [
            bench.get(&id).await.unwrap_err(),
            bench.poll_one(&id).await.unwrap_err(),
            bench.delete(&id).await.unwrap_err(),
        ] {
            assert_eq!(
                error.reason,
                ErrorReason::UpstreamBrokenAnswer,
                "{variant:?}"
            );
        }
        bench.cloud.faults().clear();
        assert_eq!(bench.poll_one(&id).await.unwrap().state, State::Deleted);
        let gone = bench.delete(&id).await.unwrap_err();
        assert_error(&gone, ErrorKind::NotFound, ErrorReason::ConnectionNotFound);
    }
}
