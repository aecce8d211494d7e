//! The NSX dialect's requests and the simulated NSX's answers, held against a description of the Manager API that
//! neither was written from.
//!
//! Every use case runs through a server that remembers what passes; then each body, query parameter and status is
//! looked up in `fixtures/nsx/nsx-mp-vpn-openapi.json`. What the description does not know is a fault.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "openapi/description.rs"]
mod description;
#[path = "openapi/simulator.rs"]
mod simulator;
mod support;

use description::Description;
use http::Method;
use isthmus::{
    core::{
        dialect::{Call, Dialect, Mark, PageRequest, Proof, Target},
        error::ErrorReason,
    },
    dialects,
    model::{
        Authentication, ClampDirection, ConnectionChange, ConnectionSpec, Field, Initiation,
        PolicyRule, Psk, Selectors, TcpMssClamping, TunnelInterface,
    },
    simulator::{
        faults::{Fault, Gate, Rule},
        nsx::{Kind, NsxOptions, NsxSimulator, inventory},
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use support::{
    clouds::{self, PSK},
    recorder::{Exchange, Recorder},
    writes::Writes,
};

/// What the use cases below ask and are answered; a description that none of it met would prove nothing.
const MET: &[&str] = &[
    "DELETE peer-endpoints/{ipsec-vpn-peer-endpoint-id} 200",
    "DELETE peer-endpoints/{ipsec-vpn-peer-endpoint-id} 400",
    "DELETE sessions/{ipsec-vpn-session-id} 200",
    "GET peer-endpoints 200",
    "GET peer-endpoints/{ipsec-vpn-peer-endpoint-id} 200",
    "GET sessions 200",
    "GET sessions/{ipsec-vpn-session-id} 200",
    "GET sessions/{ipsec-vpn-session-id} 404",
    "GET sessions/{ipsec-vpn-session-id}/state 200",
    "GET sessions/{ipsec-vpn-session-id}/state 400",
    "GET sessions/{ipsec-vpn-session-id}/state 404",
    "GET sessions/{session-id}/status 200",
    "POST peer-endpoints 201",
    "POST sessions 201",
    "POST sessions 404",
    "PUT peer-endpoints/{ipsec-vpn-peer-endpoint-id} 200",
    "PUT sessions/{ipsec-vpn-session-id} 200",
    "PUT sessions/{ipsec-vpn-session-id} 412",
];

#[tokio::test]
async fn what_passes_between_dialect_and_cloud_is_what_the_description_knows() {
    let simulator = NsxSimulator::start(NsxOptions::default()).unwrap();
    let recorder = Recorder::before(simulator.manager(0).addr());
    let mut settings = clouds::nsx("nsx-a", &simulator);
    settings.keys.set("url", recorder.url());
    let nsx = dialects::connect(&settings).unwrap();

    write_and_read(&nsx, &simulator).await;
    follow(&nsx, &simulator).await;
    lose_answers(&nsx, &simulator).await;
    be_refused(&nsx, &simulator).await;

    let description = Description::read();
    let (mut met, mut faults) = (BTreeSet::new(), Vec::new());
    for exchange in recorder.exchanges() {
        // Logging in is no part of the VPN API.
        if exchange.uri.path().starts_with("/api/session/") {
            continue;
        }
        match description.examine(&exchange) {
            Ok(operation) => {
                met.insert(format!("{operation} {}", exchange.status.as_u16()));
            }
            Err(found) => faults.extend(found),
        }
    }
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let met: Vec<&str> = met.iter().map(String::as_str).collect();
    assert_eq!(met.join("\n"), MET.join("\n"));
}

#[test]
fn the_description_tells_right_from_wrong() {
    let description = Description::read();
    let peers = "/api/v1/vpn/ipsec/peer-endpoints";
    let peer = json!({ "peer_id": "x", "peer_address": "192.0.2.1", "psk": PSK });
    let with = |field: &str, value: Value| {
        let mut peer = peer.clone();
        peer[field] = value;
        peer
    };
    let examine = |method: &str, uri: &str, sent: &Value, status: u16, answered: &Value| {
        let bytes = |value: &Value| match value {
            Value::Null => bytes::Bytes::new(),
            value => serde_json::to_vec(value).unwrap().into(),
        };
        description.examine(&Exchange {
            method: method.parse().unwrap(),
            uri: uri.parse().unwrap(),
            sent: bytes(sent),
            status: status.try_into().unwrap(),
            headers: http::HeaderMap::new(),
            answered: bytes(answered),
        })
    };
    let answer = json!({ "peer_id": "x", "peer_address": "192.0.2.1", "_create_user": "admin" });
    let none = Value::Null;
    assert_eq!(
        examine("POST", peers, &peer, 201, &answer).unwrap(),
        "POST peer-endpoints"
    );
    for (sent, answered, status, word) in [
        (with("colour", json!("red")), &answer, 201, "colour"),
        (
            with("_create_user", json!("me")),
            &answer,
            201,
            "_create_user",
        ),
        (
            with("peer_address", json!(7)),
            &answer,
            201,
            "/peer_address",
        ),
        (json!({ "peer_id": "x" }), &answer, 201, "peer_address"),
        (peer.clone(), &peer, 201, "psk"),
        (peer.clone(), &none, 201, "no body"),
        (peer.clone(), &answer, 202, "202"),
    ] {
        let faults = examine("POST", peers, &sent, status, answered).unwrap_err();
        assert!(
            faults.iter().any(|fault| fault.contains(word)),
            "{word}: {faults:?}"
        );
        assert!(!faults.concat().contains(PSK), "{faults:?}");
    }
    for (uri, word) in [
        ("/api/v1/vpn/ipsec/peers", "unknown"),
        ("/api/v1/vpn/ipsec/peer-endpoints?colour=red", "colour"),
        (
            "/api/v1/vpn/ipsec/peer-endpoints?page_size=many",
            "page_size",
        ),
    ] {
        let faults = examine("GET", uri, &none, 200, &json!({ "results": [] })).unwrap_err();
        assert!(faults.concat().contains(word), "{word}: {faults:?}");
    }
    let session = json!({ "resource_type": "RouteBasedIPSecVPNSession", "policy_rules": [],
        "local_endpoint_id": "l", "peer_endpoint_id": "p" });
    let sessions = "/api/v1/vpn/ipsec/sessions";
    assert!(examine("POST", sessions, &session, 201, &session).is_err());
}

// The use cases.

fn call() -> Call {
    Call::unary(Duration::from_secs(5))
}

fn policy_based() -> ConnectionSpec {
    ConnectionSpec {
        display_name: "branch 42".into(),
        description: "to the branch".into(),
        admin_enabled: Some(true),
        local_endpoint: Some(inventory::LOCAL_ENDPOINT_ID.into()),
        ike_policy: Some(inventory::DEFAULT_IKE_PROFILE_ID.into()),
        ipsec_policy: Some(inventory::DEFAULT_TUNNEL_PROFILE_ID.into()),
        dpd_policy: Some(inventory::DEFAULT_DPD_PROFILE_ID.into()),
        peer_address: "198.51.100.20".into(),
        peer_id: Some("branch.example".into()),
        authentication: Some(Authentication::Psk(Psk::new(PSK))),
        initiation: Some(Initiation::RespondOnly),
        selectors: Some(Selectors::Rules(vec![PolicyRule {
            sources: vec!["10.1.0.0/24".into()],
            destinations: vec!["10.2.0.0/24".into(), "2001:db8::/64".into()],
            enabled: Some(true),
            logged: Some(true),
            ..PolicyRule::default()
        }])),
        tcp_mss_clamping: Some(TcpMssClamping {
            direction: ClampDirection::Both,
            max_segment_size: Some(1300),
        }),
        ..ConnectionSpec::default()
    }
}

fn route_based() -> ConnectionSpec {
    ConnectionSpec {
        selectors: Some(Selectors::RouteBased(vec![TunnelInterface {
            addresses: vec!["169.254.7.1/30".into()],
            ..TunnelInterface::default()
        }])),
        ..policy_based()
    }
}

fn change(fields: &[Field], values: ConnectionSpec, etag: Option<&str>) -> ConnectionChange {
    ConnectionChange {
        fields: BTreeSet::from_iter(fields.iter().copied()),
        values,
        etag: etag.map(str::to_owned),
        ..ConnectionChange::default()
    }
}

async fn made(nsx: &Arc<dyn Dialect>, spec: &ConnectionSpec) -> (String, Vec<String>) {
    let written = nsx.create(spec, &Mark::new(), &call()).await.unwrap();
    let Proof::RequestIds(ids) = written.proof else {
        panic!("{:?}", written.proof)
    };
    (written.id, ids)
}

async fn write_and_read(nsx: &Arc<dyn Dialect>, simulator: &NsxSimulator) {
    nsx.probe(&call()).await.unwrap();
    let (first, _) = made(nsx, &policy_based()).await;
    let (second, _) = made(nsx, &route_based()).await;
    simulator.state().finish(&first);
    let mut page = PageRequest {
        size: 1,
        ..PageRequest::default()
    };
    while let Some(next) = nsx.list(&page, &call()).await.unwrap().next {
        page.after = Some(next);
    }
    let read = nsx.get(&first, &call()).await.unwrap();
    let everything = [
        Field::DisplayName,
        Field::AdminEnabled,
        Field::PeerAddress,
        Field::Authentication,
        Field::Selectors,
    ];
    let values = ConnectionSpec {
        display_name: "branch 43".into(),
        admin_enabled: Some(false),
        peer_address: "198.51.100.21".into(),
        selectors: Some(Selectors::Rules(vec![PolicyRule::default()])),
        ..policy_based()
    };
    let current = change(&everything, values, Some(&read.etag));
    nsx.update(&first, &current, &call()).await.unwrap();
    nsx.delete(&second, None, &call()).await.unwrap();
    nsx.delete(&first, None, &call()).await.unwrap();
}

async fn follow(nsx: &Arc<dyn Dialect>, simulator: &NsxSimulator) {
    let (id, request_ids) = made(nsx, &policy_based()).await;
    let fresh = Target {
        id: id.clone(),
        request_ids,
        ..Target::default()
    };
    let settled = Target {
        id: id.clone(),
        want_tunnel: true,
        admin_enabled: Some(true),
        ..Target::default()
    };
    let deleting = Target {
        id: id.clone(),
        deleting: true,
        ..Target::default()
    };
    let poll = async |target: &Target| {
        nsx.poll(std::slice::from_ref(target), &call())
            .await
            .remove(0)
            .unwrap()
    };
    poll(&fresh).await;
    simulator.state().advance(&id);
    poll(&fresh).await;
    simulator.state().finish(&id);
    poll(&fresh).await;
    poll(&settled).await;
    let node = &simulator.state().nodes()[0];
    for state in ["failed", "partial_success", "unknown"] {
        simulator.state().set_node_state(&id, node, Some(state));
        poll(&settled).await;
    }
    let service = inventory::SERVICE_ID;
    simulator.state().set_service_enabled(service, false);
    poll(&settled).await;
    simulator.state().set_service_enabled(service, true);
    nsx.delete(&id, None, &call()).await.unwrap();
    poll(&deleting).await;
    simulator.state().finish(&id);
    poll(&deleting).await;
}

/// The answers to both POSTs are lost, and what they made is looked up.
async fn lose_answers(nsx: &Arc<dyn Dialect>, simulator: &NsxSimulator) {
    for collection in ["/peer-endpoints", "/sessions"] {
        let lost = Rule::on(Method::POST, collection, Fault::CutAfterHandling).times(1);
        simulator.faults().inject(lost);
    }
    let written = nsx.create(&policy_based(), &Mark::new(), &call()).await;
    nsx.delete(&written.unwrap().id, None, &call())
        .await
        .unwrap();
}

async fn be_refused(nsx: &Arc<dyn Dialect>, simulator: &NsxSimulator) {
    let nowhere = ConnectionSpec {
        local_endpoint: Some("00000000-0000-4000-8000-000000000000".into()),
        ..policy_based()
    };
    nsx.create(&nowhere, &Mark::new(), &call())
        .await
        .unwrap_err();
    let (id, _) = made(nsx, &policy_based()).await;
    nsx.get("00000000-0000-4000-8000-000000000000", &call())
        .await
        .unwrap_err();
    let renamed = ConnectionSpec {
        display_name: "too late".into(),
        ..ConnectionSpec::default()
    };
    // Somebody else writes after our read and before our write.
    let gate = Gate::default();
    let writes = || simulator.manager(0).requests().count(&Method::PUT, "");
    let before = writes();
    let held = Rule::on(Method::PUT, "/sessions/", Fault::Hold(gate.clone())).times(1);
    simulator.faults().inject(held);
    let renamed = change(&[Field::DisplayName], renamed, None);
    let call = call();
    let (lost, ()) = tokio::join!(nsx.update(&id, &renamed, &call), async {
        while writes() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let theirs = json!({ "description": "mine now" });
        simulator.state().alter(Kind::Session, &id, theirs);
        gate.open();
    });
    assert_eq!(lost.unwrap_err().reason, ErrorReason::StaleEtag);
    // Somebody else's session uses our peer endpoint, so that it has to stay.
    let session = simulator.state().object(Kind::Session, &id).unwrap();
    simulator.state().plant(
        Kind::Session,
        json!({
            "resource_type": "PolicyBasedIPSecVPNSession",
            "display_name": "another",
            "local_endpoint_id": session["local_endpoint_id"],
            "peer_endpoint_id": session["peer_endpoint_id"],
            "policy_rules": [],
        }),
    );
    let rest = nsx.delete(&id, None, &call).await.unwrap_err();
    assert_eq!(rest.reason, ErrorReason::InUse);
    assert!(simulator.state().object(Kind::Session, &id).is_none());
}
