//! The observations of a connection, in its window of the log.

use super::{State, Subject};
use crate::{
    core::{
        notifier::Follower,
        watch::{
            knowledge::Memory,
            log::{Observation, Wire, backend::Draft, observation::Revision, window::Compacted},
            status::ConnectionStatus,
        },
    },
    model::{Assurance, RealizationState, Reason, codes},
};
use std::sync::Arc;
use tokio::time::Instant;

impl Subject {
    /// Appends the present status to the log; `found` is when the poll that brought it ended.
    pub(super) fn append(&self, state: &mut State, found: Option<Instant>) {
        let status = state.knowledge.status().cloned().unwrap_or_default();
        state.known |=
            status.assurance > Assurance::None && status.state != RealizationState::Deleted;
        let memory = state.known.then(|| Memory {
            wanted: state.writes.clone(),
            ..state.knowledge.memory()
        });
        let draft = Draft {
            name: self.name.clone(),
            // The time of the last poll that saw anything, even for an entry that is not from a poll.
            observe_time: state.observe_time,
            found,
            status,
            memory,
        };
        self.log.append(&mut state.window, draft);
    }

    /// Returns the newest committed entry, and whether it is the newest of all.
    pub(super) fn newest(&self, state: &State) -> (Option<Arc<Observation>>, bool) {
        let committed = self.log.shared().committed();
        let last = state.window.latest_committed(committed).cloned();
        (last, state.window.latest() <= committed)
    }

    /// Returns the observation as of a revision; `None` if there was none, or it is not remembered.
    pub fn at(&self, position: Revision) -> Option<Arc<Observation>> {
        let position = position.min(self.log.shared().committed());
        self.state().window.latest_committed(position).cloned()
    }

    /// Returns the latest committed observation; UNKNOWN if there is none.
    pub fn latest(&self) -> Arc<Observation> {
        let state = self.state();
        if let (Some(last), _) = self.newest(&state) {
            return last;
        }
        let begin = state.window.compacted();
        Arc::new(Observation {
            name: self.name.clone(),
            epoch: self.log.shared().epoch(),
            revision: begin,
            previous: begin,
            observe_time: None,
            status: ConnectionStatus {
                reason: Some(Reason::new(codes::NOT_OBSERVED, "nobody has looked yet")),
                ..ConnectionStatus::default()
            },
            wire: Wire::default(),
        })
    }

    /// Has the shared log forget the connection, which the gateway forgets itself.
    pub fn forget(&self) {
        if !self.state().window.is_empty() {
            self.log.shared().forget(&self.name);
        }
    }

    /// Waits until every change of the connection so far is committed.
    pub async fn wait_committed(&self) {
        let latest = self.state().window.latest();
        self.log.shared().wait_committed(latest).await;
    }

    /// Returns the observations after the revision `position`.
    ///
    /// # Errors
    /// If some of them are not remembered.
    pub fn after(&self, position: Revision) -> Result<Vec<Arc<Observation>>, Compacted> {
        let committed = self.log.shared().committed();
        self.state().window.after(position, committed)
    }

    /// Reports whether every change after a revision is remembered.
    pub fn covers(&self, position: Revision) -> bool {
        self.state().window.covers(position)
    }

    /// Returns the lowest revision after which every change is remembered.
    pub fn compacted(&self) -> Revision {
        self.state().window.compacted()
    }

    /// Returns a follower that is woken by every committed change.
    pub fn follow(&self) -> Follower {
        self.state().window.follow()
    }
}
