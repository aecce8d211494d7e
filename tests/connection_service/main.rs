//! The manners of ConnectionService: pages, filters, orders, masks, etags, and what is only validated. Over gRPC,
//! on both clouds.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "../support/mod.rs"]
mod support;

use http::Method;
use isthmus::{
    grpc::pb,
    simulator::{
        faults::{Fault, Gate, Rule},
        nsx::NsxSimulator,
    },
};
use std::{collections::BTreeSet, time::Duration};
use support::{
    cloud::{self, Cloud, openstack},
    running::Running,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// An NSX on which what is deleted goes step by step.
fn nsx() -> NsxSimulator {
    let cloud = cloud::nsx();
    cloud.linger();
    cloud
}

/// A gateway over one cloud.
struct Bench<'a> {
    cloud: &'a dyn Cloud,
    running: Running,
}

impl Bench<'_> {
    async fn over(cloud: &dyn Cloud) -> Bench<'_> {
        let running = Running::start(vec![cloud.settings("a")]).await;
        Bench { cloud, running }
    }

    /// Makes a connection of this name, real at once; its name.
    async fn made(&self, display_name: &str) -> String {
        let wanted = pb::Connection {
            display_name: display_name.to_owned(),
            ..self.cloud.wanted("a")
        };
        let (made, _) = self.running.create("a", wanted).await.unwrap();
        self.cloud.settle(id(&made.name));
        made.name
    }

    async fn get(&self, name: &str) -> Result<pb::Connection, Status> {
        let request = pb::GetConnectionRequest {
            name: name.to_owned(),
        };
        let answer = self.running.connections().get_connection(request).await?;
        Ok(answer.into_inner().connection.unwrap())
    }

    async fn list(
        &self,
        request: &pb::ListConnectionsRequest,
    ) -> Result<pb::ListConnectionsResponse, Status> {
        let listed = self
            .running
            .connections()
            .list_connections(request.clone())
            .await?;
        Ok(listed.into_inner())
    }

    /// Walks all pages; after each, `between` is told which there have been.
    async fn walk(
        &self,
        mut request: pb::ListConnectionsRequest,
        mut between: impl FnMut(&[pb::Connection]),
    ) -> Vec<pb::Connection> {
        let mut found = Vec::new();
        loop {
            let page = self.list(&request).await.unwrap();
            assert!(page.connections.len() <= request.page_size as usize);
            assert_eq!(page.unreachable, Vec::<String>::new());
            found.extend(page.connections);
            if page.next_page_token.is_empty() {
                return found;
            }
            assert!(found.len() < 100, "the list does not end");
            between(&found);
            request.page_token = page.next_page_token;
        }
    }

    /// The display names of all that meet a filter, in the order of names unless another is given.
    async fn names(&self, filter: &str, order_by: &str) -> Vec<String> {
        let request = pb::ListConnectionsRequest {
            page_size: 2,
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
            ..all()
        };
        let found = self.walk(request, |_| {}).await;
        found.into_iter().map(|it| it.display_name).collect()
    }

    async fn update(
        &self,
        connection: pb::Connection,
        paths: &[&str],
        validate_only: bool,
    ) -> Result<pb::UpdateConnectionResponse, Status> {
        let request = pb::UpdateConnectionRequest {
            connection: Some(connection),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.iter().map(|&path| path.to_owned()).collect(),
            }),
            validate_only,
        };
        let updated = self.running.connections().update_connection(request).await;
        updated.map(tonic::Response::into_inner)
    }

    async fn delete(&self, request: pb::DeleteConnectionRequest) -> Result<String, Status> {
        let deleted = self.running.connections().delete_connection(request).await;
        deleted.map(|answer| answer.into_inner().write_token)
    }

    fn writes(&self) -> usize {
        let seen = self.cloud.server().requests().all();
        seen.iter()
            .filter(|seen| seen.method != Method::GET && seen.path.contains("/vpn/"))
            .count()
    }
}

fn all() -> pb::ListConnectionsRequest {
    pb::ListConnectionsRequest {
        parent: "backends/a".into(),
        page_size: 3,
        ..Default::default()
    }
}

fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap()
}

fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .expect("every error has an ErrorInfo")
        .reason
}

fn fields(status: &Status) -> Vec<String> {
    let request = status
        .get_details_bad_request()
        .expect("the fields at fault");
    let each = request.field_violations.into_iter();
    each.map(|violation| violation.field).collect()
}

fn sorted(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

// Pages.

/// Rows vanish between pages, the one the page ended with among them: what stays comes once.
async fn pages_stand_still_while_rows_vanish(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let mut made = BTreeSet::new();
    for number in 0..9 {
        made.insert(bench.made(&format!("c{number}")).await);
    }
    let mut gone = 0;
    let found = bench
        .walk(all(), |found| {
            // Of the page just read the first and the last, so that whatever counts is two off.
            for at in [found.len() - 3, found.len() - 1] {
                cloud.vanish(id(&found[at].name));
                gone += 1;
            }
        })
        .await;
    let names: Vec<&String> = found.iter().map(|connection| &connection.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(
        names.iter().copied().cloned().collect::<BTreeSet<_>>(),
        made
    );
    assert!(names.len() == 9 && gone >= 4);
}

/// The same of rows that are changed so that the filter no longer accepts them.
async fn pages_stand_still_while_rows_leave_the_filter(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    for _ in 0..7 {
        bench.made("wanted").await;
    }
    bench.made("other").await;
    for filter in ["display_name=wanted", "display_name:WANTED"] {
        let request = pb::ListConnectionsRequest {
            filter: filter.into(),
            ..all()
        };
        let mut renamed = Vec::new();
        let found = bench
            .walk(request, |found| {
                let last = id(&found[found.len() - 1].name).to_owned();
                cloud.rename(&last, "unwanted then");
                renamed.push(last);
            })
            .await;
        let names: BTreeSet<&String> = found.iter().map(|connection| &connection.name).collect();
        assert_eq!((found.len(), names.len()), (7, 7), "{filter}");
        for renamed in renamed {
            cloud.rename(&renamed, "wanted");
        }
    }
}

/// A token is for one list: its parent, filter and order; the page's size may change.
async fn a_token_belongs_to_its_list(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    for number in 0..4 {
        bench.made(&format!("c{number}")).await;
    }
    let first = pb::ListConnectionsRequest {
        page_size: 2,
        filter: "display_name:c".into(),
        order_by: "display_name desc".into(),
        ..all()
    };
    let page_token = bench.list(&first).await.unwrap().next_page_token;
    let next = pb::ListConnectionsRequest {
        page_token,
        ..first
    };
    for other in [
        pb::ListConnectionsRequest {
            filter: String::new(),
            ..next.clone()
        },
        pb::ListConnectionsRequest {
            filter: "display_name=c".into(),
            ..next.clone()
        },
        pb::ListConnectionsRequest {
            order_by: "display_name".into(),
            ..next.clone()
        },
        pb::ListConnectionsRequest {
            parent: "backends/-".into(),
            ..next.clone()
        },
        pb::ListConnectionsRequest {
            page_token: "made-up".into(),
            ..next.clone()
        },
    ] {
        let status = bench.list(&other).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str(), fields(&status)),
            (
                Code::InvalidArgument,
                "WRONG_TOKEN",
                vec!["page_token".to_owned()]
            ),
            "{other:?}"
        );
    }
    let respelled = pb::ListConnectionsRequest {
        page_size: 1,
        filter: " display_name : \"c\" ".into(),
        ..next
    };
    let page = bench.list(&respelled).await.unwrap();
    assert_eq!(page.connections[0].display_name, "c1");
}

// Filters and orders.

/// Names that only differ where some clouds do not look.
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

// Masks, etags, what is missing, and what is only validated.

/// A mask changes what it names, resets what it names and is unset, and leaves the rest.
async fn a_mask_changes_what_it_names(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("before").await;
    let before = bench.get(&name).await.unwrap();
    let change = pb::Connection {
        name: name.clone(),
        display_name: "after".into(),
        description: "not named".into(),
        peer: Some(pb::Peer {
            address: "not an address, and not named".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    bench
        .update(change, &["display_name"], false)
        .await
        .unwrap();
    cloud.settle(id(&name));
    let after = bench.get(&name).await.unwrap();
    assert_eq!(
        (after.display_name.as_str(), after.description.as_str()),
        ("after", "")
    );
    assert_eq!(
        (
            &after.peer,
            &after.selectors,
            after.managed,
            after.admin_enabled
        ),
        (&before.peer, &before.selectors, true, Some(true))
    );
    assert_ne!(after.etag, before.etag);

    let described = pb::Connection {
        name: name.clone(),
        description: "for the branch".into(),
        ..Default::default()
    };
    // Without a mask, what is set.
    bench.update(described, &[], false).await.unwrap();
    cloud.settle(id(&name));
    let after = bench.get(&name).await.unwrap();
    assert_eq!(
        (after.display_name.as_str(), after.description.as_str()),
        ("after", "for the branch")
    );
    let reset = pb::Connection {
        name: name.clone(),
        ..Default::default()
    };
    bench.update(reset, &["description"], false).await.unwrap();
    assert_eq!(bench.get(&name).await.unwrap().description, "");
}

/// A mask that names what is not there, cannot be changed or has no default is refused, all at once.
async fn a_wrong_mask_is_refused(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("branch").await;
    let writes = bench.writes();
    let nothing = pb::Connection {
        name: name.clone(),
        ..Default::default()
    };
    let paths = [
        "colour",
        "peer.address",
        "vpn_service",
        "dpd.interval",
        "name",
        "*",
    ];
    let status = bench.update(nothing, &paths, false).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        fields(&status),
        [
            "update_mask.paths[0]",
            "update_mask.paths[2]",
            "update_mask.paths[3]",
            "update_mask.paths[4]",
            "update_mask.paths[5]",
            "peer.address",
        ]
    );
    assert_eq!(bench.writes(), writes);
}

/// A stale etag refuses updates and deletes alike; a current one and none let them through.
async fn an_etag_must_be_current(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("first").await;
    let old = bench.get(&name).await.unwrap().etag;
    let named = |display_name: &str, etag: &str| pb::Connection {
        name: name.clone(),
        display_name: display_name.into(),
        etag: etag.into(),
        ..Default::default()
    };
    bench
        .update(named("second", &old), &["display_name"], false)
        .await
        .unwrap();
    cloud.settle(id(&name));
    let current = bench.get(&name).await.unwrap().etag;
    let writes = bench.writes();
    for validate_only in [true, false] {
        let status = bench
            .update(named("third", &old), &["display_name"], validate_only)
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Aborted, "STALE_ETAG")
        );
    }
    let delete = |etag: &str| pb::DeleteConnectionRequest {
        name: name.clone(),
        etag: etag.into(),
        allow_missing: true,
    };
    let status = bench.delete(delete(&old)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Aborted, "STALE_ETAG")
    );
    assert_eq!(bench.writes(), writes, "a stale etag writes nothing");
    assert_eq!(bench.get(&name).await.unwrap().display_name, "second");
    assert_ne!(bench.delete(delete(&current)).await.unwrap(), "");
}

/// Deleting what is not there is an error, or none if that is allowed; what cannot be known is an error always.
async fn what_is_missing_may_be_deleted_if_allowed(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("branch").await;
    let delete = |allow_missing| pb::DeleteConnectionRequest {
        name: name.clone(),
        allow_missing,
        ..Default::default()
    };
    assert_ne!(
        bench.delete(delete(true)).await.unwrap(),
        "",
        "it was there"
    );
    assert_eq!(bench.delete(delete(true)).await.unwrap(), "");
    let status = bench.delete(delete(false)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "CONNECTION_NOT_FOUND")
    );
    let resource = status.get_details_resource_info().expect("what is missing");
    assert_eq!(resource.resource_name, name);
    let nowhere = pb::DeleteConnectionRequest {
        name: "backends/nowhere/connections/x".into(),
        allow_missing: true,
        ..Default::default()
    };
    let status = bench.delete(nowhere).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "BACKEND_NOT_FOUND")
    );
    cloud.server().stop().await.unwrap();
    let status = bench.delete(delete(true)).await.unwrap_err();
    assert_eq!(
        status.code(),
        Code::Unavailable,
        "nobody knows whether it is there"
    );
}

/// What is only validated is checked as the write would be, and writes nothing.
async fn what_is_only_validated_writes_nothing(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("branch").await;
    let (writes, count) = (bench.writes(), cloud.connections().len());
    let create = |connection| pb::CreateConnectionRequest {
        parent: "backends/a".into(),
        connection: Some(connection),
        validate_only: true,
    };
    let good = bench
        .running
        .connections()
        .create_connection(create(cloud.wanted("a")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            good.write_token.as_str(),
            good.connection.unwrap().name.as_str()
        ),
        ("", "")
    );
    let malformed = pb::Connection {
        initiation: 99,
        ..cloud.wanted("a")
    };
    let inexpressible = pb::Connection {
        dpd_policy: "backends/a/dpdPolicies/x".into(),
        dpd: Some(pb::DeadPeerDetection::default()),
        ..cloud.wanted("a")
    };
    for (wrong, code) in [
        (malformed, Code::InvalidArgument),
        (inexpressible, Code::FailedPrecondition),
    ] {
        let mut client = bench.running.connections();
        let status = client.create_connection(create(wrong)).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        assert!(!fields(&status).is_empty());
    }

    let renamed = |name: &str| pb::Connection {
        name: name.into(),
        display_name: "renamed".into(),
        ..Default::default()
    };
    let good = bench
        .update(renamed(&name), &["display_name"], true)
        .await
        .unwrap();
    assert_eq!(
        (
            good.write_token.as_str(),
            good.connection.unwrap().name.as_str()
        ),
        ("", "")
    );
    let missing = "backends/a/connections/00000000-0000-4000-8000-000000000000";
    let status = bench
        .update(renamed(missing), &["display_name"], true)
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "CONNECTION_NOT_FOUND")
    );

    assert_eq!((bench.writes(), cloud.connections().len()), (writes, count));
    assert_eq!(bench.get(&name).await.unwrap().display_name, "branch");
}

macro_rules! manners {
    ($($dialect:ident => $start:expr,)+) => {
        $(mod $dialect {
            use super::*;

            manners!(@cases $start;
                pages_stand_still_while_rows_vanish,
                pages_stand_still_while_rows_leave_the_filter,
                a_token_belongs_to_its_list,
                a_filter_means_the_same_everywhere,
                an_order_holds_over_pages,
                malformed_questions_are_answered_with_what_is_accepted,
                a_mask_changes_what_it_names,
                a_wrong_mask_is_refused,
                an_etag_must_be_current,
                what_is_missing_may_be_deleted_if_allowed,
                what_is_only_validated_writes_nothing,
            );
        })+
    };
    (@cases $start:expr; $($case:ident,)+) => {
        $(#[tokio::test]
        async fn $case() {
            let cloud = $start;
            super::$case(&cloud).await;
        })+
    };
}

manners! {
    on_nsx => nsx(),
    on_openstack => openstack(),
}

// What only one cloud has.

#[tokio::test]
async fn a_session_that_vanishes_during_a_walk_of_cursors_hides_no_other() {
    let cloud = nsx();
    cloud.state().tune(|levers| levers.max_page = 4);
    let bench = Bench::over(&cloud).await;
    let mut made = Vec::new();
    for number in 0..9 {
        made.push(bench.made(&format!("c{number}")).await);
    }
    let gate = Gate::default();
    let hold = Rule::on(Method::GET, "/sessions$", Fault::Hold(gate.clone())).query("cursor=");
    let held = cloud.faults().inject(hold.times(1));
    let request = pb::ListConnectionsRequest {
        page_size: 100,
        ..all()
    };
    let listing = async { bench.list(&request).await.unwrap() };
    let vanishing = async {
        while held.count() == 0 {
            tokio::task::yield_now().await;
        }
        // The first page had it; what follows moves up by one, past the cursor.
        cloud.vanish(id(&made[0]));
        gate.open();
    };
    let (listed, ()) = tokio::join!(listing, vanishing);
    let found: BTreeSet<String> = listed.connections.into_iter().map(|it| it.name).collect();
    let stayed: BTreeSet<String> = made[1..].iter().cloned().collect();
    assert_eq!(found, stayed);
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

#[tokio::test]
async fn a_cloud_that_goes_away_midway_is_named_and_the_other_goes_on() {
    let (nsx, openstack) = (nsx(), openstack());
    let running = Running::start(vec![nsx.settings("a"), openstack.settings("b")]).await;
    for number in 0..3 {
        for (cloud, backend) in [(&nsx as &dyn Cloud, "a"), (&openstack, "b")] {
            let wanted = pb::Connection {
                display_name: format!("{backend}{number}"),
                ..cloud.wanted(backend)
            };
            running.create(backend, wanted).await.unwrap();
        }
    }
    let list = async |page_token: &str, order_by: &str| {
        let request = pb::ListConnectionsRequest {
            parent: "backends/-".into(),
            page_size: 2,
            page_token: page_token.into(),
            order_by: order_by.into(),
            ..Default::default()
        };
        let listed = running.connections().list_connections(request).await;
        listed.unwrap().into_inner()
    };
    for order_by in ["", "display_name desc"] {
        let first = list("", order_by).await;
        assert_eq!((first.connections.len(), first.unreachable.len()), (2, 0));
        let down: &dyn Cloud = match order_by {
            "" => &nsx,
            _ => &openstack,
        };
        down.server().stop().await.unwrap();
        let (mut token, mut rest, mut unreachable) = (first.next_page_token, vec![], vec![]);
        while !token.is_empty() {
            let page = list(&token, order_by).await;
            rest.extend(page.connections.into_iter().map(|it| it.display_name));
            unreachable.extend(page.unreachable);
            token = page.next_page_token;
        }
        rest.sort();
        unreachable.dedup();
        let (others, named) = match order_by {
            "" => (["b0", "b1", "b2"], ["backends/a"]),
            _ => (["a0", "a1", "a2"], ["backends/b"]),
        };
        assert_eq!(
            (rest, unreachable),
            (
                others.map(String::from).into(),
                named.map(String::from).into()
            )
        );
        down.server().restart().await.unwrap();
        // The account waits a moment after an outage; a whole list says that it is over.
        let whole = async {
            while !list("", "").await.unreachable.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), whole)
            .await
            .unwrap();
    }
}
