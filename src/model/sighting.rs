//! What one poll saw.

use crate::model::nodes::Nodes;
use crate::model::realization::{Assurance, RealizationState, Reason, Tunnel};

/// What one poll saw, translated and not yet judged against any intent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sighting {
    /// The normalized status by the table, for a connection that is meant to carry traffic.
    pub state: RealizationState,
    /// How sure it is.
    pub assurance: Assurance,
    /// Why.
    pub reason: Option<Reason>,
    /// What the cloud literally said.
    pub native_state: String,
    /// The nodes.
    pub nodes: Nodes,
    /// The cloud says in so many words that it failed, of the whole or of any node. FAILED may rest on other words, too,
    /// which are no failure of a removal.
    pub says_failed: bool,
    /// The fields of the cloud's answer whose words nobody here knows, or that had none; each once.
    pub unrecognized: Vec<&'static str>,
    /// The tunnel, if asked for and offered.
    pub tunnel: Option<Tunnel>,
    /// Whether the cloud has the connection switched on, if the poll saw it.
    pub admin_enabled: Option<bool>,
    /// The upstream write requests, of those asked about, that this poll speaks for.
    pub request_ids: Vec<String>,
    /// What the cloud says of writes made elsewhere, by their upstream ids. One that it could not be asked about in
    /// this poll is not there.
    pub elsewhere: Vec<(String, Sighting)>,
}
