//! The changes of all connections of one backend, in order, for watches over many.

use crate::core::watch::log::{After, Observation};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;

/// How many changes of one backend are remembered for watches over many.
pub const WINDOW_PER_BACKEND: usize = 65_536;

/// The sequence of the whole log: every change of every backend gets the next number.
#[derive(Debug)]
pub struct Sequence {
    epoch: u64,
    last: AtomicU64,
}

impl Sequence {
    /// A log that starts anew.
    pub fn new(epoch: u64) -> Sequence {
        Sequence {
            epoch,
            last: AtomicU64::new(0),
        }
    }

    /// The log's life.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last number given.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }
}

/// The remembered changes of one backend.
#[derive(Debug)]
pub struct Ring {
    sequence: Arc<Sequence>,
    entries: Mutex<Entries>,
    /// Wakes the watches over many.
    appended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Entries {
    queue: VecDeque<Arc<Observation>>,
    forgotten: u64,
}

impl Ring {
    /// An empty one.
    pub fn new(sequence: Arc<Sequence>) -> Ring {
        // What came before this ring began is not in it.
        let forgotten = sequence.last();
        let entries = Mutex::new(Entries {
            forgotten,
            ..Entries::default()
        });
        Ring {
            sequence,
            entries,
            appended: watch::Sender::new(0),
        }
    }

    /// Numbers a change and adds it. Numbering happens under the lock, so that the ring is in order and
    /// nothing with a lower number can still be on its way once the lock is had.
    pub fn append(&self, make: impl FnOnce(u64, u64) -> Observation) -> Arc<Observation> {
        let mut entries = self.entries();
        let number = self.sequence.last.fetch_add(1, Ordering::SeqCst) + 1;
        let entry = Arc::new(make(self.sequence.epoch, number));
        entries.queue.push_back(Arc::clone(&entry));
        if entries.queue.len() > WINDOW_PER_BACKEND
            && let Some(old) = entries.queue.pop_front()
        {
            entries.forgotten = old.sequence;
        }
        drop(entries);
        self.appended.send_replace(number);
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

    /// The log's life.
    pub fn epoch(&self) -> u64 {
        self.sequence.epoch()
    }

    /// Told of every change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
