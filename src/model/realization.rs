//! How far a cloud has realized a connection, how sure that is, and the intent that it is judged against.

use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// The normalized state of a connection or a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RealizationState {
    /// Nothing is known, or the cloud itself does not know.
    #[default]
    Unknown,
    /// The cloud accepted the write. No poll has seen it yet.
    Accepted,
    /// The cloud has not begun.
    Pending,
    /// The cloud is at work.
    InProgress,
    /// Some nodes have the configuration, some failed.
    Partial,
    /// The configuration is in place.
    Realized,
    /// The tunnel is up: a security association is established.
    Active,
    /// Some tunnels are up, some are down.
    Degraded,
    /// The configuration is in place, and no tunnel is up.
    Down,
    /// The connection, or the service it belongs to, is switched off.
    Disabled,
    /// The cloud reports a failure.
    Failed,
    /// The cloud is removing it.
    Deleting,
    /// It is proven gone.
    Deleted,
}

impl RealizationState {
    /// Every state, in the order of the proto.
    pub const ALL: [RealizationState; 13] = [
        RealizationState::Unknown,
        RealizationState::Accepted,
        RealizationState::Pending,
        RealizationState::InProgress,
        RealizationState::Partial,
        RealizationState::Realized,
        RealizationState::Active,
        RealizationState::Degraded,
        RealizationState::Down,
        RealizationState::Disabled,
        RealizationState::Failed,
        RealizationState::Deleting,
        RealizationState::Deleted,
    ];
}

/// How sure a state is, by the kind of evidence. Ordered: a higher value includes the lower ones.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Assurance {
    /// Nothing was read.
    #[default]
    None,
    /// The object was read, or the write was accepted.
    IntentStored,
    /// The control plane has handed the configuration to its nodes.
    ControlPlane,
    /// The nodes report that the configuration is in effect.
    InEffect,
    /// A tunnel is up.
    TunnelUp,
}

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Goal {
    /// The control plane has the configuration.
    Config,
    /// The configuration is in effect on the nodes.
    InEffect,
    /// A tunnel is up.
    TunnelUp,
    /// The connection is gone.
    Gone,
}

/// What the connection is meant to be: the standard that a state is judged against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Intent {
    /// Not known yet. Judged as enabled.
    #[default]
    Unknown,
    /// The connection should carry traffic.
    Enabled,
    /// The connection should exist and be switched off.
    Disabled,
    /// The connection should be gone.
    Deleted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable and in UPPER_SNAKE_CASE: one of [`codes`], or a value of the cloud that is itself a reason.
    pub code: String,
    /// A human-readable sentence, already bounded and redacted.
    pub message: String,
}

impl Reason {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Reason {
        Reason {
            code: code.into(),
            message: message.into(),
        }
    }
}

/// The reason codes of realization.
pub mod codes {
    /// Defines each code as a constant whose value is its own name, and lists all of them in [`ALL`].
    macro_rules! codes {
        ($($(#[$meaning:meta])+ $name:ident,)+) => {
            $($(#[$meaning])+ pub const $name: &str = stringify!($name);)+

            pub const ALL: &[&str] = &[$($name),+];
        };
    }

    codes! {
        /// The cloud itself says that it does not know.
        UPSTREAM_UNKNOWN,
        /// The cloud is at work and gives details.
        UPSTREAM_IN_PROGRESS,
        /// The cloud gave no value, or one that no table lists.
        UNRECOGNIZED_VALUE,
        /// The cloud reports a failure.
        UPSTREAM_ERROR,
        /// The cloud refuses the gateway's login.
        UPSTREAM_AUTH,
        /// The cloud cannot be reached, and nothing was known before.
        UPSTREAM_UNREACHABLE,
        /// The parent of the object is gone.
        ORPHANED,
        /// The overall state and the states of the nodes disagree. The worse one is shown.
        INCONSISTENT,
        /// The object exists, but the cloud has no state of it.
        STATE_NOT_FOUND,
        /// The VPN service of the connection is switched off.
        VPN_SERVICE_DISABLED,
        /// The connection is switched off on purpose.
        ADMIN_DISABLED,
        /// The provider has frozen the connection.
        FROZEN,
        /// The connection is gone, and not through this gateway.
        VANISHED,
        /// The cloud's answer may still describe the configuration before the update.
        AWAITING_PROOF,
        /// The cloud cannot tell whether its status reflects the last write. The status has not changed for the quiet
        /// time, so the gateway assumes that it does.
        ASSUMED_AFTER_QUIET_TIME,
        /// The gateway does not know the cloud's id of the write, so it cannot ask about it.
        NO_REQUEST_ID,
        /// The cloud has no VPN API at the expected place.
        API_ABSENT,
        /// No poll has run yet.
        NOT_OBSERVED,
        /// A later write or another client of the cloud removes the connection, or switched it off after this write.
        SUPERSEDED,
        /// IKE is negotiating the tunnel.
        IKE_NEGOTIATING,
        /// The tunnel is down. The message gives the cause.
        IKE_DOWN,
        /// The configuration is in place and no tunnel is up. The cloud gives no cause.
        TUNNEL_DOWN,
        /// Some nodes failed.
        PARTIAL_SUCCESS,
        /// The connection is gone, but some of the parts that were created with it remain.
        PARTS_REMAIN,
        /// No connection uses the part that was written.
        NOT_IN_USE,
    }
}

/// How far one node has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// The id that the cloud uses.
    pub id: String,
    /// The kind of node, in the cloud's words.
    pub kind: String,
    /// Human-readable name, if the cloud gives one.
    pub display_name: String,
    pub state: RealizationState,
    /// The state in the cloud's own words.
    pub native_state: String,
    /// The cloud's message, bounded and redacted.
    pub message: String,
}

/// Whether the security associations of a tunnel are established.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TunnelStatus {
    /// The cloud did not say.
    #[default]
    Unknown,
    /// All are up.
    Up,
    /// Some are up.
    Degraded,
    /// None is up.
    Down,
    /// IKE is negotiating.
    Negotiating,
}

/// What the cloud reports about the tunnel itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tunnel {
    pub status: TunnelStatus,
    /// The status in the cloud's own words.
    pub native_status: String,
    /// Why the tunnel is down, in the cloud's words.
    pub fail_reason: String,
    /// Number of tunnels.
    pub total: i64,
    /// Number of established tunnels.
    pub negotiated: i64,
    /// Number of failed tunnels.
    pub failed: i64,
    /// When the cloud last updated this status.
    pub update_time: Option<SystemTime>,
    /// Whether the cloud read the status from the nodes at the time of the poll, not from a cache.
    pub realtime: bool,
}
