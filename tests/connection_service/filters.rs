//! Filters and orders.

use crate::{
    setup::{Bench, all, on_both},
    support::{
        cloud::{Cloud, openstack},
        running::fields,
    },
};
use isthmus::grpc::pb;
use std::collections::BTreeSet;
use tonic::Code;
use tonic_types::StatusExt;

on_both! {
    a_filter_means_the_same_everywhere,
    an_order_holds_over_pages,
    malformed_questions_are_answered_with_what_is_accepted,
}

/// Names that only differ where some clouds do not poll.
const NAMES: [&str; 6] = [
    "Branch 1",
    "branch 1",
    "branch 10",
    "depot \"x\"",
    "Zürich",
    "zürich",
];

/// A filter means the same on every cloud, whatever its own comparison lets through.
async fn a_filter_means_the_same_everywhere(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    for name in NAMES {
        bench.made(name).await;
    }
    for (filter, expected) in [
        ("", &NAMES[..]),
        ("display_name=\"branch 1\"", &["branch 1"]),
        ("display_name=\"branch 1 \"", &[]),
        (
            "display_name:\"BRANCH 1\"",
            &["Branch 1", "branch 1", "branch 10"],
        ),
        ("display_name=\"depot \\\"x\\\"\"", &["depot \"x\""]),
        ("display_name=Zürich", &["Zürich"]),
        ("display_name:ÜRI", &["Zürich", "zürich"]),
        ("display_name=nobody", &[]),
        ("peer.address=198.51.100.20", &NAMES),
        ("peer.address=198.51.100.2", &[]),
        ("peer.address:100.2", &NAMES),
        ("admin_enabled=true AND managed=true", &NAMES),
        ("admin_enabled=false", &[]),
        ("managed=false", &[]),
        ("vpn_service=backends/b/vpnServices/x", &[]),
        ("local_endpoint=backends/a/localEndpoints/nobody", &[]),
    ] {
        let found: BTreeSet<String> = bench.names(filter, "").await.into_iter().collect();
        assert_eq!(found, sorted(expected), "{filter}");
    }
    let one = bench
        .running
        .get(&bench.list(&all()).await.unwrap().connections[0].name)
        .await
        .unwrap();
    let filter = match one.vpn_service.as_str() {
        "" => format!("local_endpoint=\"{}\"", one.local_endpoint),
        service => format!("vpn_service={service} AND display_name:branch"),
    };
    assert!(bench.names(&filter, "").await.len() >= 3, "{filter}");
}

/// The order is by code point and by name where that is equal, over pages of any size.
async fn an_order_holds_over_pages(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    for name in ["b", "a", "B", "0", "a", "c"] {
        bench.made(name).await;
    }
    let ordered = ["0", "B", "a", "a", "b", "c"];
    assert_eq!(bench.names("", "display_name").await, ordered);
    assert_eq!(
        bench.names("", "display_name asc, name desc").await,
        ordered
    );
    let mut reversed = ordered;
    reversed.reverse();
    assert_eq!(bench.names("", "display_name desc").await, reversed);
    assert_eq!(
        bench.names("display_name:B", "display_name desc").await,
        ["b", "B"]
    );
    let by_name = |order_by: &str| pb::ListConnectionsRequest {
        order_by: order_by.into(),
        ..all()
    };
    let mut ascending = bench.walk(by_name("name"), |_| {}).await;
    assert!(ascending.is_sorted_by_key(|connection| connection.name.clone()));
    ascending.reverse();
    assert_eq!(bench.walk(by_name("name desc"), |_| {}).await, ascending);
}

/// What is malformed is refused with what is accepted, and nobody is asked.
async fn malformed_questions_are_answered_with_what_is_accepted(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    cloud.server().requests().clear();
    let wrong = pb::ListConnectionsRequest {
        page_size: -1,
        filter: "state=ACTIVE OR display_name=x".into(),
        order_by: "create_time".into(),
        ..all()
    };
    let status = bench.list(&wrong).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(fields(&status), ["page_size", "filter", "order_by"]);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert!(
        violations[1].description.contains("`peer.address`"),
        "{violations:?}"
    );
    assert!(
        violations[2].description.contains("`display_name`"),
        "{violations:?}"
    );
    let lists = cloud.server().requests().all();
    let lists = lists
        .iter()
        .filter(|seen| seen.path.ends_with(cloud.collection()));
    // The poller asks on its own whether the backend is there.
    assert!(lists.into_iter().all(|seen| !seen.query.contains("ACTIVE")));
}

fn sorted(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn the_cloud_narrows_only_by_what_it_can_be_trusted_with() {
    let cloud = openstack();
    let bench = Bench::over(&cloud).await;
    bench.made("branch").await;
    let service = cloud.inventory().project.service_id;
    let by_service = format!("vpn_service=backends/a/vpnServices/{service}");
    let narrowed_by_service = format!("vpnservice_id={service}");
    for (filter, asked) in [
        ("display_name=branch", "name=branch"),
        ("admin_enabled=true", "admin_state_up=true"),
        ("peer.address=198.51.100.20", "peer_address=198.51.100.20"),
        (&by_service, &narrowed_by_service),
        ("display_name:branch", ""),
        ("display_name=\"\"", ""),
        ("display_name=Zürich", ""),
        ("peer.address=2001:db8::20", ""),
        ("managed=true", ""),
    ] {
        cloud.neutron().requests().clear();
        bench.names(filter, "").await;
        let queries = cloud.neutron().requests().all();
        let queries: Vec<_> = queries
            .iter()
            .filter(|seen| seen.query.contains("sort_key=id"))
            .collect();
        assert!(!queries.is_empty(), "{filter}");
        for seen in queries {
            let narrowed = [
                "name=",
                "admin_state_up=",
                "peer_address=",
                "vpnservice_id=",
            ];
            let narrowed = narrowed.iter().any(|name| seen.query.contains(name));
            assert_eq!(narrowed, !asked.is_empty(), "{filter}: {}", seen.query);
            assert!(seen.query.contains(asked), "{filter}: {}", seen.query);
        }
    }
}
