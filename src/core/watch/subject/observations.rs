//! What was said of a connection, in its window of the log.

use super::{State, Subject};
use crate::{
    core::watch::{
        knowledge::Memory,
        log::{Observation, Wire, backend::Draft, observation::Revision, window::Compacted},
        status::View,
    },
    model::{Assurance, RealizationState, Reason, codes},
};
use std::sync::Arc;
use tokio::sync::watch;

impl Subject {
    /// Appends what is known now to the log.
    pub(super) fn append(&self, state: &mut State) {
        let view = state.knowledge.view().cloned().unwrap_or_default();
        state.known |= view.assurance > Assurance::None && view.state != RealizationState::Deleted;
        let memory = state.known.then(|| Memory {
            wanted: state.writes.clone(),
            ..state.knowledge.memory()
        });
        let draft = Draft {
            name: self.name.clone(),
            // Of the last poll that saw anything, also where an entry is not from a poll.
            observe_time: state.observe_time,
            view,
            memory,
        };
        self.ring.append(&mut state.log, draft);
    }

    /// The newest entry that is committed, and whether it is the newest of all.
    pub(super) fn newest(&self, state: &State) -> (Option<Arc<Observation>>, bool) {
        let committed = self.ring.log().committed();
        let last = state.log.latest_committed(committed).cloned();
        (last, state.log.latest() <= committed)
    }

    /// What is said now; UNKNOWN if nothing is known.
    pub fn last_or_unseen(&self) -> Arc<Observation> {
        let state = self.state();
        if let (Some(last), _) = self.newest(&state) {
            return last;
        }
        let begin = state.log.compacted();
        Arc::new(Observation {
            name: self.name.clone(),
            epoch: self.ring.log().epoch(),
            sequence: begin,
            previous: begin,
            observe_time: None,
            view: View {
                reason: Some(Reason::new(codes::NOT_OBSERVED, "nobody has looked yet")),
                ..View::default()
            },
            wire: Wire::default(),
        })
    }

    /// Has the log of all connections forget this one, which is forgotten itself.
    pub fn forget(&self) {
        if !self.state().log.is_empty() {
            self.ring.log().forget(&self.name);
        }
    }

    /// Waits until everything that was said of it so far is committed.
    pub async fn wait_committed(&self) {
        let latest = self.state().log.latest();
        self.ring.log().wait_committed(latest).await;
    }

    /// Everything said after a position.
    ///
    /// # Errors
    /// If some of it is not remembered.
    pub fn after(&self, position: Revision) -> Result<Vec<Arc<Observation>>, Compacted> {
        let committed = self.ring.log().committed();
        self.state().log.after(position, committed)
    }

    /// Whether everything after a position is remembered.
    pub fn covers(&self, position: Revision) -> bool {
        self.state().log.covers(position)
    }

    /// The oldest position after which everything is remembered.
    pub fn compacted(&self) -> Revision {
        self.state().log.compacted()
    }

    /// Told of every change.
    pub fn subscribe(&self) -> watch::Receiver<Revision> {
        self.state().log.subscribe()
    }
}
