//! Lists, over pages and cursors.

use crate::{
    setup::{nsx, start},
    support::cloud::{call, page},
};
use http::Method;
use isthmus::{
    core::dialect::PageRequest,
    simulator::{
        faults::{Fault, Gate, Rule},
        nsx::{EndMarker, Kind, Levers, NsxOptions},
    },
};
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_list_ends_at_either_mark_and_has_every_peer() {
    for end_marker in [EndMarker::Absent, EndMarker::Zeros] {
        let levers = Levers {
            end_marker,
            limits: None,
            max_page: 4,
            ..Levers::default()
        };
        let nsx = start(
            NsxOptions {
                levers,
                ..NsxOptions::default()
            },
            "basic",
        );
        for number in 0..9 {
            let peer = nsx.cloud.state().plant(
                Kind::PeerEndpoint,
                json!({ "peer_address": format!("203.0.113.{number}"), "peer_id": "x" }),
            );
            let session = json!({
                "resource_type": "PolicyBasedIPSecVPNSession",
                "display_name": format!("s{number}"),
                "peer_endpoint_id": peer,
                "policy_rules": [],
            });
            nsx.cloud.state().plant(Kind::Session, session);
        }
        let mut found = BTreeSet::new();
        let mut token = None;
        loop {
            let page = PageRequest {
                after: token,
                ..page(50)
            };
            let page = nsx.list(&page).await.unwrap();
            for connection in page.items {
                assert_eq!(
                    connection.peer.address.replace("203.0.113.", "s"),
                    connection.display_name
                );
                found.insert(connection.display_name);
            }
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 9);
    }
}

/// What vanishes from the first page moves the rest up by one, past the cursor; what appears meanwhile makes the
/// count right again.
#[tokio::test]
async fn a_peer_endpoint_that_vanishes_during_a_walk_hides_no_other() {
    for (vanish, appear) in [(1, 0), (1, 1), (4, 0), (4, 4)] {
        let levers = Levers {
            max_page: 4,
            ..Levers::default()
        };
        let options = NsxOptions {
            levers,
            ..NsxOptions::default()
        };
        let nsx = start(options, "basic");
        let state = nsx.cloud.state();
        let peer = |address: &str| {
            let peer = json!({ "peer_address": address, "peer_id": "x" });
            state.plant(Kind::PeerEndpoint, peer)
        };
        let unused: Vec<String> = (0..vanish).map(|_| peer("192.0.2.1")).collect();
        for number in 0..9 {
            let address = format!("203.0.113.{number}");
            let session = json!({
                "resource_type": "PolicyBasedIPSecVPNSession",
                "display_name": address,
                "peer_endpoint_id": peer(&address),
                "policy_rules": [],
            });
            state.plant(Kind::Session, session);
        }
        let gate = Gate::default();
        let hold = Rule::on(Method::GET, "/peer-endpoints$", Fault::Hold(gate.clone()));
        let held = nsx.cloud.faults().inject(hold.query("cursor=").times(1));
        let call = call();
        let page = page(50);
        let meddle = async {
            held.reach(1).await;
            for id in &unused {
                assert!(state.vanish(Kind::PeerEndpoint, id));
            }
            for _ in 0..appear {
                peer("192.0.2.2");
            }
            gate.open();
        };
        let (page, ()) = tokio::join!(nsx.dialect.list(&page, &call), meddle);
        let listed = page.unwrap().items;
        assert_eq!(listed.len(), 9);
        for connection in listed {
            assert_eq!(connection.peer.address, connection.display_name);
        }
    }
}

/// A peer endpoint that is not on the only page is not there: asking for it again would tell nothing new.
#[tokio::test]
async fn what_is_on_no_page_of_one_is_not_asked_for_again() {
    let nsx = nsx();
    for number in 0..5 {
        let session = json!({
            "resource_type": "PolicyBasedIPSecVPNSession",
            "peer_endpoint_id": format!("gone-{number}"),
            "policy_rules": [],
        });
        nsx.cloud.state().plant(Kind::Session, session);
    }
    let page = page(50);
    let page = nsx.list(&page).await.unwrap();
    assert_eq!(page.items.len(), 5);
    assert_eq!(nsx.cloud.requests().total(), 2);
}
