//! A connection as it is wanted, and as it is read.

use crate::model::secret::Psk;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::SystemTime;

/// A connection as a caller wants it. References are the cloud's own ids, already of the right backend.
#[derive(Debug, Clone, Default)]
pub struct ConnectionSpec {
    /// A name for people.
    pub display_name: String,
    /// Free text, without the gateway's mark.
    pub description: String,
    /// Whether it is meant to carry traffic; `None` is true on create.
    pub admin_enabled: Option<bool>,
    /// The VPN service (OpenStack).
    pub vpn_service: Option<String>,
    /// The local endpoint (NSX).
    pub local_endpoint: Option<String>,
    /// The IKE policy.
    pub ike_policy: Option<String>,
    /// The IPsec policy (NSX: tunnel profile).
    pub ipsec_policy: Option<String>,
    /// The DPD policy (NSX: DPD profile).
    pub dpd_policy: Option<String>,
    /// The other side's address: an IP address or a host name, checked at the edge.
    pub peer_address: String,
    /// How the peer identifies itself; `None` is its address.
    pub peer_id: Option<String>,
    /// How the peer proves itself.
    pub authentication: Option<Authentication>,
    /// Dead peer detection inside the connection (OpenStack).
    pub dpd: Option<DeadPeerDetection>,
    /// Which side starts.
    pub initiation: Option<Initiation>,
    /// Which traffic is protected.
    pub selectors: Option<Selectors>,
    /// Maximum transmission unit in bytes (OpenStack).
    pub mtu: Option<u32>,
    /// TCP maximum segment size clamping (NSX).
    pub tcp_mss_clamping: Option<TcpMssClamping>,
    /// The availability zone it is made in (k5).
    pub availability_zone: Option<String>,
}

/// How the peer proves itself.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// By a pre-shared key.
    Psk(Psk),
    /// By a certificate, which the local endpoint names (NSX).
    Certificate,
}

/// Dead peer detection. `None` leaves the cloud's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeadPeerDetection {
    /// What is done with a dead peer.
    pub action: Option<DpdAction>,
    /// Seconds between probes.
    pub interval_seconds: Option<u32>,
    /// Seconds of silence after which the peer is dead.
    pub timeout_seconds: Option<u32>,
}

/// What is done with a dead peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DpdAction {
    /// Remove its security associations.
    Clear,
    /// Hold them; negotiate on demand.
    Hold,
    /// Negotiate again at once.
    Restart,
    /// No detection.
    Disabled,
    /// Negotiate again all associations with that peer.
    RestartByPeer,
}

/// Which side starts the negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Initiation {
    /// This side starts and answers.
    Both,
    /// This side only answers.
    RespondOnly,
    /// This side starts with the first packet.
    OnDemand,
}

/// Which traffic is protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selectors {
    /// Networks inside the connection.
    Rules(Vec<PolicyRule>),
    /// Networks in two endpoint groups, by id (OpenStack).
    EndpointGroups {
        /// The group of local subnets.
        local: String,
        /// The group of peer networks.
        peer: String,
    },
    /// Routing into tunnel interfaces (NSX).
    RouteBased(Vec<TunnelInterface>),
}

/// One pair of local and peer networks. Networks are kept as the text given, checked at the edge.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyRule {
    /// The rule's id in the cloud, if it has one.
    pub id: Option<String>,
    /// Local networks, CIDR. Empty: any.
    pub sources: Vec<String>,
    /// Peer networks, CIDR. Empty: any.
    pub destinations: Vec<String>,
    /// Whether it is in force; `None` is true.
    pub enabled: Option<bool>,
    /// Whether matches are logged; `None` is false.
    pub logged: Option<bool>,
    /// What is done with a match; `None` is to protect it, or the cloud did not say.
    pub action: Option<RuleAction>,
}

/// What is done with traffic that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleAction {
    /// It goes through the tunnel. All that can be written.
    Protect,
    /// It passes by the tunnel.
    Bypass,
}

/// One virtual tunnel interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TunnelInterface {
    /// The port's id in the cloud; `None` on input.
    pub id: Option<String>,
    /// Addresses with prefix length, `169.254.64.1/30`.
    pub addresses: Vec<String>,
}

/// TCP maximum segment size clamping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpMssClamping {
    /// Which connections.
    pub direction: ClampDirection,
    /// Bytes; `None`: the cloud derives it.
    pub max_segment_size: Option<u32>,
}

/// Which TCP connections are clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClampDirection {
    /// None.
    None,
    /// Those that come in through the tunnel.
    Inbound,
    /// Those that go out through the tunnel.
    Outbound,
    /// Both.
    Both,
}

/// A connection as its cloud has it.
///
/// `None` and empty mean that the cloud did not say, or said something that has no place in the model;
/// that is then found in `native`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Connection {
    /// The cloud's own id.
    pub id: String,
    /// A name for people.
    pub display_name: String,
    /// Free text, the gateway's mark removed.
    pub description: String,
    /// Whether it is meant to carry traffic.
    pub admin_enabled: Option<bool>,
    /// The VPN service's id.
    pub vpn_service: Option<String>,
    /// The local endpoint's id.
    pub local_endpoint: Option<String>,
    /// The IKE policy's id.
    pub ike_policy: Option<String>,
    /// The IPsec policy's id.
    pub ipsec_policy: Option<String>,
    /// The DPD policy's id.
    pub dpd_policy: Option<String>,
    /// The other side.
    pub peer: Peer,
    /// Dead peer detection, where it is part of the connection.
    pub dpd: Option<DeadPeerDetection>,
    /// Which side starts.
    pub initiation: Option<Initiation>,
    /// Which traffic is protected.
    pub selectors: Option<Selectors>,
    /// Maximum transmission unit in bytes.
    pub mtu: Option<u32>,
    /// TCP maximum segment size clamping.
    pub tcp_mss_clamping: Option<TcpMssClamping>,
    /// The availability zone it is in (k5).
    pub availability_zone: Option<String>,
    /// Changes whenever the connection changes.
    pub etag: String,
    /// When it was made, where the cloud tells.
    pub create_time: Option<SystemTime>,
    /// When it was changed last, where the cloud tells.
    pub update_time: Option<SystemTime>,
    /// Whether the gateway's mark is on it.
    pub managed: bool,
    /// What only this kind of cloud has.
    pub details: Option<Details>,
    /// What has no home above, secrets aside.
    pub native: Map<String, Value>,
}

/// The other side, as read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Peer {
    /// Address or host name.
    pub address: String,
    /// How it identifies itself.
    pub id: String,
    /// Whether it proves itself by certificate.
    pub certificate: bool,
    /// Whether a pre-shared key is in place.
    pub psk_set: bool,
}

/// What only one kind of cloud has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Details {
    /// NSX.
    Nsx(NsxDetails),
    /// OpenStack in all variants.
    Openstack(OpenstackDetails),
}

/// What only NSX has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NsxDetails {
    /// The session's `_revision`.
    pub revision: i64,
    /// The id of its peer endpoint.
    pub peer_endpoint_id: String,
    /// `_create_user`.
    pub create_user: String,
    /// `_protection`.
    pub protection: String,
}

/// What only OpenStack has; text as the cloud gave it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpenstackDetails {
    /// `project_id`, or `tenant_id` where there is only that.
    pub project_id: String,
    /// `local_id`.
    pub local_id: String,
    /// `auth_mode`.
    pub auth_mode: String,
    /// `route_mode`.
    pub route_mode: String,
    /// `availability_zone` (k5).
    pub availability_zone: String,
    /// `order_id` (otc).
    pub order_id: String,
    /// `product_id` (otc).
    pub product_id: String,
    /// `created_at` (otc), no zone.
    pub created_at: String,
    /// `tags` (otc), `key=value`.
    pub tags: Vec<String>,
}
