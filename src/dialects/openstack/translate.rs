//! An ipsec-site-connection as a connection, and back. Pure.
//!
//! Reading never fails: what does not fit the model stays in `native` as it came. Writing names only what is
//! wanted: a PUT of Neutron leaves alone what is not in it.

mod inward;
mod outward;
mod refusals;
#[cfg(test)]
mod tests;

pub use inward::connection;
pub use outward::{changes, may_be, new_connection, shows};
pub use refusals::{Refusals, Writing};

use crate::{
    dialects::openstack::{variant::Variant, wire::Body},
    model::{Authentication, ConnectionSpec, DpdAction, Initiation},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Characters of `name`, `description`, `peer_address`, `peer_id` and `psk` that fit their columns.
pub const LONGEST_TEXT: usize = 255;
/// What `dpd` is where nothing else is said: hold, 30 s, 120 s.
pub const DEFAULT_DPD: (DpdAction, u32, u32) = (DpdAction::Hold, 30, 120);
/// What `mtu` is where nothing else is said, in bytes.
pub const DEFAULT_MTU: u32 = 1500;

const INITIATIONS: [(&str, Initiation); 2] = [
    ("bi-directional", Initiation::Both),
    ("response-only", Initiation::RespondOnly),
];

const ACTIONS: [(&str, DpdAction); 5] = [
    ("clear", DpdAction::Clear),
    ("hold", DpdAction::Hold),
    ("restart", DpdAction::Restart),
    ("disabled", DpdAction::Disabled),
    ("restart-by-peer", DpdAction::RestartByPeer),
];

/// What can be written. An etag is made of these: of a connection that is as it was in all of them nothing
/// is lost by a write.
const WRITABLE: [&str; 16] = [
    "name",
    "description",
    "admin_state_up",
    "vpnservice_id",
    "ikepolicy_id",
    "ipsecpolicy_id",
    "peer_address",
    "peer_id",
    "local_id",
    "initiator",
    "dpd",
    "mtu",
    "peer_cidrs",
    "local_ep_group_id",
    "peer_ep_group_id",
    "auth_mode",
];

/// A fingerprint of everything that can be written but the key. What the cloud changes by itself, `status`
/// above all, is not in it.
pub fn etag(body: &Body) -> String {
    let fields: BTreeMap<&str, String> = WRITABLE
        .iter()
        .filter_map(|key| {
            let value = body.object().get(*key).filter(|value| !value.is_null())?;
            let canonical = match *key {
                // A set: a PUT answers it in the caller's order, a GET in the database's.
                "peer_cidrs" => {
                    let sorted: BTreeSet<String> = elements(value).iter().map(canonical).collect();
                    sorted.into_iter().collect::<Vec<_>>().join(",")
                }
                _ => canonical(value),
            };
            Some((*key, canonical))
        })
        .collect();
    let mut hash = Sha256::new();
    for (key, value) in fields {
        hash.update(format!("{key}={value:?}\n"));
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The pre-shared key of a spec, for a request body and for keeping it out of errors.
pub fn psk(spec: &ConnectionSpec) -> Option<&str> {
    match &spec.authentication {
        Some(Authentication::Psk(psk)) => Some(psk.expose()),
        Some(Authentication::Certificate) | None => None,
    }
}

/// Interval and timeout that a spec comes to, in seconds.
pub fn dpd_times(spec: &ConnectionSpec) -> (u32, u32) {
    let dpd = spec.dpd.unwrap_or_default();
    (
        dpd.interval_seconds.unwrap_or(DEFAULT_DPD.1),
        dpd.timeout_seconds.unwrap_or(DEFAULT_DPD.2),
    )
}

/// A peer id without the sign that some clouds put before it.
fn plain_peer_id<'a>(id: &'a str, variant: &Variant) -> &'a str {
    match id.strip_prefix('@') {
        Some(plain) if variant.at_before_peer_id => plain,
        _ => id,
    }
}

/// The same text for the same value, whatever the order of its keys, and whether numbers came as strings.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<&String, String> = object
                .iter()
                .map(|(key, value)| (key, canonical(value)))
                .collect();
            format!("{sorted:?}")
        }
        Value::Array(list) => format!("{:?}", list.iter().map(canonical).collect::<Vec<_>>()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn elements(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
