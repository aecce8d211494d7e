//! How much traffic a connection has carried. A counter that its cloud does not tell is `None`.

use crate::model::algorithm::{Named, named};
use std::time::SystemTime;

/// How much traffic a connection has carried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TunnelStatistics {
    /// When the counters were taken, as the cloud tells.
    pub collect_time: Option<SystemTime>,
    /// Whether the cloud heard only of some of its nodes.
    pub partial: bool,
    /// Of the connection as a whole.
    pub total: TrafficCounters,
    /// One for each policy rule or tunnel interface, in the cloud's order.
    pub selectors: Vec<SelectorStatistics>,
}

/// What one policy rule, or one tunnel interface, has carried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectorStatistics {
    /// Which; `None` only where the cloud did not say.
    pub selector: Option<SelectorId>,
    /// All its tunnels together.
    pub total: TrafficCounters,
    /// One for each pair of networks, in the cloud's order.
    pub tunnels: Vec<TunnelCounters>,
}

/// What traffic is chosen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectorId {
    /// A policy rule, by its id.
    PolicyRule(String),
    /// A tunnel interface, by its id.
    TunnelInterface(String),
}

/// What one pair of security associations has carried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TunnelCounters {
    /// The network of this side, as the cloud writes it.
    pub local_network: String,
    /// The network of the other side.
    pub peer_network: String,
    /// Whether it is up; `None` is a value nobody documented, or none.
    pub state: Option<TunnelCounterState>,
    /// Why it is down, in the cloud's words.
    pub down_reason: String,
    /// What it carried.
    pub traffic: TrafficCounters,
    /// What went wrong.
    pub errors: ErrorCounters,
}

named! {
    /// Whether a pair of security associations is there.
    TunnelCounterState, "STATE_" {
        /// It is.
        Up = "UP",
        /// It is not.
        Down = "DOWN",
        /// It is being negotiated.
        Negotiating = "NEGOTIATING",
    }
}

/// Counters of traffic, named as those of interfaces (RFC 8343).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrafficCounters {
    /// Bytes that came in.
    pub in_octets: Option<u64>,
    /// Bytes that went out.
    pub out_octets: Option<u64>,
    /// Packets that came in.
    pub in_packets: Option<u64>,
    /// Packets that went out.
    pub out_packets: Option<u64>,
    /// Packets that came in and were dropped.
    pub in_discards: Option<u64>,
    /// Packets that were to go out and were dropped.
    pub out_discards: Option<u64>,
}

/// Counters of packets that IPsec dropped, by why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErrorCounters {
    /// They could not be decrypted.
    pub decryption_failures: Option<u64>,
    /// They could not be encrypted.
    pub encryption_failures: Option<u64>,
    /// Their integrity check value was wrong.
    pub integrity_failures: Option<u64>,
    /// They came twice, or too late.
    pub replay_errors: Option<u64>,
    /// The sequence number would have begun again.
    pub sequence_number_overflows: Option<u64>,
    /// No policy is about them.
    pub no_matching_policy_errors: Option<u64>,
    /// They came in under the wrong security association, or none.
    pub in_sa_mismatch_errors: Option<u64>,
    /// They were to go out and had no security association.
    pub out_sa_mismatch_errors: Option<u64>,
    /// Something else was wrong with what came in.
    pub in_other_errors: Option<u64>,
    /// Something else was wrong with what was to go out.
    pub out_other_errors: Option<u64>,
}
