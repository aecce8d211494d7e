//! Making, reading, changing and removing, and what NSX says of it in its own words.

use crate::{
    setup::{ids, nsx, refusal, spec},
    support::{
        cloud::{Cloud, change, peer_of, renamed},
        clouds::PSK,
    },
};
use http::Method;
use isthmus::{
    core::{
        dialect::Proof,
        error::{ErrorKind, ErrorReason},
    },
    model::{Authentication, ConnectionSpec, Field, Initiation, Psk, RuleAction, Selectors},
    simulator::nsx::{Kind, inventory},
};
use serde_json::json;

#[tokio::test]
async fn a_connection_reads_back_as_it_was_made() {
    let nsx = nsx();
    let written = nsx.make().await;
    assert_eq!(ids(&written).len(), 2);
    let read = nsx.get(&written.id).await.unwrap();
    assert_eq!(read.description, "to the branch");
    assert_eq!(read.vpn_service.as_deref(), Some(inventory::SERVICE_ID));
    assert_eq!(read.initiation, Some(Initiation::Both));
    assert_eq!(
        read.ike_policy.as_deref(),
        Some(inventory::DEFAULT_IKE_PROFILE_ID)
    );
    let Some(Selectors::Rules(rules)) = &read.selectors else {
        panic!("{:?}", read.selectors)
    };
    assert_eq!(rules[0].destinations, ["10.1.0.0/24", "2001:db8::/64"]);
    assert_eq!(rules[0].action, Some(RuleAction::Protect));
    assert_eq!(nsx.cloud.key(&written.id), PSK);
}

#[tokio::test]
async fn what_nobody_here_knows_survives_an_update() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let tags = json!([{ "scope": "team", "tag": "net" }]);
    state.alter(Kind::Session, &written.id, json!({ "tags": tags }));
    let values = ConnectionSpec {
        admin_enabled: Some(false),
        ..ConnectionSpec::default()
    };
    let off = change(&[Field::AdminEnabled], values);
    let done = nsx.updated(&written, off).await;
    assert_eq!(ids(&done).len(), 1, "the peer endpoint is as it was");
    let session = state.object(Kind::Session, &written.id).unwrap();
    assert_eq!(session["enabled"], false);
    assert_eq!(session["description"], "to the branch");
    assert_eq!(session["tags"][0], tags[0]);
}

#[tokio::test]
async fn a_change_of_the_peer_needs_the_key_again() {
    let nsx = nsx();
    let written = nsx.make().await;
    let values = ConnectionSpec {
        peer_address: "203.0.113.8".to_owned(),
        authentication: Some(Authentication::Psk(Psk::new("another-key"))),
        ..ConnectionSpec::default()
    };
    let moved = change(&[Field::PeerAddress], values.clone());
    let error = nsx.update(&written.id, &moved).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    assert_eq!(error.context.violations[0].field, "peer.psk");
    assert_eq!(nsx.asked(Method::PUT, "peer-endpoints"), 0);

    let moved = change(&[Field::PeerAddress, Field::Authentication], values);
    let done = nsx.update(&written.id, &moved).await.unwrap();
    assert_eq!(ids(&done).len(), 1);
    assert_eq!(done.warnings[0].field, "peer.id");
    let after = done.connection.unwrap();
    assert_eq!(after.peer.address, "203.0.113.8");
    assert_eq!(nsx.cloud.key(&written.id), "another-key");
}

#[tokio::test]
async fn a_lost_race_is_told_as_a_stale_etag() {
    let nsx = nsx();
    let written = nsx.make().await;
    for status in [409, 412] {
        nsx.once(Method::PUT, "/sessions/", refusal(status, 206));
        let error = nsx.update(&written.id, &renamed("x")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stale);
        assert_eq!(error.reason, ErrorReason::StaleEtag);
    }
}

#[tokio::test]
async fn a_delete_leaves_a_peer_endpoint_that_is_not_marked() {
    let nsx = nsx();
    let foreign = nsx.make().await;
    let peer = peer_of(&nsx.cloud, &foreign.id);
    let state = nsx.cloud.state();
    state.alter(Kind::PeerEndpoint, &peer, json!({ "tags": [] }));
    let deleted = nsx.delete(&foreign.id).await.unwrap();
    assert_eq!(ids(&deleted).len(), 1);
    assert_eq!(nsx.made(), (1, 0));
}

#[tokio::test]
async fn another_principals_object_is_refused_as_such() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    state.give_to(Kind::Session, &written.id, "nsx_policy");
    let error = nsx.delete(&written.id).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::PermissionDenied, ErrorReason::NotOwner)
    );
}

#[tokio::test]
async fn a_refused_session_leaves_no_peer_endpoint_behind() {
    let nsx = nsx();
    let spec = ConnectionSpec {
        local_endpoint: Some("not-there".to_owned()),
        ..spec()
    };
    let error = nsx.create(&spec).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ReferenceNotFound);
    assert!(error.context.leftovers.is_empty());
    assert_eq!(nsx.made(), (0, 0));
}

#[tokio::test]
async fn what_could_not_be_removed_again_is_named() {
    let nsx = nsx();
    nsx.once(Method::POST, "/sessions$", refusal(400, 255));
    nsx.once(Method::DELETE, "/peer-endpoints/", refusal(403, 505));
    let error = nsx.create(&spec()).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamRejected);
    assert_eq!(error.context.leftovers[0].kind, "peerEndpoints");
    assert_eq!(nsx.made(), (1, 0));
}

#[tokio::test]
async fn writes_without_a_request_id_say_so() {
    let nsx = nsx();
    nsx.cloud.state().tune(|levers| levers.request_ids = false);
    assert_eq!(nsx.make().await.proof, Proof::RequestIdMissing);
}

#[tokio::test]
async fn odd_objects_are_read_and_not_refused() {
    let nsx = nsx();
    let id = nsx.cloud.state().plant(
        Kind::Session,
        json!({
            "resource_type": "SomethingNew",
            "peer_endpoint_id": "gone",
            "enabled": "true",
            "vendor_extra": { "token": "canary", "kept": 1 },
        }),
    );
    let read = nsx.get(&id).await.unwrap();
    assert_eq!(read.admin_enabled, Some(true));
    assert!(read.selectors.is_none() && !read.peer.psk_set && !read.managed);
    assert_eq!(read.native["resource_type"], "SomethingNew");
    assert_eq!(read.native["vendor_extra"], json!({ "kept": 1 }));
}
