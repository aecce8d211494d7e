//! What an agent keeps to, knows and is about to say: its own words, which rows carry.

use std::time::Duration;

use tokio::time::Instant;

/// Who moves the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentPace {
    /// Nobody but the levers of [`OpenstackState`](crate::simulator::openstack::OpenstackState).
    #[default]
    Manual,
    /// An agent that syncs and reports by itself.
    Elapsed {
        /// From the write to the report that the connection is installed: DOWN. On a real cloud 0.5 to 5 s.
        installed: Duration,
        /// From there to the report that a security association is there: ACTIVE. On a real cloud up to 60 s.
        established: Duration,
        /// Whether a PUT makes an ACTIVE connection go DOWN and come back, as a restarted process does.
        dip_on_update: bool,
    },
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFate {
    /// The status was written.
    Written,
    /// The row is PENDING and the report was not made after a sync: dropped.
    DroppedPending,
    /// The connection was created disabled, so no agent knows of it: no such report is ever sent.
    NeverReported,
    /// There is no such connection (any more): skipped.
    UnknownId,
}

/// What the agent knows of one row, and will say of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    /// Whether it was ever reported.
    pub(crate) reported: bool,
    /// Reports to come, the earliest first.
    pub(crate) due: Vec<Due>,
}

impl Memo {
    /// Forgets the reports to come: silence until the next sync, because nothing changes.
    pub(crate) fn fall_silent(&mut self) {
        self.due.clear();
    }
}

/// A report to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    pub(crate) status: &'static str,
}
