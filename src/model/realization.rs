//! How far a cloud has come, how sure that is, and what it is judged against.

use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// The one normalized status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RealizationState {
    /// Nothing is known, or the cloud itself does not know.
    #[default]
    Unknown,
    /// The write was taken; nothing has been seen of it yet.
    Accepted,
    /// Not begun.
    Pending,
    /// Under way.
    InProgress,
    /// Some nodes have it, some failed.
    Partial,
    /// The configuration is in place.
    Realized,
    /// The tunnel is up.
    Active,
    /// Some tunnels are up.
    Degraded,
    /// The configuration is in place; no tunnel.
    Down,
    /// Switched off.
    Disabled,
    /// The cloud reports a failure.
    Failed,
    /// Being removed.
    Deleting,
    /// Proven gone.
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

/// How sure a state is. Ordered: higher includes lower.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Assurance {
    /// Nothing was read.
    #[default]
    None,
    /// The object was read, or the write accepted.
    IntentStored,
    /// The control plane has handed it out.
    ControlPlane,
    /// The nodes say it is in effect.
    InEffect,
    /// A tunnel is up.
    TunnelUp,
}

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Goal {
    /// The control plane has it.
    Config,
    /// It is in effect on the nodes.
    InEffect,
    /// A tunnel is up.
    TunnelUp,
    /// It is gone.
    Gone,
}

/// What is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Intent {
    /// Not known yet; judged as enabled.
    #[default]
    Unknown,
    /// Carry traffic.
    Enabled,
    /// Exist, switched off.
    Disabled,
    /// Be gone.
    Deleted,
}

/// Why a state is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable, UPPER_SNAKE_CASE: one of [`codes`], or a value of the cloud that is itself a reason.
    pub code: String,
    /// A sentence for people, already bounded and redacted.
    pub message: String,
}

impl Reason {
    /// A reason with its sentence.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Reason {
        Reason {
            code: code.into(),
            message: message.into(),
        }
    }
}

/// The reason codes of realization.
pub mod codes {
    /// Each code is its own name, and none can be left out of [`ALL`].
    macro_rules! codes {
        ($($(#[$meaning:meta])+ $name:ident,)+) => {
            $($(#[$meaning])+ pub const $name: &str = stringify!($name);)+

            /// Every code.
            pub const ALL: &[&str] = &[$($name),+];
        };
    }

    codes! {
        /// The cloud itself says it does not know.
        UPSTREAM_UNKNOWN,
        /// The cloud is at it, and says something about that.
        UPSTREAM_IN_PROGRESS,
        /// The cloud gave a value that is in no table, or none.
        UNRECOGNIZED_VALUE,
        /// The cloud reports a failure.
        UPSTREAM_ERROR,
        /// The cloud refuses the gateway's login.
        UPSTREAM_AUTH,
        /// The cloud cannot be reached, and nothing was known before.
        UPSTREAM_UNREACHABLE,
        /// The object has lost what it belongs to.
        ORPHANED,
        /// The whole and its nodes disagree; the worse is shown.
        INCONSISTENT,
        /// The object is there, but no state of it.
        STATE_NOT_FOUND,
        /// The service the connection belongs to is switched off.
        VPN_SERVICE_DISABLED,
        /// The connection is switched off on purpose.
        ADMIN_DISABLED,
        /// The provider has frozen the connection.
        FROZEN,
        /// Gone, and nobody here removed it.
        VANISHED,
        /// What the cloud says may still describe the configuration before the update.
        AWAITING_PROOF,
        /// The cloud cannot tell which write its status speaks for; it has been quiet long enough.
        ASSUMED_AFTER_QUIET_TIME,
        /// The cloud's id of the write is not known, so nothing can be asked about it.
        NO_REQUEST_ID,
        /// The cloud has no VPN API where it is expected.
        API_ABSENT,
        /// Nobody has polled yet.
        NOT_OBSERVED,
        /// Another write, or somebody else, is removing the connection.
        SUPERSEDED,
        /// The tunnel is being negotiated.
        IKE_NEGOTIATING,
        /// The tunnel is down, for a reason in the message.
        IKE_DOWN,
        /// The configuration is in place and no tunnel is up; the cloud does not say why.
        TUNNEL_DOWN,
        /// Some nodes failed.
        PARTIAL_SUCCESS,
        /// The connection itself is gone, but not all that was made together with it.
        PARTS_REMAIN,
        /// No connection uses the part that was written.
        NOT_IN_USE,
    }
}

/// How far one node has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// The cloud's id of it.
    pub id: String,
    /// What kind, as the cloud calls it.
    pub kind: String,
    /// Its name, if the cloud tells.
    pub display_name: String,
    /// The normalized state.
    pub state: RealizationState,
    /// What the cloud literally said.
    pub native_state: String,
    /// The cloud's words, bounded and redacted.
    pub message: String,
}

/// Whether security associations are there.
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
    /// Being negotiated.
    Negotiating,
}

/// What the cloud says of the tunnel itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tunnel {
    /// Whether security associations are there.
    pub status: TunnelStatus,
    /// What the cloud literally said.
    pub native_status: String,
    /// Why it is down, in the cloud's words.
    pub fail_reason: String,
    /// Tunnels in all.
    pub total: i64,
    /// Tunnels established.
    pub negotiated: i64,
    /// Tunnels failed.
    pub failed: i64,
    /// When the cloud last updated this.
    pub update_time: Option<SystemTime>,
    /// Read from the nodes at the time of the poll, not from a cache.
    pub realtime: bool,
}
