//! A connection as a caller describes it, and as its cloud reports it.

use crate::model::secret::Psk;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::SystemTime;

/// A connection as a caller wants it. References are the ids that the cloud uses, on the same backend as the
/// connection.
#[derive(Debug, Clone, Default)]
pub struct ConnectionSpec {
    /// Human-readable name.
    pub display_name: String,
    /// Free text, without the gateway's mark.
    pub description: String,
    /// Whether the connection should carry traffic. `None` means true on create.
    pub admin_enabled: Option<bool>,
    /// VPN service id (OpenStack).
    pub vpn_service: Option<String>,
    /// Local endpoint id (NSX).
    pub local_endpoint: Option<String>,
    /// IKE policy id. `None` is the system default profile on NSX. OpenStack requires one.
    pub ike_policy: Option<String>,
    /// IPsec policy id (NSX: tunnel profile). `None` as for `ike_policy`.
    pub ipsec_policy: Option<String>,
    /// DPD profile id (NSX). `None` is the system default. OpenStack keeps DPD inside the connection, in `dpd`.
    pub dpd_policy: Option<String>,
    /// IP address or host name of the peer. The gRPC layer validates it.
    pub peer_address: String,
    /// IKE identity of the peer: an address, an FQDN, an e-mail address or a key id. `None` means `peer_address`.
    pub peer_id: Option<String>,
    pub authentication: Option<Authentication>,
    /// Dead peer detection inside the connection (OpenStack). `None` takes the cloud's default: hold, 30 s, 120 s.
    pub dpd: Option<DeadPeerDetection>,
    /// Which side starts the negotiation. `None` means [`Initiation::Both`].
    pub initiation: Option<Initiation>,
    pub selectors: Option<Selectors>,
    /// Maximum transmission unit in bytes (OpenStack): at least 68 (IPv4) or 1280 (IPv6). `None` means 1500.
    pub mtu: Option<u32>,
    /// `None` means no clamping.
    pub tcp_mss_clamping: Option<TcpMssClamping>,
    /// Availability zone to create the connection in (k5).
    pub availability_zone: Option<String>,
}

/// How the peer authenticates.
#[derive(Debug, Clone)]
pub enum Authentication {
    Psk(Psk),
    /// A certificate. The local endpoint references it (NSX).
    Certificate,
}

/// Dead peer detection (RFC 3706). A field that is `None` takes the cloud's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeadPeerDetection {
    pub action: Option<DpdAction>,
    /// Seconds between probes. Defaults to 30.
    pub interval_seconds: Option<u32>,
    /// Seconds of silence after which the peer counts as dead. Greater than the interval, defaults to 120.
    pub timeout_seconds: Option<u32>,
}

/// What the gateway of the cloud does when it finds the peer dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DpdAction {
    /// Removes the security associations.
    Clear,
    /// Holds the tunnel and negotiates it again on demand.
    Hold,
    /// Negotiates the tunnel again at once.
    Restart,
    /// Detection is off.
    Disabled,
    /// Negotiates all associations with the dead peer again.
    RestartByPeer,
}

/// Which side starts the negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Initiation {
    /// This side starts, and also answers.
    Both,
    /// This side only answers.
    RespondOnly,
    /// This side starts when the first packet wants to pass.
    OnDemand,
}

/// The traffic that the connection protects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selectors {
    /// Policy based: pairs of networks, listed in the connection.
    Rules(Vec<PolicyRule>),
    /// Policy based: the networks of two endpoint groups, by id (OpenStack).
    EndpointGroups {
        /// Endpoint group of local subnets.
        local: String,
        /// Endpoint group of peer networks.
        peer: String,
    },
    /// Route based: traffic is routed into tunnel interfaces (NSX).
    RouteBased(Vec<TunnelInterface>),
}

/// One pair of local and peer networks. Networks keep the caller's spelling. The gRPC layer validates them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyRule {
    /// The rule's id in the cloud, if it has one.
    pub id: Option<String>,
    /// Local networks in CIDR form. Empty means any.
    pub sources: Vec<String>,
    /// Peer networks in CIDR form. Empty means any.
    pub destinations: Vec<String>,
    /// Whether the rule is in force. `None` means true.
    pub enabled: Option<bool>,
    /// Whether matching packets are logged. `None` means false.
    pub logged: Option<bool>,
    /// `None` means [`RuleAction::Protect`] on input, and on output that the cloud did not say.
    pub action: Option<RuleAction>,
}

/// What happens to traffic that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleAction {
    /// Traffic goes through the tunnel. The only action that can be written.
    Protect,
    /// Traffic bypasses the tunnel, in the clear.
    Bypass,
}

/// One virtual tunnel interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TunnelInterface {
    /// The port's id in the cloud. `None` on input.
    pub id: Option<String>,
    /// Addresses with prefix length, for example `169.254.64.1/30`.
    pub addresses: Vec<String>,
}

/// TCP maximum segment size clamping (NSX).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpMssClamping {
    pub direction: ClampDirection,
    /// Bytes, 108 to 8902. `None` lets the cloud derive it.
    pub max_segment_size: Option<u32>,
}

/// Which TCP connections are clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClampDirection {
    /// No clamping.
    None,
    /// Connections that come in through the tunnel.
    Inbound,
    /// Connections that go out through the tunnel.
    Outbound,
    Both,
}

/// A connection as its cloud reports it.
///
/// `None` or an empty value means that the cloud did not report the field, or reported a value that the model cannot
/// hold. Such a value is kept in `native`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Connection {
    /// The id that the cloud uses.
    pub id: String,
    /// Human-readable name.
    pub display_name: String,
    /// Free text, with the gateway's mark removed.
    pub description: String,
    /// Whether the connection should carry traffic.
    pub admin_enabled: Option<bool>,
    pub vpn_service: Option<String>,
    pub local_endpoint: Option<String>,
    pub ike_policy: Option<String>,
    pub ipsec_policy: Option<String>,
    pub dpd_policy: Option<String>,
    pub peer: Peer,
    /// Dead peer detection, on clouds that keep it in the connection.
    pub dpd: Option<DeadPeerDetection>,
    /// Which side starts the negotiation.
    pub initiation: Option<Initiation>,
    pub selectors: Option<Selectors>,
    /// Maximum transmission unit in bytes.
    pub mtu: Option<u32>,
    pub tcp_mss_clamping: Option<TcpMssClamping>,
    /// Availability zone of the connection (k5).
    pub availability_zone: Option<String>,
    /// Changes whenever the connection changes.
    pub etag: String,
    /// When the connection was created, if the cloud reports it.
    pub create_time: Option<SystemTime>,
    /// When the connection last changed, if the cloud reports it.
    pub update_time: Option<SystemTime>,
    /// Whether the connection carries the gateway's mark.
    pub managed: bool,
    /// Fields that only this kind of cloud has.
    pub details: Option<Details>,
    /// Fields of the cloud's answer that have no place above, without secrets.
    pub native: Map<String, Value>,
}

/// The peer, as read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Peer {
    /// IP address or host name.
    pub address: String,
    /// IKE identity.
    pub id: String,
    /// Whether the peer authenticates with a certificate.
    pub certificate: bool,
    /// Whether the cloud holds a pre-shared key.
    pub psk_set: bool,
}

/// Fields of a connection that only one kind of cloud has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Details {
    Nsx(NsxDetails),
    /// OpenStack, all variants.
    Openstack(OpenstackDetails),
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NsxDetails {
    /// The session's `_revision`.
    pub revision: i64,
    /// Id of the session's peer endpoint.
    pub peer_endpoint_id: String,
    /// `_create_user`.
    pub create_user: String,
    /// `_protection`.
    pub protection: String,
}

/// Fields that only OpenStack has. Text is kept as the cloud gave it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpenstackDetails {
    /// `project_id`, or `tenant_id` if the cloud gives only that.
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
    /// `created_at` (otc), without a time zone.
    pub created_at: String,
    /// `tags` (otc), `key=value`.
    pub tags: Vec<String>,
}
