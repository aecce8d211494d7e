//! What is there before anybody asks: a router with its service and local endpoint, and the system's profiles.

use serde_json::{Map, Value, json};

use crate::simulator::nsx::kind::Kind;

/// The logical router. Taken from the administration guide's example, where it is no whole UUID either.
pub const LOGICAL_ROUTER_ID: &str = "61746f54-7ab8-4702-93fe-6ddeb804";
/// The VPN service on that router.
pub const SERVICE_ID: &str = "7adfa455-a6fc-4934-a919-f5728957364c";
/// The service's local endpoint, 198.51.100.10.
pub const LOCAL_ENDPOINT_ID: &str = "91ebfa0a-820f-41ab-bd87-f0fb1f24e7c8";
/// `nsx-default-l3vpn-ike-profile`, system owned.
pub const DEFAULT_IKE_PROFILE_ID: &str = "0f1a1f6a-5c0e-4bb0-8f63-5f0e7d2b9a01";
/// `nsx-default-l3vpn-tunnel-profile`, system owned.
pub const DEFAULT_TUNNEL_PROFILE_ID: &str = "0f1a1f6a-5c0e-4bb0-8f63-5f0e7d2b9a02";
/// `nsx-default-l3vpn-dpd-profile`, system owned.
pub const DEFAULT_DPD_PROFILE_ID: &str = "0f1a1f6a-5c0e-4bb0-8f63-5f0e7d2b9a03";

/// The ids of so many transport nodes, always the same; the first two are those of the guide's example.
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

pub(crate) fn objects() -> Vec<(Kind, Map<String, Value>)> {
    let system = |kind: Kind, id: &str, name: &str| {
        let completed = kind.accept(Map::new()).unwrap_or_default();
        (kind, common(completed, id, name, true))
    };
    let admin = |kind: Kind, id: &str, name: &str, said: Value| {
        let Value::Object(said) = said else {
            unreachable!("inventory is written as objects")
        };
        let completed = kind.accept(said).unwrap_or_default();
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

/// When the inventory was made, in milliseconds since 1970.
const FOUNDED: u64 = 1_735_689_600_000;
