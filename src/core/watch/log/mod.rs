//! The log: every change of every connection, in one order.
//!
//! ```text
//!   append ──► queue ──(writer: one task, one batch at a time)──► Store ──► committed ──► notify streams
//!      └─────► windows of the connection and of its backend, which streams read up to `committed`
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | the order: revisions, and up to which one changes are committed |
//! | `backend.rs` | what is appended, and the window of one backend |
//! | `window.rs` | the newest entries, and whether they cover a revision |
//! | `writer.rs` | the one task that commits and notifies |
//! | `observation.rs` | an entry |
//!
//! No stream sends a change that a restart could lose: a client that resumes after such a change would continue from a
//! position that means something else. If the store cannot keep a batch (a full disk), its changes are committed all
//! the same, because clients are better off with them. Positions among these changes end with the process, and the
//! store records the gap once it keeps batches again.

pub mod backend;
pub mod observation;
pub mod window;
pub mod writer;

pub use observation::{Observation, Wire};
pub use window::WINDOW_PER_CONNECTION;

use crate::{
    core::{
        notifier::Notifier,
        store::{Recovered, Step},
        watch::{knowledge::Memory, log::observation::Revision},
    },
    model::{BackendName, ConnectionName},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, watch};

/// The order of all changes.
#[derive(Debug)]
pub struct Log {
    epoch: u64,
    /// Earlier epochs, with the last revision of each.
    earlier: BTreeMap<u64, Revision>,
    queue: Mutex<Queue>,
    queued: Notify,
    committed: watch::Sender<Revision>,
}

/// What the writer has not taken yet.
#[derive(Debug, Default)]
struct Queue {
    latest: Revision,
    steps: Vec<Step>,
    notifiers: Vec<Arc<Notifier>>,
}

impl Log {
    /// Continues from what a store has kept. Nothing is committed unless a [`writer::Writer`] runs.
    pub fn recovered(recovered: &Recovered) -> Log {
        let latest = recovered.connections.iter().map(|(latest, _)| latest);
        let kept = latest.chain(&recovered.log).map(|change| change.revision);
        // No revision is ever given twice, whatever the store believes.
        let latest = kept.fold(recovered.last, u64::max);
        let queue = Queue {
            latest,
            ..Queue::default()
        };
        Log {
            epoch: recovered.epoch,
            earlier: recovered.earlier.clone(),
            queue: Mutex::new(queue),
            queued: Notify::new(),
            committed: watch::Sender::new(latest),
        }
    }

    /// Returns the epoch of this run of the log.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the newest revision, committed or not.
    pub fn latest(&self) -> Revision {
        self.queue().latest
    }

    /// Returns the revision up to which changes are committed and may be sent.
    pub fn committed(&self) -> Revision {
        *self.committed.borrow()
    }

    /// Waits until a revision is committed.
    pub async fn wait_committed(&self, revision: Revision) {
        let mut committed = self.committed.subscribe();
        // The sender lives in `self`.
        let _ = committed.wait_for(|reached| *reached >= revision).await;
    }

    /// Reports whether this log gave out the position of `epoch` and `revision`, in this epoch or an earlier one.
    pub fn issued(&self, epoch: u64, revision: Revision) -> bool {
        let end = if epoch == self.epoch {
            Some(self.latest())
        } else {
            self.earlier.get(&epoch).copied()
        };
        end.is_some_and(|end| revision <= end)
    }

    /// Has the store forget a connection.
    pub fn forget(&self, name: &ConnectionName) {
        self.queue().steps.push(Step::Forget(name.clone()));
        self.queued.notify_one();
    }

    /// Gives an entry the next revision and queues it. Without a memory, the store keeps only that the revision was
    /// given.
    fn number(
        &self,
        mut entry: Observation,
        memory: Option<Memory>,
        notifiers: Vec<Arc<Notifier>>,
    ) -> Arc<Observation> {
        let mut queue = self.queue();
        queue.latest += 1;
        entry.revision = queue.latest;
        let entry = Arc::new(entry);
        queue.steps.push(match memory {
            Some(memory) => Step::Change(Arc::clone(&entry), Arc::new(memory)),
            None => Step::Forget(entry.name.clone()),
        });
        queue.notifiers.extend(notifiers);
        self.queued.notify_one();
        entry
    }

    /// Queues the compaction of changes that left the window of their backend.
    fn compact(&self, backend: &BackendName, revisions: Vec<Revision>) {
        if !revisions.is_empty() {
            let steps = revisions.into_iter();
            let steps = steps.map(|revision| Step::Compact(backend.clone(), revision));
            self.queue().steps.extend(steps);
            self.queued.notify_one();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
