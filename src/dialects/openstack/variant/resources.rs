//! What each cloud takes of policies, services and endpoint groups, as data.

use crate::{
    core::dialect::ResourceCapabilities,
    dialects::openstack::variant::words::{
        ENCAPSULATIONS, ENDPOINT_TYPES, IKE_VERSIONS, LATER_ENCRYPTION, LATER_INTEGRITY,
        NEGOTIATION_MODES, NEUTRON_ENCRYPTION, NEUTRON_GROUPS, NEUTRON_INTEGRITY, OLD_ENCRYPTION,
        OLD_GROUPS, OLD_INTEGRITY, OTC_GROUPS, OTC_INTEGRITY, TRANSFORMS, meanings, prfs,
    },
    model::{
        ResourceField as F, ResourceKind, algorithm::EncapsulationMode, topology::EndpointType,
    },
};

/// The largest number that a column of Neutron holds. A larger one is a 500.
const LARGEST: u64 = i32::MAX as u64;
/// Open Telekom Cloud's longest lifetime: a week, in seconds.
const WEEK: u64 = 604_800;

const IKE_FIELDS: [F; 9] = [
    F::DisplayName,
    F::Description,
    F::IkeVersion,
    F::NegotiationMode,
    F::EncryptionAlgorithms,
    F::IntegrityAlgorithms,
    F::PrfAlgorithms,
    F::DhGroups,
    F::Lifetime,
];
const IPSEC_FIELDS: [F; 9] = [
    F::DisplayName,
    F::Description,
    F::TransformProtocol,
    F::EncapsulationMode,
    F::EncryptionAlgorithms,
    F::IntegrityAlgorithms,
    F::PerfectForwardSecrecy,
    F::DhGroups,
    F::Lifetime,
];
const SERVICE_FIELDS: [F; 5] = [
    F::DisplayName,
    F::Description,
    F::AdminEnabled,
    F::Router,
    F::Subnet,
];
const SERVICE_FIXED: [F; 2] = [F::Router, F::Subnet];

/// Returns these fields and one more.
const fn and<const N: usize, const M: usize>(fields: [F; N], one: F) -> [F; M] {
    let mut all = [one; M];
    let mut at = 0;
    while at < N {
        all[at] = fields[at];
        at += 1;
    }
    all
}

/// Common to the IKE policies of all variants.
const IKE: ResourceCapabilities = ResourceCapabilities {
    fields: &IKE_FIELDS,
    ike_versions: &meanings(&IKE_VERSIONS),
    negotiation_modes: &meanings(&NEGOTIATION_MODES),
    max_algorithms: 1,
    lifetime_seconds: Some(60..=LARGEST),
    ..ResourceCapabilities::nothing(ResourceKind::IkePolicy)
};

/// Common to the IPsec policies of all variants.
const IPSEC: ResourceCapabilities = ResourceCapabilities {
    fields: &IPSEC_FIELDS,
    transform_protocols: &meanings(&TRANSFORMS),
    encapsulation_modes: &meanings(&ENCAPSULATIONS),
    max_algorithms: 1,
    lifetime_seconds: Some(60..=LARGEST),
    ..ResourceCapabilities::nothing(ResourceKind::IpsecPolicy)
};

/// Common to the services of all variants.
const SERVICE: ResourceCapabilities = ResourceCapabilities {
    fields: &SERVICE_FIELDS,
    required: &[F::Router],
    immutable: &SERVICE_FIXED,
    ..ResourceCapabilities::nothing(ResourceKind::VpnService)
};

/// Common to the endpoint groups of all variants that have them.
const GROUP: ResourceCapabilities = ResourceCapabilities {
    fields: &[
        F::DisplayName,
        F::Description,
        F::EndpointType,
        F::Endpoints,
    ],
    required: &[F::EndpointType, F::Endpoints],
    immutable: &[F::EndpointType, F::Endpoints],
    endpoint_types: &meanings(&ENDPOINT_TYPES),
    ..ResourceCapabilities::nothing(ResourceKind::EndpointGroup)
};

const NEUTRON_SERVICE: ResourceCapabilities = ResourceCapabilities {
    fields: &and::<5, 6>(SERVICE_FIELDS, F::Flavor),
    immutable: &and::<2, 3>(SERVICE_FIXED, F::Flavor),
    ..SERVICE
};

pub const NEUTRON: [ResourceCapabilities; 4] = [
    ResourceCapabilities {
        encryption: &meanings(&NEUTRON_ENCRYPTION),
        integrity: &meanings(&NEUTRON_INTEGRITY),
        prf: &prfs(&NEUTRON_INTEGRITY),
        dh_groups: &meanings(&NEUTRON_GROUPS),
        ..IKE
    },
    ResourceCapabilities {
        encryption: &meanings(&NEUTRON_ENCRYPTION),
        integrity: &meanings(&NEUTRON_INTEGRITY),
        dh_groups: &meanings(&NEUTRON_GROUPS),
        ..IPSEC
    },
    NEUTRON_SERVICE,
    GROUP,
];

/// Stock Neutron from 2026.2 on.
pub const NEUTRON_2026_2: [ResourceCapabilities; 4] = [
    ResourceCapabilities {
        encryption: &meanings(&LATER_ENCRYPTION),
        integrity: &meanings(&LATER_INTEGRITY),
        prf: &prfs(&LATER_INTEGRITY),
        dh_groups: &meanings(&NEUTRON_GROUPS),
        ..IKE
    },
    ResourceCapabilities {
        encryption: &meanings(&LATER_ENCRYPTION),
        integrity: &meanings(&LATER_INTEGRITY),
        dh_groups: &meanings(&NEUTRON_GROUPS),
        ..IPSEC
    },
    NEUTRON_SERVICE,
    GROUP,
];

pub const OTC: [ResourceCapabilities; 4] = [
    ResourceCapabilities {
        encryption: &meanings(&OLD_ENCRYPTION),
        integrity: &meanings(&OTC_INTEGRITY),
        prf: &prfs(&OTC_INTEGRITY),
        dh_groups: &meanings(&OTC_GROUPS),
        lifetime_seconds: Some(60..=WEEK),
        display_name: 1..=64,
        ..IKE
    },
    ResourceCapabilities {
        encryption: &meanings(&OLD_ENCRYPTION),
        integrity: &meanings(&OTC_INTEGRITY),
        dh_groups: &meanings(&OTC_GROUPS),
        encapsulation_modes: &[EncapsulationMode::Tunnel],
        lifetime_seconds: Some(60..=WEEK),
        pfs_optional: true,
        display_name: 1..=64,
        ..IPSEC
    },
    ResourceCapabilities {
        display_name: 1..=64,
        ..SERVICE
    },
    ResourceCapabilities {
        endpoint_types: &[EndpointType::Subnet, EndpointType::Cidr],
        display_name: 1..=64,
        ..GROUP
    },
];

/// Fujitsu K5, which has no endpoint groups.
pub const K5: [ResourceCapabilities; 3] = [
    ResourceCapabilities {
        fields: &and::<9, 10>(IKE_FIELDS, F::AvailabilityZone),
        immutable: &[F::AvailabilityZone],
        encryption: &meanings(&OLD_ENCRYPTION),
        integrity: &meanings(&OLD_INTEGRITY),
        prf: &prfs(&OLD_INTEGRITY),
        dh_groups: &meanings(&OLD_GROUPS),
        ..IKE
    },
    ResourceCapabilities {
        fields: &and::<9, 10>(IPSEC_FIELDS, F::AvailabilityZone),
        immutable: &[F::AvailabilityZone],
        encryption: &meanings(&OLD_ENCRYPTION),
        integrity: &meanings(&OLD_INTEGRITY),
        dh_groups: &meanings(&OLD_GROUPS),
        ..IPSEC
    },
    ResourceCapabilities {
        fields: &and::<5, 6>(SERVICE_FIELDS, F::AvailabilityZone),
        immutable: &and::<2, 3>(SERVICE_FIXED, F::AvailabilityZone),
        ..SERVICE
    },
];
