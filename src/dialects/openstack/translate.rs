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
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

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

/// What can be written, sorted. An etag is made of these: of a connection that is as it was in all of them
/// nothing is lost by a write.
const WRITABLE: [&str; 16] = [
    "admin_state_up",
    "auth_mode",
    "description",
    "dpd",
    "ikepolicy_id",
    "initiator",
    "ipsecpolicy_id",
    "local_ep_group_id",
    "local_id",
    "mtu",
    "name",
    "peer_address",
    "peer_cidrs",
    "peer_ep_group_id",
    "peer_id",
    "vpnservice_id",
];

/// A fingerprint of everything that can be written but the key. What the cloud changes by itself, `status`
/// above all, is not in it.
pub fn etag(body: &Body) -> String {
    let mut text = String::with_capacity(1024);
    for key in WRITABLE {
        let value = body.object().get(key).filter(|value| !value.is_null());
        let Some(value) = value else { continue };
        let canonical = match (key, value) {
            // A set: a PUT answers it in the caller's order, a GET in the database's.
            ("peer_cidrs", value) => {
                let sorted: BTreeSet<String> = elements(value).iter().map(canonical).collect();
                Cow::Owned(sorted.into_iter().collect::<Vec<_>>().join(","))
            }
            (_, Value::String(text)) => Cow::Borrowed(text.as_str()),
            (_, value) => Cow::Owned(canonical(value)),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{key}={canonical:?}");
    }
    let digest = Sha256::digest(text);
    let mut etag = String::with_capacity(32);
    for byte in digest.iter().take(16) {
        let _ = write!(etag, "{byte:02x}");
    }
    etag
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
