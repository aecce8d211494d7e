//! The words of algorithms and groups, as each cloud spells them, with their meanings. `README.md` has the facts and
//! their sources.

use crate::model::{
    algorithm::{
        DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm,
        NegotiationMode, PrfAlgorithm, TransformProtocol,
    },
    topology::EndpointType,
};

/// Words with their meanings.
pub type Table<T> = &'static [(&'static str, T)];

/// The words of policies in which the clouds differ.
#[derive(Debug, PartialEq)]
pub struct Words {
    /// `auth_algorithm`. In an IKE policy the same word is also the pseudorandom function.
    pub integrity: Table<IntegrityAlgorithm>,
    pub encryption: Table<EncryptionAlgorithm>,
    /// `pfs`
    pub groups: Table<DhGroup>,
    /// The word of `pfs` that turns perfect forward secrecy off. `None`: it is always on.
    pub no_group: Option<&'static str>,
    /// The `auth_algorithm` that the gateway sends if the caller sets none.
    pub default_integrity: IntegrityAlgorithm,
}

/// Returns the meanings of a table's words, in its order.
pub const fn meanings<T: Copy, const N: usize>(table: &[(&'static str, T); N]) -> [T; N] {
    let mut found = [table[0].1; N];
    let mut at = 1;
    while at < N {
        found[at] = table[at].1;
        at += 1;
    }
    found
}

/// Returns a table without its first word.
const fn without_first<T: Copy, const N: usize, const M: usize>(
    table: &[(&'static str, T); M],
) -> [(&'static str, T); N] {
    let mut rest = [table[1]; N];
    let mut at = 1;
    while at < N {
        rest[at] = table[at + 1];
        at += 1;
    }
    rest
}

/// Returns the pseudorandom function that has the same word as an integrity algorithm.
pub const fn prf_of(integrity: IntegrityAlgorithm) -> PrfAlgorithm {
    match integrity {
        IntegrityAlgorithm::HmacMd5x96 => PrfAlgorithm::HmacMd5,
        IntegrityAlgorithm::HmacSha1x96 => PrfAlgorithm::HmacSha1,
        IntegrityAlgorithm::HmacSha2x256x128 => PrfAlgorithm::HmacSha2x256,
        IntegrityAlgorithm::HmacSha2x384x192 => PrfAlgorithm::HmacSha2x384,
        IntegrityAlgorithm::HmacSha2x512x256 => PrfAlgorithm::HmacSha2x512,
        IntegrityAlgorithm::AesXcbc96 => PrfAlgorithm::Aes128Xcbc,
        IntegrityAlgorithm::AesCmac96 => PrfAlgorithm::Aes128Cmac,
    }
}

/// Returns [`prf_of`] for each word of a table.
pub const fn prfs<const N: usize>(
    table: &[(&'static str, IntegrityAlgorithm); N],
) -> [PrfAlgorithm; N] {
    let mut found = [prf_of(table[0].1); N];
    let mut at = 1;
    while at < N {
        found[at] = prf_of(table[at].1);
        at += 1;
    }
    found
}

pub const IKE_VERSIONS: [(&str, IkeVersion); 2] = [("v1", IkeVersion::V1), ("v2", IkeVersion::V2)];

/// `phase1_negotiation_mode`
pub const NEGOTIATION_MODES: [(&str, NegotiationMode); 2] = [
    ("main", NegotiationMode::Main),
    ("aggressive", NegotiationMode::Aggressive),
];

/// `transform_protocol`
pub const TRANSFORMS: [(&str, TransformProtocol); 3] = [
    ("esp", TransformProtocol::Esp),
    ("ah", TransformProtocol::Ah),
    ("ah-esp", TransformProtocol::AhEsp),
];

pub const ENCAPSULATIONS: [(&str, EncapsulationMode); 2] = [
    ("tunnel", EncapsulationMode::Tunnel),
    ("transport", EncapsulationMode::Transport),
];

/// `type` of an endpoint group.
pub const ENDPOINT_TYPES: [(&str, EndpointType); 5] = [
    ("subnet", EndpointType::Subnet),
    ("cidr", EndpointType::Cidr),
    ("network", EndpointType::Network),
    ("router", EndpointType::Router),
    ("vlan", EndpointType::Vlan),
];

/// Neutron since 2024.1. In 2026.2 its API still takes `sha1` and `3des`, but its database does not.
pub const NEUTRON_INTEGRITY: [(&str, IntegrityAlgorithm); 6] = [
    ("sha1", IntegrityAlgorithm::HmacSha1x96),
    ("sha256", IntegrityAlgorithm::HmacSha2x256x128),
    ("sha384", IntegrityAlgorithm::HmacSha2x384x192),
    ("sha512", IntegrityAlgorithm::HmacSha2x512x256),
    ("aes-xcbc", IntegrityAlgorithm::AesXcbc96),
    ("aes-cmac", IntegrityAlgorithm::AesCmac96),
];

/// Neutron since 2024.1. The `-ctr` words need the extension `vpn-aes-ctr`.
pub const NEUTRON_ENCRYPTION: [(&str, EncryptionAlgorithm); 25] = [
    ("3des", EncryptionAlgorithm::TripleDes),
    ("aes-128", EncryptionAlgorithm::AesCbc128),
    ("aes-192", EncryptionAlgorithm::AesCbc192),
    ("aes-256", EncryptionAlgorithm::AesCbc256),
    ("aes-128-ctr", EncryptionAlgorithm::AesCtr128),
    ("aes-192-ctr", EncryptionAlgorithm::AesCtr192),
    ("aes-256-ctr", EncryptionAlgorithm::AesCtr256),
    ("aes-128-ccm-8", EncryptionAlgorithm::AesCcm8x128),
    ("aes-192-ccm-8", EncryptionAlgorithm::AesCcm8x192),
    ("aes-256-ccm-8", EncryptionAlgorithm::AesCcm8x256),
    ("aes-128-ccm-12", EncryptionAlgorithm::AesCcm12x128),
    ("aes-192-ccm-12", EncryptionAlgorithm::AesCcm12x192),
    ("aes-256-ccm-12", EncryptionAlgorithm::AesCcm12x256),
    ("aes-128-ccm-16", EncryptionAlgorithm::AesCcm16x128),
    ("aes-192-ccm-16", EncryptionAlgorithm::AesCcm16x192),
    ("aes-256-ccm-16", EncryptionAlgorithm::AesCcm16x256),
    ("aes-128-gcm-8", EncryptionAlgorithm::AesGcm8x128),
    ("aes-192-gcm-8", EncryptionAlgorithm::AesGcm8x192),
    ("aes-256-gcm-8", EncryptionAlgorithm::AesGcm8x256),
    ("aes-128-gcm-12", EncryptionAlgorithm::AesGcm12x128),
    ("aes-192-gcm-12", EncryptionAlgorithm::AesGcm12x192),
    ("aes-256-gcm-12", EncryptionAlgorithm::AesGcm12x256),
    ("aes-128-gcm-16", EncryptionAlgorithm::AesGcm16x128),
    ("aes-192-gcm-16", EncryptionAlgorithm::AesGcm16x192),
    ("aes-256-gcm-16", EncryptionAlgorithm::AesGcm16x256),
];

/// Neutron from 2026.2 on, whose database lacks `sha1`.
pub const LATER_INTEGRITY: [(&str, IntegrityAlgorithm); 5] = without_first(&NEUTRON_INTEGRITY);

/// Neutron from 2026.2 on, whose database lacks `3des`.
pub const LATER_ENCRYPTION: [(&str, EncryptionAlgorithm); 24] = without_first(&NEUTRON_ENCRYPTION);

/// Neutron since 2024.1. The numbers are IANA's ("Transform Type 4").
pub const NEUTRON_GROUPS: [(&str, DhGroup); 20] = [
    ("group2", DhGroup::Modp1024),
    ("group5", DhGroup::Modp1536),
    ("group14", DhGroup::Modp2048),
    ("group15", DhGroup::Modp3072),
    ("group16", DhGroup::Modp4096),
    ("group17", DhGroup::Modp6144),
    ("group18", DhGroup::Modp8192),
    ("group19", DhGroup::Ecp256),
    ("group20", DhGroup::Ecp384),
    ("group21", DhGroup::Ecp521),
    ("group22", DhGroup::Modp1024S160),
    ("group23", DhGroup::Modp2048S224),
    ("group24", DhGroup::Modp2048S256),
    ("group25", DhGroup::Ecp192),
    ("group26", DhGroup::Ecp224),
    ("group27", DhGroup::BrainpoolP224r1),
    ("group28", DhGroup::BrainpoolP256r1),
    ("group29", DhGroup::BrainpoolP384r1),
    ("group30", DhGroup::BrainpoolP512r1),
    ("group31", DhGroup::Curve25519),
];

pub const OTC_INTEGRITY: [(&str, IntegrityAlgorithm); 5] = [
    ("md5", IntegrityAlgorithm::HmacMd5x96),
    ("sha1", IntegrityAlgorithm::HmacSha1x96),
    ("sha2-256", IntegrityAlgorithm::HmacSha2x256x128),
    ("sha2-384", IntegrityAlgorithm::HmacSha2x384x192),
    ("sha2-512", IntegrityAlgorithm::HmacSha2x512x256),
];

/// Open Telekom Cloud, and Neutron up to 2023.1.
pub const OLD_ENCRYPTION: [(&str, EncryptionAlgorithm); 4] = [
    ("3des", EncryptionAlgorithm::TripleDes),
    ("aes-128", EncryptionAlgorithm::AesCbc128),
    ("aes-192", EncryptionAlgorithm::AesCbc192),
    ("aes-256", EncryptionAlgorithm::AesCbc256),
];

/// Open Telekom Cloud, except for `disable`.
pub const OTC_GROUPS: [(&str, DhGroup); 9] = [
    ("group1", DhGroup::Modp768),
    ("group2", DhGroup::Modp1024),
    ("group5", DhGroup::Modp1536),
    ("group14", DhGroup::Modp2048),
    ("group15", DhGroup::Modp3072),
    ("group16", DhGroup::Modp4096),
    ("group19", DhGroup::Ecp256),
    ("group20", DhGroup::Ecp384),
    ("group21", DhGroup::Ecp521),
];

/// Neutron up to 2023.1.
pub const OLD_INTEGRITY: [(&str, IntegrityAlgorithm); 4] = [
    ("sha1", IntegrityAlgorithm::HmacSha1x96),
    ("sha256", IntegrityAlgorithm::HmacSha2x256x128),
    ("sha384", IntegrityAlgorithm::HmacSha2x384x192),
    ("sha512", IntegrityAlgorithm::HmacSha2x512x256),
];

/// Neutron up to 2023.1.
pub const OLD_GROUPS: [(&str, DhGroup); 3] = [
    ("group2", DhGroup::Modp1024),
    ("group5", DhGroup::Modp1536),
    ("group14", DhGroup::Modp2048),
];
