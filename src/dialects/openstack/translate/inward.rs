//! Translates a row of the cloud into a connection.

use crate::{
    dialects::openstack::{
        mark,
        translate::{
            etag::etag,
            rest::Rest,
            time::utc,
            words::{ACTIONS, INITIATIONS, elements, plain_peer_id},
        },
        variant::Variant,
        wire::{Body, kind::CONNECTIONS},
    },
    model::{
        Connection, DeadPeerDetection, Details, OpenstackDetails, Peer, PolicyRule, Selectors,
    },
    rest::json,
};
use serde_json::Value;
use std::net::IpAddr;

/// Translates a row of the cloud into a connection.
pub fn connection(body: Body, variant: &Variant) -> Connection {
    let etag = etag(&CONNECTIONS, &body, variant);
    let psk_set = body.psk_set();
    let mut rest = Rest(body.into_object());
    let description = rest.text("description").unwrap_or_default();
    let (description, mark) = mark::split(&description);
    Connection {
        id: rest.text("id").unwrap_or_default(),
        display_name: rest.text("name").unwrap_or_default(),
        description: description.to_owned(),
        admin_enabled: rest.boolean("admin_state_up"),
        vpn_service: rest.reference("vpnservice_id"),
        ike_policy: rest.reference("ikepolicy_id"),
        ipsec_policy: rest.reference("ipsecpolicy_id"),
        peer: Peer {
            address: rest.address("peer_address"),
            id: read_peer_id(&mut rest, variant),
            certificate: false,
            psk_set,
        },
        dpd: read_dpd(&mut rest),
        initiation: rest.word("initiator", &INITIATIONS),
        selectors: read_selectors(&mut rest),
        mtu: rest.number("mtu"),
        etag,
        create_time: rest.shown("created_at").and_then(|text| utc(&text)),
        managed: mark.is_some(),
        availability_zone: rest
            .shown("availability_zone")
            .filter(|zone| !zone.is_empty()),
        details: Some(Details::Openstack(details(&mut rest))),
        native: rest.0,
        ..Connection::default()
    }
}

fn details(rest: &mut Rest) -> OpenstackDetails {
    OpenstackDetails {
        project_id: rest.project(),
        local_id: rest.text("local_id").unwrap_or_default(),
        auth_mode: rest.text("auth_mode").unwrap_or_default(),
        route_mode: rest.text("route_mode").unwrap_or_default(),
        availability_zone: rest.text("availability_zone").unwrap_or_default(),
        order_id: rest.text("order_id").unwrap_or_default(),
        product_id: rest.text("product_id").unwrap_or_default(),
        created_at: rest.text("created_at").unwrap_or_default(),
        tags: read_tags(rest),
    }
}

/// Reads tags as `key=value`. If any of them does not fit, all of them also stay in `native`.
fn read_tags(rest: &mut Rest) -> Vec<String> {
    let Some(Value::Array(tags)) = rest.0.get("tags") else {
        return Vec::new();
    };
    let read = |tag: &Value| match tag {
        Value::String(text) => Some(text.clone()),
        Value::Object(pair) => {
            let only = pair.keys().all(|key| key == "key" || key == "value");
            let value = json::text(pair, "value").unwrap_or_default();
            only.then(|| json::text(pair, "key").map(|key| format!("{key}={value}")))?
        }
        _ => None,
    };
    let found: Vec<Option<String>> = tags.iter().map(read).collect();
    rest.forget("tags", found.iter().all(Option::is_some));
    found.into_iter().flatten().collect()
}

fn read_peer_id(rest: &mut Rest, variant: &Variant) -> String {
    let Some(id) = rest.shown("peer_id") else {
        return String::new();
    };
    let plain = plain_peer_id(&id, variant).to_owned();
    rest.forget("peer_id", id == plain);
    plain
}

fn read_dpd(rest: &mut Rest) -> Option<DeadPeerDetection> {
    let Some(Value::Object(dpd)) = rest.0.get("dpd") else {
        return None;
    };
    let mut inner = Rest(dpd.clone());
    let read = DeadPeerDetection {
        action: inner.word("action", &ACTIONS),
        interval_seconds: inner.number("interval"),
        timeout_seconds: inner.number("timeout"),
    };
    rest.0.remove("dpd");
    if !inner.0.is_empty() {
        rest.0.insert("dpd".to_owned(), Value::Object(inner.0));
    }
    Some(read)
}

fn read_selectors(rest: &mut Rest) -> Option<Selectors> {
    let group = |key: &str| rest.shown(key).filter(|id| !id.is_empty());
    let groups = (group("local_ep_group_id"), group("peer_ep_group_id"));
    let networks = rest.0.get("peer_cidrs").map(elements).unwrap_or_default();
    let is_list = matches!(
        rest.0.get("peer_cidrs"),
        None | Some(Value::Array(_) | Value::Null)
    );
    match groups {
        (Some(local), Some(peer)) => {
            rest.0.remove("local_ep_group_id");
            rest.0.remove("peer_ep_group_id");
            rest.forget("peer_cidrs", is_list && networks.is_empty());
            Some(Selectors::EndpointGroups { local, peer })
        }
        // Half a pair stays in `native`.
        (Some(_), None) | (None, Some(_)) => None,
        (None, None) => {
            for key in ["local_ep_group_id", "peer_ep_group_id"] {
                let is_none = |it: &Value| it.is_null() || it.as_str() == Some("");
                rest.forget(key, rest.0.get(key).is_some_and(is_none));
            }
            let destinations: Vec<String> = networks
                .iter()
                .filter_map(|network| network.as_str().map(str::to_owned))
                .collect();
            let all_parse = is_list
                && destinations.len() == networks.len()
                && destinations.iter().all(|text| is_network(text));
            rest.forget("peer_cidrs", all_parse);
            let rule = PolicyRule {
                destinations,
                ..PolicyRule::default()
            };
            (!rule.destinations.is_empty()).then(|| Selectors::Rules(vec![rule]))
        }
    }
}

fn is_network(text: &str) -> bool {
    text.parse::<ipnet::IpNet>().is_ok() || text.parse::<IpAddr>().is_ok()
}
