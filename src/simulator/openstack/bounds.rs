//! Rules for requests that other clouds have beyond Neutron's.

use std::net::Ipv4Addr;

use serde_json::{Map, Value};

use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::reply::Refusal;
use crate::simulator::openstack::validate::integer;
use crate::simulator::openstack::variant::Variant;

/// Refuses what this cloud refuses although Neutron would accept it.
///
/// Open Telekom Cloud refuses names longer than 64 characters, lifetimes longer than a week and `admin_state_up:
/// false`. For connections it also refuses keys shorter than 6 or longer than 128 characters or with characters outside
/// its set, peer addresses and peer ids longer than 250, a new connection with an MTU other than 1500, and any
/// description. It words these refusals its own way. K5 accepts only a public IPv4 address as peer address.
pub(crate) fn check(
    variant: Variant,
    kind: Kind,
    creating: bool,
    object: &Map<String, Value>,
) -> Result<(), Refusal> {
    let fine = match (variant, kind) {
        (Variant::Otc, Kind::Connection) => otc_names(object) && otc_connection(creating, object),
        (Variant::Otc, _) => otc_names(object),
        (Variant::K5, Kind::Connection) => return k5_rules(object),
        (Variant::Neutron | Variant::K5, _) => true,
    };
    if fine {
        return Ok(());
    }
    Err(Refusal::new(400, "VPC.1001", "Invalid VPN parameters."))
}

/// Refuses peer subnets that are also local ones. Open Telekom Cloud has an error code for this.
pub(crate) fn subnets(variant: Variant, local: &[String], peer: &[String]) -> Result<(), Refusal> {
    if variant != Variant::Otc || peer.iter().all(|peer| !local.contains(peer)) {
        return Ok(());
    }
    let message = "The VPN remote subnet is the same as the local subnet.";
    Err(Refusal::new(400, "VPC.1016", message))
}

/// The rules for every kind.
fn otc_names(object: &Map<String, Value>) -> bool {
    let name = object.get("name").and_then(Value::as_str);
    let name = name.is_none_or(|name| name.chars().count() <= 64);
    let lifetime = object.get("lifetime").and_then(|it| it.get("value"));
    let lifetime = lifetime
        .and_then(integer)
        .is_none_or(|seconds| seconds <= 604_800);
    let up = object.get("admin_state_up") != Some(&Value::Bool(false));
    name && lifetime && up
}

fn otc_connection(creating: bool, object: &Map<String, Value>) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let in_set = |c: char| c.is_ascii_alphanumeric() || "~`!@#$%^()-_+=[]{}|\\,./:;".contains(c);
    let psk =
        text("psk").is_none_or(|psk| (6..=128).contains(&psk.len()) && psk.chars().all(in_set));
    let peer = ["peer_address", "peer_id"]
        .into_iter()
        .all(|name| text(name).is_none_or(|peer| peer.chars().count() <= 250));
    // The documents' example of an update has an MTU of 1200.
    let mtu = !creating || object.get("mtu").is_none_or(|mtu| *mtu == 1500);
    // The documents reserve a connection's description for the cloud's own use.
    let description = text("description").is_none_or(str::is_empty);
    psk && peer && mtu && description
}

fn k5_rules(object: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(address) = object.get("peer_address").and_then(Value::as_str) else {
        return Ok(());
    };
    // The example in K5's documents has 172.24.4.226, so private ranges are accepted.
    let is_host = address.parse::<Ipv4Addr>().is_ok_and(|address| {
        let nobody = address.is_loopback() || address.is_unspecified() || address.is_broadcast();
        !(nobody || address.is_link_local() || address.is_multicast())
    });
    if is_host {
        return Ok(());
    }
    let message = format!(
        "Invalid input for peer_address. Reason: '{address}' is not a public IPv4 address."
    );
    Err(Refusal::bad_request(message))
}
