//! NSX's words with what each means, and values with a format of their own.

use crate::model::{Authentication, ClampDirection, ConnectionSpec, Initiation, RuleAction};
use std::net::IpAddr;

/// `authentication_mode` of a peer endpoint with a pre-shared key.
pub(super) const PSK: &str = "PSK";

/// `authentication_mode` of a peer endpoint with a certificate.
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

/// Parses the address and prefix length of a tunnel interface. Returns `None` if the text is not such a pair.
pub fn interface_address(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= longest).then_some((address, prefix))
}

/// Returns the pre-shared key of a spec. It goes into request bodies, and is redacted from errors.
pub fn psk(spec: &ConnectionSpec) -> Option<&str> {
    match &spec.authentication {
        Some(Authentication::Psk(psk)) => Some(psk.expose()),
        Some(Authentication::Certificate) | None => None,
    }
}
