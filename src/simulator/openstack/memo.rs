//! The pace of the agent, and what it knows and will report about each row.

use std::time::Duration;

use tokio::time::Instant;

/// What moves the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentPace {
    /// Only the levers of [`OpenstackState`](crate::simulator::openstack::OpenstackState).
    #[default]
    Manual,
    /// An agent that syncs and reports by itself.
    Elapsed {
        /// Time from the write to the report that the connection is installed: DOWN. 0.5 to 5 s on a real cloud.
        installed: Duration,
        /// Time from there to the report of an established security association: ACTIVE. Up to 60 s on a real cloud.
        established: Duration,
        /// Whether a PUT makes an ACTIVE connection go DOWN and come back, as with a restarted process.
        dip_on_update: bool,
    },
}

/// The result of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFate {
    /// The status was written.
    Written,
    /// Dropped: the row is PENDING and the report was not made after a sync.
    DroppedPending,
    /// Never sent: the connection was created disabled, so no agent knows it.
    NeverReported,
    /// Skipped: there is no such connection.
    UnknownId,
}

/// What the agent knows about one row, and what it will report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    /// Whether the agent ever reported the row.
    pub(crate) reported: bool,
    /// Scheduled reports, earliest first.
    pub(crate) due: Vec<Due>,
}

impl Memo {
    /// Drops the scheduled reports. The agent stays silent until the next sync.
    pub(crate) fn fall_silent(&mut self) {
        self.due.clear();
    }
}

/// A scheduled report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    pub(crate) status: &'static str,
}
