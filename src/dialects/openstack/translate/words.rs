//! Neutron's words for the enums of a connection, its defaults, and values in a form of their own.

use crate::{
    dialects::openstack::variant::Variant,
    model::{Authentication, ConnectionSpec, DpdAction, Initiation},
};
use serde_json::Value;

/// The most characters that the columns of `name`, `description`, `peer_address`, `peer_id` and `psk` hold.
pub const LONGEST_TEXT: usize = 255;
/// The cloud's default of `dpd`: hold, with an interval of 30 s and a timeout of 120 s.
pub const DEFAULT_DPD: (DpdAction, u32, u32) = (DpdAction::Hold, 30, 120);
/// The cloud's default `mtu`, in bytes.
pub const DEFAULT_MTU: u32 = 1500;

pub(super) const INITIATIONS: [(&str, Initiation); 2] = [
    ("bi-directional", Initiation::Both),
    ("response-only", Initiation::RespondOnly),
];

pub(super) const ACTIONS: [(&str, DpdAction); 5] = [
    ("clear", DpdAction::Clear),
    ("hold", DpdAction::Hold),
    ("restart", DpdAction::Restart),
    ("disabled", DpdAction::Disabled),
    ("restart-by-peer", DpdAction::RestartByPeer),
];

/// Returns the pre-shared key of a spec, for a request body and for redacting errors.
pub fn psk(spec: &ConnectionSpec) -> Option<&str> {
    match &spec.authentication {
        Some(Authentication::Psk(psk)) => Some(psk.expose()),
        Some(Authentication::Certificate) | None => None,
    }
}

/// Returns the interval and timeout of a spec with defaults, in seconds.
pub fn dpd_times(spec: &ConnectionSpec) -> (u32, u32) {
    let dpd = spec.dpd.unwrap_or_default();
    (
        dpd.interval_seconds.unwrap_or(DEFAULT_DPD.1),
        dpd.timeout_seconds.unwrap_or(DEFAULT_DPD.2),
    )
}

/// Strips the `@` that some clouds put before a peer id.
pub(super) fn plain_peer_id<'a>(id: &'a str, variant: &Variant) -> &'a str {
    match id.strip_prefix('@') {
        Some(plain) if variant.at_before_peer_id => plain,
        _ => id,
    }
}

/// Returns the word for a meaning.
pub(super) fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], meaning: T) -> &'static str {
    let found = table.iter().find(|(_, known)| *known == meaning);
    // A meaning without a word was refused earlier.
    found.unwrap_or(&table[0]).0
}

/// Returns the elements of a list, or none for any other value.
pub fn elements(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
