//! The peer endpoint of a delete in doubt.

use crate::{
    setup::{Nsx, nsx, refusal},
    support::cloud::peer_of,
};
use http::Method;
use isthmus::{
    core::{
        dialect::{Target, Written},
        error::{Error, ErrorKind, ErrorReason},
    },
    model::RealizationState,
    simulator::{
        faults::{Fault, Gate, Rule},
        nsx::Kind,
    },
};
use serde_json::json;
use std::time::Duration;

/// A delete that happened, and of which nothing could be found out.
async fn deleted_in_doubt(nsx: &Nsx, written: &Written) -> Error {
    let session = format!("/sessions/{}$", written.id);
    let faults = nsx.cloud.faults();
    faults.inject(Rule::on(Method::DELETE, &session, Fault::CutAfterHandling));
    faults.inject(Rule::on(Method::GET, &session, refusal(400, 1)).after(1));
    let error = nsx.delete(&written.id).await;
    faults.clear();
    let error = error.unwrap_err();
    assert_eq!(error.reason, ErrorReason::WriteAmbiguous);
    error
}

/// Lets pass what is done beside the calls.
async fn settled(nsx: &Nsx) {
    let asked = || nsx.cloud.requests().total();
    let mut quiet = 0;
    while quiet < 20 {
        let before = asked();
        tokio::time::sleep(Duration::from_millis(5)).await;
        quiet = if asked() == before { quiet + 1 } else { 0 };
    }
}

fn gone(written: &Written) -> Target {
    Target {
        id: written.id.clone(),
        deleting: true,
        ..Target::default()
    }
}

#[tokio::test]
async fn a_peer_endpoint_of_a_delete_in_doubt_is_named_and_goes_once_its_session_is_gone() {
    for evidence in ["look", "get", "delete"] {
        let nsx = nsx();
        let written = nsx.make().await;
        let peer = peer_of(&nsx.cloud, &written.id);
        let error = deleted_in_doubt(&nsx, &written).await;
        let named: Vec<_> = error
            .context
            .leftovers
            .iter()
            .map(|left| &left.id)
            .collect();
        assert_eq!(named, [&peer]);
        assert_eq!(nsx.made(), (1, 0));
        let state = nsx.cloud.state();
        state.finish(&written.id);
        match evidence {
            "look" => {
                let seen = nsx.poll(gone(&written)).await.unwrap();
                assert_eq!(seen.state, RealizationState::Deleted);
            }
            "get" => {
                nsx.get(&written.id).await.unwrap_err();
            }
            _ => {
                let again = nsx.delete(&written.id).await;
                assert_eq!(again.unwrap_err().kind, ErrorKind::NotFound);
            }
        }
        settled(&nsx).await;
        assert_eq!(nsx.made(), (0, 0), "{evidence}");
    }
}

#[tokio::test]
async fn a_peer_endpoint_of_a_delete_in_doubt_stays_where_it_is_not_ours_alone() {
    // Somebody else uses it by now, or has taken the mark off; or the session is there after all.
    for case in ["used", "unmarked", "undeleted"] {
        let nsx = nsx();
        let written = nsx.make().await;
        let peer = peer_of(&nsx.cloud, &written.id);
        let state = nsx.cloud.state();
        let session = state.object(Kind::Session, &written.id).unwrap();
        deleted_in_doubt(&nsx, &written).await;
        state.finish(&written.id);
        let plant = |id: &str| {
            let mut session = session.clone();
            session["id"] = json!(id);
            state.plant(Kind::Session, session);
        };
        match case {
            "used" => plant("somebody-elses"),
            "unmarked" => state.alter(Kind::PeerEndpoint, &peer, json!({ "tags": [] })),
            _ => plant(&written.id),
        }
        let _ = nsx.poll(gone(&written)).await;
        let _ = nsx.get(&written.id).await;
        settled(&nsx).await;
        assert_eq!(nsx.made().0, 1, "{case}");
        if case == "undeleted" {
            nsx.delete(&written.id).await.unwrap();
            assert_eq!(nsx.made(), (0, 0));
        }
    }
}

#[tokio::test]
async fn what_is_removed_after_a_poll_neither_delays_nor_fails_it() {
    let nsx = nsx();
    let written = nsx.make().await;
    deleted_in_doubt(&nsx, &written).await;
    nsx.cloud.state().finish(&written.id);
    let faults = nsx.cloud.faults();
    let gate = Gate::default();
    let held = faults.inject(Rule::at("/peer-endpoints", Fault::Hold(gate.clone())));
    faults.inject(Rule::at("/peer-endpoints", refusal(403, 505)));
    let seen = nsx.poll(gone(&written)).await.unwrap();
    assert_eq!(seen.state, RealizationState::Deleted);
    held.reach(1).await;
    nsx.poll(gone(&written)).await.unwrap();
    gate.open();
    settled(&nsx).await;
    assert_eq!(nsx.made(), (1, 0));

    // What did not go is remembered, and tried again with the next poll.
    faults.clear();
    nsx.poll(gone(&written)).await.unwrap();
    settled(&nsx).await;
    assert_eq!(nsx.made(), (0, 0));
}
