//! What the VPN plugin does with connections, once their attributes are valid.
//!
//! The order of the checks is that of neutron-vpnaas (`db/vpn/vpn_db.py`, `vpn_validator.py`): references, type of
//! endpoints, dead peer detection, endpoint groups, MTU, the peer's address, and on an update the state last.

use std::net::IpAddr;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::simulator::chance;
use crate::simulator::openstack::agent;
use crate::simulator::openstack::bounds;
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::reply::Refusal;
use crate::simulator::openstack::row::Row;
use crate::simulator::openstack::state::{Caller, Cloud};
use crate::simulator::openstack::topology::Router;
use crate::simulator::openstack::validate::{cidr_version, integer};

/// Creates a connection. Returns the row as the answer to the POST shows it.
pub(crate) fn create(
    cloud: &mut Cloud,
    caller: &Caller,
    given: Map<String, Value>,
    now: Instant,
) -> Result<Row, Refusal> {
    let mut wanted = Row::new(given);
    let service_id = wanted.text("vpnservice_id").to_owned();
    // Neutron looks up the driver by the service before it notices that the service is absent: a client's mistake gets
    // a 500.
    if cloud.row(Kind::VpnService, &service_id).is_none() {
        return Err(Refusal::internal());
    }
    let subnet = cloud
        .scoped(caller, Kind::VpnService, &service_id)?
        .text("subnet_id")
        .to_owned();
    cloud.scoped(caller, Kind::IkePolicy, wanted.text("ikepolicy_id"))?;
    let ipsec = cloud.scoped(caller, Kind::IpsecPolicy, wanted.text("ipsecpolicy_id"))?;
    let transform = ipsec.text("transform_protocol");
    if transform == "ah-esp" {
        let message = format!(
            "IPSec does not support IPsec Policy attribute transform_protocol with value '{transform}'"
        );
        return Err(Refusal::new(400, "IpsecValidationFailure", message));
    }
    let dpd = merged_dpd(
        &json!({"action": "hold", "interval": 30, "timeout": 120}),
        wanted.fields.get("dpd"),
    );
    wanted.set("dpd", dpd);
    validate(cloud, caller, &wanted, &subnet, wanted.fields.get("mtu"))?;
    let address = resolved(cloud, &wanted)?;
    wanted.set("peer_address", address);
    fits_columns(&wanted)?;

    let project = wanted.text("tenant_id").to_owned();
    let mut fields = Map::new();
    fields.insert("id".to_owned(), json!(chance::uuid().to_string()));
    fields.insert("tenant_id".to_owned(), json!(project));
    wanted.set("route_mode", "static");
    wanted.set("auth_mode", "psk");
    wanted.set("status", "PENDING_CREATE");
    for name in ORDER {
        fields.insert(
            (*name).to_owned(),
            wanted.fields.remove(*name).unwrap_or_default(),
        );
    }
    fields.insert("project_id".to_owned(), json!(project));
    // Any other attribute belongs to a variant, such as a zone.
    fields.extend(
        wanted
            .fields
            .into_iter()
            .filter(|(name, _)| name != "tenant_id"),
    );
    let mut row = Row::new(fields);
    agent::created(cloud.pace, &mut row, now);
    let answer = row.clone();
    store(cloud, row);
    Ok(answer)
}

/// Updates a connection. Returns the row as the answer to the PUT shows it. The status stays as it is.
pub(crate) fn update(
    cloud: &mut Cloud,
    caller: &Caller,
    id: &str,
    mut given: Map<String, Value>,
    now: Instant,
) -> Result<Row, Refusal> {
    let mut row = cloud.visible(caller, Kind::Connection, id)?.clone();
    let service = cloud.row(Kind::VpnService, row.text("vpnservice_id"));
    let subnet = service
        .map(|service| service.text("subnet_id").to_owned())
        .unwrap_or_default();
    if let Some(dpd) = given.remove("dpd") {
        let stored = row.fields.get("dpd").cloned().unwrap_or_default();
        row.set("dpd", merged_dpd(&stored, Some(&dpd)));
    }
    let mtu = given.get("mtu").cloned();
    let new_address = given.contains_key("peer_address");
    row.fields.extend(given);
    validate(cloud, caller, &row, &subnet, mtu.as_ref())?;
    if new_address {
        let address = resolved(cloud, &row)?;
        row.set("peer_address", address);
    }
    row.updatable()?;
    fits_columns(&row)?;
    agent::updated(cloud.pace, &mut row, now);
    let answer = row.clone();
    store(cloud, row);
    Ok(answer)
}

/// Stores a row. The database returns CIDRs in its own order, whatever the answer to the write showed.
fn store(cloud: &mut Cloud, mut row: Row) {
    if let Some(Value::Array(cidrs)) = row.fields.get_mut("peer_cidrs") {
        cidrs.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    cloud.insert(Kind::Connection, row);
}

/// Merges `given` over `stored`, key by key.
fn merged_dpd(stored: &Value, given: Option<&Value>) -> Value {
    let member = |name: &str| {
        given
            .and_then(|given| given.get(name))
            .unwrap_or(&stored[name])
            .clone()
    };
    json!({"action": member("action"), "interval": member("interval"), "timeout": member("timeout")})
}

/// Checks the rules for a connection as a whole. The MTU is checked only if this request gives one.
fn validate(
    cloud: &Cloud,
    caller: &Caller,
    wanted: &Row,
    subnet: &str,
    mtu: Option<&Value>,
) -> Result<(), Refusal> {
    let peer_cidrs = texts(wanted, "peer_cidrs");
    let (local_group, peer_group) = (
        wanted.text("local_ep_group_id"),
        wanted.text("peer_ep_group_id"),
    );
    let named = |wanted: bool| {
        let groups = [("local", local_group), ("peer", peer_group)].into_iter();
        groups
            .filter(|(_, id)| id.is_empty() != wanted)
            .map(|(which, _)| which)
            .collect::<Vec<_>>()
    };
    if subnet.is_empty() {
        if !peer_cidrs.is_empty() {
            let message = "Peer CIDRs cannot be specified, when using endpoint groups";
            return Err(Refusal::new(400, "PeerCidrsInvalid", message));
        }
        let missing = named(false);
        if !missing.is_empty() {
            let groups = plural(&missing);
            let message = format!("Missing endpoint {groups} for IPSec site-to-site connection");
            return Err(Refusal::new(400, "MissingRequiredEndpointGroup", message));
        }
    } else {
        if peer_cidrs.is_empty() {
            let message = "Missing peer CIDRs for IPsec site-to-site connection";
            return Err(Refusal::new(400, "MissingPeerCidrs", message));
        }
        let present = named(true);
        if !present.is_empty() {
            let groups = plural(&present);
            let message = format!(
                "Endpoint {groups} cannot be specified, when VPN Service has subnet specified"
            );
            return Err(Refusal::new(400, "InvalidEndpointGroup", message));
        }
    }
    let dpd = wanted.fields.get("dpd").cloned().unwrap_or_default();
    if integer(&dpd["timeout"]) <= integer(&dpd["interval"]) {
        let message = "ipsec_site_connection dpd_timeout is equal to or less than dpd_interval";
        return Err(Refusal::new(
            400,
            "IPsecSiteConnectionDpdIntervalValueError",
            message,
        ));
    }
    let version = if subnet.is_empty() {
        group_version(cloud, caller, wanted)?
    } else {
        legacy_version(cloud, subnet, &peer_cidrs)?
    };
    match mtu.and_then(integer) {
        // To Python, no MTU and an MTU of 0 are the same.
        None | Some(0) => Ok(()),
        Some(mtu) if mtu < if version == 4 { 68 } else { 1280 } => {
            let message = format!("ipsec_site_connection MTU {mtu} is too small for ipv{version}");
            Err(Refusal::new(400, "IPsecSiteConnectionMtuError", message))
        }
        Some(_) => Ok(()),
    }
}

fn plural(which: &[&str]) -> String {
    let suffix = if which.len() > 1 { "s" } else { "" };
    format!("group{suffix} {}", which.join(" and "))
}

/// The IP version of both endpoint groups, which must agree.
fn group_version(cloud: &Cloud, caller: &Caller, wanted: &Row) -> Result<u8, Refusal> {
    let local = cloud.scoped(
        caller,
        Kind::EndpointGroup,
        wanted.text("local_ep_group_id"),
    )?;
    let peer = cloud.scoped(caller, Kind::EndpointGroup, wanted.text("peer_ep_group_id"))?;
    for (group, expected) in [(local, "subnet"), (peer, "cidr")] {
        let (id, found) = (group.text("id"), group.text("type"));
        if found != expected {
            let message =
                format!("Endpoint group {id} type is '{found}' and should be '{expected}'");
            return Err(Refusal::new(400, "WrongEndpointGroupType", message));
        }
    }
    let service = cloud.row(Kind::VpnService, wanted.text("vpnservice_id"));
    let router = service
        .map(|service| service.text("router_id").to_owned())
        .unwrap_or_default();
    let mut local_cidrs = Vec::new();
    for id in texts(local, "endpoints") {
        match cloud.network.subnets.get(&id) {
            Some(subnet) if cloud.network.connected(&id, &router) => {
                local_cidrs.push(subnet.cidr.clone());
            }
            _ => return Err(not_connected(&id, &router)),
        }
    }
    let peer_cidrs = texts(peer, "endpoints");
    bounds::subnets(cloud.variant, &local_cidrs, &peer_cidrs)?;
    let (local, peer) = (one_version(&local_cidrs), one_version(&peer_cidrs));
    match (local, peer) {
        (Some(local), Some(peer)) if local == peer => Ok(local),
        (Some(_), Some(_)) => {
            let message = "IP versions are not compatible between peer and local endpoints";
            Err(Refusal::new(
                400,
                "MixedIPVersionsForIPSecConnection",
                message,
            ))
        }
        _ => {
            let side = if local.is_none() { "local" } else { "peer" };
            let message = format!("Endpoints in the {side} group do not have the same IP version");
            Err(Refusal::new(
                400,
                "MixedIPVersionsForIPSecEndpoints",
                message,
            ))
        }
    }
}

/// The IP version of the service's subnet, which the peer's CIDRs must share.
fn legacy_version(cloud: &Cloud, subnet: &str, peer_cidrs: &[String]) -> Result<u8, Refusal> {
    let Some(peer) = one_version(peer_cidrs) else {
        let message = "Peer CIDRs do not have the same IP version, as required for IPSec site-to-site connection";
        return Err(Refusal::new(400, "MixedIPVersionsForPeerCidrs", message));
    };
    let local = cloud
        .network
        .subnets
        .get(subnet)
        .and_then(|subnet| cidr_version(&subnet.cidr))
        .unwrap_or(4);
    if local == peer {
        return Ok(local);
    }
    let message = "IP versions are not compatible between peer and local endpoints";
    Err(Refusal::new(
        400,
        "MixedIPVersionsForIPSecConnection",
        message,
    ))
}

/// The 400 for a subnet without an interface on the router.
pub(crate) fn not_connected(subnet: &str, router: &str) -> Refusal {
    let message = format!("Subnet {subnet} is not connected to Router {router}");
    Refusal::new(400, "SubnetIsNotConnectedToRouter", message)
}

fn one_version(cidrs: &[String]) -> Option<u8> {
    let mut versions = cidrs.iter().map(|cidr| cidr_version(cidr));
    let first = versions.next()??;
    versions
        .all(|version| version == Some(first))
        .then_some(first)
}

/// The peer's address as it is stored. A host name is resolved once, when it is written.
fn resolved(cloud: &Cloud, wanted: &Row) -> Result<String, Refusal> {
    let given = wanted.text("peer_address");
    let unresolved = || {
        let message = format!("Peer address {given} cannot be resolved");
        Refusal::new(400, "VPNPeerAddressNotResolved", message)
    };
    if given.len() > 255 {
        // The resolver rejects a name of this length, and Neutron does not catch the exception.
        return Err(Refusal::internal());
    }
    let address = match given.parse::<IpAddr>() {
        Ok(_) => given.to_owned(),
        Err(_) => cloud.hosts.get(given).ok_or_else(unresolved)?.clone(),
    };
    let version: IpAddr = address.parse().map_err(|_| unresolved())?;
    let service = cloud.row(Kind::VpnService, wanted.text("vpnservice_id"));
    let router_id = service
        .map(|service| service.text("router_id"))
        .unwrap_or_default();
    let router = cloud.network.routers.get(router_id);
    let gateway = |router: &Router| {
        if version.is_ipv4() {
            router.gateway_v4.is_some()
        } else {
            router.gateway_v6.is_some()
        }
    };
    if router.is_some_and(gateway) {
        return Ok(address);
    }
    let family = if version.is_ipv4() { "IPv4" } else { "IPv6" };
    let message = format!("Router's {router_id} external network has no {family} subnet");
    Err(Refusal::new(400, "ExternalNetworkHasNoSubnet", message))
}

/// The 500 for values that pass the API layer and do not fit the database columns.
fn fits_columns(row: &Row) -> Result<(), Refusal> {
    let long = ["psk", "local_id", "peer_id", "peer_address"]
        .into_iter()
        .any(|name| row.text(name).chars().count() > 255);
    let long_cidr = texts(row, "peer_cidrs").iter().any(|cidr| cidr.len() > 32);
    if long || long_cidr {
        Err(Refusal::internal())
    } else {
        row.fits_charset()
    }
}

fn texts(row: &Row, name: &str) -> Vec<String> {
    let items = row
        .fields
        .get(name)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    items
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The attributes in the order of Neutron's answers, between `tenant_id` and `project_id`.
const ORDER: &[&str] = &[
    "name",
    "description",
    "peer_address",
    "peer_id",
    "local_id",
    "route_mode",
    "mtu",
    "auth_mode",
    "psk",
    "initiator",
    "dpd",
    "admin_state_up",
    "status",
    "vpnservice_id",
    "ikepolicy_id",
    "ipsecpolicy_id",
    "peer_cidrs",
    "local_ep_group_id",
    "peer_ep_group_id",
];
