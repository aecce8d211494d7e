//! IKE, IPsec and DPD policies.
//!
//! Lists of algorithms are in order of preference. In a list that was read, `None` stands for an undocumented value,
//! whose text is in [`Resource::native_words`](crate::model::Resource). Elsewhere, an empty list or `None` means the
//! cloud's default on input, and on output that the cloud did not say.

use crate::model::algorithm::{
    DfPolicy, DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm,
    Named, NegotiationMode, PrfAlgorithm, TransformProtocol, named,
};
use serde::{Deserialize, Serialize};

/// How two gateways negotiate the IKE security association.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IkePolicy {
    /// Defaults to IKEv2 on NSX and IKEv1 on OpenStack.
    pub ike_version: Option<IkeVersion>,
    /// How IKEv1 protects the identities in phase 1 (OpenStack).
    pub negotiation_mode: Option<NegotiationMode>,
    pub encryption_algorithms: Vec<Option<EncryptionAlgorithm>>,
    /// Integrity algorithms. Entry by entry the same hashes as `prf_algorithms`, because every cloud has one word for
    /// both. An empty list means SHA2_256 on OpenStack (k5: SHA1): Neutron 2026.2 refuses its own default, SHA1.
    pub integrity_algorithms: Vec<Option<IntegrityAlgorithm>>,
    /// Pseudorandom functions. On input, an empty list takes the hashes of `integrity_algorithms`, and vice versa.
    pub prf_algorithms: Vec<Option<PrfAlgorithm>>,
    /// Defaults to `MODP_2048` on NSX and `MODP_1536` on OpenStack.
    pub dh_groups: Vec<Option<DhGroup>>,
    /// Lifetime of the IKE security association. Defaults to a day on NSX (21,600 to 31,536,000 s) and to an hour on
    /// OpenStack (at least 60 s).
    pub lifetime: Option<Lifetime>,
}

/// How packets are protected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IpsecPolicy {
    pub transform_protocol: Option<TransformProtocol>,
    pub encapsulation_mode: Option<EncapsulationMode>,
    pub encryption_algorithms: Vec<Option<EncryptionAlgorithm>>,
    /// An empty list is treated as in [`IkePolicy::integrity_algorithms`].
    pub integrity_algorithms: Vec<Option<IntegrityAlgorithm>>,
    /// Whether each security association gets its own Diffie-Hellman exchange.
    pub perfect_forward_secrecy: Option<bool>,
    /// Groups of that exchange. Defaults to `MODP_2048` on NSX and `MODP_1536` on OpenStack.
    pub dh_groups: Vec<Option<DhGroup>>,
    /// Lifetime of a security association. Defaults to an hour. NSX accepts 900 to 31,536,000 s, OpenStack at least
    /// 60 s.
    pub lifetime: Option<Lifetime>,
    /// What happens to the Don't Fragment bit (NSX).
    pub df_policy: Option<DfPolicy>,
}

/// Dead peer detection as an object of its own (NSX).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DpdPolicy {
    /// Whether detection is on. Defaults to true.
    pub enabled: Option<bool>,
    /// Defaults to [`ProbeMode::Periodic`].
    pub probe_mode: Option<ProbeMode>,
    /// Seconds between probes: 3 to 360 if periodic (default 60), 1 to 10 if on demand (default: the cloud's).
    pub probe_interval_seconds: Option<u32>,
    /// Number of unanswered probes after which the peer counts as dead. Defaults to 10.
    pub retry_count: Option<i32>,
}

/// Lifetime of a security association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// Seconds.
    Seconds(u64),
    /// Kilobytes of protected traffic (OpenStack).
    Kilobytes(u64),
}

named! {
    /// When the peer is probed.
    ProbeMode, "PROBE_MODE_" {
        /// Whenever the interval has passed.
        Periodic = "PERIODIC",
        /// Only if a packet was sent and nothing came back.
        OnDemand = "ON_DEMAND",
    }
}
