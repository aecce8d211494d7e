//! The values that a PUT changes, before and after. They are kept so that the PUT can be traced and undone later.
//! They hold no key. Pure.

use crate::{
    dialects::openstack::{
        translate::{etag::etag, outward::is_same_address},
        variant::Variant,
        wire::{Body, kind::Kind},
    },
    model::Field,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, net::IpAddr};

/// What a PUT changes, by the cloud's field names.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub struct Values {
    /// The values before the PUT.
    pub before: Map<String, Value>,
    /// The values after it, as far as the cloud shows them. A host name is left out, since the cloud resolves it when
    /// it is written.
    pub wanted: Map<String, Value>,
    /// The fields of `before` that will reference what the same write creates. Those ids were unknown when the write
    /// was planned.
    #[serde(default)]
    pub made: Vec<String>,
}

impl Values {
    /// Records what this body changes.
    pub fn of(body: &Map<String, Value>, there: &Body) -> Values {
        let mut values = Values::default();
        for (key, value) in body.iter().filter(|(key, _)| *key != "psk") {
            values.remember(key, there);
            if key != "peer_address" || is_address(value) {
                values.wanted.insert(key.clone(), value.clone());
            }
        }
        values
    }

    /// Records the current value of this field.
    pub fn remember(&mut self, key: &str, there: &Body) {
        let before = there.object().get(key).cloned();
        let nothing = match key {
            // The empty value that the cloud accepts. It refuses null.
            "name" | "description" => Value::from(""),
            "peer_cidrs" => Value::Array(Vec::new()),
            _ => Value::Null,
        };
        let before = before.filter(|it| !it.is_null()).unwrap_or(nothing);
        self.before.insert(key.to_owned(), before);
    }

    /// Reports whether every wanted value is there. Returns `false` if none of them shows: that is no evidence.
    pub fn are_wanted(&self, kind: &Kind, now: &Body, variant: &Variant) -> bool {
        !self.wanted.is_empty() && all(kind, &self.wanted, now, variant)
    }

    /// Reports whether every value is as before. Returns `false` if there are none.
    pub fn are_before(&self, kind: &Kind, now: &Body, variant: &Variant) -> bool {
        !self.before.is_empty() && all(kind, &self.before, now, variant)
    }
}

fn all(kind: &Kind, values: &Map<String, Value>, now: &Body, variant: &Variant) -> bool {
    let mut values = values.iter();
    values.all(|(key, value)| is_same(kind, key, value, now, variant))
}

/// Reports whether a field has this value, in any spelling.
pub fn is_same(kind: &Kind, key: &str, wanted: &Value, now: &Body, variant: &Variant) -> bool {
    let there = now.object().get(key).cloned().unwrap_or_default();
    match (key, wanted, &there) {
        ("peer_address", Value::String(wanted), Value::String(there)) => {
            is_same_address(wanted, there)
        }
        ("peer_cidrs", Value::Array(wanted), Value::Array(there)) => {
            network_set(wanted) == network_set(there)
        }
        _ => {
            let print = |value: &Value| {
                let one = Map::from_iter([(key.to_owned(), value.clone())]);
                etag(kind, &Body::new(one), variant)
            };
            print(wanted) == print(&there)
        }
    }
}

fn network_set(networks: &[Value]) -> BTreeSet<String> {
    let texts = networks.iter().filter_map(Value::as_str);
    texts
        .map(|text| match text.parse::<ipnet::IpNet>() {
            Ok(network) => network.to_string(),
            Err(_) => text.to_owned(),
        })
        .collect()
}

fn is_address(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.parse::<IpAddr>().is_ok()
}

/// Returns the fields of a connection that a body writes, as paths of the contract.
pub fn paths(body: &Map<String, Value>) -> Vec<String> {
    let fields: BTreeSet<Field> = body.keys().filter_map(|key| field(key)).collect();
    fields.into_iter().map(|it| it.path().to_owned()).collect()
}

fn field(key: &str) -> Option<Field> {
    Some(match key {
        "name" => Field::DisplayName,
        "description" => Field::Description,
        "admin_state_up" => Field::AdminEnabled,
        "vpnservice_id" => Field::VpnService,
        "ikepolicy_id" => Field::IkePolicy,
        "ipsecpolicy_id" => Field::IpsecPolicy,
        "peer_address" => Field::PeerAddress,
        "peer_id" => Field::PeerId,
        "psk" => Field::Authentication,
        "dpd" => Field::Dpd,
        "initiator" => Field::Initiation,
        "peer_cidrs" | "local_ep_group_id" | "peer_ep_group_id" => Field::Selectors,
        "mtu" => Field::Mtu,
        "availability_zone" => Field::AvailabilityZone,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::openstack::{variant::NEUTRON, wire::kind::CONNECTIONS};
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn row(value: Value) -> Body {
        Body::new(object(value))
    }

    #[test]
    fn values_tell_before_from_after_and_hold_no_key() {
        let before = row(
            json!({"name": "old", "mtu": "1400", "peer_cidrs": ["10.0.0.0/8"],
            "dpd": {"action": "hold", "interval": 30, "timeout": 120}}),
        );
        let body = object(
            json!({"name": "new", "psk": "canary", "peer_address": "2001:DB8::1", "peer_cidrs":
            ["10.2.0.0/16", "10.1.0.0/16"], "mtu": 1500, "dpd": {"action": "clear", "interval": 5, "timeout": 9}}),
        );
        let values = Values::of(&body, &before);
        assert!(!format!("{values:?}").contains("canary"));
        let is = |now: &Body| {
            (
                values.are_before(&CONNECTIONS, now, &NEUTRON),
                values.are_wanted(&CONNECTIONS, now, &NEUTRON),
            )
        };
        assert_eq!(is(&before), (true, false));
        let after = json!({"name": "new", "peer_address": "2001:db8:0::1", "mtu": "1500", "peer_cidrs":
            ["10.1.0.0/16", "10.2.0.0/16"], "dpd": {"timeout": "9", "interval": 5, "action": "Clear"}});
        assert_eq!(is(&row(after.clone())), (false, true));
        let mut other = object(after);
        other.insert("name".to_owned(), "somebody else's".into());
        assert_eq!(is(&Body::new(other)), (false, false));
    }

    #[test]
    fn what_does_not_show_is_no_evidence() {
        let before = row(json!({"peer_address": "198.51.100.1"}));
        for body in [
            json!({"psk": "canary"}),
            json!({"peer_address": "vpn.example.org"}),
        ] {
            let values = Values::of(&object(body), &before);
            assert!(!values.are_wanted(&CONNECTIONS, &before, &NEUTRON));
        }
        let name = object(json!({"peer_address": "vpn.example.org"}));
        assert_eq!(
            Values::of(&name, &before).before,
            object(json!({"peer_address": "198.51.100.1"}))
        );
    }

    #[test]
    fn what_is_written_is_told_by_the_names_of_the_contract() {
        let body =
            json!({"psk": "x", "peer_ep_group_id": "p", "local_ep_group_id": "l", "name": "n"});
        assert_eq!(
            paths(&object(body)),
            ["display_name", "peer.psk", "policy_based"]
        );
    }
}
