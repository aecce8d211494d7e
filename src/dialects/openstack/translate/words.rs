//! The words of Neutron with what each means, and values that have a form of their own.

use crate::{
    dialects::openstack::variant::Variant,
    model::{Authentication, ConnectionSpec, DpdAction, Initiation},
};
use serde_json::Value;

/// Characters of `name`, `description`, `peer_address`, `peer_id` and `psk` that fit their columns.
pub const LONGEST_TEXT: usize = 255;
/// What `dpd` is where nothing else is said: hold, 30 s, 120 s.
pub const DEFAULT_DPD: (DpdAction, u32, u32) = (DpdAction::Hold, 30, 120);
/// What `mtu` is where nothing else is said, in bytes.
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
pub(super) fn plain_peer_id<'a>(id: &'a str, variant: &Variant) -> &'a str {
    match id.strip_prefix('@') {
        Some(plain) if variant.at_before_peer_id => plain,
        _ => id,
    }
}

/// The word of a meaning.
pub(super) fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], meaning: T) -> &'static str {
    let found = table.iter().find(|(_, known)| *known == meaning);
    // What has no word here was refused before.
    found.unwrap_or(&table[0]).0
}

/// The elements of a list; none if it is none.
pub fn elements(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
