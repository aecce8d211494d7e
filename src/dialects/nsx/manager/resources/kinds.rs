//! The kinds of resource that the Manager API has besides connections: where each is and what it takes, as data.

use crate::{
    core::dialect::ResourceCapabilities,
    model::{
        ResourceField as F, ResourceKind,
        algorithm::{
            DfPolicy, DhGroup, EncapsulationMode, EncryptionAlgorithm as E, IkeVersion,
            IntegrityAlgorithm, PrfAlgorithm, TransformProtocol,
        },
    },
};

pub const IKE_PROFILES: &str = "ike-profiles";
pub const TUNNEL_PROFILES: &str = "tunnel-profiles";
pub const DPD_PROFILES: &str = "dpd-profiles";
pub const SERVICES: &str = "services";
pub const LOCAL_ENDPOINTS: &str = "local-endpoints";

/// Returns the collection of a kind, or `None` if NSX has no such kind.
pub fn collection(kind: ResourceKind) -> Option<&'static str> {
    Some(match kind {
        ResourceKind::IkePolicy => IKE_PROFILES,
        ResourceKind::IpsecPolicy => TUNNEL_PROFILES,
        ResourceKind::DpdPolicy => DPD_PROFILES,
        ResourceKind::VpnService => SERVICES,
        ResourceKind::LocalEndpoint => LOCAL_ENDPOINTS,
        ResourceKind::EndpointGroup => return None,
    })
}

/// What each kind takes: fields and values of the NSX Python SDK 4.2.0, lifetimes of vmware-nsxlib 19.4.3. How many
/// algorithms a list may have is not documented; the limit here is the number of algorithms.
pub const KINDS: &[ResourceCapabilities] = &[
    IKE_POLICY,
    IPSEC_POLICY,
    DPD_POLICY,
    VPN_SERVICE,
    LOCAL_ENDPOINT,
];

/// What all kinds have in common.
const fn of(kind: ResourceKind) -> ResourceCapabilities {
    ResourceCapabilities {
        display_name: 0..=255,
        max_description: 1024,
        ..ResourceCapabilities::nothing(kind)
    }
}

const IKE_POLICY: ResourceCapabilities = ResourceCapabilities {
    fields: &[
        F::DisplayName,
        F::Description,
        F::IkeVersion,
        F::EncryptionAlgorithms,
        F::IntegrityAlgorithms,
        F::PrfAlgorithms,
        F::DhGroups,
        F::Lifetime,
    ],
    ike_versions: &[IkeVersion::V1, IkeVersion::V2, IkeVersion::V2OrV1],
    encryption: &[
        E::AesCbc128,
        E::AesCbc256,
        E::AesGcm16x128,
        E::AesGcm16x192,
        E::AesGcm16x256,
    ],
    integrity: INTEGRITY,
    prf: &[
        PrfAlgorithm::HmacSha1,
        PrfAlgorithm::HmacSha2x256,
        PrfAlgorithm::HmacSha2x384,
        PrfAlgorithm::HmacSha2x512,
    ],
    dh_groups: DH_GROUPS,
    max_algorithms: 8,
    lifetime_seconds: Some(21_600..=31_536_000),
    ..of(ResourceKind::IkePolicy)
};

const IPSEC_POLICY: ResourceCapabilities = ResourceCapabilities {
    fields: &[
        F::DisplayName,
        F::Description,
        F::TransformProtocol,
        F::EncapsulationMode,
        F::EncryptionAlgorithms,
        F::IntegrityAlgorithms,
        F::PerfectForwardSecrecy,
        F::DhGroups,
        F::Lifetime,
        F::DfPolicy,
    ],
    encryption: &[
        E::AesCbc128,
        E::AesCbc256,
        E::AesGcm16x128,
        E::AesGcm16x192,
        E::AesGcm16x256,
        E::NullAuthAesGmac128,
        E::NullAuthAesGmac192,
        E::NullAuthAesGmac256,
        E::Null,
    ],
    integrity: INTEGRITY,
    dh_groups: DH_GROUPS,
    // Read-only, with one value each: nothing is written, and no other value can be wanted.
    transform_protocols: &[TransformProtocol::Esp],
    encapsulation_modes: &[EncapsulationMode::Tunnel],
    df_policies: &[DfPolicy::Copy, DfPolicy::Clear],
    max_algorithms: 9,
    lifetime_seconds: Some(900..=31_536_000),
    pfs_optional: true,
    ..of(ResourceKind::IpsecPolicy)
};

const DPD_POLICY: ResourceCapabilities = ResourceCapabilities {
    fields: &[
        F::DisplayName,
        F::Description,
        F::Enabled,
        F::ProbeMode,
        F::ProbeInterval,
        F::RetryCount,
    ],
    ..of(ResourceKind::DpdPolicy)
};

const VPN_SERVICE: ResourceCapabilities = ResourceCapabilities {
    fields: &[
        F::DisplayName,
        F::Description,
        F::AdminEnabled,
        F::Router,
        F::BypassRules,
        F::IkeLogLevel,
        F::HaSync,
    ],
    required: &[F::Router],
    immutable: &[F::Router],
    ..of(ResourceKind::VpnService)
};

const LOCAL_ENDPOINT: ResourceCapabilities = ResourceCapabilities {
    fields: &[
        F::DisplayName,
        F::Description,
        F::VpnService,
        F::Address,
        F::LocalId,
        F::Certificate,
        F::TrustedAuthorities,
        F::RevocationLists,
    ],
    required: &[F::VpnService, F::Address],
    ..of(ResourceKind::LocalEndpoint)
};

const INTEGRITY: &[IntegrityAlgorithm] = &[
    IntegrityAlgorithm::HmacSha1x96,
    IntegrityAlgorithm::HmacSha2x256x128,
    IntegrityAlgorithm::HmacSha2x384x192,
    IntegrityAlgorithm::HmacSha2x512x256,
];

const DH_GROUPS: &[DhGroup] = &[
    DhGroup::Modp1024,
    DhGroup::Modp1536,
    DhGroup::Modp2048,
    DhGroup::Modp3072,
    DhGroup::Modp4096,
    DhGroup::Ecp256,
    DhGroup::Ecp384,
    DhGroup::Ecp521,
];
