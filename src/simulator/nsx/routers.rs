//! `/api/v1/logical-routers`: the routers on which VPN services are placed. Read-only.

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::simulator::nsx::listing::{self, Query, parameter};
use crate::simulator::nsx::refusal::Refusal;
use crate::simulator::nsx::world::{World, text};

/// Answers a request below `/api/v1/logical-routers`. `below` are the remaining path segments.
pub(crate) fn answer(
    world: &World,
    method: &Method,
    below: &[&str],
    query: &Query,
) -> Result<Value, Refusal> {
    match (method, below) {
        (&Method::GET, []) => list(world, query),
        (&Method::GET, [id]) => {
            let router = find(world, id).ok_or_else(|| Refusal::not_found(id))?;
            Ok(Value::Object(router.clone()))
        }
        (_, [] | [_]) => Err(Refusal::unprocessable(StatusCode::METHOD_NOT_ALLOWED)),
        _ => Err(Refusal::unprocessable(StatusCode::NOT_FOUND)),
    }
}

fn list(world: &World, query: &Query) -> Result<Value, Refusal> {
    let wanted = parameter(query, "router_type");
    if wanted.is_some_and(|kind| !TYPES.contains(&kind)) {
        return Err(Refusal::fields(&["router_type is invalid".to_owned()]));
    }
    // None of these routers carries a VRF.
    let vrfs_only = parameter(query, "vrfs_on_logical_router_id").is_some();
    let routers = world
        .routers
        .iter()
        .filter(|router| {
            !vrfs_only && wanted.is_none_or(|kind| kind == text(router, "router_type"))
        })
        .collect();
    listing::envelope(&world.levers, query, routers)
}

fn find<'a>(world: &'a World, id: &str) -> Option<&'a Map<String, Value>> {
    world.routers.iter().find(|router| text(router, "id") == id)
}

impl World {
    /// Refuses a router that cannot carry a VPN service: it must exist and be active-standby (vmware-nsx,
    /// `_validate_t0_ha_mode`).
    pub(crate) fn carries_vpn(&self, id: &str) -> Result<(), Refusal> {
        let router = find(self, id).ok_or_else(|| Refusal::missing("LogicalRouter", id))?;
        let mode = text(router, "high_availability_mode");
        if mode == "ACTIVE_STANDBY" {
            return Ok(());
        }
        Err(Refusal::vpn(format!(
            "LogicalRouter/{id} has high availability mode {mode}; IPSec VPN needs ACTIVE_STANDBY."
        )))
    }
}

const TYPES: [&str; 3] = ["TIER0", "TIER1", "VRF"];
