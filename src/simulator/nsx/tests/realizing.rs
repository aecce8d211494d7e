//! `/state` and `/status`: what the nodes have realized, and whether the tunnels are up.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::simulator::nsx::forced::ForcedState;
use crate::simulator::nsx::inventory;
use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::levers::UnknownRequestId;
use crate::simulator::nsx::realization::Pace;
use crate::simulator::nsx::refusal::StatusKey;
use crate::simulator::nsx::state::NsxState;
use crate::simulator::nsx::tests::{Bench, peer, session};
use crate::simulator::nsx::tunnel::Tunnel;
use crate::simulator::nsx::world::World;

/// The overall state for this write.
fn state_of(bench: &mut Bench, session: &str, request_id: &str) -> String {
    let (status, answer) = bench.get(&format!("sessions/{session}/state?request_id={request_id}"));
    assert_eq!(status, 200, "{answer}");
    answer["state"].as_str().unwrap().to_owned()
}

fn steps(world: &mut World, session: &str, steps: u32) {
    world.tracks.get_mut(session).unwrap().advance(steps);
}

#[test]
fn a_write_to_any_part_is_realized_with_the_session() {
    let mut bench = Bench::new();
    let ike = bench.create("ike-profiles", json!({}));
    let ike_write = bench.request_id();
    let mut peer = peer();
    peer["ike_profile_id"] = json!(ike);
    let peer = bench.create("peer-endpoints", peer);
    let peer_write = bench.request_id();
    let session = bench.create("sessions", session(&peer));
    let session_write = bench.request_id();
    for write in [&ike_write, &peer_write, &session_write] {
        assert_eq!(state_of(&mut bench, &session, write), "pending");
    }
    steps(&mut bench.world, &session, 4);
    for write in [&ike_write, &peer_write, &session_write] {
        assert_eq!(state_of(&mut bench, &session, write), "in_sync");
    }
    let path = format!("ike-profiles/{ike}");
    let (_, read) = bench.get(&path);
    assert_eq!(bench.ask(Method::PUT, &path, read).0, 200);
    let update = bench.request_id();
    assert_eq!(state_of(&mut bench, &session, &update), "pending");
    assert_eq!(state_of(&mut bench, &session, &session_write), "in_sync");
    assert_eq!(
        bench.get(&format!("sessions/{session}/state")).1["state"],
        "pending"
    );
}

#[test]
fn a_change_of_any_part_is_asked_on_each_session_that_uses_it() {
    let mut bench = Bench::new();
    let mut own = Vec::new();
    let mut wanted = peer();
    for (collection, field) in [
        ("ike-profiles", "ike_profile_id"),
        ("tunnel-profiles", "ipsec_tunnel_profile_id"),
        ("dpd-profiles", "dpd_profile_id"),
    ] {
        let id = bench.create(collection, json!({}));
        wanted[field] = json!(id);
        own.push(format!("{collection}/{id}"));
    }
    let peer = bench.create("peer-endpoints", wanted);
    own.push(format!("services/{}", inventory::SERVICE_ID));
    own.push(format!("local-endpoints/{}", inventory::LOCAL_ENDPOINT_ID));
    let user = bench.create("sessions", session(&peer));
    // It has another peer and so other profiles, but the same service and local endpoint.
    let other = bench.session();
    for session in [&user, &other] {
        steps(&mut bench.world, session, u32::MAX);
    }
    for path in own {
        let (_, read) = bench.get(&path);
        let (status, answer) = bench.ask(Method::PUT, &path, read);
        assert_eq!(status, 200, "{answer}");
        let write = bench.request_id();
        assert_eq!(state_of(&mut bench, &user, &write), "pending", "{path}");
        let shared = !path.contains("profiles");
        let expected = if shared { "pending" } else { "in_sync" };
        assert_eq!(state_of(&mut bench, &other, &write), expected, "{path}");
        for session in [&user, &other] {
            steps(&mut bench.world, session, u32::MAX);
        }
        assert_eq!(state_of(&mut bench, &user, &write), "in_sync");
    }
}

#[test]
fn an_unknown_request_id_gets_what_the_lever_says() {
    let mut bench = Bench::new();
    let session = bench.session();
    assert_eq!(state_of(&mut bench, &session, "unheard-of"), "pending");
    bench.world.levers.unknown_request_id = UnknownRequestId::NotFound;
    assert_eq!(
        bench
            .get(&format!("sessions/{session}/state?request_id=unheard-of"))
            .0,
        404
    );
}

#[test]
fn a_deletion_holds_the_endpoints_until_it_is_over_if_told_so() {
    let mut bench = Bench::new();
    bench.world.levers.delete_holds_parts = true;
    let session = bench.session();
    let (_, read) = bench.get(&format!("sessions/{session}"));
    let peer = read["peer_endpoint_id"].as_str().unwrap();
    let endpoints = [
        format!("peer-endpoints/{peer}"),
        format!("local-endpoints/{}", inventory::LOCAL_ENDPOINT_ID),
    ];
    assert_eq!(bench.delete(&format!("sessions/{session}")).0, 200);
    for endpoint in &endpoints {
        let (status, refused) = bench.delete(endpoint);
        assert_eq!((status, &refused["error_code"]), (400, &json!(500_030)));
    }
    bench.world.graves[0].track.advance(4);
    for endpoint in &endpoints {
        assert_eq!(bench.delete(endpoint).0, 200);
    }
}

#[test]
fn a_disabled_service_has_no_state() {
    let mut bench = Bench::new();
    let session = bench.session();
    let path = format!("services/{}", inventory::SERVICE_ID);
    let (_, mut service) = bench.get(&path);
    service["enabled"] = json!(false);
    assert_eq!(bench.ask(Method::PUT, &path, service).0, 200);
    let (status, answer) = bench.get(&format!("sessions/{session}/state"));
    assert_eq!((status, &answer["error_code"]), (400, &json!(110_199)));
    assert_eq!(answer["httpStatus"], "BAD_REQUEST");
    bench.world.levers.status_key = StatusKey::Snake;
    let (_, answer) = bench.get(&format!("sessions/{session}/state"));
    assert_eq!(answer["http_status"], "BAD_REQUEST");
    assert_eq!(
        bench
            .get(&format!("sessions/{session}/status?source=realtime"))
            .1["session_status"],
        "DOWN"
    );
}

#[test]
fn a_deleted_session_lingers_until_every_node_forgot_it() {
    let mut bench = Bench::new();
    let session = bench.session();
    steps(&mut bench.world, &session, 4);
    assert_eq!(bench.delete(&format!("sessions/{session}")).0, 200);
    let deletion = bench.request_id();
    assert_eq!(bench.get(&format!("sessions/{session}")).0, 404);
    assert_eq!(state_of(&mut bench, &session, &deletion), "pending");
    bench.world.graves[0].track.advance(4);
    let (status, answer) = bench.get(&format!("sessions/{session}/state?request_id={deletion}"));
    assert_eq!(status, 404);
    assert_eq!(
        answer,
        json!({
            "http_status": "NOT_FOUND",
            "error_code": 600,
            "module_name": "common-services",
            "error_message": "The operation failed because object identifier LogicalRouter/61746f54-7ab8-4702-93fe-6ddeb804 is missing: Object identifiers are case sensitive.."
        })
    );
    let (_, never) = bench.get("sessions/never/state");
    assert_eq!(never["httpStatus"], "NOT_FOUND");
}

#[test]
fn deletion_and_tunnels_follow_the_clock_if_told_so() {
    let mut bench = Bench::new();
    bench.world.levers.pace = Pace::Elapsed {
        per_node: Duration::from_secs(1),
    };
    bench.world.levers.tunnel_up_after = Some(Duration::from_secs(3));
    let session = bench.session();
    let status = |bench: &mut Bench| {
        let (_, answer) = bench.get(&format!("sessions/{session}/status?source=realtime"));
        (
            answer["session_status"].clone(),
            answer["ike_status"]["ike_session_state"].clone(),
        )
    };
    assert_eq!(status(&mut bench), (json!("DOWN"), json!("NEGOTIATING")));
    bench.now += Duration::from_secs(2);
    assert_eq!(
        bench.get(&format!("sessions/{session}/state")).1["state"],
        "in_sync"
    );
    assert_eq!(status(&mut bench), (json!("DOWN"), json!("NEGOTIATING")));
    bench.now += Duration::from_secs(3);
    assert_eq!(status(&mut bench), (json!("UP"), json!("UP")));
    bench.delete(&format!("sessions/{session}"));
    assert_eq!(bench.get(&format!("sessions/{session}/state")).0, 200);
    bench.now += Duration::from_secs(2);
    assert_eq!(bench.get(&format!("sessions/{session}/state")).0, 404);
}

/// The answer to a GET while `state` owns the world.
fn ask(state: &NsxState, path: &str) -> (u16, Value) {
    let mut taken = Bench::new();
    std::mem::swap(&mut taken.world, &mut *state.world());
    let answer = taken.get(path);
    std::mem::swap(&mut taken.world, &mut *state.world());
    answer
}

#[test]
fn the_levers_reach_states_and_objects() {
    let mut bench = Bench::new();
    let session = bench.session();
    let state = NsxState::new(bench.world);
    let ask = |path: &str| ask(&state, path);
    let path = format!("sessions/{session}/state");
    state.finish(&session);
    assert_eq!(ask(&path).1["state"], "in_sync");
    let node = &state.nodes()[1];
    state.set_node_state(&session, node, Some("failed"));
    assert_eq!(ask(&path).1["state"], "partial_success");
    state.set_node_state(&session, node, None);
    state.force_state(
        &session,
        Some(
            ForcedState::whole("orphaned")
                .with_true_details()
                .failing(7, "why"),
        ),
    );
    let (_, answer) = ask(&path);
    assert_eq!(
        (&answer["state"], &answer["failure_code"]),
        (&json!("orphaned"), &json!(7))
    );
    assert_eq!(answer["details"].as_array().unwrap().len(), 2);
    state.force_state(&session, Some(ForcedState::default()));
    assert_eq!(ask(&path), (200, json!({})));
    state.force_state(&session, None);
    state.set_state_missing(&session, true);
    assert_eq!(
        (ask(&path).0, ask(&format!("sessions/{session}")).0),
        (404, 200)
    );
    state.set_state_missing(&session, false);
    assert_eq!(ask(&path).0, 200);

    assert!(state.vanish(Kind::Session, &session));
    assert!(!state.vanish(Kind::Session, &session));
    assert_eq!(ask(&path).0, 404);
    let planted = state.plant(Kind::Session, json!({ "policy_rules": "2.1.4..0/24" }));
    assert_eq!(
        ask(&format!("sessions/{planted}")).1["policy_rules"],
        "2.1.4..0/24"
    );
    assert_eq!(state.object(Kind::Session, "none"), None::<Value>);
}

#[test]
fn the_levers_reach_tunnels() {
    let mut bench = Bench::new();
    let session = bench.session();
    let state = NsxState::new(bench.world);
    let ask = |path: &str| ask(&state, path);
    state.finish(&session);
    let path = format!("sessions/{session}/status");
    state.hold_cache(&session);
    state.set_tunnel(&session, Some(Tunnel::degraded(2, 1)));
    assert_eq!(ask(&path).1["session_status"], "DOWN");
    assert_eq!(
        ask(&format!("{path}?source=cached")).1["session_status"],
        "DOWN"
    );
    assert_eq!(
        ask(&format!("{path}?source=realtime")).1["session_status"],
        "DEGRADED"
    );
    state.release_cache(&session);
    assert_eq!(ask(&path).1["failed_tunnels"], 1);
    state.set_tunnel(&session, Some(Tunnel::down("Peer not reachable")));
    assert_eq!(
        ask(&path).1["ike_status"]["fail_reason"],
        "Peer not reachable"
    );
    assert_eq!(ask(&format!("{path}?source=guess")).0, 400);
}
