//! Every collection: create, read, update, reference and delete.

use http::Method;
use serde_json::{Value, json};

use crate::simulator::nsx::inventory;
use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::tests::{Bench, peer};
#[test]
fn every_kind_is_made_read_changed_and_deleted() {
    let mut bench = Bench::new();
    let service = json!({ "logical_router_id": inventory::FREE_ROUTER_ID,
        "bypass_rules": [{ "sources": [{ "subnet": "10.9.0.0/16" }] }] });
    let local = json!({ "local_address": "198.51.100.99",
        "ipsec_vpn_service_id": { "target_id": inventory::SERVICE_ID } });
    for (kind, body) in [
        (Kind::IkeProfile, json!({})),
        (Kind::TunnelProfile, json!({})),
        (Kind::DpdProfile, json!({})),
        (Kind::Service, service),
        (Kind::LocalEndpoint, local),
        (Kind::PeerEndpoint, peer()),
    ] {
        let collection = kind.collection();
        let id = bench.create(collection, body);
        let path = format!("{collection}/{id}");
        let (_, mut read) = bench.get(&path);
        assert_eq!(read["_revision"], 0, "{collection}");
        assert_eq!(read["_create_time"], read["_last_modified_time"]);
        read["display_name"] = json!("renamed");
        if kind == Kind::PeerEndpoint {
            read["psk"] = json!("sesame");
        }
        bench.now += std::time::Duration::from_millis(1_500);
        let (status, changed) = bench.ask(Method::PUT, &path, read.clone());
        assert_eq!(status, 200, "{changed}");
        assert_eq!(changed["_revision"], 1);
        let time = |name: &str| changed[name].as_u64().unwrap();
        assert_eq!(time("_last_modified_time") - time("_create_time"), 1_500);
        assert_eq!(bench.ask(Method::PUT, &path, read).0, 412, "{collection}");
        let (_, listed) = bench.get(collection);
        let listed = listed["results"].as_array().unwrap();
        assert!(listed.contains(&changed), "{collection}");
        assert_eq!(bench.delete(&path).0, 200);
        assert_eq!(bench.get(&path).0, 404);
        assert_eq!(bench.delete(&path).0, 404);
    }
}

#[test]
fn bypass_rules_bypass_and_have_ids() {
    let mut bench = Bench::new();
    let wanted = json!({ "logical_router_id": inventory::FREE_ROUTER_ID,
        "bypass_rules": [{ "sources": [{ "subnet": "10.9.0.0/16" }], "action": "PROTECT" }] });
    let (_, made) = bench.ask(Method::POST, "services", wanted);
    let rule = &made["bypass_rules"][0];
    assert_eq!(
        (&rule["action"], &rule["logged"]),
        (&json!("BYPASS"), &json!(false))
    );
    assert!(rule["id"].is_string());
}

#[test]
fn profiles_in_use_stay_and_the_systems_own_are_never_changed() {
    let mut bench = Bench::new();
    for (collection, field, system) in [
        (
            "ike-profiles",
            "ike_profile_id",
            inventory::DEFAULT_IKE_PROFILE_ID,
        ),
        (
            "tunnel-profiles",
            "ipsec_tunnel_profile_id",
            inventory::DEFAULT_TUNNEL_PROFILE_ID,
        ),
        (
            "dpd-profiles",
            "dpd_profile_id",
            inventory::DEFAULT_DPD_PROFILE_ID,
        ),
    ] {
        let profile = bench.create(collection, json!({}));
        let mut user = peer();
        user[field] = json!(profile);
        let user = bench.create("peer-endpoints", user);
        let path = format!("{collection}/{profile}");
        let (status, refused) = bench.delete(&path);
        assert_eq!((status, &refused["error_code"]), (400, &json!(110_000)));
        let message = refused["error_message"].as_str().unwrap();
        assert!(message.contains(&user), "{message}");
        // A profile in use can be changed, unlike in Neutron.
        let (_, read) = bench.get(&path);
        assert_eq!(bench.ask(Method::PUT, &path, read).0, 200);
        assert_eq!(bench.delete(&format!("{path}?force=true")).0, 200);

        let path = format!("{collection}/{system}");
        let (_, read) = bench.get(&path);
        assert_eq!(
            (&read["_system_owned"], &read["_create_user"]),
            (&json!(true), &json!("system"))
        );
        for method in [Method::PUT, Method::DELETE] {
            let (status, refused) = bench.ask(method, &format!("{path}?force=true"), read.clone());
            assert_eq!((status, &refused["error_code"]), (400, &json!(289)));
        }
    }
}

#[test]
fn what_is_protected_for_good_yields_to_no_override() {
    let mut bench = Bench::new();
    let profile = bench.create("ike-profiles", json!({}));
    let object = bench.world.object_mut(Kind::IkeProfile, &profile).unwrap();
    object
        .value
        .insert("_create_user".into(), json!("nsx_policy"));
    object
        .value
        .insert("_protection".into(), json!("PROTECTED"));
    let path = format!("ike-profiles/{profile}");
    let overwrite = [("x-allow-overwrite", "true")];
    let (status, refused) = bench.ask_with(Method::DELETE, &path, Value::Null, &overwrite);
    assert_eq!((status, &refused["error_code"]), (400, &json!(289)));
}
