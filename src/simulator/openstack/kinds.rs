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
    pub const ALL: [Kind; 5] = [
        Kind::Connection,
        Kind::IkePolicy,
        Kind::IpsecPolicy,
        Kind::VpnService,
        Kind::EndpointGroup,
    ];

    /// The kind with this path segment.
    pub(crate) fn from_segment(segment: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.segment() == segment)
    }

    /// The path segment. It joins words with hyphens, where bodies use underscores.
    pub(crate) fn segment(self) -> &'static str {
        match self {
            Self::Connection => "ipsec-site-connections",
            Self::IkePolicy => "ikepolicies",
            Self::IpsecPolicy => "ipsecpolicies",
            Self::VpnService => "vpnservices",
            Self::EndpointGroup => "endpoint-groups",
        }
    }

    /// The key of a single object in a body, and the kind's name in policies and quotas.
    pub(crate) fn singular(self) -> &'static str {
        match self {
            Self::Connection => "ipsec_site_connection",
            Self::IkePolicy => "ikepolicy",
            Self::IpsecPolicy => "ipsecpolicy",
            Self::VpnService => "vpnservice",
            Self::EndpointGroup => "endpoint_group",
        }
    }

    /// The key of a list in a body.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Connection => "ipsec_site_connections",
            Self::IkePolicy => "ikepolicies",
            Self::IpsecPolicy => "ipsecpolicies",
            Self::VpnService => "vpnservices",
            Self::EndpointGroup => "endpoint_groups",
        }
    }

    /// The attributes that `sort_key` can name (`is_sort_key` in neutron-lib, `definitions/vpn.py`;
    /// `vpn_endpoint_groups.py` has none).
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
