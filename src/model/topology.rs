//! Where connections live: VPN services, local endpoints and endpoint groups, and the attachment points of a VPN.

use crate::model::{
    algorithm::{Named, named},
    connection::PolicyRule,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A VPN service: hosts connections on a router.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VpnService {
    /// Whether the service carries traffic. `None` means true on input.
    pub admin_enabled: Option<bool>,
    /// Router id.
    pub router: String,
    /// Local subnet id (OpenStack).
    pub subnet: Option<String>,
    /// Flavor id (OpenStack).
    pub flavor: Option<String>,
    /// Rules for traffic that bypasses the tunnels (NSX).
    pub bypass_rules: Vec<PolicyRule>,
    /// Log level of the IKE daemon (NSX).
    pub ike_log_level: Option<IkeLogLevel>,
    /// Whether the security associations are synchronized to the standby node (NSX).
    pub ha_sync: Option<bool>,
    /// Addresses at which peers reach the service. Read-only (OpenStack).
    pub external_addresses: Vec<String>,
    /// The status of the service in the cloud's own words. Read-only (OpenStack).
    pub native_state: String,
}

/// The local end of a connection (NSX).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LocalEndpoint {
    /// Id of its VPN service. `None` only if the cloud did not say.
    pub vpn_service: Option<String>,
    /// IP address. The gRPC layer validates it.
    pub address: String,
    /// IKE identity of this side. `None` means `address`.
    pub local_id: Option<String>,
    /// Certificate id.
    pub certificate: Option<String>,
    /// Ids of the certificate authorities that may have signed the peer's certificate.
    pub trusted_authorities: Vec<String>,
    /// Ids of certificate revocation lists.
    pub revocation_lists: Vec<String>,
}

/// A named list of subnets or networks (OpenStack).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EndpointGroup {
    /// What the group contains. `None` only if the cloud gave an undocumented value.
    pub endpoint_type: Option<EndpointType>,
    /// Ids, or networks as text. The gRPC layer validates them.
    pub endpoints: Vec<String>,
}

named! {
    /// Log level of the IKE daemon, most verbose first.
    IkeLogLevel, "IKE_LOG_LEVEL_" {
        Debug = "DEBUG",
        Info = "INFO",
        Warn = "WARN",
        Error = "ERROR",
        Emergency = "EMERGENCY",
    }
}

named! {
    /// What an endpoint group contains.
    EndpointType, "TYPE_" {
        /// Subnet ids.
        Subnet = "SUBNET",
        /// Networks in CIDR form.
        Cidr = "CIDR",
        /// Network ids.
        Network = "NETWORK",
        /// Router ids.
        Router = "ROUTER",
        /// VLAN ids.
        Vlan = "VLAN",
    }
}

named! {
    /// The kind of an attachment point.
    AttachmentKind, "KIND_" {
        /// A Neutron router, or a logical router of the NSX Manager API.
        Router = "ROUTER",
        /// A Neutron subnet.
        Subnet = "SUBNET",
        /// A gateway of the NSX Policy API.
        Gateway = "GATEWAY",
    }
}

/// Something in the cloud's network that a VPN can be attached to.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    pub kind: AttachmentKind,
    /// The id that the cloud uses.
    pub id: String,
    /// Human-readable name.
    pub display_name: String,
    /// External addresses, as far as the cloud reports them.
    pub addresses: Vec<String>,
    /// Networks behind it in CIDR form, as far as the cloud reports them.
    pub networks: Vec<String>,
    /// Id of what it is attached to itself. `None` if there is none or more than one.
    pub parent_id: Option<String>,
    /// Why no VPN can be attached to it in its present state. `None` if one can.
    pub unusable: Option<String>,
    /// The cloud's answer, without secrets.
    pub native: Map<String, Value>,
}
