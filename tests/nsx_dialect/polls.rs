//! Polls: state, tunnel, and what an answer leaves open.

use crate::setup::{ids, nsx, page_of_html, refusal, spec, target_of};
use http::Method;
use isthmus::{
    core::{
        dialect::Target,
        error::{ErrorKind, ErrorReason},
    },
    model::{Assurance, ConnectionSpec, RealizationState, TunnelStatus},
    simulator::{
        faults::Rule,
        nsx::{ForcedState, Settle, Tunnel, UnknownRequestId, inventory},
    },
};

#[tokio::test]
async fn a_poll_follows_the_nodes() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let mut seen = Vec::new();
    let every = ids(&written);
    for _ in 0..5 {
        let sighting = nsx.poll(target_of(&written)).await.unwrap();
        // While the newest write is on its way, how far the one before it has come is not asked.
        let expected = match sighting.state {
            RealizationState::Realized => &every[..],
            _ => &every[1..],
        };
        assert_eq!(sighting.request_ids, expected);
        seen.push((sighting.state, sighting.native_state));
        state.advance(&written.id);
    }
    let words: Vec<&str> = seen.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(
        words,
        [
            "pending",
            "in_progress",
            "in_progress",
            "in_progress",
            "in_sync"
        ]
    );
    assert_eq!(seen[4].0, RealizationState::Realized);
    state.tune(|levers| levers.settle = Settle::Success);
    state.finish(&written.id);
    let sighting = nsx.poll(target_of(&written)).await.unwrap();
    assert_eq!(
        (sighting.state, sighting.assurance),
        (RealizationState::Realized, Assurance::InEffect)
    );
    assert_eq!(sighting.nodes.len(), 2);
}

#[tokio::test]
async fn the_tunnel_is_read_from_the_nodes() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    state.set_tunnel(&written.id, Some(Tunnel::up(1)));
    let wanted = Target {
        want_tunnel: true,
        ..target_of(&written)
    };
    let early = nsx.poll(wanted.clone()).await.unwrap();
    assert_eq!(early.state, RealizationState::Pending);
    assert_eq!(early.tunnel.unwrap().status, TunnelStatus::Up);

    state.finish(&written.id);
    let up = nsx.poll(wanted.clone()).await.unwrap();
    assert_eq!(
        (up.state, up.assurance),
        (RealizationState::Active, Assurance::TunnelUp)
    );
    state.set_tunnel(&written.id, Some(Tunnel::down("Peer not reachable")));
    let down = nsx.poll(wanted.clone()).await.unwrap();
    assert_eq!(
        (down.state, down.assurance),
        (RealizationState::Down, Assurance::ControlPlane)
    );
    assert_eq!(down.reason.unwrap().message, "Peer not reachable");
    assert!(down.tunnel.unwrap().realtime);

    let rule = Rule::on(Method::GET, "/status", refusal(500, 1));
    nsx.cloud.faults().inject(rule);
    nsx.poll(wanted).await.unwrap_err();
}

#[tokio::test]
async fn what_the_cloud_says_by_a_4xx_is_a_sighting() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    state.set_service_enabled(inventory::SERVICE_ID, false);
    let off = nsx.poll(target_of(&written)).await.unwrap();
    assert_eq!(off.state, RealizationState::Disabled);
    assert_eq!(off.reason.unwrap().code, "VPN_SERVICE_DISABLED");
    state.set_service_enabled(inventory::SERVICE_ID, true);

    state.set_state_missing(&written.id, true);
    let missing = nsx.poll(target_of(&written)).await.unwrap();
    assert_eq!(missing.state, RealizationState::Unknown);
    assert_eq!(missing.reason.unwrap().code, "STATE_NOT_FOUND");
    assert_eq!(missing.native_state, "NOT_FOUND (600)");
    state.set_state_missing(&written.id, false);

    state.force_state(&written.id, Some(ForcedState::whole("REHEARSING")));
    let odd = nsx.poll(target_of(&written)).await.unwrap();
    assert_eq!(odd.reason.unwrap().code, "UNRECOGNIZED_VALUE");
    state.force_state(&written.id, None);

    state.tune(|levers| levers.unknown_request_id = UnknownRequestId::NotFound);
    let unknown = Target {
        request_ids: vec!["not-a-request".to_owned()],
        ..target_of(&written)
    };
    let unknown = nsx.poll(unknown).await.unwrap();
    assert_eq!(unknown.reason.unwrap().code, "STATE_NOT_FOUND");
    assert!(unknown.request_ids.is_empty());
}

#[tokio::test]
async fn whether_it_is_switched_on_is_found_out_if_nobody_knows() {
    let nsx = nsx();
    let spec = ConnectionSpec {
        admin_enabled: Some(false),
        ..spec()
    };
    let written = nsx.create(&spec).await.unwrap();
    let unknown = Target {
        admin_enabled: None,
        ..target_of(&written)
    };
    let seen = nsx.poll(unknown).await.unwrap();
    assert_eq!(seen.admin_enabled, Some(false));
    assert_eq!(
        nsx.poll(target_of(&written)).await.unwrap().admin_enabled,
        None
    );
}

#[tokio::test]
async fn a_delete_is_over_when_session_and_state_are_gone() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    state.finish(&written.id);
    let deleted = nsx.delete(&written.id).await.unwrap();
    let going = Target {
        deleting: true,
        ..target_of(&deleted)
    };
    let seen = nsx.poll(going.clone()).await.unwrap();
    assert_eq!(seen.state, RealizationState::Deleting);
    // Somebody who did not delete it sees the same, once the session itself is asked.
    let stranger = Target {
        id: written.id.clone(),
        ..Target::default()
    };
    let seen = nsx.poll(stranger).await.unwrap();
    assert_eq!(seen.state, RealizationState::Deleting);

    // As long as any question about it is answered, it is not gone.
    let unknown = Rule::on(Method::GET, "/state", refusal(404, 600)).query("request_id=lost");
    nsx.cloud.faults().inject(unknown);
    let mut two = going.clone();
    two.request_ids.push("lost".to_owned());
    let seen = nsx.poll(two).await.unwrap();
    assert_eq!(seen.state, RealizationState::Deleting);

    state.finish(&written.id);
    let seen = nsx.poll(going).await.unwrap();
    assert_eq!(
        (seen.state, seen.assurance),
        (RealizationState::Deleted, Assurance::ControlPlane)
    );
    assert_eq!(seen.request_ids, ids(&deleted));
    assert_eq!(seen.native_state, "NOT_FOUND (600)");
}

#[tokio::test]
async fn a_404_proves_nothing_unless_nsx_says_it_of_the_session() {
    let nsx = nsx();
    let written = nsx.make().await;
    nsx.once(Method::GET, "/state", page_of_html(404));
    let error = nsx.poll(target_of(&written)).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamBrokenAnswer);

    nsx.cloud.state().set_state_missing(&written.id, true);
    let session = format!("/sessions/{}$", written.id);
    nsx.once(Method::GET, &session, page_of_html(404));
    let error = nsx.poll(target_of(&written)).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamBrokenAnswer);

    nsx.once(Method::GET, &session, refusal(404, 600));
    nsx.once(Method::GET, "/sessions$", refusal(404, 600));
    let error = nsx.poll(target_of(&written)).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ApiAbsent);
}

#[tokio::test]
async fn an_outage_in_the_words_of_nsx_is_an_error_and_no_sighting() {
    let nsx = nsx();
    let written = nsx.make().await;
    for (fault, kind) in [
        (refusal(500, 1), ErrorKind::Unavailable),
        (refusal(503, 101), ErrorKind::Unavailable),
        (refusal(429, 102), ErrorKind::Throttled),
    ] {
        nsx.cloud.faults().inject(Rule::at("/state", fault.clone()));
        let error = nsx.poll(target_of(&written)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{fault:?} {error}");
        nsx.cloud.faults().clear();
    }
}
