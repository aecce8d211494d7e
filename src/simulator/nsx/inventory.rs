//! The objects at the start: routers, one service with a local endpoint, and the system profiles.

use serde_json::{Map, Value, json};

use crate::simulator::nsx::kind::Kind;

/// A TIER0 logical router with a service. The id is from the administration guide's example, where it is not a complete
/// UUID either.
pub const LOGICAL_ROUTER_ID: &str = "61746f54-7ab8-4702-93fe-6ddeb804";
/// A TIER1 logical router that has no service yet and can carry one.
pub const FREE_ROUTER_ID: &str = "2c1f6d0e-3b57-4d8a-9f62-0a7c5e91b402";
/// A TIER0 logical router that is active-active, so it carries no VPN service.
pub const ACTIVE_ACTIVE_ROUTER_ID: &str = "4c87219e-7361-4fa4-9b4e-c612ed56f1fd";
/// The VPN service on [`LOGICAL_ROUTER_ID`].
pub const SERVICE_ID: &str = "7adfa455-a6fc-4934-a919-f5728957364c";
/// The service's local endpoint, 198.51.100.10.
pub const LOCAL_ENDPOINT_ID: &str = "91ebfa0a-820f-41ab-bd87-f0fb1f24e7c8";
/// `nsx-default-l3vpn-ike-profile`, system owned.
pub const DEFAULT_IKE_PROFILE_ID: &str = "0f1a1f6a-5c0e-4bb0-8f63-5f0e7d2b9a01";
/// `nsx-default-l3vpn-tunnel-profile`, system owned.
pub const DEFAULT_TUNNEL_PROFILE_ID: &str = "0f1a1f6a-5c0e-4bb0-8f63-5f0e7d2b9a02";
/// `nsx-default-l3vpn-dpd-profile`, system owned.
pub const DEFAULT_DPD_PROFILE_ID: &str = "0f1a1f6a-5c0e-4bb0-8f63-5f0e7d2b9a03";

/// The ids of `count` transport nodes, always the same. The first two are from the guide's example.
pub(crate) fn nodes(count: usize) -> Vec<String> {
    let guide = [
        "fe651e63-04bd-43a4-a8ec-45381a3b71b9",
        "ebe174ac-e4f1-4135-ba72-3dd2eb7099e3",
    ];
    let made_up = (3..).map(|number: u32| format!("7046e8f4-a680-11e8-9bc3-{number:012x}"));
    guide
        .into_iter()
        .map(str::to_owned)
        .chain(made_up)
        .take(count)
        .collect()
}

/// The logical routers. Only the first has a service, and the last cannot have one.
pub(crate) fn routers() -> Vec<Map<String, Value>> {
    let made = |id: &str, name: &str, said: Value| common(router(said), id, name, false);
    let floating = json!({
        "enabled": true,
        "ha_vip_subnets": [{ "active_vip_addresses": ["198.51.100.10"], "prefix_length": 24 }],
        "redundant_uplink_port_ids": [
            "8f3b1c52-6f0a-4a39-8d7c-2f9a6f3a5e01", "8f3b1c52-6f0a-4a39-8d7c-2f9a6f3a5e02",
        ],
    });
    vec![
        made(
            LOGICAL_ROUTER_ID,
            "edge-gateway",
            json!({
                "router_type": "TIER0",
                "tags": [{ "scope": "site", "tag": "head-office" }],
                "advanced_config": {
                    "external_transit_networks": ["100.64.0.0/16"],
                    "internal_transit_network": "169.254.0.0/28",
                    "ha_vip_configs": [floating],
                },
            }),
        ),
        made(FREE_ROUTER_ID, "tenant-gateway", json!({})),
        made(
            ACTIVE_ACTIVE_ROUTER_ID,
            "transit-gateway",
            json!({ "router_type": "TIER0", "high_availability_mode": "ACTIVE_ACTIVE" }),
        ),
    ]
}

/// A router added at runtime: TIER1 and active-standby, unless `said` differs.
pub(crate) fn added_router(said: Map<String, Value>) -> Map<String, Value> {
    let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
    let id = text("id").to_owned();
    let name = match text("display_name") {
        "" => id.clone(),
        name => name.to_owned(),
    };
    common(router(Value::Object(said)), &id, &name, false)
}

/// A `LogicalRouter`. The fields in `said` override the usual values.
fn router(said: Value) -> Map<String, Value> {
    let transit = match said["high_availability_mode"].as_str() {
        Some("ACTIVE_ACTIVE") => "169.254.0.0/24",
        _ => "169.254.0.0/28",
    };
    let mut router = json!({
        "resource_type": "LogicalRouter",
        "description": "",
        "tags": [],
        "router_type": "TIER1",
        "high_availability_mode": "ACTIVE_STANDBY",
        "edge_cluster_id": EDGE_CLUSTER_ID,
        "advanced_config": {
            "external_transit_networks": ["100.64.0.0/16"],
            "internal_transit_network": transit,
        },
        "allocation_profile": { "enable_standby_relocation": false },
        "firewall_sections": [],
    });
    if let (Value::Object(router), Value::Object(said)) = (&mut router, said) {
        router.extend(said);
    }
    // Documented for this mode only.
    if router["high_availability_mode"] == "ACTIVE_STANDBY" && router["failover_mode"].is_null() {
        router["failover_mode"] = json!("NON_PREEMPTIVE");
    }
    match router {
        Value::Object(router) => router,
        _ => Map::new(),
    }
}

pub(crate) fn objects() -> Vec<(Kind, Map<String, Value>)> {
    let system = |kind: Kind, id: &str, name: &str| {
        let completed = kind.accept(Map::new(), None).unwrap_or_default();
        (kind, common(completed, id, name, true))
    };
    let admin = |kind: Kind, id: &str, name: &str, said: Value| {
        let Value::Object(said) = said else {
            unreachable!("inventory is written as objects")
        };
        let completed = kind.accept(said, None).unwrap_or_default();
        (kind, common(completed, id, name, false))
    };
    vec![
        system(
            Kind::IkeProfile,
            DEFAULT_IKE_PROFILE_ID,
            "nsx-default-l3vpn-ike-profile",
        ),
        system(
            Kind::TunnelProfile,
            DEFAULT_TUNNEL_PROFILE_ID,
            "nsx-default-l3vpn-tunnel-profile",
        ),
        system(
            Kind::DpdProfile,
            DEFAULT_DPD_PROFILE_ID,
            "nsx-default-l3vpn-dpd-profile",
        ),
        admin(
            Kind::Service,
            SERVICE_ID,
            "edge-vpn",
            json!({ "logical_router_id": LOGICAL_ROUTER_ID }),
        ),
        admin(
            Kind::LocalEndpoint,
            LOCAL_ENDPOINT_ID,
            "edge-public",
            json!({
                "local_address": "198.51.100.10",
                "local_id": "198.51.100.10",
                "ipsec_vpn_service_id": {
                    "target_id": SERVICE_ID,
                    "target_type": "IPSecVPNService",
                    "target_display_name": "edge-vpn",
                    "is_valid": true,
                },
            }),
        ),
    ]
}

fn common(
    mut object: Map<String, Value>,
    id: &str,
    name: &str,
    system: bool,
) -> Map<String, Value> {
    let user = if system { "system" } else { "admin" };
    let Value::Object(said) = json!({
        "id": id,
        "display_name": name,
        "_create_user": user,
        "_create_time": FOUNDED,
        "_last_modified_user": user,
        "_last_modified_time": FOUNDED,
        "_system_owned": system,
        "_protection": "NOT_PROTECTED",
        "_revision": 0,
    }) else {
        unreachable!("written as an object")
    };
    object.extend(said);
    object
}

const EDGE_CLUSTER_ID: &str = "a9dc562c-effd-4225-883d-3f7d2c887c6b";
/// Creation time of the inventory, in milliseconds since 1970.
const FOUNDED: u64 = 1_735_689_600_000;
