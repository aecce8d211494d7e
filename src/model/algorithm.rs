//! Versions, algorithms and modes. Their names are those of the contract, which are IANA's where IANA has one (RFC
//! 7296, RFC 8247, RFC 4303).

/// Defines an enum of the contract whose values know their names there. Where a cloud's value is read, one that matches
/// none of them becomes `None`.
macro_rules! named {
    ($(#[$about:meta])* $name:ident, $prefix:literal { $($(#[$doc:meta])* $value:ident = $suffix:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$doc])* $value),+ }

        impl Named for $name {
            const ALL: &'static [$name] = &[$($name::$value),+];
            const UNSPECIFIED: &'static str = concat!($prefix, "UNSPECIFIED");

            fn as_str(self) -> &'static str {
                match self { $($name::$value => concat!($prefix, $suffix)),+ }
            }
        }
    };
}
pub(super) use named;

/// A value with a name in the contract.
pub trait Named: Copy + Eq + std::fmt::Debug + 'static {
    const ALL: &'static [Self];
    /// The name of the contract's `UNSPECIFIED` value.
    const UNSPECIFIED: &'static str;

    /// The value's name, for example `DH_GROUP_MODP_2048`.
    fn as_str(self) -> &'static str;

    /// Returns the value with this name.
    fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|value| value.as_str() == name)
    }
}

named! {
    /// The version of the Internet Key Exchange protocol.
    IkeVersion, "IKE_VERSION_" {
        /// IKEv1 (RFC 2409).
        V1 = "1",
        /// IKEv2 (RFC 7296).
        V2 = "2",
        /// Initiates with IKEv2 and answers both versions (NSX IKE_FLEX).
        V2OrV1 = "2_OR_1",
    }
}

named! {
    /// How IKEv1 protects the identities in phase 1 (RFC 2409, section 5). IKEv2 offers no such choice.
    NegotiationMode, "NEGOTIATION_MODE_" {
        /// Main mode.
        Main = "MAIN",
        /// Aggressive mode: identities travel in the clear.
        Aggressive = "AGGRESSIVE",
    }
}

named! {
    /// Encryption algorithms: IANA's "IKEv2 Transform Type 1", followed by the key length in bits. A number in IANA's
    /// own name (`GCM_16`) is the length of the integrity check value in octets.
    EncryptionAlgorithm, "ENCRYPTION_ALGORITHM_" {
        /// ENCR_3DES (RFC 2451). RFC 8247 makes it optional.
        TripleDes = "3DES",
        /// ENCR_AES_CBC (RFC 3602), 128 bits.
        AesCbc128 = "AES_CBC_128",
        /// ENCR_AES_CBC, 192 bits.
        AesCbc192 = "AES_CBC_192",
        /// ENCR_AES_CBC, 256 bits.
        AesCbc256 = "AES_CBC_256",
        /// ENCR_AES_CTR (RFC 3686), 128 bits.
        AesCtr128 = "AES_CTR_128",
        /// ENCR_AES_CTR, 192 bits.
        AesCtr192 = "AES_CTR_192",
        /// ENCR_AES_CTR, 256 bits.
        AesCtr256 = "AES_CTR_256",
        /// ENCR_AES_CCM_8 (RFC 4309), 128 bits.
        AesCcm8x128 = "AES_CCM_8_128",
        /// ENCR_AES_CCM_8, 192 bits.
        AesCcm8x192 = "AES_CCM_8_192",
        /// ENCR_AES_CCM_8, 256 bits.
        AesCcm8x256 = "AES_CCM_8_256",
        /// ENCR_AES_CCM_12, 128 bits.
        AesCcm12x128 = "AES_CCM_12_128",
        /// ENCR_AES_CCM_12, 192 bits.
        AesCcm12x192 = "AES_CCM_12_192",
        /// ENCR_AES_CCM_12, 256 bits.
        AesCcm12x256 = "AES_CCM_12_256",
        /// ENCR_AES_CCM_16, 128 bits.
        AesCcm16x128 = "AES_CCM_16_128",
        /// ENCR_AES_CCM_16, 192 bits.
        AesCcm16x192 = "AES_CCM_16_192",
        /// ENCR_AES_CCM_16, 256 bits.
        AesCcm16x256 = "AES_CCM_16_256",
        /// ENCR_AES_GCM_8 (RFC 4106), 128 bits.
        AesGcm8x128 = "AES_GCM_8_128",
        /// ENCR_AES_GCM_8, 192 bits.
        AesGcm8x192 = "AES_GCM_8_192",
        /// ENCR_AES_GCM_8, 256 bits.
        AesGcm8x256 = "AES_GCM_8_256",
        /// ENCR_AES_GCM_12, 128 bits.
        AesGcm12x128 = "AES_GCM_12_128",
        /// ENCR_AES_GCM_12, 192 bits.
        AesGcm12x192 = "AES_GCM_12_192",
        /// ENCR_AES_GCM_12, 256 bits.
        AesGcm12x256 = "AES_GCM_12_256",
        /// ENCR_AES_GCM_16, 128 bits.
        AesGcm16x128 = "AES_GCM_16_128",
        /// ENCR_AES_GCM_16, 192 bits.
        AesGcm16x192 = "AES_GCM_16_192",
        /// ENCR_AES_GCM_16, 256 bits.
        AesGcm16x256 = "AES_GCM_16_256",
        /// ENCR_NULL (RFC 2410): no encryption.
        Null = "NULL",
        /// ENCR_NULL_AUTH_AES_GMAC (RFC 4543), 128 bits: integrity without encryption.
        NullAuthAesGmac128 = "NULL_AUTH_AES_GMAC_128",
        /// ENCR_NULL_AUTH_AES_GMAC, 192 bits.
        NullAuthAesGmac192 = "NULL_AUTH_AES_GMAC_192",
        /// ENCR_NULL_AUTH_AES_GMAC, 256 bits.
        NullAuthAesGmac256 = "NULL_AUTH_AES_GMAC_256",
    }
}

named! {
    /// Integrity algorithms: IANA's "IKEv2 Transform Type 3". The last number is the truncated hash's length in bits.
    IntegrityAlgorithm, "INTEGRITY_ALGORITHM_" {
        /// AUTH_HMAC_MD5_96 (RFC 2403). RFC 8247 forbids it.
        HmacMd5x96 = "HMAC_MD5_96",
        /// AUTH_HMAC_SHA1_96 (RFC 2404).
        HmacSha1x96 = "HMAC_SHA1_96",
        /// AUTH_HMAC_SHA2_256_128 (RFC 4868).
        HmacSha2x256x128 = "HMAC_SHA2_256_128",
        /// AUTH_HMAC_SHA2_384_192.
        HmacSha2x384x192 = "HMAC_SHA2_384_192",
        /// AUTH_HMAC_SHA2_512_256.
        HmacSha2x512x256 = "HMAC_SHA2_512_256",
        /// AUTH_AES_XCBC_96 (RFC 3566).
        AesXcbc96 = "AES_XCBC_96",
        /// AUTH_AES_CMAC_96 (RFC 4494).
        AesCmac96 = "AES_CMAC_96",
    }
}

named! {
    /// Pseudorandom functions: IANA's "IKEv2 Transform Type 2".
    PrfAlgorithm, "PRF_ALGORITHM_" {
        /// PRF_HMAC_MD5 (RFC 2104).
        HmacMd5 = "HMAC_MD5",
        /// PRF_HMAC_SHA1.
        HmacSha1 = "HMAC_SHA1",
        /// PRF_HMAC_SHA2_256 (RFC 4868).
        HmacSha2x256 = "HMAC_SHA2_256",
        /// PRF_HMAC_SHA2_384.
        HmacSha2x384 = "HMAC_SHA2_384",
        /// PRF_HMAC_SHA2_512.
        HmacSha2x512 = "HMAC_SHA2_512",
        /// PRF_AES128_XCBC (RFC 4434).
        Aes128Xcbc = "AES128_XCBC",
        /// PRF_AES128_CMAC (RFC 4615).
        Aes128Cmac = "AES128_CMAC",
    }
}

named! {
    /// Diffie-Hellman groups: IANA's "IKEv2 Transform Type 4".
    DhGroup, "DH_GROUP_" {
        /// 768-bit MODP (RFC 7296). RFC 8247 forbids it.
        Modp768 = "MODP_768",
        /// 1024-bit MODP (RFC 7296).
        Modp1024 = "MODP_1024",
        /// 1536-bit MODP (RFC 3526).
        Modp1536 = "MODP_1536",
        /// 2048-bit MODP.
        Modp2048 = "MODP_2048",
        /// 3072-bit MODP.
        Modp3072 = "MODP_3072",
        /// 4096-bit MODP.
        Modp4096 = "MODP_4096",
        /// 6144-bit MODP.
        Modp6144 = "MODP_6144",
        /// 8192-bit MODP.
        Modp8192 = "MODP_8192",
        /// 256-bit random ECP (RFC 5903).
        Ecp256 = "ECP_256",
        /// 384-bit random ECP.
        Ecp384 = "ECP_384",
        /// 521-bit random ECP.
        Ecp521 = "ECP_521",
        /// 1024-bit MODP with 160-bit prime order subgroup (RFC 5114). RFC 8247 forbids it.
        Modp1024S160 = "MODP_1024_S160",
        /// 2048-bit MODP with 224-bit prime order subgroup.
        Modp2048S224 = "MODP_2048_S224",
        /// 2048-bit MODP with 256-bit prime order subgroup.
        Modp2048S256 = "MODP_2048_S256",
        /// 192-bit random ECP (RFC 5114).
        Ecp192 = "ECP_192",
        /// 224-bit random ECP.
        Ecp224 = "ECP_224",
        /// brainpoolP224r1 (RFC 6954).
        BrainpoolP224r1 = "BRAINPOOL_P224R1",
        /// brainpoolP256r1.
        BrainpoolP256r1 = "BRAINPOOL_P256R1",
        /// brainpoolP384r1.
        BrainpoolP384r1 = "BRAINPOOL_P384R1",
        /// brainpoolP512r1.
        BrainpoolP512r1 = "BRAINPOOL_P512R1",
        /// Curve25519 (RFC 8031).
        Curve25519 = "CURVE25519",
    }
}

named! {
    /// The protocol that protects packets.
    TransformProtocol, "TRANSFORM_PROTOCOL_" {
        /// Encapsulating Security Payload (RFC 4303).
        Esp = "ESP",
        /// Authentication Header (RFC 4302).
        Ah = "AH",
        /// Both. Neutron accepts such a policy and refuses every connection with it.
        AhEsp = "AH_ESP",
    }
}

named! {
    /// Which part of a packet is protected.
    EncapsulationMode, "ENCAPSULATION_MODE_" {
        /// The whole packet.
        Tunnel = "TUNNEL",
        /// Its payload.
        Transport = "TRANSPORT",
    }
}

named! {
    /// How the outer packet gets its Don't Fragment bit (RFC 4301, section 8.1).
    DfPolicy, "DF_POLICY_" {
        /// Copied from the inner packet.
        Copy = "COPY",
        /// Never set.
        Clear = "CLEAR",
    }
}
