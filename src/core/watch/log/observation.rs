//! One entry of the log.

use crate::{core::watch::status::ConnectionStatus, model::ConnectionName};
use bytes::Bytes;
use std::{
    sync::{Arc, OnceLock},
    time::SystemTime,
};
use tokio::time::Instant;

/// The number of a change in the log, counted over all connections of all backends. The revisions of one connection
/// grow strictly and are not contiguous.
pub type Revision = u64;

/// An entry of the log: the status of a connection, and the poll it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub name: ConnectionName,
    /// The epoch of the log; grows with every restart.
    pub epoch: u64,
    pub revision: Revision,
    /// The revision of the connection's previous change; for the first, the compacted revision of its window.
    pub previous: Revision,
    /// When the poll that saw the status began; `None` if there was none. Never goes back.
    pub observe_time: Option<SystemTime>,
    pub status: ConnectionStatus,
    pub wire: Wire,
}

impl Observation {
    /// Moves the observation of a connection without any change back to the revision `position`, if its window begins
    /// later. That later revision may belong to an uncommitted change of another connection, which is still to be sent.
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

    /// Estimates an upper bound of the stored size in bytes.
    pub fn weight(&self) -> usize {
        self.name.id.len() + self.status.weight()
    }
}

/// The encoded form of an observation, written once for all streams by the layer that serves them; its meaning is not
/// known here. A clone starts without the encoded bytes, and the field does not affect the equality of observations.
#[derive(Debug, Default)]
pub struct Wire {
    /// When the poll that found the change ended, from where its delivery lag is counted; `None` if no poll of this
    /// process found it.
    pub found: Option<Instant>,
    /// The message for a stream over the connection.
    pub alone: OnceLock<Bytes>,
    /// The message for a stream over many connections.
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
