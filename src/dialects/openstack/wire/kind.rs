//! The kinds of object that this dialect reads and writes, as data: their collections, their names in bodies, and how
//! the cloud says that one does not exist.

use crate::{
    core::error::{ErrorKind, ErrorReason},
    dialects::refusal::{Meaning, NOT_FOUND},
    model::ResourceKind,
};

/// A kind of object of the network service.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// The path of its collection, below the network service's address.
    path: &'static [&'static str],
    /// The key of a single object in a body.
    pub one: &'static str,
    /// The key of a list in a body.
    pub many: &'static str,
    /// Its segment in resource names; empty if it has none.
    pub collection: &'static str,
    /// The fields that show whether a POST created an object.
    pub found_by: &'static [&'static str],
    /// Whether the kind is part of the VPN API, which shows nothing to an account that may not see, and filters lists
    /// only on some clouds.
    pub is_vpn: bool,
    /// Whether filtered lists are sorted by id. neutron-lib has no attribute to sort endpoint groups by.
    pub sorts: bool,
    /// The type of the 404 by which Neutron itself says that the object does not exist.
    pub gone: &'static str,
    /// What error messages call one.
    pub noun: &'static str,
    /// The error for a caller if the object does not exist.
    pub not_found: Meaning,
    /// The writable fields, sorted. The etag is computed from them.
    pub writable: &'static [&'static str],
    /// The field by which connections reference the object, if the object cannot be changed while any connection
    /// does.
    pub frozen_by: Option<&'static str>,
    /// The field at fault, by the type of the refusal.
    pub at_fault: &'static [(&'static str, &'static str)],
}

impl Kind {
    /// Returns the path of the collection, in segments.
    pub fn path(&self) -> Vec<&'static str> {
        self.path.to_vec()
    }

    /// Returns the path of one object, in segments.
    pub fn path_of<'a>(&self, id: &'a str) -> Vec<&'a str> {
        let mut path: Vec<&'a str> = self.path.to_vec();
        path.push(id);
        path
    }

    /// Returns the kind with this segment in resource names.
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

    /// Returns the kind of these resources, or `None` if this API does not have them.
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

/// Read only.
pub static ROUTERS: Kind = only_read(&["routers"], "router", "routers", "RouterNotFound");
/// Read only.
pub static SUBNETS: Kind = only_read(&["subnets"], "subnet", "subnets", "SubnetNotFound");
/// Read only.
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
