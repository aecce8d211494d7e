//! The log: every change of every connection, in one order.
//!
//! ```text
//!   append ──► queue ──(writer: one task, one batch at a time)──► Store ──► committed ──► notify streams
//!      └─────► windows of the connection and of its backend, which streams read up to `committed`
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | the order: who has which revision, and up to where it is committed |
//! | `backend.rs` | what is appended, and the window of one backend |
//! | `window.rs` | the newest entries, and whether they cover a position |
//! | `writer.rs` | the one task that commits, and tells whoever waits |
//! | `observation.rs` | an entry |
//!
//! No stream is told of a change that a restart could forget: a client that resumes after it would go on from a
//! position that means something else. If the store cannot keep (a full disk), changes are committed all the same,
//! because whoever waits is better off; positions among them then end with the process, and the store says where
//! the gap is once it keeps again.

pub mod backend;
pub mod observation;
pub mod window;
pub mod writer;

pub use observation::{Observation, Wire};
pub use window::WINDOW_PER_CONNECTION;

use crate::{
    core::{
        store::{Recovered, Step},
        watch::{
            knowledge::Memory,
            log::{observation::Revision, window::Notifier},
        },
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
    /// Lives before this one, with the last revision of each.
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
    notifiers: Vec<Notifier>,
}

impl Log {
    /// Goes on from what a store has kept. Nothing is committed unless a [`writer::Writer`] runs.
    pub fn recovered(recovered: &Recovered) -> Log {
        let latest = recovered.connections.iter().map(|(latest, _)| latest);
        let kept = latest.chain(&recovered.log).map(|change| change.revision);
        // Whatever the store believes: no revision is ever given twice.
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

    /// This life of the log.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The newest revision, committed or not.
    pub fn latest(&self) -> Revision {
        self.queue().latest
    }

    /// The revision up to which changes are committed, and may be told.
    pub fn committed(&self) -> Revision {
        *self.committed.borrow()
    }

    /// Waits until that revision is committed.
    pub async fn wait_committed(&self, revision: Revision) {
        let mut committed = self.committed.subscribe();
        // The sender lives in `self`.
        let _ = committed.wait_for(|reached| *reached >= revision).await;
    }

    /// Whether a position was given out by this log, in this life or an earlier one.
    pub fn issued(&self, epoch: u64, revision: Revision) -> bool {
        let end = if epoch == self.epoch {
            Some(self.latest())
        } else {
            self.earlier.get(&epoch).copied()
        };
        end.is_some_and(|end| revision <= end)
    }

    /// The connection is no longer remembered.
    pub fn forget(&self, name: &ConnectionName) {
        self.queue().steps.push(Step::Forget(name.clone()));
        self.queued.notify_one();
    }

    /// Numbers an entry and queues it. Without a memory, all that is kept is that its revision was given.
    fn number(
        &self,
        mut entry: Observation,
        memory: Option<Memory>,
        notifiers: Vec<Notifier>,
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

    /// These changes left the window of their backend.
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
