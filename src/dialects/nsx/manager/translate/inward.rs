//! Translates the objects of NSX to a connection.

use crate::{
    dialects::nsx::{
        body::{
            Body,
            remainder::{Rest, time},
        },
        manager::{
            translate::{
                etag::etag,
                words::{ACTIONS, CERTIFICATE, DIRECTIONS, INITIATIONS, PSK, interface_address},
            },
            wire::{POLICY_BASED, ROUTE_BASED, VPN_SERVICE},
        },
        mark,
    },
    model::{
        Connection, Details, NsxDetails, Peer, PolicyRule, Selectors, TcpMssClamping,
        TunnelInterface,
    },
    rest::{json, redact::forget_secrets},
};
use serde_json::{Map, Value};
use std::{net::IpAddr, time::SystemTime};

/// Translates a session and, if it exists, its peer endpoint.
pub fn connection(session: &Body, peer: Option<&Body>) -> Connection {
    let mut rest = Rest(session.object().clone());
    mark::hide(&mut rest.0);
    let update_time = last_update(session, peer);
    if time(session.object(), UPDATED) == update_time {
        rest.time(UPDATED);
    }
    let mut connection = Connection {
        id: rest.text("id").unwrap_or_default(),
        display_name: rest.text("display_name").unwrap_or_default(),
        description: rest.text("description").unwrap_or_default(),
        admin_enabled: rest.boolean("enabled"),
        vpn_service: rest.text(VPN_SERVICE),
        local_endpoint: rest.text("local_endpoint_id"),
        selectors: read_selectors(session, &mut rest),
        tcp_mss_clamping: read_clamping(&mut rest),
        etag: etag(session, peer),
        create_time: rest.time("_create_time"),
        update_time,
        managed: mark::is_on(session),
        details: Some(Details::Nsx(NsxDetails {
            revision: rest.integer("_revision").unwrap_or_default(),
            peer_endpoint_id: rest.text("peer_endpoint_id").unwrap_or_default(),
            create_user: rest.text("_create_user").unwrap_or_default(),
            protection: rest.text("_protection").unwrap_or_default(),
        })),
        ..Connection::default()
    };
    if let Some(peer) = peer {
        let mut peer = read_peer(peer, &mut connection);
        forget_secrets(&mut peer);
        if !peer.is_empty() {
            rest.0
                .insert("peer_endpoint".to_owned(), Value::Object(peer));
        }
    }
    forget_secrets(&mut rest.0);
    connection.native = rest.0;
    connection
}

const UPDATED: &str = "_last_modified_time";

/// When the later of the two objects was changed, because a connection changes with either.
fn last_update(session: &Body, peer: Option<&Body>) -> Option<SystemTime> {
    let session = time(session.object(), UPDATED);
    session.max(peer.and_then(|peer| time(peer.object(), UPDATED)))
}

fn read_peer(peer: &Body, connection: &mut Connection) -> Map<String, Value> {
    let mut rest = Rest(peer.object().clone());
    mark::hide(&mut rest.0);
    // Its id is in the details.
    rest.0.remove("id");
    if time(peer.object(), UPDATED) == connection.update_time {
        rest.time(UPDATED);
    }
    let mode = rest.word("authentication_mode", &[(PSK, false), (CERTIFICATE, true)]);
    let absent = peer
        .object()
        .get("authentication_mode")
        .is_none_or(Value::is_null);
    connection.peer = Peer {
        address: rest.address("peer_address"),
        id: rest.text("peer_id").unwrap_or_default(),
        certificate: mode == Some(true),
        // NSX never returns the key. This mode is the default, and NSX accepts no endpoint of this mode without a key.
        psk_set: mode == Some(false) || absent,
    };
    connection.initiation = rest.word("connection_initiation_mode", &INITIATIONS);
    connection.ike_policy = rest.text("ike_profile_id");
    connection.ipsec_policy = rest.text("ipsec_tunnel_profile_id");
    connection.dpd_policy = rest.text("dpd_profile_id");
    rest.0
}

fn read_selectors(session: &Body, rest: &mut Rest) -> Option<Selectors> {
    let kind = rest.word(
        "resource_type",
        &[(POLICY_BASED, false), (ROUTE_BASED, true)],
    )?;
    if kind {
        let (interfaces, left) = read_each(session.list("tunnel_ports"), read_interface);
        rest.replace("tunnel_ports", left);
        Some(Selectors::RouteBased(interfaces))
    } else {
        let (rules, left) = read_each(session.list("policy_rules"), read_rule);
        rest.replace("policy_rules", left);
        Some(Selectors::Rules(rules))
    }
}

/// What was read from an element, and what remains of it.
pub type Understood<T> = (Option<T>, Map<String, Value>);

/// Reads each element, and collects what remains of it.
pub fn read_each<T>(
    list: &[Value],
    read: fn(&Map<String, Value>) -> Understood<T>,
) -> (Vec<T>, Vec<Value>) {
    let (mut found, mut left) = (Vec::new(), Vec::new());
    for value in list {
        let Value::Object(element) = value else {
            left.push(value.clone());
            continue;
        };
        let (one, rest) = read(element);
        found.extend(one);
        if !rest.is_empty() {
            let mut rest = rest;
            // The id is repeated, so that the remainder can be matched to its element.
            if let Some(id) = element.get("id").or_else(|| element.get("tunnel_port_id")) {
                rest.entry("id").or_insert_with(|| id.clone());
            }
            left.push(Value::Object(rest));
        }
    }
    (found, left)
}

pub fn read_rule(element: &Map<String, Value>) -> Understood<PolicyRule> {
    let (sources, destinations) = (
        networks(element, "sources"),
        networks(element, "destinations"),
    );
    let (Some(sources), Some(destinations)) = (sources, destinations) else {
        return (None, element.clone());
    };
    let all_parse = sources
        .iter()
        .chain(&destinations)
        .all(|text| is_network(text));
    let mut rest = Rest(element.clone());
    let rule = PolicyRule {
        id: rest.text("id"),
        enabled: rest.boolean("enabled"),
        logged: rest.boolean("logged"),
        action: rest.word("action", &ACTIONS),
        sources,
        destinations,
    };
    if !all_parse {
        return (Some(rule), element.clone());
    }
    for side in ["sources", "destinations"] {
        rest.forget(side, has_only(element.get(side), &["subnet"]));
    }
    (Some(rule), rest.0)
}

/// Reports whether the objects of a list have only these keys, so that nothing of them remains.
fn has_only(list: Option<&Value>, known: &[&str]) -> bool {
    let objects = list.and_then(Value::as_array).into_iter().flatten();
    let mut keys = objects
        .filter_map(Value::as_object)
        .flat_map(|object| object.keys());
    keys.all(|key| known.contains(&key.as_str()))
}

pub(super) fn networks(rule: &Map<String, Value>, side: &str) -> Option<Vec<String>> {
    match rule.get(side) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(subnets)) => {
            let subnets = subnets.iter();
            subnets
                .map(|subnet| json::text(subnet.as_object()?, "subnet"))
                .collect()
        }
        Some(_) => None,
    }
}

fn is_network(text: &str) -> bool {
    text.parse::<ipnet::IpNet>().is_ok() || text.parse::<IpAddr>().is_ok()
}

pub(super) fn read_interface(element: &Map<String, Value>) -> Understood<TunnelInterface> {
    let Some(addresses) = interface_addresses(element) else {
        return (None, element.clone());
    };
    let mut rest = Rest(element.clone());
    let interface = TunnelInterface {
        id: rest.text("tunnel_port_id"),
        addresses,
    };
    if interface
        .addresses
        .iter()
        .any(|text| interface_address(text).is_none())
    {
        return (Some(interface), element.clone());
    }
    let subnets = element.get("ip_subnets");
    rest.forget(
        "ip_subnets",
        has_only(subnets, &["ip_addresses", "prefix_length"]) && all_have_addresses(subnets),
    );
    (Some(interface), rest.0)
}

/// Reports whether no subnet is without an address. The length of its prefix would have no place in an interface.
fn all_have_addresses(subnets: Option<&Value>) -> bool {
    let mut subnets = subnets.and_then(Value::as_array).into_iter().flatten();
    subnets.all(|subnet| subnet["ip_addresses"] != Value::Array(Vec::new()))
}

pub(super) fn interface_addresses(element: &Map<String, Value>) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let subnets = element.get("ip_subnets").and_then(Value::as_array)?;
    for subnet in subnets {
        let subnet = subnet.as_object()?;
        let prefix = json::integer(subnet, "prefix_length")?;
        for address in subnet.get("ip_addresses")?.as_array()? {
            found.push(format!("{}/{prefix}", address.as_str()?));
        }
    }
    Some(found)
}

pub(super) fn read_clamping(rest: &mut Rest) -> Option<TcpMssClamping> {
    let clamping = rest.0.get("tcp_mss_clamping")?.as_object()?;
    let mut inner = Rest(clamping.clone());
    let read = TcpMssClamping {
        direction: inner.word("direction", &DIRECTIONS)?,
        max_segment_size: match inner.0.get("max_segment_size") {
            None | Some(Value::Null) => None,
            Some(_) => Some(inner.integer("max_segment_size")?),
        },
    };
    inner.0.remove("max_segment_size");
    if inner.0.is_empty() {
        rest.0.remove("tcp_mss_clamping");
    }
    Some(read)
}
