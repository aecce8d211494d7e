//! The nonce by which a lost PUT is known.

use crate::{
    setup::{Nsx, nsx},
    support::{
        cloud::{call, change, peer_of},
        clouds::PSK,
        writes::Writes,
    },
};
use http::Method;
use isthmus::{
    core::{
        dialect::{Proof, Written},
        error::{Error, ErrorReason},
    },
    model::{Authentication, ConnectionChange, ConnectionSpec, Field, Initiation, Psk},
    simulator::{
        faults::{Fault, Gate, Rule},
        nsx::Kind,
    },
};
use serde_json::json;
use std::collections::BTreeSet;

/// What somebody else does to the peer endpoint while the gateway waits to look what became of its PUT.
async fn put_lost_while(
    nsx: &Nsx,
    written: &Written,
    put: Fault,
    wanted: &ConnectionChange,
    meanwhile: impl FnOnce(&str),
) -> Result<Written, Error> {
    let peer = peer_of(&nsx.cloud, &written.id);
    nsx.once(Method::PUT, "/peer-endpoints/", put);
    let gate = Gate::default();
    let poll = Rule::on(
        Method::GET,
        format!("/peer-endpoints/{peer}$"),
        Fault::Hold(gate.clone()),
    );
    let polls = nsx.cloud.faults().inject(poll.after(1).times(1));
    let call = call();
    let update = nsx.dialect.update(&written.id, wanted, &call);
    let meddle = async {
        polls.reach(1).await;
        meanwhile(&peer);
        gate.open();
    };
    tokio::join!(update, meddle).0
}

#[tokio::test]
async fn a_lost_put_that_changes_the_key_is_proven_by_its_nonce_alone() {
    let keyed = |key: &str| ConnectionSpec {
        authentication: Some(Authentication::Psk(Psk::new(key))),
        ..ConnectionSpec::default()
    };
    let new_key = change(&[Field::Authentication], keyed("another-key"));

    // It never arrived, and an edit by somebody else moved the revision: readable fields are as wanted all the while.
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let note = |peer: &str| state.alter(Kind::PeerEndpoint, peer, json!({ "description": "x" }));
    let lost = put_lost_while(&nsx, &written, Fault::CutBeforeHandling, &new_key, note).await;
    assert_eq!(lost.unwrap_err().reason, ErrorReason::WriteAmbiguous);
    let peer = peer_of(&nsx.cloud, &written.id);
    assert_eq!(state.psk(&peer).as_deref(), Some(PSK));

    // It arrived, and so did the same edit after it.
    let done = put_lost_while(&nsx, &written, Fault::CutAfterHandling, &new_key, note).await;
    assert_eq!(done.unwrap().proof, Proof::RequestIdMissing);
    assert_eq!(state.psk(&peer).as_deref(), Some("another-key"));

    // An edit that takes all tags off leaves nothing that could prove it.
    let third = change(&[Field::Authentication], keyed("a-third-key"));
    let strip = |peer: &str| state.alter(Kind::PeerEndpoint, peer, json!({ "tags": [] }));
    let lost = put_lost_while(&nsx, &written, Fault::CutAfterHandling, &third, strip).await;
    assert_eq!(lost.unwrap_err().reason, ErrorReason::WriteAmbiguous);

    // What can be read proves itself.
    let answering = ConnectionSpec {
        initiation: Some(Initiation::RespondOnly),
        authentication: Some(Authentication::Certificate),
        ..ConnectionSpec::default()
    };
    let answering = change(&[Field::Initiation, Field::Authentication], answering);
    let done = put_lost_while(&nsx, &written, Fault::CutAfterHandling, &answering, strip).await;
    assert_eq!(done.unwrap().proof, Proof::RequestIdMissing);
}

#[tokio::test]
async fn a_nonce_proves_a_put_whatever_was_changed_after_it() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let values = ConnectionSpec {
        initiation: Some(Initiation::RespondOnly),
        authentication: Some(Authentication::Psk(Psk::new(PSK))),
        ..ConnectionSpec::default()
    };
    let wanted = change(&[Field::Initiation, Field::Authentication], values);
    let undo = |peer: &str| {
        let mode = json!({ "connection_initiation_mode": "ON_DEMAND" });
        state.alter(Kind::PeerEndpoint, peer, mode);
    };
    let done = put_lost_while(&nsx, &written, Fault::CutAfterHandling, &wanted, undo).await;
    let seen = done.unwrap().connection.unwrap();
    assert_eq!(seen.initiation, Some(Initiation::OnDemand));
}

#[tokio::test]
async fn a_nonce_is_hidden_replaced_and_left_out_where_there_is_no_room() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let own = json!({ "scope": "team", "tag": "net" });
    state.alter(Kind::Session, &written.id, json!({ "tags": [own] }));
    let renamed = |name: &str| {
        let values = ConnectionSpec {
            display_name: name.to_owned(),
            ..ConnectionSpec::default()
        };
        change(&[Field::DisplayName], values)
    };
    let tags = || state.object(Kind::Session, &written.id).unwrap()["tags"].clone();
    let mut nonces = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let seen = nsx.updated(&written, renamed(name)).await;
        let seen = seen.connection.unwrap();
        assert!(!seen.managed, "a nonce is no mark");
        assert_eq!(seen.native["tags"], json!([own]));
        let tags = tags();
        assert_eq!((tags.as_array().unwrap().len(), &tags[0]), (2, &own));
        assert_eq!(tags[1]["scope"], "isthmus-write");
        nonces.insert(tags[1]["tag"].to_string());
    }
    assert_eq!(nonces.len(), 3, "each write has its own");
    let again = nsx.updated(&written, renamed("c")).await;
    assert_eq!(again.proof, Proof::Nothing);

    let many: Vec<_> = (0..15)
        .map(|n| json!({ "scope": "team", "tag": n.to_string() }))
        .collect();
    state.alter(Kind::Session, &written.id, json!({ "tags": many }));
    nsx.updated(&written, renamed("d")).await;
    assert_eq!(tags(), json!(many));
}
