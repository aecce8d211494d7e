//! The changes of all connections of one backend, in order, for watches over many.

use crate::{
    core::watch::{
        journal::{Bell, Journal},
        knowledge::Memory,
        log::{After, Observation},
    },
    model::BackendName,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// How many changes of one backend are remembered for watches over many.
pub const WINDOW_PER_BACKEND: usize = 65_536;

/// The remembered changes of one backend.
#[derive(Debug)]
pub struct Ring {
    backend: BackendName,
    journal: Arc<Journal>,
    entries: Mutex<Entries>,
    /// Wakes the watches over many.
    appended: Bell,
}

#[derive(Debug, Default)]
struct Entries {
    queue: VecDeque<Arc<Observation>>,
    forgotten: u64,
}

impl Ring {
    /// An empty one.
    pub fn new(backend: BackendName, journal: Arc<Journal>) -> Ring {
        // What came before this ring began is not in it.
        let forgotten = journal.last();
        Ring::recalled(backend, journal, Vec::new(), forgotten)
    }

    /// With changes that were kept, in order; the highest that was forgotten is `forgotten`.
    pub fn recalled(
        backend: BackendName,
        journal: Arc<Journal>,
        changes: Vec<Arc<Observation>>,
        forgotten: u64,
    ) -> Ring {
        let entries = Entries {
            queue: changes.into(),
            forgotten,
        };
        Ring {
            backend,
            journal,
            entries: Mutex::new(entries),
            appended: Arc::default(),
        }
    }

    /// Numbers a change and adds it; `bell` is rung once it is shown. Numbering happens under the lock, so that
    /// the ring is in order and nothing with a lower number can still be on its way once the lock is had.
    pub fn append(
        &self,
        make: impl FnOnce(u64, u64) -> Observation,
        memory: impl FnOnce() -> Memory,
        bell: &Bell,
    ) -> Arc<Observation> {
        let mut entries = self.entries();
        let entry = self.journal.append(make, memory, &[bell, &self.appended]);
        entries.queue.push_back(Arc::clone(&entry));
        if entries.queue.len() > WINDOW_PER_BACKEND
            && let Some(old) = entries.queue.pop_front()
        {
            entries.forgotten = old.sequence;
            self.journal.compact(&self.backend, old.sequence);
        }
        drop(entries);
        self.journal.ring(entry.sequence, &self.appended);
        entry
    }

    /// Everything after `from` up to and including `to`.
    pub fn between(&self, from: u64, to: u64) -> After {
        let entries = self.entries();
        if from < entries.forgotten {
            return After::Compacted(entries.forgotten);
        }
        let start = entries
            .queue
            .partition_point(|entry| entry.sequence <= from);
        let end = entries.queue.partition_point(|entry| entry.sequence <= to);
        After::Entries(entries.queue.range(start..end).cloned().collect())
    }

    /// The oldest position after which everything is remembered.
    pub fn oldest(&self) -> u64 {
        self.entries().forgotten
    }

    /// The log it is a part of.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Told of every change that is shown.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
