//! The five kinds of VPN resource: their names in paths, bodies and errors.

use crate::simulator::openstack::reply::Refusal;

/// One collection below `/v2.0/vpn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `ipsec-site-connections`.
    Connection,
    /// `ikepolicies`.
    IkePolicy,
    /// `ipsecpolicies`.
    IpsecPolicy,
    /// `vpnservices`.
    VpnService,
    /// `endpoint-groups`.
    EndpointGroup,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] = [
        Kind::Connection,
        Kind::IkePolicy,
        Kind::IpsecPolicy,
        Kind::VpnService,
        Kind::EndpointGroup,
    ];

    /// The kind whose path segment this is.
    pub(crate) fn from_segment(segment: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.segment() == segment)
    }

    /// Its path segment: words are joined by hyphens there, and by underscores in bodies.
    pub(crate) fn segment(self) -> &'static str {
        match self {
            Self::Connection => "ipsec-site-connections",
            Self::IkePolicy => "ikepolicies",
            Self::IpsecPolicy => "ipsecpolicies",
            Self::VpnService => "vpnservices",
            Self::EndpointGroup => "endpoint-groups",
        }
    }

    /// The key around one object in a body; also its name in policies and quotas.
    pub(crate) fn singular(self) -> &'static str {
        match self {
            Self::Connection => "ipsec_site_connection",
            Self::IkePolicy => "ikepolicy",
            Self::IpsecPolicy => "ipsecpolicy",
            Self::VpnService => "vpnservice",
            Self::EndpointGroup => "endpoint_group",
        }
    }

    /// The key around a list in a body.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Connection => "ipsec_site_connections",
            Self::IkePolicy => "ikepolicies",
            Self::IpsecPolicy => "ipsecpolicies",
            Self::VpnService => "vpnservices",
            Self::EndpointGroup => "endpoint_groups",
        }
    }

    /// The attributes `sort_key` may name (`is_sort_key` in neutron-lib, `definitions/vpn.py`; in
    /// `vpn_endpoint_groups.py` none is).
    pub(crate) fn sort_keys(self) -> &'static [&'static str] {
        match self {
            Self::EndpointGroup => &[],
            Self::VpnService => &["id", "tenant_id", "project_id", "name", "router_id"],
            _ => &["id", "tenant_id", "project_id", "name"],
        }
    }

    /// The 404 of this kind. Only the connection's message says "not found" without "could".
    pub(crate) fn not_found(self, id: &str) -> Refusal {
        match self {
            Self::Connection => Refusal::new(
                404,
                "IPsecSiteConnectionNotFound",
                format!("ipsec_site_connection {id} not found"),
            ),
            Self::IkePolicy => Refusal::new(
                404,
                "IKEPolicyNotFound",
                format!("IKEPolicy {id} could not be found"),
            ),
            Self::IpsecPolicy => Refusal::new(
                404,
                "IPsecPolicyNotFound",
                format!("IPsecPolicy {id} could not be found"),
            ),
            Self::VpnService => Refusal::new(
                404,
                "VPNServiceNotFound",
                format!("VPNService {id} could not be found"),
            ),
            Self::EndpointGroup => Refusal::new(
                404,
                "VPNEndpointGroupNotFound",
                format!("Endpoint group {id} could not be found"),
            ),
        }
    }
}
