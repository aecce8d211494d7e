//! Traffic counters of a connection. A counter is `None` if the cloud does not report it.

use crate::model::algorithm::{Named, named};
use std::time::SystemTime;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TunnelStatistics {
    /// When the cloud collected the counters, if it reports that.
    pub collect_time: Option<SystemTime>,
    /// Whether the cloud heard from only some of its nodes.
    pub partial: bool,
    /// Counters of the whole connection.
    pub total: TrafficCounters,
    /// One entry for each policy rule or tunnel interface, in the cloud's order.
    pub selectors: Vec<SelectorStatistics>,
}

/// Counters of one policy rule or tunnel interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectorStatistics {
    /// `None` only if the cloud did not say.
    pub selector: Option<SelectorId>,
    /// Sum over all its tunnels.
    pub total: TrafficCounters,
    /// One entry for each pair of networks, in the cloud's order.
    pub tunnels: Vec<TunnelCounters>,
}

/// The policy rule or tunnel interface that counters belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectorId {
    /// Id of a policy rule.
    PolicyRule(String),
    /// Id of a tunnel interface.
    TunnelInterface(String),
}

/// Counters of one pair of security associations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TunnelCounters {
    /// Local network, in the cloud's spelling.
    pub local_network: String,
    /// Peer network, in the cloud's spelling.
    pub peer_network: String,
    /// `None` if the cloud gave no value, or an undocumented one.
    pub state: Option<TunnelCounterState>,
    /// Why the tunnel is down, in the cloud's words.
    pub down_reason: String,
    pub traffic: TrafficCounters,
    pub errors: ErrorCounters,
}

named! {
    /// The state of one pair of security associations.
    TunnelCounterState, "STATE_" {
        Up = "UP",
        Down = "DOWN",
        Negotiating = "NEGOTIATING",
    }
}

/// Traffic counters, named like the interface counters of RFC 8343.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrafficCounters {
    /// Bytes received.
    pub in_octets: Option<u64>,
    /// Bytes sent.
    pub out_octets: Option<u64>,
    /// Packets received.
    pub in_packets: Option<u64>,
    /// Packets sent.
    pub out_packets: Option<u64>,
    /// Received packets that were dropped.
    pub in_discards: Option<u64>,
    /// Outgoing packets that were dropped.
    pub out_discards: Option<u64>,
}

/// Counts of packets that IPsec dropped, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErrorCounters {
    /// Decryption failed.
    pub decryption_failures: Option<u64>,
    /// Encryption failed.
    pub encryption_failures: Option<u64>,
    /// The integrity check value was wrong.
    pub integrity_failures: Option<u64>,
    /// The packet was a duplicate, or arrived outside the anti-replay window.
    pub replay_errors: Option<u64>,
    /// The sequence number would have wrapped around.
    pub sequence_number_overflows: Option<u64>,
    /// No policy covers the packet.
    pub no_matching_policy_errors: Option<u64>,
    /// The packet arrived under the wrong security association, or none.
    pub in_sa_mismatch_errors: Option<u64>,
    /// The outgoing packet had no security association.
    pub out_sa_mismatch_errors: Option<u64>,
    /// Any other error on a received packet.
    pub in_other_errors: Option<u64>,
    /// Any other error on an outgoing packet.
    pub out_other_errors: Option<u64>,
}
