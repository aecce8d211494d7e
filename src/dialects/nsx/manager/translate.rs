//! Session and peer endpoint as a connection, and a connection as both. Pure.
//!
//! Reading never fails: what does not fit the model stays in `native` as it came. Changing starts from what
//! was read, so that what nobody here knows goes back unchanged.

mod inward;
mod outward;
#[cfg(test)]
mod tests;

pub use inward::connection;
pub use outward::{
    changed_peer_endpoint, changed_session, concerns_peer_endpoint, new_peer_endpoint, new_session,
    peer_endpoint_is_as_wanted,
};

use crate::{
    dialects::nsx::body::Body,
    model::{Authentication, ClampDirection, ConnectionSpec, Initiation, RuleAction},
};
use std::net::IpAddr;

const PSK: &str = "PSK";

const CERTIFICATE: &str = "CERTIFICATE";

const INITIATIONS: [(&str, Initiation); 3] = [
    ("INITIATOR", Initiation::Both),
    ("RESPOND_ONLY", Initiation::RespondOnly),
    ("ON_DEMAND", Initiation::OnDemand),
];

const ACTIONS: [(&str, RuleAction); 2] = [
    ("PROTECT", RuleAction::Protect),
    ("BYPASS", RuleAction::Bypass),
];

const DIRECTIONS: [(&str, ClampDirection); 4] = [
    ("NONE", ClampDirection::None),
    ("INBOUND_CONNECTION", ClampDirection::Inbound),
    ("OUTBOUND_CONNECTION", ClampDirection::Outbound),
    ("BOTH", ClampDirection::Both),
];

/// Both revisions, since a connection changes with either object.
pub fn etag(session: &Body, peer: Option<&Body>) -> String {
    let text = |revision: Option<i64>| revision.map_or("-".to_owned(), |it| it.to_string());
    let peer = peer.and_then(Body::revision);
    format!("{}.{}", text(session.revision()), text(peer))
}

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
