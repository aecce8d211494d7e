//! NSX's words for versions, algorithms and modes, with what each means. They are the same in all its APIs
//! (`model_client.py` of both SDKs).

use crate::model::{
    algorithm::{
        DfPolicy, DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm,
        PrfAlgorithm, TransformProtocol,
    },
    policy::ProbeMode,
    topology::IkeLogLevel,
};

/// `ike_version`
pub const IKE_VERSIONS: [(&str, IkeVersion); 3] = [
    ("IKE_V1", IkeVersion::V1),
    ("IKE_V2", IkeVersion::V2),
    ("IKE_FLEX", IkeVersion::V2OrV1),
];

/// `encryption_algorithms` of IKE. The only length of the GCM integrity check value in NSX is 16 octets.
pub const IKE_ENCRYPTION: [(&str, EncryptionAlgorithm); 5] = [
    ("AES_128", EncryptionAlgorithm::AesCbc128),
    ("AES_256", EncryptionAlgorithm::AesCbc256),
    ("AES_GCM_128", EncryptionAlgorithm::AesGcm16x128),
    ("AES_GCM_192", EncryptionAlgorithm::AesGcm16x192),
    ("AES_GCM_256", EncryptionAlgorithm::AesGcm16x256),
];

/// `encryption_algorithms` of IPsec.
pub const IPSEC_ENCRYPTION: [(&str, EncryptionAlgorithm); 9] = [
    IKE_ENCRYPTION[0],
    IKE_ENCRYPTION[1],
    IKE_ENCRYPTION[2],
    IKE_ENCRYPTION[3],
    IKE_ENCRYPTION[4],
    (
        "NO_ENCRYPTION_AUTH_AES_GMAC_128",
        EncryptionAlgorithm::NullAuthAesGmac128,
    ),
    (
        "NO_ENCRYPTION_AUTH_AES_GMAC_192",
        EncryptionAlgorithm::NullAuthAesGmac192,
    ),
    (
        "NO_ENCRYPTION_AUTH_AES_GMAC_256",
        EncryptionAlgorithm::NullAuthAesGmac256,
    ),
    ("NO_ENCRYPTION", EncryptionAlgorithm::Null),
];

/// `digest_algorithms` as integrity algorithms.
pub const INTEGRITY: [(&str, IntegrityAlgorithm); 4] = [
    ("SHA1", IntegrityAlgorithm::HmacSha1x96),
    ("SHA2_256", IntegrityAlgorithm::HmacSha2x256x128),
    ("SHA2_384", IntegrityAlgorithm::HmacSha2x384x192),
    ("SHA2_512", IntegrityAlgorithm::HmacSha2x512x256),
];

/// `digest_algorithms` as pseudorandom functions.
pub const PRF: [(&str, PrfAlgorithm); 4] = [
    ("SHA1", PrfAlgorithm::HmacSha1),
    ("SHA2_256", PrfAlgorithm::HmacSha2x256),
    ("SHA2_384", PrfAlgorithm::HmacSha2x384),
    ("SHA2_512", PrfAlgorithm::HmacSha2x512),
];

/// `dh_groups`, numbered as by IANA.
pub const DH_GROUPS: [(&str, DhGroup); 8] = [
    ("GROUP2", DhGroup::Modp1024),
    ("GROUP5", DhGroup::Modp1536),
    ("GROUP14", DhGroup::Modp2048),
    ("GROUP15", DhGroup::Modp3072),
    ("GROUP16", DhGroup::Modp4096),
    ("GROUP19", DhGroup::Ecp256),
    ("GROUP20", DhGroup::Ecp384),
    ("GROUP21", DhGroup::Ecp521),
];

/// `transform_protocol`
pub const TRANSFORM_PROTOCOLS: [(&str, TransformProtocol); 1] = [("ESP", TransformProtocol::Esp)];

/// `encapsulation_mode`
pub const ENCAPSULATION_MODES: [(&str, EncapsulationMode); 1] =
    [("TUNNEL_MODE", EncapsulationMode::Tunnel)];

/// `df_policy`
pub const DF_POLICIES: [(&str, DfPolicy); 2] =
    [("COPY", DfPolicy::Copy), ("CLEAR", DfPolicy::Clear)];

/// `dpd_probe_mode`
pub const PROBE_MODES: [(&str, ProbeMode); 2] = [
    ("PERIODIC", ProbeMode::Periodic),
    ("ON_DEMAND", ProbeMode::OnDemand),
];

/// `ike_log_level`
pub const LOG_LEVELS: [(&str, IkeLogLevel); 5] = [
    ("DEBUG", IkeLogLevel::Debug),
    ("INFO", IkeLogLevel::Info),
    ("WARN", IkeLogLevel::Warn),
    ("ERROR", IkeLogLevel::Error),
    ("EMERGENCY", IkeLogLevel::Emergency),
];

/// Returns what a word of a table means. Case does not matter.
pub fn meaning<T: Copy>(table: &[(&str, T)], said: &str) -> Option<T> {
    let found = table
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(said));
    found.map(|(_, meaning)| *meaning)
}

/// Returns the word of a table with this meaning.
pub fn word<T: PartialEq>(table: &[(&'static str, T)], meaning: &T) -> Option<&'static str> {
    let found = table.iter().find(|(_, it)| it == meaning);
    found.map(|(word, _)| *word)
}
