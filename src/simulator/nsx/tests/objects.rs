//! Objects: creation, storage, refusals and lists.

use http::Method;
use serde_json::{Value, json};

use crate::simulator::nsx::inventory;
use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::levers::{EndMarker, PskOnUpdate};
use crate::simulator::nsx::tests::{Bench, peer, session};

#[test]
fn the_server_makes_ids_and_fills_in_defaults() {
    let mut bench = Bench::new();
    let (status, profile) = bench.ask(Method::POST, "ike-profiles", json!({ "id": "mine" }));
    assert_eq!(status, 201);
    assert_ne!(profile["id"], "mine");
    assert_eq!(profile["display_name"], profile["id"]);
    assert_eq!(profile["ike_version"], "IKE_V2");
    assert_eq!(profile["encryption_algorithms"], json!(["AES_128"]));
    assert_eq!(profile["sa_life_time"], 86_400);
    assert_eq!(profile["resource_type"], "IPSecVPNIKEProfile");
    assert_eq!(profile["_revision"], 0);
    assert_eq!(profile["_create_user"], "admin");
    assert_eq!(profile["_system_owned"], false);
    let id = profile["id"].as_str().unwrap();
    assert_eq!(
        bench.get(&format!("ike-profiles/{id}")),
        (200, profile.clone())
    );
    for (mode, interval) in [("PERIODIC", 60), ("ON_DEMAND", 3)] {
        let asked = json!({ "dpd_probe_mode": mode });
        let (_, dpd) = bench.ask(Method::POST, "dpd-profiles", asked);
        assert_eq!(
            (&dpd["dpd_probe_mode"], &dpd["dpd_probe_interval"]),
            (&json!(mode), &json!(interval))
        );
    }
    let (_, made) = bench.ask(Method::POST, "peer-endpoints", peer());
    assert_eq!(
        made["ipsec_tunnel_profile_id"],
        inventory::DEFAULT_TUNNEL_PROFILE_ID
    );
    assert_eq!(made["connection_initiation_mode"], "INITIATOR");
}

#[test]
fn a_psk_goes_in_and_comes_out_only_when_asked_for_by_name() {
    let mut bench = Bench::new();
    let (_, made) = bench.ask(Method::POST, "peer-endpoints", peer());
    let path = format!("peer-endpoints/{}", made["id"].as_str().unwrap());
    let (_, read) = bench.get(&path);
    let (_, listed) = bench.get("peer-endpoints");
    for answer in [&made, &read, &listed] {
        assert!(!answer.to_string().contains("sesame"), "{answer}");
    }
    let (_, shown) = bench.get(&format!("{path}?action=show-sensitive-data"));
    assert_eq!(shown["psk"], "sesame");
}

#[test]
fn updating_a_peer_endpoint_needs_the_psk_unless_the_lever_says_it_is_kept() {
    let mut bench = Bench::new();
    let path = format!("peer-endpoints/{}", bench.peer());
    let (_, mut read) = bench.get(&path);
    read["peer_address"] = json!("203.0.113.8");
    let (status, refused) = bench.ask(Method::PUT, &path, read.clone());
    assert_eq!((status, &refused["error_code"]), (400, &json!(255)));
    bench.world.levers.psk_on_update = PskOnUpdate::Kept;
    assert_eq!(bench.ask(Method::PUT, &path, read).0, 200);
    assert_eq!(
        bench.get(&format!("{path}?action=show-sensitive-data")).1["psk"],
        "sesame"
    );
}

#[test]
fn an_update_needs_the_current_revision() {
    let mut bench = Bench::new();
    let path = format!("sessions/{}", bench.session());
    let (_, read) = bench.get(&path);
    let (status, updated) = bench.ask(Method::PUT, &path, read.clone());
    assert_eq!((status, &updated["_revision"]), (200, &json!(1)));
    assert_eq!(updated["_create_time"], read["_create_time"]);
    let (status, stale) = bench.ask(Method::PUT, &path, read.clone());
    assert_eq!(status, 412);
    assert_eq!(stale["httpStatus"], "PRECONDITION_FAILED");
    let mut without = read;
    without.as_object_mut().unwrap().remove("_revision");
    assert_eq!(bench.ask(Method::PUT, &path, without.clone()).0, 412);
    bench.world.levers.stale_status = http::StatusCode::CONFLICT;
    assert_eq!(bench.ask(Method::PUT, &path, without).0, 409);
}

#[test]
fn a_session_takes_its_service_from_the_local_endpoint_and_numbers_its_rules() {
    let mut bench = Bench::new();
    let peer = bench.peer();
    let mut wanted = session(&peer);
    wanted["ipsec_vpn_service_id"] = json!("something else");
    let (_, made) = bench.ask(Method::POST, "sessions", wanted);
    assert_eq!(made["ipsec_vpn_service_id"], inventory::SERVICE_ID);
    let rule = &made["policy_rules"][0];
    assert!(rule["id"].is_string());
    assert_eq!(
        (&rule["action"], &rule["enabled"]),
        (&json!("PROTECT"), &json!(true))
    );
    let route_based = json!({
        "resource_type": "RouteBasedIPSecVPNSession",
        "local_endpoint_id": inventory::LOCAL_ENDPOINT_ID,
        "peer_endpoint_id": peer,
        "tunnel_ports": [{ "ip_subnets": [{ "ip_addresses": ["169.254.0.1"], "prefix_length": 30 }] }],
    });
    let (_, made) = bench.ask(Method::POST, "sessions", route_based);
    assert!(made["tunnel_ports"][0]["tunnel_port_id"].is_string());
}

#[test]
fn what_is_missing_or_out_of_bounds_is_refused() {
    let mut bench = Bench::new();
    let peer = bench.peer();
    let with = |mut object: Value, field: &str, value: Value| {
        object[field] = value;
        object
    };
    let bad_rule = json!([{ "sources": [{ "subnet": "2.1.4..0/24" }] }]);
    for (collection, body, status, code) in [
        ("peer-endpoints", json!({}), 400, json!(255)),
        (
            "peer-endpoints",
            with(self::peer(), "psk", Value::Null),
            400,
            json!(255),
        ),
        (
            "peer-endpoints",
            with(self::peer(), "ike_profile_id", json!("none")),
            404,
            json!(600),
        ),
        (
            "ike-profiles",
            json!({ "sa_life_time": 1 }),
            400,
            json!(255),
        ),
        (
            "ike-profiles",
            json!({ "dh_groups": ["GROUP1"] }),
            400,
            json!(255),
        ),
        (
            "ike-profiles",
            json!({ "ike_version": "IKE_V1", "encryption_algorithms": ["AES_GCM_128"] }),
            400,
            json!(255),
        ),
        (
            "dpd-profiles",
            json!({ "dpd_probe_mode": "ON_DEMAND", "dpd_probe_interval": 60 }),
            400,
            json!(255),
        ),
        ("ike-profiles", json!({ "scope": "x" }), 400, json!(287)),
        ("ike-profiles", json!([]), 400, json!(287)),
        (
            "services",
            json!({ "logical_router_id": "none" }),
            404,
            json!(600),
        ),
        (
            "services",
            json!({ "logical_router_id": inventory::LOGICAL_ROUTER_ID }),
            400,
            json!(110_000),
        ),
        (
            "local-endpoints",
            json!({ "local_address": "192.0.2.1", "ipsec_vpn_service_id": inventory::SERVICE_ID }),
            400,
            json!(255),
        ),
        ("sessions", session("none"), 404, json!(600)),
        (
            "sessions",
            with(
                session(&peer),
                "resource_type",
                json!("PolicyBasedIPSecVpnSession"),
            ),
            400,
            json!(255),
        ),
        (
            "sessions",
            with(session(&peer), "policy_rules", Value::Null),
            400,
            json!(255),
        ),
        (
            "sessions",
            with(session(&peer), "policy_rules", bad_rule.clone()),
            400,
            json!(255),
        ),
        (
            "sessions",
            with(session(&peer), "policy_rules", json!([{ "colour": "red" }])),
            400,
            json!(255),
        ),
        (
            "sessions",
            with(
                session(&peer),
                "tcp_mss_clamping",
                json!({ "direction": "BOTH", "max_segment_size": 9_000 }),
            ),
            400,
            json!(255),
        ),
        (
            "services",
            json!({ "logical_router_id": inventory::FREE_ROUTER_ID, "bypass_rules": bad_rule }),
            400,
            json!(255),
        ),
        (
            "dpd-profiles",
            json!({ "tags": [{ "scope": "s".repeat(129), "tag": "" }] }),
            400,
            json!(255),
        ),
        (
            "tunnel-profiles",
            json!({ "encryption_algorithms": ["3DES"] }),
            400,
            json!(255),
        ),
        (
            "tunnel-profiles",
            json!({ "sa_life_time": 899 }),
            400,
            json!(255),
        ),
        ("elsewhere", json!({}), 404, json!("269")),
    ] {
        let (got, answer) = bench.ask(Method::POST, collection, body.clone());
        assert_eq!(
            (got, &answer["error_code"]),
            (status, &code),
            "{collection} {body}: {answer}"
        );
    }
}

#[test]
fn what_is_in_use_stays_unless_forced() {
    let mut bench = Bench::new();
    let session = bench.session();
    let (_, read) = bench.get(&format!("sessions/{session}"));
    let peer = format!(
        "peer-endpoints/{}",
        read["peer_endpoint_id"].as_str().unwrap()
    );
    for path in [
        peer.clone(),
        format!("services/{}", inventory::SERVICE_ID),
        format!("local-endpoints/{}", inventory::LOCAL_ENDPOINT_ID),
    ] {
        assert_eq!(bench.delete(&path).0, 400, "{path}");
    }
    assert_eq!(bench.delete(&format!("{peer}?force=true")).0, 200);
    assert_eq!(bench.delete(&peer).0, 404);
    assert_eq!(bench.delete(&format!("sessions/{session}")).0, 200);
    assert_eq!(
        bench.get(&format!("sessions/{session}")).1["error_code"],
        600
    );
    let local = format!("local-endpoints/{}", inventory::LOCAL_ENDPOINT_ID);
    assert_eq!(bench.delete(&local).0, 200);
}

#[test]
fn what_belongs_to_others_is_theirs() {
    let mut bench = Bench::new();
    let system = format!("ike-profiles/{}", inventory::DEFAULT_IKE_PROFILE_ID);
    assert_eq!(bench.delete(&system).1["error_code"], 289);
    let session = bench.session();
    let object = bench.world.object_mut(Kind::Session, &session).unwrap();
    object
        .value
        .insert("_create_user".into(), json!("nsx_policy"));
    object
        .value
        .insert("_protection".into(), json!("REQUIRE_OVERRIDE"));
    let path = format!("sessions/{session}");
    let (status, refused) = bench.delete(&path);
    assert_eq!((status, &refused["error_code"]), (400, &json!(289)));
    let overwrite = [("x-allow-overwrite", "true")];
    assert_eq!(
        bench
            .ask_with(Method::DELETE, &path, Value::Null, &overwrite)
            .0,
        200
    );
}

#[test]
fn a_list_is_read_page_by_page_to_either_end_marker() {
    let mut bench = Bench::new();
    let mut made: Vec<_> = (0..5).map(|_| bench.peer()).collect();
    for end_marker in [EndMarker::Absent, EndMarker::Zeros] {
        bench.world.levers.end_marker = end_marker;
        let (mut listed, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let (_, page) = bench.get(&format!("peer-endpoints?page_size=2&cursor={cursor}"));
            assert_eq!(page.get("result_count").is_some(), pages == 0);
            let results = page["results"].as_array().unwrap();
            listed.extend(
                results
                    .iter()
                    .map(|peer| peer["id"].as_str().unwrap().to_owned()),
            );
            pages += 1;
            match page["cursor"].as_str() {
                Some(next) if !next.starts_with("0000") => cursor = next.to_owned(),
                end => {
                    assert_eq!(end.is_some(), end_marker == EndMarker::Zeros);
                    break;
                }
            }
        }
        assert_eq!((&listed, pages), (&made, 3));
    }
    let (_, sorted) =
        bench.get("peer-endpoints?sort_by=id&sort_ascending=false&included_fields=id");
    made.sort();
    made.reverse();
    assert_eq!(
        sorted["results"],
        json!(
            made.iter()
                .map(|id| json!({ "id": id }))
                .collect::<Vec<_>>()
        )
    );
    bench.world.levers.included_fields = false;
    let (_, whole) = bench.get("peer-endpoints?included_fields=id");
    assert!(whole["results"][0]["peer_address"].is_string());
    assert_eq!(bench.get("peer-endpoints?cursor=made-up").0, 400);
    assert_eq!(bench.get("peer-endpoints?page_size=0").0, 400);
}

#[test]
fn lists_are_filtered() {
    let mut bench = Bench::new();
    bench.session();
    for (filter, expected) in [
        (format!("ipsec_vpn_service_id={}", inventory::SERVICE_ID), 1),
        ("ipsec_vpn_service_id=other".to_owned(), 0),
        (
            format!("logical_router_id={}", inventory::LOGICAL_ROUTER_ID),
            1,
        ),
        ("session_type=PolicyBasedIPSecVPNSession".to_owned(), 1),
        ("session_type=RouteBasedIPSecVPNSession".to_owned(), 0),
    ] {
        assert_eq!(
            bench.get(&format!("sessions?{filter}")).1["result_count"],
            expected,
            "{filter}"
        );
    }
}

#[test]
fn without_the_api_its_whole_path_is_unknown() {
    let mut bench = Bench::new();
    let session = bench.session();
    bench.world.levers.api_absent = true;
    assert_eq!(bench.get("sessions").0, 404);
    let (status, answer) = bench.get(&format!("sessions/{session}"));
    assert_eq!((status, &answer["error_code"]), (404, &json!("269")));
}
