//! Logical routers: the list, and which of them can carry a VPN service.

use http::Method;
use serde_json::{Value, json};

use crate::simulator::nsx::inventory;
use crate::simulator::nsx::state::NsxState;
use crate::simulator::nsx::tests::Bench;

const ROUTERS: &str = "/api/v1/logical-routers";

fn get(bench: &mut Bench, path: &str) -> (u16, Value) {
    bench.ask_at(Method::GET, path, Value::Null, &[])
}

fn ids(answer: &Value) -> Vec<&str> {
    let routers = answer["results"].as_array().unwrap();
    routers
        .iter()
        .map(|router| router["id"].as_str().unwrap())
        .collect()
}

#[test]
fn routers_are_listed_in_pages_and_by_type() {
    let mut bench = Bench::new();
    let (_, all) = get(&mut bench, ROUTERS);
    assert_eq!(
        ids(&all),
        [
            inventory::LOGICAL_ROUTER_ID,
            inventory::FREE_ROUTER_ID,
            inventory::ACTIVE_ACTIVE_ROUTER_ID
        ]
    );
    let (_, first) = get(&mut bench, &format!("{ROUTERS}?page_size=2"));
    assert_eq!((ids(&first).len(), &first["result_count"]), (2, &json!(3)));
    let cursor = first["cursor"].as_str().unwrap();
    let (_, second) = get(
        &mut bench,
        &format!("{ROUTERS}?page_size=2&cursor={cursor}"),
    );
    assert_eq!(ids(&second), [inventory::ACTIVE_ACTIVE_ROUTER_ID]);
    assert_eq!(second.get("cursor"), None);
    for (filter, expected) in [
        ("router_type=TIER1", 1),
        ("router_type=TIER0", 2),
        ("router_type=VRF", 0),
        ("vrfs_on_logical_router_id=x", 0),
    ] {
        let (_, some) = get(&mut bench, &format!("{ROUTERS}?{filter}"));
        assert_eq!(some["result_count"], expected, "{filter}");
    }
    assert_eq!(get(&mut bench, &format!("{ROUTERS}?router_type=x")).0, 400);
}

#[test]
fn one_router_says_what_it_is_and_cannot_be_written_here() {
    let mut bench = Bench::new();
    let path = format!("{ROUTERS}/{}", inventory::LOGICAL_ROUTER_ID);
    let (status, router) = get(&mut bench, &path);
    assert_eq!(status, 200);
    for (field, value) in [
        ("resource_type", json!("LogicalRouter")),
        ("display_name", json!("edge-gateway")),
        ("router_type", json!("TIER0")),
        ("high_availability_mode", json!("ACTIVE_STANDBY")),
        ("failover_mode", json!("NON_PREEMPTIVE")),
        ("tags", json!([{ "scope": "site", "tag": "head-office" }])),
        ("_revision", json!(0)),
        ("_system_owned", json!(false)),
    ] {
        assert_eq!(router[field], value, "{field}");
    }
    let (_, other) = get(
        &mut bench,
        &format!("{ROUTERS}/{}", inventory::ACTIVE_ACTIVE_ROUTER_ID),
    );
    assert_eq!(other["high_availability_mode"], "ACTIVE_ACTIVE");
    assert_eq!(other.get("failover_mode"), None);
    let (status, gone) = get(&mut bench, &format!("{ROUTERS}/none"));
    assert_eq!((status, &gone["error_code"]), (404, &json!(600)));
    assert_eq!(bench.ask_at(Method::DELETE, &path, Value::Null, &[]).0, 405);
    assert_eq!(get(&mut bench, &format!("{ROUTERS}x")).0, 404);
    bench.world.levers.api_absent = true;
    assert_eq!(get(&mut bench, ROUTERS).0, 404);
}

#[test]
fn a_service_needs_a_free_router_that_is_active_standby() {
    let mut bench = Bench::new();
    let on = |router: &str| json!({ "display_name": "vpn", "logical_router_id": router });
    for (router, status, code) in [
        ("none", 404, 600),
        (inventory::ACTIVE_ACTIVE_ROUTER_ID, 400, 110_000),
        (inventory::LOGICAL_ROUTER_ID, 400, 110_000),
    ] {
        let (got, refused) = bench.ask(Method::POST, "services", on(router));
        assert_eq!(
            (got, &refused["error_code"]),
            (status, &json!(code)),
            "{refused}"
        );
    }
    let made = bench.create("services", on(inventory::FREE_ROUTER_ID));
    let (status, _) = bench.ask(Method::POST, "services", on(inventory::FREE_ROUTER_ID));
    assert_eq!(status, 400, "one service per router");
    // Moving a service follows the same rules. Leaving it in place does not.
    let path = format!("services/{made}");
    let (_, mut read) = bench.get(&path);
    let (status, mut moved) = bench.ask(Method::PUT, &path, read.clone());
    assert_eq!(status, 200, "{moved}");
    read["_revision"] = moved["_revision"].take();
    read["logical_router_id"] = json!(inventory::LOGICAL_ROUTER_ID);
    assert_eq!(bench.ask(Method::PUT, &path, read).0, 400);
    assert_eq!(bench.delete(&path).0, 200);
}

#[test]
fn routers_can_be_added_while_it_runs() {
    let bench = Bench::new();
    let state = NsxState::new(bench.world);
    state.add_logical_router("plain");
    state.plant_logical_router(json!({ "id": "spine", "high_availability_mode": "ACTIVE_ACTIVE" }));
    state.plant_logical_router(json!({ "id": "spine", "display_name": "spine 2" }));
    let mut bench = Bench::new();
    std::mem::swap(&mut bench.world, &mut *state.world());
    let (_, plain) = get(&mut bench, &format!("{ROUTERS}/plain"));
    assert_eq!(
        (&plain["display_name"], &plain["router_type"]),
        (&json!("plain"), &json!("TIER1"))
    );
    let (_, spine) = get(&mut bench, &format!("{ROUTERS}/spine"));
    assert_eq!(
        (&spine["display_name"], &spine["high_availability_mode"]),
        (&json!("spine 2"), &json!("ACTIVE_STANDBY"))
    );
    assert_eq!(get(&mut bench, ROUTERS).1["result_count"], 5);
}
