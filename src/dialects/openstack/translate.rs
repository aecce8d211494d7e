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
pub use outward::{changes, is_descriptive, may_be, new_connection, shows};
pub use refusals::{Refusals, Writing};

use crate::{
    dialects::openstack::{variant::Variant, wire::Body},
    model::{Authentication, ConnectionSpec, DpdAction, Initiation},
    rest::json,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
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
/// above all, is not in it; nor is what makes no difference to what is read: an `@` that some clouds put before a
/// peer's id or do not, the case of a word, or whether nothing is absent, null or empty.
pub fn etag(body: &Body, variant: &Variant) -> String {
    let mut print = Sha256::new();
    for key in WRITABLE {
        let Some(value) = body.object().get(key).filter(|value| !is_nothing(value)) else {
            continue;
        };
        text(&mut print, key);
        match (key, value) {
            // A set: a PUT answers it in the caller's order, a GET in the database's.
            ("peer_cidrs", Value::Array(set)) => {
                let sorted: BTreeSet<Cow<'_, str>> = set.iter().map(scalar).collect();
                head(&mut print, b'[', sorted.len());
                sorted.iter().for_each(|element| text(&mut print, element));
            }
            ("peer_id", Value::String(id)) => text(&mut print, plain_peer_id(id, variant)),
            ("initiator", Value::String(word)) => text(&mut print, &plain_word(word)),
            ("admin_state_up", value) => {
                let is_up = json::boolean(body.object(), key);
                text(
                    &mut print,
                    &is_up.map_or(scalar(value), |up| up.to_string().into()),
                );
            }
            (_, value) => whole(&mut print, value),
        }
    }
    let digest = print.finalize();
    let digits = digest
        .iter()
        .take(16)
        .flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Whether a value is as good as none.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// A word of a table, in one spelling.
fn plain_word(word: &str) -> Cow<'_, str> {
    let word = word.trim();
    match word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(word.to_ascii_lowercase()),
        false => Cow::Borrowed(word),
    }
}

/// Begins a part of a fingerprint: what it is and how long, so that no two values leave the same.
fn head(print: &mut Sha256, kind: u8, length: usize) {
    print.update([kind]);
    print.update((length as u64).to_be_bytes());
}

fn text(print: &mut Sha256, text: &str) {
    head(print, b'"', text.len());
    print.update(text);
}

/// Puts a value into a fingerprint, whatever the order of its keys.
fn whole(print: &mut Sha256, value: &Value) {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<&String, &Value> = object.iter().collect();
            head(print, b'{', sorted.len());
            for (key, value) in sorted {
                text(print, key);
                match (key.as_str(), value) {
                    ("action", Value::String(word)) => text(print, &plain_word(word)),
                    (_, value) => whole(print, value),
                }
            }
        }
        Value::Array(list) => {
            head(print, b'[', list.len());
            list.iter().for_each(|element| whole(print, element));
        }
        other => text(print, &scalar(other)),
    }
}

/// The same text whether a number or a boolean came as what it is or as text.
fn scalar(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
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

/// The word of a meaning.
fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], meaning: T) -> &'static str {
    let found = table.iter().find(|(_, known)| *known == meaning);
    // What has no word here was refused before.
    found.unwrap_or(&table[0]).0
}

fn elements(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
