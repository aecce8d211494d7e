//! What the words of the clouds mean, in IANA's names.

use isthmus::grpc::pb;

/// The value of the contract that a word of a field stands for; `None`: no such word is known.
///
/// Groups are taken by their numbers, which are IANA's ("Transform Type 4") in every cloud and in the contract.
pub fn meaning(field: &str, word: &str) -> Option<String> {
    let known = |table: &[(&str, &'static str)], prefix: &str| {
        let found = table.iter().find(|(native, _)| *native == word);
        found.map(|(_, name)| format!("{prefix}_{name}"))
    };
    match field {
        "dh_groups" | "pfs" => {
            let number: i32 = word.to_lowercase().strip_prefix("group")?.parse().ok()?;
            let group = pb::DhGroup::try_from(number).ok()?;
            Some(group.as_str_name().to_owned())
        }
        "digest_algorithms" | "auth_algorithm" => known(HASHES, "INTEGRITY_ALGORITHM"),
        "encryption_algorithms" | "encryption_algorithm" => known(CIPHERS, "ENCRYPTION_ALGORITHM"),
        "ike_version" => known(VERSIONS, "IKE_VERSION"),
        "phase1_negotiation_mode" => known(MODES, "NEGOTIATION_MODE"),
        "transform_protocol" => known(PROTOCOLS, "TRANSFORM_PROTOCOL"),
        "encapsulation_mode" => known(ENCAPSULATIONS, "ENCAPSULATION_MODE"),
        "df_policy" => Some(format!("DF_POLICY_{word}")),
        "dpd_probe_mode" => Some(format!("PROBE_MODE_{word}")),
        "ike_log_level" => Some(format!("IKE_LOG_LEVEL_{word}")),
        "type" => Some(format!("TYPE_{}", word.to_uppercase())),
        _ => None,
    }
}

/// The pseudorandom function that goes by the same word (RFC 7296, RFC 4868, RFC 4434, RFC 4615).
pub fn prf(integrity: &str) -> &'static str {
    match integrity.trim_start_matches("INTEGRITY_ALGORITHM_") {
        "HMAC_MD5_96" => "PRF_ALGORITHM_HMAC_MD5",
        "HMAC_SHA1_96" => "PRF_ALGORITHM_HMAC_SHA1",
        "HMAC_SHA2_256_128" => "PRF_ALGORITHM_HMAC_SHA2_256",
        "HMAC_SHA2_384_192" => "PRF_ALGORITHM_HMAC_SHA2_384",
        "HMAC_SHA2_512_256" => "PRF_ALGORITHM_HMAC_SHA2_512",
        "AES_XCBC_96" => "PRF_ALGORITHM_AES128_XCBC",
        "AES_CMAC_96" => "PRF_ALGORITHM_AES128_CMAC",
        other => panic!("{other} has no function"),
    }
}

/// IANA's "Transform Type 3".
const HASHES: &[(&str, &str)] = &[
    ("md5", "HMAC_MD5_96"),
    ("sha1", "HMAC_SHA1_96"),
    ("sha256", "HMAC_SHA2_256_128"),
    ("sha384", "HMAC_SHA2_384_192"),
    ("sha512", "HMAC_SHA2_512_256"),
    ("aes-xcbc", "AES_XCBC_96"),
    ("aes-cmac", "AES_CMAC_96"),
    ("sha2-256", "HMAC_SHA2_256_128"),
    ("sha2-384", "HMAC_SHA2_384_192"),
    ("sha2-512", "HMAC_SHA2_512_256"),
    ("SHA1", "HMAC_SHA1_96"),
    ("SHA2_256", "HMAC_SHA2_256_128"),
    ("SHA2_384", "HMAC_SHA2_384_192"),
    ("SHA2_512", "HMAC_SHA2_512_256"),
];

/// IANA's "Transform Type 1", with the length of the key at the end. NSX does not say the length of GCM's integrity
/// check value; 16 octets is the one that RFC 8247 demands.
const CIPHERS: &[(&str, &str)] = &[
    ("3des", "3DES"),
    ("aes-128", "AES_CBC_128"),
    ("aes-192", "AES_CBC_192"),
    ("aes-256", "AES_CBC_256"),
    ("aes-128-ctr", "AES_CTR_128"),
    ("aes-192-ctr", "AES_CTR_192"),
    ("aes-256-ctr", "AES_CTR_256"),
    ("aes-128-ccm-8", "AES_CCM_8_128"),
    ("aes-192-ccm-8", "AES_CCM_8_192"),
    ("aes-256-ccm-8", "AES_CCM_8_256"),
    ("aes-128-ccm-12", "AES_CCM_12_128"),
    ("aes-192-ccm-12", "AES_CCM_12_192"),
    ("aes-256-ccm-12", "AES_CCM_12_256"),
    ("aes-128-ccm-16", "AES_CCM_16_128"),
    ("aes-192-ccm-16", "AES_CCM_16_192"),
    ("aes-256-ccm-16", "AES_CCM_16_256"),
    ("aes-128-gcm-8", "AES_GCM_8_128"),
    ("aes-192-gcm-8", "AES_GCM_8_192"),
    ("aes-256-gcm-8", "AES_GCM_8_256"),
    ("aes-128-gcm-12", "AES_GCM_12_128"),
    ("aes-192-gcm-12", "AES_GCM_12_192"),
    ("aes-256-gcm-12", "AES_GCM_12_256"),
    ("aes-128-gcm-16", "AES_GCM_16_128"),
    ("aes-192-gcm-16", "AES_GCM_16_192"),
    ("aes-256-gcm-16", "AES_GCM_16_256"),
    ("AES_128", "AES_CBC_128"),
    ("AES_256", "AES_CBC_256"),
    ("AES_GCM_128", "AES_GCM_16_128"),
    ("AES_GCM_192", "AES_GCM_16_192"),
    ("AES_GCM_256", "AES_GCM_16_256"),
    ("NO_ENCRYPTION", "NULL"),
    ("NO_ENCRYPTION_AUTH_AES_GMAC_128", "NULL_AUTH_AES_GMAC_128"),
    ("NO_ENCRYPTION_AUTH_AES_GMAC_192", "NULL_AUTH_AES_GMAC_192"),
    ("NO_ENCRYPTION_AUTH_AES_GMAC_256", "NULL_AUTH_AES_GMAC_256"),
];

const VERSIONS: &[(&str, &str)] = &[
    ("v1", "1"),
    ("v2", "2"),
    ("IKE_V1", "1"),
    ("IKE_V2", "2"),
    ("IKE_FLEX", "2_OR_1"),
];

const MODES: &[(&str, &str)] = &[("main", "MAIN"), ("aggressive", "AGGRESSIVE")];

const PROTOCOLS: &[(&str, &str)] = &[
    ("ESP", "ESP"),
    ("esp", "ESP"),
    ("ah", "AH"),
    ("ah-esp", "AH_ESP"),
];

const ENCAPSULATIONS: &[(&str, &str)] = &[
    ("TUNNEL_MODE", "TUNNEL"),
    ("tunnel", "TUNNEL"),
    ("transport", "TRANSPORT"),
];
