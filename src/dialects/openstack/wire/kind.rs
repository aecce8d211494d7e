//! The kinds of object this dialect reads and writes, as data: where each has its collection, what it is called in bodies,
//! and how the cloud says that there is none.

use crate::{
    core::error::{ErrorKind, ErrorReason},
    dialects::refusal::{Meaning, NOT_FOUND},
    model::ResourceKind,
};

/// A kind of object of the network service.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// Where its collection is, below the network service's address.
    path: &'static [&'static str],
    /// The key of one in a body.
    pub one: &'static str,
    /// The key of many.
    pub many: &'static str,
    /// Its segment in resource names; empty if it has none.
    pub collection: &'static str,
    /// What of one tells whether a POST made it.
    pub found_by: &'static [&'static str],
    /// It is part of the VPN API, which shows nothing to an account that may not see, and narrows lists only on some
    /// clouds.
    pub is_vpn: bool,
    /// Lists of it are sorted by id where lists are narrowed. Of endpoint groups neutron-lib has no attribute to sort by.
    pub sorts: bool,
    /// The type of a 404 by which Neutron itself says that there is no such object.
    pub gone: &'static str,
    /// What people call one.
    pub noun: &'static str,
    /// That there is none, for a caller.
    pub not_found: Meaning,
    /// What can be written of it, sorted: what its etag is made of.
    pub writable: &'static [&'static str],
    /// The field by which connections refer to one, where nothing of it can be changed while any does.
    pub frozen_by: Option<&'static str>,
    /// The field that a type of refusal is about, where the type tells.
    pub at_fault: &'static [(&'static str, &'static str)],
}

impl Kind {
    /// Where its collection is, in segments.
    pub fn path(&self) -> Vec<&'static str> {
        self.path.to_vec()
    }

    /// Where one of its objects is.
    pub fn path_of<'a>(&self, id: &'a str) -> Vec<&'a str> {
        let mut path: Vec<&'a str> = self.path.to_vec();
        path.push(id);
        path
    }

    /// The kind with this segment in resource names.
    pub fn with_collection(segment: &str) -> Option<&'static Kind> {
        let all = [
            &CONNECTIONS,
            &IKE_POLICIES,
            &IPSEC_POLICIES,
            &SERVICES,
            &ENDPOINT_GROUPS,
        ];
        all.into_iter().find(|kind| kind.collection == segment)
    }

    /// The kind of these resources; `None` if this API has none.
    pub fn of(kind: ResourceKind) -> Option<&'static Kind> {
        match kind {
            ResourceKind::IkePolicy => Some(&IKE_POLICIES),
            ResourceKind::IpsecPolicy => Some(&IPSEC_POLICIES),
            ResourceKind::VpnService => Some(&SERVICES),
            ResourceKind::EndpointGroup => Some(&ENDPOINT_GROUPS),
            ResourceKind::DpdPolicy | ResourceKind::LocalEndpoint => None,
        }
    }
}

const fn no_resource(message: &'static str) -> Meaning {
    (ErrorKind::NotFound, ErrorReason::ResourceNotFound, message)
}

/// Connections.
pub static CONNECTIONS: Kind = Kind {
    path: &["vpn", "ipsec-site-connections"],
    one: "ipsec_site_connection",
    many: "ipsec_site_connections",
    collection: "connections",
    found_by: &["id", "description", "name", "vpnservice_id", "peer_address"],
    is_vpn: true,
    sorts: true,
    gone: "IPsecSiteConnectionNotFound",
    noun: "connection",
    not_found: NOT_FOUND,
    writable: &[
        "admin_state_up",
        "auth_mode",
        "description",
        "dpd",
        "ikepolicy_id",
        "initiator",
        "ipsecpolicy_id",
        "local_ep_group_id",
        "local_id",
        "mtu",
        "name",
        "peer_address",
        "peer_cidrs",
        "peer_ep_group_id",
        "peer_id",
        "vpnservice_id",
    ],
    frozen_by: None,
    at_fault: &[
        ("MissingPeerCidrs", "policy_based.rules[0].destinations"),
        ("PeerCidrsInvalid", "policy_based.rules[0].destinations"),
        (
            "MixedIPVersionsForPeerCidrs",
            "policy_based.rules[0].destinations",
        ),
        ("MissingRequiredEndpointGroup", "policy_based"),
        ("InvalidEndpointGroup", "policy_based"),
        ("WrongEndpointGroupType", "policy_based"),
        ("VPNEndpointGroupNotFound", "policy_based"),
        ("MixedIPVersionsForIPSecConnection", "peer.address"),
        ("VPNPeerAddressNotResolved", "peer.address"),
        ("IPsecSiteConnectionDpdIntervalValueError", "dpd"),
        ("IPsecSiteConnectionMtuError", "mtu"),
        ("IpsecValidationFailure", "ipsec_policy"),
        ("IPsecPolicyNotFound", "ipsec_policy"),
        ("IKEPolicyNotFound", "ike_policy"),
        ("VPNServiceNotFound", "vpn_service"),
    ],
};

/// IKE policies.
pub static IKE_POLICIES: Kind = Kind {
    path: &["vpn", "ikepolicies"],
    one: "ikepolicy",
    many: "ikepolicies",
    collection: "ikePolicies",
    found_by: &["id", "description"],
    is_vpn: true,
    sorts: true,
    gone: "IKEPolicyNotFound",
    noun: "IKE policy",
    not_found: no_resource("the cloud has no such IKE policy"),
    writable: &[
        "auth_algorithm",
        "description",
        "encryption_algorithm",
        "ike_version",
        "lifetime",
        "name",
        "pfs",
        "phase1_negotiation_mode",
    ],
    frozen_by: Some("ikepolicy_id"),
    at_fault: &[],
};

/// IPsec policies.
pub static IPSEC_POLICIES: Kind = Kind {
    path: &["vpn", "ipsecpolicies"],
    one: "ipsecpolicy",
    many: "ipsecpolicies",
    collection: "ipsecPolicies",
    found_by: &["id", "description"],
    is_vpn: true,
    sorts: true,
    gone: "IPsecPolicyNotFound",
    noun: "IPsec policy",
    not_found: no_resource("the cloud has no such IPsec policy"),
    writable: &[
        "auth_algorithm",
        "description",
        "encapsulation_mode",
        "encryption_algorithm",
        "lifetime",
        "name",
        "pfs",
        "transform_protocol",
    ],
    frozen_by: Some("ipsecpolicy_id"),
    at_fault: &[],
};

/// VPN services.
pub static SERVICES: Kind = Kind {
    path: &["vpn", "vpnservices"],
    one: "vpnservice",
    many: "vpnservices",
    collection: "vpnServices",
    found_by: &["id", "description"],
    is_vpn: true,
    sorts: true,
    gone: "VPNServiceNotFound",
    noun: "VPN service",
    not_found: no_resource("the cloud has no such VPN service"),
    writable: &[
        "admin_state_up",
        "description",
        "flavor_id",
        "name",
        "router_id",
        "subnet_id",
    ],
    frozen_by: None,
    at_fault: &[
        ("RouterNotFound", "router"),
        ("RouterIsNotExternal", "router"),
        ("SubnetNotFound", "subnet"),
        ("SubnetIsNotConnectedToRouter", "subnet"),
        ("FlavorNotFound", "flavor"),
        ("VPC.1026", "router"),
    ],
};

/// Endpoint groups.
pub static ENDPOINT_GROUPS: Kind = Kind {
    path: &["vpn", "endpoint-groups"],
    one: "endpoint_group",
    many: "endpoint_groups",
    collection: "endpointGroups",
    found_by: &["id", "description", "type"],
    is_vpn: true,
    sorts: false,
    gone: "VPNEndpointGroupNotFound",
    noun: "endpoint group",
    not_found: no_resource("the cloud has no such endpoint group"),
    writable: &["description", "endpoints", "name", "type"],
    frozen_by: None,
    at_fault: &[
        ("MissingEndpointForEndpointGroup", "endpoints"),
        ("InvalidEndpointInEndpointGroup", "endpoints"),
        ("NonExistingSubnetInEndpointGroup", "endpoints"),
    ],
};

/// Routers, which are only read.
pub static ROUTERS: Kind = only_read(&["routers"], "router", "routers", "RouterNotFound");
/// Subnets, which are only read.
pub static SUBNETS: Kind = only_read(&["subnets"], "subnet", "subnets", "SubnetNotFound");
/// Ports, which are only read.
pub static PORTS: Kind = only_read(&["ports"], "port", "ports", "PortNotFound");

const fn only_read(
    path: &'static [&'static str],
    one: &'static str,
    many: &'static str,
    gone: &'static str,
) -> Kind {
    Kind {
        path,
        one,
        many,
        collection: "",
        found_by: &["id"],
        is_vpn: false,
        sorts: true,
        gone,
        noun: one,
        not_found: no_resource("the cloud has no such object"),
        writable: &[],
        frozen_by: None,
        at_fault: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_the_segment_of_its_resource_names() {
        for of in ResourceKind::ALL {
            let by_name = Kind::with_collection(of.collection().segment());
            assert_eq!(by_name, Kind::of(of));
        }
        let connections = crate::model::Collection::Connections.segment();
        assert_eq!(Kind::with_collection(connections), Some(&CONNECTIONS));
        assert_eq!(Kind::with_collection(""), None);
    }
}
