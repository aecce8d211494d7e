//! Policies: how gateways negotiate, how packets are protected, how a dead peer is found.
//!
//! A list of algorithms is in order of preference; in one that was read, `None` is a value that nobody documented, whose
//! text is in [`Resource::native_words`](crate::model::Resource). Empty lists and `None` elsewhere mean the cloud's
//! default on input, and on output that the cloud did not say.

use crate::model::algorithm::{
    DfPolicy, DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm,
    Named, NegotiationMode, PrfAlgorithm, TransformProtocol, named,
};
use serde::{Deserialize, Serialize};

/// How the security association of IKE is negotiated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IkePolicy {
    /// Which IKE is spoken.
    pub ike_version: Option<IkeVersion>,
    /// How identities are protected in phase 1 of IKEv1 (OpenStack).
    pub negotiation_mode: Option<NegotiationMode>,
    /// Encryption.
    pub encryption_algorithms: Vec<Option<EncryptionAlgorithm>>,
    /// Integrity. Holds the hashes of `prf_algorithms`, place by place: every cloud has one word for both.
    pub integrity_algorithms: Vec<Option<IntegrityAlgorithm>>,
    /// Pseudorandom function. Empty on input: that of `integrity_algorithms`, and the other way round.
    pub prf_algorithms: Vec<Option<PrfAlgorithm>>,
    /// Diffie-Hellman groups.
    pub dh_groups: Vec<Option<DhGroup>>,
    /// How long it lives.
    pub lifetime: Option<Lifetime>,
}

/// How packets are protected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IpsecPolicy {
    /// ESP or AH.
    pub transform_protocol: Option<TransformProtocol>,
    /// Tunnel or transport.
    pub encapsulation_mode: Option<EncapsulationMode>,
    /// Encryption.
    pub encryption_algorithms: Vec<Option<EncryptionAlgorithm>>,
    /// Integrity.
    pub integrity_algorithms: Vec<Option<IntegrityAlgorithm>>,
    /// Whether each security association gets a Diffie-Hellman exchange of its own.
    pub perfect_forward_secrecy: Option<bool>,
    /// The groups of that exchange.
    pub dh_groups: Vec<Option<DhGroup>>,
    /// How long a security association lives.
    pub lifetime: Option<Lifetime>,
    /// What becomes of the Don't Fragment bit (NSX).
    pub df_policy: Option<DfPolicy>,
}

/// How a dead peer is found, where that is an object of its own (NSX).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DpdPolicy {
    /// Whether there is detection.
    pub enabled: Option<bool>,
    /// When the peer is probed.
    pub probe_mode: Option<ProbeMode>,
    /// Seconds between probes.
    pub probe_interval_seconds: Option<u32>,
    /// Probes without an answer after which the peer counts as dead.
    pub retry_count: Option<i32>,
}

/// How long something lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// Seconds.
    Seconds(u64),
    /// Kilobytes that were protected (OpenStack).
    Kilobytes(u64),
}

named! {
    /// When a peer is probed.
    ProbeMode, "PROBE_MODE_" {
        /// Whenever the interval has passed.
        Periodic = "PERIODIC",
        /// Only if something was sent and nothing came back.
        OnDemand = "ON_DEMAND",
    }
}
