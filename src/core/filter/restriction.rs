//! The restrictions of a filter.

use crate::model::{
    ResourceName,
    algorithm::Named,
    topology::{AttachmentKind, EndpointType},
};
use std::{fmt, net::IpAddr};

/// A condition on an item. An item that lacks the field does not meet it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restriction {
    /// `display_name`.
    DisplayName(Wanted),
    /// `peer.address` of a connection.
    PeerAddress(Wanted),
    /// `admin_enabled` of a connection or a VPN service. If the cloud does not report it, neither value is met.
    AdminEnabled(bool),
    /// `managed`.
    Managed(bool),
    /// `vpn_service` of a connection or a local endpoint.
    VpnService(ResourceName),
    /// `local_endpoint` of a connection.
    LocalEndpoint(ResourceName),
    /// `router` of a VPN service, compared exactly.
    Router(String),
    /// `address` of a local endpoint.
    Address(Wanted),
    /// `type` of an endpoint group.
    EndpointType(EndpointType),
    /// `kind` of an attachment.
    Kind(AttachmentKind),
    /// `usable` of an attachment.
    Usable(bool),
    /// `parent_id` of an attachment, compared exactly; empty matches attachments without a parent.
    ParentId(String),
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Exactly this.
    Equal(String),
    /// Contains this, ignoring case.
    Containing(String),
}

impl Wanted {
    pub fn is_met_by(&self, text: &str) -> bool {
        match self {
            Wanted::Equal(wanted) => text == wanted,
            Wanted::Containing(wanted) => text.to_lowercase().contains(&wanted.to_lowercase()),
        }
    }

    /// Reports whether an address is as wanted. Two spellings of one IP address are equal.
    pub fn is_met_by_address(&self, text: &str) -> bool {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        match self {
            Wanted::Equal(wanted) if address(wanted).is_some() => address(wanted) == address(text),
            _ => self.is_met_by(text),
        }
    }
}

/// Formats the restriction as in a filter.
impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Restriction::DisplayName(wanted) => write!(f, "display_name{wanted}"),
            Restriction::PeerAddress(wanted) => write!(f, "peer.address{wanted}"),
            Restriction::AdminEnabled(wanted) => write!(f, "admin_enabled={wanted}"),
            Restriction::Managed(wanted) => write!(f, "managed={wanted}"),
            Restriction::VpnService(name) => {
                write!(f, "vpn_service={}", Quoted(&name.to_string()))
            }
            Restriction::LocalEndpoint(name) => {
                write!(f, "local_endpoint={}", Quoted(&name.to_string()))
            }
            Restriction::Router(id) => write!(f, "router={}", Quoted(id)),
            Restriction::Address(wanted) => write!(f, "address{wanted}"),
            Restriction::EndpointType(wanted) => write!(f, "type={}", wanted.as_str()),
            Restriction::Kind(wanted) => write!(f, "kind={}", wanted.as_str()),
            Restriction::Usable(wanted) => write!(f, "usable={wanted}"),
            Restriction::ParentId(id) => write!(f, "parent_id={}", Quoted(id)),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Equal(text) => write!(f, "={}", Quoted(text)),
            Wanted::Containing(text) => write!(f, ":{}", Quoted(text)),
        }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{escaped}\"")
    }
}
