//! Where connections live: VPN services, local endpoints, endpoint groups; and what a VPN can be attached to.

use crate::model::{
    algorithm::{Named, named},
    connection::PolicyRule,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What hosts connections on a router.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VpnService {
    /// Whether it carries traffic; `None` is true on input.
    pub admin_enabled: Option<bool>,
    /// The router's id.
    pub router: String,
    /// The local subnet's id (OpenStack).
    pub subnet: Option<String>,
    /// The flavor's id (OpenStack).
    pub flavor: Option<String>,
    /// Traffic that passes by the tunnels (NSX).
    pub bypass_rules: Vec<PolicyRule>,
    /// How much the IKE daemon logs (NSX).
    pub ike_log_level: Option<IkeLogLevel>,
    /// Whether the standby node has the security associations, too (NSX).
    pub ha_sync: Option<bool>,
    /// The addresses peers reach it at. Only read (OpenStack).
    pub external_addresses: Vec<String>,
    /// The cloud's word for how it is. Only read (OpenStack).
    pub native_state: String,
}

/// Where this side of a connection starts from (NSX).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LocalEndpoint {
    /// The id of the service it belongs to; `None` only where a cloud did not say.
    pub vpn_service: Option<String>,
    /// Its IP address, checked at the edge.
    pub address: String,
    /// How this side identifies itself; `None` is its address.
    pub local_id: Option<String>,
    /// The id of its certificate.
    pub certificate: Option<String>,
    /// Ids of authorities that may have signed the peer's certificate.
    pub trusted_authorities: Vec<String>,
    /// Ids of lists of revoked certificates.
    pub revocation_lists: Vec<String>,
}

/// Networks or subnets under one name (OpenStack).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EndpointGroup {
    /// What is in it; `None` only where a cloud said what nobody documented.
    pub endpoint_type: Option<EndpointType>,
    /// Ids, or networks as text, checked at the edge.
    pub endpoints: Vec<String>,
}

named! {
    /// How much the IKE daemon logs.
    IkeLogLevel, "IKE_LOG_LEVEL_" {
        /// Everything.
        Debug = "DEBUG",
        /// What happens.
        Info = "INFO",
        /// What may be wrong.
        Warn = "WARN",
        /// What is wrong.
        Error = "ERROR",
        /// What stops it.
        Emergency = "EMERGENCY",
    }
}

named! {
    /// What is in an endpoint group.
    EndpointType, "TYPE_" {
        /// Ids of subnets.
        Subnet = "SUBNET",
        /// Networks in CIDR form.
        Cidr = "CIDR",
        /// Ids of networks.
        Network = "NETWORK",
        /// Ids of routers.
        Router = "ROUTER",
        /// VLAN ids.
        Vlan = "VLAN",
    }
}

named! {
    /// What kind of thing a VPN can be attached to.
    AttachmentKind, "KIND_" {
        /// A router of OpenStack, or a logical router of NSX.
        Router = "ROUTER",
        /// A subnet of OpenStack.
        Subnet = "SUBNET",
        /// A gateway of NSX's Policy API.
        Gateway = "GATEWAY",
    }
}

/// Something in a cloud's network that a VPN can be attached to.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// What kind of thing it is.
    pub kind: AttachmentKind,
    /// The cloud's own id.
    pub id: String,
    /// Its name for people.
    pub display_name: String,
    /// The addresses it is reached at from outside, as far as the cloud tells.
    pub addresses: Vec<String>,
    /// The networks behind it, in CIDR form, as far as the cloud tells.
    pub networks: Vec<String>,
    /// The id of what it is attached to itself; `None` if there is nothing, or several things.
    pub parent_id: Option<String>,
    /// Why no VPN can be attached to it as it is; `None` if one can.
    pub unusable: Option<String>,
    /// The cloud's answer, secrets aside.
    pub native: Map<String, Value>,
}
