//! Which traffic a session protects, in NSX's format.

use crate::{
    core::error::Violation,
    dialects::nsx::{
        body::{Body, draft::Draft},
        manager::{
            translate::{
                inward::{interface_addresses, networks, read_each, read_interface, read_rule},
                same::{are_same_addresses, are_same_networks, are_same_rules, is_same_interface},
                words::{ACTIONS, interface_address},
            },
            wire::{POLICY_BASED, ROUTE_BASED},
        },
    },
    model::{ConnectionSpec, PolicyRule, Selectors, TunnelInterface},
    rest::json,
};
use serde_json::{Map, Value, json as object};

/// The violation for a field that would turn a session of this kind into another kind.
pub fn other_kind(field: &str, kind: &str) -> Violation {
    let what = format!("is not the kind of this connection, a `{kind}`, which cannot be changed");
    Violation::new(field, what)
}

/// Sets the selectors of the draft.
///
/// # Errors
/// Fails if the change wants another kind of selectors: NSX keeps the type that an object was created with.
pub fn change_selectors(
    draft: &mut Draft,
    session: &Body,
    values: &ConnectionSpec,
) -> Result<(), Vec<Violation>> {
    let kind = session.text("resource_type").unwrap_or_default();
    let immutable = |field: &str| Err(vec![other_kind(field, &kind)]);
    match &values.selectors {
        Some(Selectors::Rules(wanted)) => {
            if kind != POLICY_BASED {
                return immutable("policy_based");
            }
            let current = session.list("policy_rules");
            let (rules, _) = read_each(current, read_rule);
            if !are_same_rules(&rules, wanted) {
                draft.set("policy_rules", policy_rules(wanted, current));
            }
        }
        Some(Selectors::RouteBased(wanted)) => {
            if kind != ROUTE_BASED {
                return immutable("route_based");
            }
            let current = session.list("tunnel_ports");
            let (interfaces, _) = read_each(current, read_interface);
            let mut pairs = interfaces.iter().zip(wanted);
            let same = interfaces.len() == wanted.len()
                && pairs.all(|(interface, wanted)| is_same_interface(interface, wanted));
            if !same {
                draft.set("tunnel_ports", tunnel_ports(wanted, current));
            }
        }
        // Refused earlier.
        Some(Selectors::EndpointGroups { .. }) | None => {}
    }
    Ok(())
}

/// Builds the rules in NSX's format. A rule that exists already, by its id or by its networks, keeps its other fields.
pub fn policy_rules(wanted: &[PolicyRule], current: &[Value]) -> Value {
    // A rule that could not be read cannot be named by a caller either, so it stays.
    let is_read = |rule: &Value| rule.as_object().is_some_and(|it| read_rule(it).0.is_some());
    let unread = current.iter().filter(|rule| !is_read(rule)).cloned();
    let read = current.iter().filter(|rule| is_read(rule));
    let mut current: Vec<Option<&Map<String, Value>>> = read.map(Value::as_object).collect();
    let subnets = |networks: &[String]| -> Value {
        networks
            .iter()
            .map(|network| object!({ "subnet": network }))
            .collect()
    };
    let rules = wanted.iter().map(|wanted| {
        let kept = take_matching(&mut current, |there| match &wanted.id {
            Some(id) => json::text(there, "id").as_ref() == Some(id),
            None => {
                has_networks(there, "sources", &wanted.sources)
                    && has_networks(there, "destinations", &wanted.destinations)
            }
        });
        let mut rule = kept.cloned().unwrap_or_default();
        if let (None, Some(id)) = (kept, &wanted.id) {
            rule.insert("id".to_owned(), id.as_str().into());
        }
        for (side, wanted) in [
            ("sources", &wanted.sources),
            ("destinations", &wanted.destinations),
        ] {
            // Unchanged networks keep their other fields.
            let same = kept.is_some_and(|there| has_networks(there, side, wanted));
            if !same {
                rule.insert(side.to_owned(), subnets(wanted));
            }
        }
        for (key, wanted, default) in [
            ("enabled", wanted.enabled, true),
            ("logged", wanted.logged, false),
        ] {
            let there = json::boolean(&rule, key);
            let unknown = there.is_none() && rule.get(key).is_some_and(|it| !it.is_null());
            let stays = wanted.map_or(unknown, |wanted| there == Some(wanted));
            if !stays {
                rule.insert(key.to_owned(), wanted.unwrap_or(default).into());
            }
        }
        let there = json::text(&rule, "action").unwrap_or_default();
        let other = |word: &str| !word.eq_ignore_ascii_case(&there);
        for (word, action) in ACTIONS {
            if wanted.action == Some(action) && other(word) {
                rule.insert("action".to_owned(), word.into());
            }
        }
        Value::Object(rule)
    });
    rules.chain(unread).collect()
}

/// Builds the ports in NSX's format. A port that exists already, by its id or by its addresses, keeps its other fields.
/// So does the only port if only one is wanted.
pub fn tunnel_ports(wanted: &[TunnelInterface], current: &[Value]) -> Value {
    let only = wanted.len() == 1 && current.len() == 1;
    let is_read = |port: &Value| {
        port.as_object()
            .is_some_and(|it| read_interface(it).0.is_some())
    };
    let unread = current.iter().filter(|port| !is_read(port)).cloned();
    let read = current.iter().filter(|port| is_read(port));
    let mut current: Vec<Option<&Map<String, Value>>> = read.map(Value::as_object).collect();
    let ports = wanted.iter().map(|wanted| {
        let kept = take_matching(&mut current, |there| match &wanted.id {
            Some(id) => json::text(there, "tunnel_port_id").as_ref() == Some(id),
            None => only || has_addresses(there, &wanted.addresses),
        });
        let mut port = kept.cloned().unwrap_or_default();
        if !has_addresses(&port, &wanted.addresses) {
            let addresses = wanted.addresses.iter();
            let addresses = addresses.filter_map(|text| interface_address(text));
            let subnets = addresses.map(|(address, prefix)| {
                object!({ "ip_addresses": [address.to_string()], "prefix_length": prefix })
            });
            port.insert("ip_subnets".to_owned(), subnets.collect());
        }
        Value::Object(port)
    });
    ports.chain(unread).collect()
}

fn has_networks(rule: &Map<String, Value>, side: &str, wanted: &[String]) -> bool {
    networks(rule, side).is_some_and(|there| are_same_networks(&there, wanted))
}

fn has_addresses(port: &Map<String, Value>, wanted: &[String]) -> bool {
    interface_addresses(port).is_some_and(|there| are_same_addresses(&there, wanted))
}

fn take_matching<'a>(
    current: &mut [Option<&'a Map<String, Value>>],
    matches: impl Fn(&Map<String, Value>) -> bool,
) -> Option<&'a Map<String, Value>> {
    current
        .iter_mut()
        .find(|there| there.is_some_and(&matches))
        .and_then(Option::take)
}
