//! The words of NSX with what each means, and values that have a form of their own.

use crate::model::{Authentication, ClampDirection, ConnectionSpec, Initiation, RuleAction};
use std::net::IpAddr;

/// How a session says that its peer has a key.
pub(super) const PSK: &str = "PSK";

/// And that it has a certificate.
pub(super) const CERTIFICATE: &str = "CERTIFICATE";

pub(super) const INITIATIONS: [(&str, Initiation); 3] = [
    ("INITIATOR", Initiation::Both),
    ("RESPOND_ONLY", Initiation::RespondOnly),
    ("ON_DEMAND", Initiation::OnDemand),
];

pub(super) const ACTIONS: [(&str, RuleAction); 2] = [
    ("PROTECT", RuleAction::Protect),
    ("BYPASS", RuleAction::Bypass),
];

pub(super) const DIRECTIONS: [(&str, ClampDirection); 4] = [
    ("NONE", ClampDirection::None),
    ("INBOUND_CONNECTION", ClampDirection::Inbound),
    ("OUTBOUND_CONNECTION", ClampDirection::Outbound),
    ("BOTH", ClampDirection::Both),
];

/// Address and prefix length of a tunnel interface; `None` if the text is no such pair.
pub fn interface_address(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= longest).then_some((address, prefix))
}

/// The pre-shared key of a spec, for a request body and for keeping it out of errors.
pub fn psk(spec: &ConnectionSpec) -> Option<&str> {
    match &spec.authentication {
        Some(Authentication::Psk(psk)) => Some(psk.expose()),
        Some(Authentication::Certificate) | None => None,
    }
}
