//! Different kinds of clouds, each a table of capabilities.

use crate::{
    core::dialect::{Capabilities, ResourceCapabilities},
    model::{
        ResourceField as F, ResourceKind,
        algorithm::{
            DfPolicy, DhGroup as D, EncryptionAlgorithm as E, IkeVersion, IntegrityAlgorithm as I,
            NegotiationMode, PrfAlgorithm as P,
        },
    },
};

/// A cloud that has nothing but connections.
pub const NOTHING: Capabilities = Capabilities {
    dialect: "none",
    variant: "",
    route_based: false,
    inline_policy_rules: true,
    endpoint_groups: false,
    certificates: false,
    inline_dpd: true,
    dpd_policies: false,
    mtu: true,
    tcp_mss_clamping: false,
    on_demand_initiation: false,
    availability_zones: false,
    admin_disable: true,
    atomic_etag: false,
    nodes: false,
    write_tracking: false,
    look_batch: 1,
    resources: &[],
    tunnel_statistics: false,
    connection_marks: true,
};

/// A cloud that takes several algorithms and keeps dead peer detection in a policy.
pub const SEVERAL: Capabilities = Capabilities {
    inline_dpd: false,
    dpd_policies: true,
    mtu: false,
    tcp_mss_clamping: true,
    resources: &[
        ResourceCapabilities {
            fields: &[
                F::DisplayName,
                F::IkeVersion,
                F::EncryptionAlgorithms,
                F::IntegrityAlgorithms,
                F::PrfAlgorithms,
                F::DhGroups,
            ],
            ike_versions: &[IkeVersion::V1, IkeVersion::V2, IkeVersion::V2OrV1],
            encryption: &[E::AesCbc128, E::AesCbc256, E::AesGcm16x256],
            integrity: &[I::HmacSha1x96, I::HmacSha2x256x128, I::HmacSha2x384x192],
            prf: &[P::HmacSha1, P::HmacSha2x256, P::HmacSha2x384],
            dh_groups: &[D::Modp2048, D::Ecp256, D::Ecp384],
            max_algorithms: 2,
            ..ResourceCapabilities::nothing(ResourceKind::IkePolicy)
        },
        ResourceCapabilities {
            fields: &[
                F::DisplayName,
                F::EncryptionAlgorithms,
                F::IntegrityAlgorithms,
                F::DhGroups,
                F::DfPolicy,
            ],
            encryption: &[E::AesCbc256, E::AesGcm16x256],
            integrity: &[I::HmacSha2x256x128],
            dh_groups: &[D::Modp2048],
            df_policies: &[DfPolicy::Copy, DfPolicy::Clear],
            max_algorithms: 9,
            ..ResourceCapabilities::nothing(ResourceKind::IpsecPolicy)
        },
        ResourceCapabilities {
            fields: &[
                F::DisplayName,
                F::Enabled,
                F::ProbeMode,
                F::ProbeInterval,
                F::RetryCount,
            ],
            ..ResourceCapabilities::nothing(ResourceKind::DpdPolicy)
        },
        ResourceCapabilities {
            fields: &[F::DisplayName, F::Router, F::IkeLogLevel, F::HaSync],
            ..ResourceCapabilities::nothing(ResourceKind::VpnService)
        },
        ResourceCapabilities {
            fields: &[F::DisplayName, F::VpnService, F::Address],
            ..ResourceCapabilities::nothing(ResourceKind::LocalEndpoint)
        },
    ],
    ..NOTHING
};

/// A cloud that takes one algorithm of each kind, has no local endpoints, and requires names.
pub const ONE: Capabilities = Capabilities {
    resources: &[
        ResourceCapabilities {
            fields: &[
                F::DisplayName,
                F::IkeVersion,
                F::NegotiationMode,
                F::EncryptionAlgorithms,
                F::IntegrityAlgorithms,
                F::PrfAlgorithms,
                F::DhGroups,
            ],
            ike_versions: &[IkeVersion::V1, IkeVersion::V2],
            negotiation_modes: &[NegotiationMode::Main, NegotiationMode::Aggressive],
            encryption: &[E::AesCbc128, E::AesCbc256],
            integrity: &[I::HmacSha1x96, I::HmacSha2x256x128],
            prf: &[P::HmacSha1, P::HmacSha2x256],
            dh_groups: &[D::Modp1024, D::Modp2048],
            max_algorithms: 1,
            display_name: 1..=8,
            ..ResourceCapabilities::nothing(ResourceKind::IkePolicy)
        },
        ResourceCapabilities {
            fields: &[
                F::DisplayName,
                F::EncryptionAlgorithms,
                F::IntegrityAlgorithms,
                F::DhGroups,
            ],
            encryption: &[E::AesCbc128, E::AesCbc256],
            integrity: &[I::HmacSha2x256x128],
            dh_groups: &[D::Modp2048],
            max_algorithms: 1,
            display_name: 1..=8,
            ..ResourceCapabilities::nothing(ResourceKind::IpsecPolicy)
        },
        ResourceCapabilities {
            fields: &[F::DisplayName, F::Router],
            ..ResourceCapabilities::nothing(ResourceKind::VpnService)
        },
    ],
    ..NOTHING
};

/// A cloud with availability zones, though not for everything.
pub const ZONED: Capabilities = Capabilities {
    availability_zones: true,
    resources: &[
        ResourceCapabilities {
            fields: &[F::EncryptionAlgorithms, F::AvailabilityZone],
            encryption: &[E::AesCbc128],
            max_algorithms: 1,
            ..ResourceCapabilities::nothing(ResourceKind::IkePolicy)
        },
        ResourceCapabilities::nothing(ResourceKind::IpsecPolicy),
        ResourceCapabilities {
            fields: &[F::Router, F::AvailabilityZone],
            ..ResourceCapabilities::nothing(ResourceKind::VpnService)
        },
    ],
    ..NOTHING
};
