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

/// How many bytes of changes of one backend are remembered, about: the window is full before, unless states are of many
/// nodes.
pub const MOST_BYTES_PER_BACKEND: usize = 64 << 20;

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
    /// Of all of them.
    bytes: usize,
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
            bytes: changes.iter().map(|change| change.weight()).sum(),
            queue: changes.into(),
            forgotten,
        };
        let ring = Ring {
            backend,
            journal,
            entries: Mutex::new(entries),
            appended: Arc::default(),
        };
        ring.forget(&mut ring.entries());
        ring
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
        entries.bytes += entry.weight();
        entries.queue.push_back(Arc::clone(&entry));
        self.forget(&mut entries);
        drop(entries);
        self.journal.ring(entry.sequence, &self.appended);
        entry
    }

    /// Forgets the oldest beyond the bounds.
    fn forget(&self, entries: &mut Entries) {
        while entries.queue.len() > WINDOW_PER_BACKEND || entries.bytes > MOST_BYTES_PER_BACKEND {
            let Some(old) = entries.queue.pop_front() else {
                break;
            };
            entries.bytes -= old.weight();
            entries.forgotten = old.sequence;
            self.journal.compact(&self.backend, old.sequence);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::watch::{knowledge::View, log::Wire},
        model::ConnectionName,
    };

    #[test]
    fn what_is_remembered_is_bounded_in_bytes() {
        let backend: BackendName = "a".parse().unwrap();
        let name = ConnectionName::connection(&backend, "1").unwrap();
        let heavy = |epoch, sequence| Observation {
            name: name.clone(),
            epoch,
            sequence,
            previous: sequence - 1,
            observe_time: None,
            view: View {
                native_state: "x".repeat(MOST_BYTES_PER_BACKEND / 16),
                ..View::default()
            },
            wire: Wire::default(),
        };
        let kept = (1..=20).map(|sequence| Arc::new(heavy(1, sequence)));
        let journal = || Arc::new(Journal::volatile(1));
        let recalled = Ring::recalled(backend.clone(), journal(), kept.collect(), 0);
        assert_eq!(
            recalled.oldest(),
            5,
            "also of what was kept before there was a bound"
        );

        let ring = Ring::new(backend.clone(), journal());
        for _ in 0..20 {
            ring.append(heavy, Memory::default, &Bell::default());
        }
        assert_eq!(ring.oldest(), 5);
        assert_eq!(ring.between(4, 20), After::Compacted(5));
        let After::Entries(rest) = ring.between(5, 20) else {
            panic!("5 is the oldest position")
        };
        assert_eq!(rest.len(), 15);
    }
}
