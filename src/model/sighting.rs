//! The result of polling one connection.

use crate::model::nodes::Nodes;
use crate::model::realization::{Assurance, RealizationState, Reason, Tunnel};

/// What one poll saw of a connection: translated into the model, not yet judged against any intent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sighting {
    /// The normalized state from the dialect's table, for a connection that is meant to carry traffic.
    pub state: RealizationState,
    pub assurance: Assurance,
    pub reason: Option<Reason>,
    /// The state in the cloud's own words.
    pub native_state: String,
    pub nodes: Nodes,
    /// Whether the cloud literally reports a failure, of the connection or of any node. `Failed` may also rest on other
    /// words, which are no failure while the connection is being removed.
    pub says_failed: bool,
    /// Fields of the cloud's answer that are missing or hold values that the dialect does not know, each listed once.
    pub unrecognized: Vec<&'static str>,
    /// The tunnel, if the poll asked for it and the cloud offers it.
    pub tunnel: Option<Tunnel>,
    /// Whether the connection is switched on in the cloud. `None` if the poll did not see it.
    pub admin_enabled: Option<bool>,
    /// Ids of the upstream write requests that this poll speaks for, out of those it asked about.
    pub request_ids: Vec<String>,
    /// What the cloud reports for writes made by other clients, keyed by upstream id. A write that this poll could not
    /// ask about is missing.
    pub elsewhere: Vec<(String, Sighting)>,
}
