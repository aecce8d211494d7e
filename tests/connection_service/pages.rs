//! Pages stand still, and a token is for one list.

use crate::{
    setup::{Bench, all, nsx, on_both},
    support::{
        cloud::{Cloud, openstack},
        running::{Running, fields, id_of, reason},
    },
};
use http::Method;
use isthmus::{
    grpc::pb,
    simulator::faults::{Fault, Gate, Rule},
};
use std::{collections::BTreeSet, time::Duration};
use tonic::Code;

on_both! {
    pages_stand_still_while_rows_vanish,
    pages_stand_still_while_rows_leave_the_filter,
    a_token_belongs_to_its_list,
}

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
                cloud.vanish(&id_of(&found[at].name));
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
                let last = id_of(&found[found.len() - 1].name).to_owned();
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
        cloud.vanish(&id_of(&made[0]));
        gate.open();
    };
    let (listed, ()) = tokio::join!(listing, vanishing);
    let found: BTreeSet<String> = listed.connections.into_iter().map(|it| it.name).collect();
    let stayed: BTreeSet<String> = made[1..].iter().cloned().collect();
    assert_eq!(found, stayed);
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
