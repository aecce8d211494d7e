//! Policy rules, bypass rules and tunnel ports: the structured parts of sessions and services.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::simulator::chance;

/// Fills in the defaults of rules, and sets their action, which NSX alone decides.
pub(crate) fn complete(object: &mut Map<String, Value>) {
    for (field, action) in RULES {
        for rule in parts_mut(object, field) {
            for (name, value) in [("enabled", true), ("logged", false)] {
                rule.entry(name).or_insert(json!(value));
            }
            rule.insert("action".to_owned(), json!(action));
        }
    }
}

/// Appends what is wrong with the rules and tunnel ports of an object.
pub(crate) fn check(object: &Map<String, Value>, violations: &mut Vec<String>) {
    for (field, _) in RULES {
        for (index, rule) in parts(object, field).enumerate() {
            let place = format!("{field}[{index}]");
            unknown(rule, RULE, &place, violations);
            for side in ["sources", "destinations"] {
                check_side(rule, &format!("{place}.{side}"), side, violations);
            }
        }
    }
    for (index, port) in parts(object, "tunnel_ports").enumerate() {
        let place = format!("tunnel_ports[{index}]");
        unknown(port, PORT, &place, violations);
        if !port["ip_subnets"].is_array() {
            violations.push(format!("{place}.ip_subnets is required"));
        }
        for subnet in port["ip_subnets"].as_array().into_iter().flatten() {
            check_interface(subnet, &place, violations);
        }
    }
}

/// Assigns ids to rules and tunnel ports that have none.
pub(crate) fn number(object: &mut Map<String, Value>) {
    for (field, _) in RULES {
        for rule in parts_mut(object, field) {
            rule.entry("id")
                .or_insert_with(|| json!(format!("{}", fastrand::u32(1_000..100_000))));
        }
    }
    for port in parts_mut(object, "tunnel_ports") {
        port.entry("tunnel_port_id")
            .or_insert_with(|| json!(chance::uuid().to_string()));
    }
}

fn check_side(rule: &Value, place: &str, side: &str, violations: &mut Vec<String>) {
    let subnets = rule[side].as_array();
    if subnets.is_some_and(|subnets| subnets.len() > 128) {
        violations.push(format!("{place} has more than 128 subnets"));
    }
    for subnet in subnets.into_iter().flatten() {
        let text = subnet["subnet"].as_str().unwrap_or_default();
        if text.parse::<ipnet::IpNet>().is_err() && text.parse::<IpAddr>().is_err() {
            violations.push(format!("{place} `{text}` is no subnet"));
        }
    }
}

fn check_interface(subnet: &Value, place: &str, violations: &mut Vec<String>) {
    let addresses = subnet["ip_addresses"].as_array().into_iter().flatten();
    let addresses: Vec<Option<IpAddr>> = addresses
        .map(|address| address.as_str()?.parse().ok())
        .collect();
    if addresses.is_empty() || addresses.contains(&None) {
        violations.push(format!("{place}.ip_addresses has no IP address"));
    }
    let most = if addresses.iter().flatten().any(IpAddr::is_ipv6) {
        128
    } else {
        32
    };
    let length = subnet["prefix_length"].as_i64();
    if !length.is_some_and(|length| (0..=most).contains(&length)) {
        violations.push(format!("{place}.prefix_length is not in 0 to {most}"));
    }
}

fn unknown(part: &Value, known: &[&str], place: &str, violations: &mut Vec<String>) {
    let names = part.as_object().into_iter().flat_map(Map::keys);
    for name in names.filter(|name| !known.contains(&name.as_str())) {
        violations.push(format!("property {place}.{name} is unrecognized"));
    }
}

fn parts<'a>(object: &'a Map<String, Value>, field: &str) -> impl Iterator<Item = &'a Value> {
    let parts = object.get(field).and_then(Value::as_array);
    parts.into_iter().flatten()
}

fn parts_mut<'a>(
    object: &'a mut Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let parts = object.get_mut(field).and_then(Value::as_array_mut);
    parts.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The fields that hold rules, and the action of the rules in each.
const RULES: [(&str, &str); 2] = [("policy_rules", "PROTECT"), ("bypass_rules", "BYPASS")];
/// `IPSecVPNPolicyRule`.
const RULE: &[&str] = &[
    "id",
    "resource_type",
    "display_name",
    "description",
    "_links",
    "_owner",
    "_revision",
    "_schema",
    "_self",
    "action",
    "destinations",
    "enabled",
    "logged",
    "sources",
];
/// `TunnelPortConfig`.
const PORT: &[&str] = &["ip_subnets", "tunnel_port_id"];
