//! One entry of the log.

use crate::{core::watch::status::ConnectionStatus, model::ConnectionName};
use bytes::Bytes;
use std::{
    sync::{Arc, OnceLock},
    time::SystemTime,
};
use tokio::time::Instant;

/// A position in the log: the number of a change, over all connections of all backends. Those of one connection grow
/// strictly and are not contiguous.
pub type Revision = u64;

/// One entry of the log: what was said of a connection, and from which poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The connection.
    pub name: ConnectionName,
    /// The life of the log; grows whenever it starts anew.
    pub epoch: u64,
    /// Its own revision.
    pub revision: Revision,
    /// The revision of the connection's change before this one; before the first, where its window begins.
    pub previous: Revision,
    /// When the poll that saw this began; `None` if there was none. Never goes back.
    pub observe_time: Option<SystemTime>,
    /// What is said.
    pub status: ConnectionStatus,
    /// Its form on the wire.
    pub wire: Wire,
}

impl Observation {
    /// Where nothing was ever said of the connection: as of this position, if its window begins later. That revision may
    /// be of a change of another connection that is not committed yet, and is still to be told.
    pub fn no_later_unless_told(
        mut self: Arc<Observation>,
        position: Revision,
    ) -> Arc<Observation> {
        let is_told = self.revision != self.previous;
        if !is_told && self.revision > position {
            let unseen = Arc::make_mut(&mut self);
            (unseen.revision, unseen.previous) = (position, position);
        }
        self
    }

    /// At most how many bytes it takes to keep, about.
    pub fn weight(&self) -> usize {
        self.name.id.len() + self.status.weight()
    }
}

/// What an observation is on the wire, written once for all streams by whoever serves it; what the bytes mean is
/// not known here. A copy begins without, and two observations that say the same are equal whatever is in it.
#[derive(Debug, Default)]
pub struct Wire {
    /// When the poll ended that found it, from where its way to the wire is counted; `None` if it was not found by a poll
    /// of this process.
    pub found: Option<Instant>,
    /// On a stream of its connection.
    pub alone: OnceLock<Bytes>,
    /// On a stream over many connections.
    pub among_many: OnceLock<Bytes>,
}

impl Clone for Wire {
    fn clone(&self) -> Wire {
        Wire {
            found: self.found,
            ..Wire::default()
        }
    }
}

impl PartialEq for Wire {
    fn eq(&self, _: &Wire) -> bool {
        true
    }
}

impl Eq for Wire {}
