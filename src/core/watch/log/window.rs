//! The newest entries of the log, for one connection or one backend: bounded in count and in bytes.

use crate::core::{
    error::{Error, ErrorKind, ErrorReason},
    notifier::{Follower, Notifier},
    watch::log::observation::{Observation, Revision},
};
use std::{collections::VecDeque, sync::Arc};

/// How many changes of one connection are remembered. A resume from further back is out of range.
pub const WINDOW_PER_CONNECTION: usize = 64;

/// Approximate limit of the remembered bytes of one connection. It is reached before the limit of changes only by
/// statuses with many nodes and long messages.
pub const MOST_BYTES_PER_CONNECTION: usize = 1 << 20;

/// How many changes of one backend are remembered, for watches over many connections.
pub const WINDOW_PER_BACKEND: usize = 65_536;

/// Approximate limit of the remembered bytes of one backend. The limit of changes is reached first, unless statuses
/// have many nodes.
pub const MOST_BYTES_PER_BACKEND: usize = 64 << 20;

/// Changes after the requested revision are no longer remembered. All changes after the revision in this error are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted(pub Revision);

impl From<Compacted> for Error {
    fn from(Compacted(oldest): Compacted) -> Error {
        let mut error = Error::new(
            ErrorKind::OutOfRange,
            ErrorReason::Compacted,
            format!(
                "what came after that position is no longer remembered; the oldest position is {oldest}"
            ),
        );
        let metadata = &mut error.context.metadata;
        metadata.push(("oldest_sequence", oldest.to_string()));
        error
    }
}

/// A window, oldest entry first. The newest entry always stays.
#[derive(Debug)]
pub struct Window {
    entries: VecDeque<Arc<Observation>>,
    most_entries: usize,
    /// The total weight of the entries.
    bytes: usize,
    most_bytes: usize,
    compacted: Revision,
    /// Notified by the log's writer when entries of the window are committed.
    notifier: Arc<Notifier>,
}

impl Window {
    /// Creates an empty window of one connection. Nothing up to `compacted` is known here.
    pub fn of_connection(compacted: Revision) -> Window {
        Window::new(compacted, WINDOW_PER_CONNECTION, MOST_BYTES_PER_CONNECTION)
    }

    /// Creates an empty window of one backend.
    pub fn of_backend(compacted: Revision) -> Window {
        Window::new(compacted, WINDOW_PER_BACKEND, MOST_BYTES_PER_BACKEND)
    }

    /// Rebuilds the window of one connection from its changes in order, the newest last. Keeps the last run without a
    /// gap.
    pub fn recovered(changes: &[Arc<Observation>]) -> Window {
        let mut window = Window::of_connection(0);
        for change in changes {
            if window.latest() != change.previous {
                window = Window::of_connection(change.previous);
            }
            window.push(Arc::clone(change));
        }
        window
    }

    fn new(compacted: Revision, most_entries: usize, most_bytes: usize) -> Window {
        Window {
            entries: VecDeque::new(),
            most_entries,
            bytes: 0,
            most_bytes,
            compacted,
            notifier: Arc::default(),
        }
    }

    /// Adds an entry and drops the oldest beyond the bounds. Returns the revisions of the dropped entries.
    pub fn push(&mut self, entry: Arc<Observation>) -> Vec<Revision> {
        self.bytes += entry.weight();
        self.entries.push_back(entry);
        let mut dropped = Vec::new();
        while self.entries.len() > 1
            && (self.entries.len() > self.most_entries || self.bytes > self.most_bytes)
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= oldest.weight();
            self.compacted = oldest.revision;
            dropped.push(oldest.revision);
        }
        dropped
    }

    /// Wakes the followers of the window although nothing was committed.
    pub fn wake(&self) {
        self.notifier.notify();
    }

    /// Reports whether everything after a position is remembered.
    pub fn covers(&self, position: Revision) -> bool {
        position >= self.compacted
    }

    /// Returns the oldest position after which everything is remembered.
    pub fn compacted(&self) -> Revision {
        self.compacted
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the revision of the newest entry, committed or not; without entries, the compacted revision.
    pub fn latest(&self) -> Revision {
        let newest = self.entries.back();
        newest.map_or(self.compacted, |newest| newest.revision)
    }

    /// Returns the newest entry up to `committed`.
    pub fn latest_committed(&self, committed: Revision) -> Option<&Arc<Observation>> {
        let mut newest_first = self.entries.iter().rev();
        newest_first.find(|entry| entry.revision <= committed)
    }

    /// Returns the entries after the revision `position` up to `committed`, oldest first.
    ///
    /// # Errors
    /// If some of them are not remembered.
    pub fn after(
        &self,
        position: Revision,
        committed: Revision,
    ) -> Result<Vec<Arc<Observation>>, Compacted> {
        if !self.covers(position) {
            return Err(Compacted(self.compacted));
        }
        let up_to = |bound| self.entries.partition_point(|it| it.revision <= bound);
        let (begin, end) = (up_to(position), up_to(committed.max(position)));
        Ok(self.entries.range(begin..end).cloned().collect())
    }

    /// Returns a follower that is woken whenever entries are committed.
    pub fn follow(&self) -> Follower {
        self.notifier.follow()
    }

    /// Returns what wakes the followers of the window.
    pub fn notifier(&self) -> Arc<Notifier> {
        Arc::clone(&self.notifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::watch::{log::observation::Wire, status::ConnectionStatus},
        model::ConnectionName,
    };

    fn entry(revision: u64, previous: u64) -> Arc<Observation> {
        heavy(revision, previous, 0)
    }

    fn heavy(revision: u64, previous: u64, bytes: usize) -> Arc<Observation> {
        Arc::new(Observation {
            name: ConnectionName::connection(&"a".parse().unwrap(), "1").unwrap(),
            epoch: 1,
            revision,
            previous,
            observe_time: None,
            status: ConnectionStatus {
                native_state: "x".repeat(bytes),
                ..ConnectionStatus::default()
            },
            wire: Wire::default(),
        })
    }

    #[test]
    fn what_comes_after_a_position_is_whole_or_refused() {
        let mut window = Window::of_connection(0);
        assert_eq!(window.after(0, 99), Ok(vec![]));
        for revision in (2..).step_by(2).take(WINDOW_PER_CONNECTION + 3) {
            window.push(entry(revision, revision - 2));
        }
        assert_eq!(window.after(5, 999), Err(Compacted(6)));
        assert_eq!((window.covers(5), window.covers(6)), (false, true));
        let entries = window.after(6, 999).unwrap();
        assert_eq!(entries.len(), WINDOW_PER_CONNECTION);
        assert_eq!(entries[0].revision, 8);
        assert_eq!(window.after(window.latest(), 999), Ok(vec![]));
    }

    #[test]
    fn much_is_remembered_for_fewer_changes_and_the_newest_always() {
        let mut window = Window::of_connection(0);
        for revision in 1..=20 {
            window.push(heavy(revision, revision - 1, MOST_BYTES_PER_CONNECTION / 9));
        }
        assert_eq!((window.entries.len(), window.compacted()), (8, 12));
        let dropped = window.push(heavy(21, 20, 2 * MOST_BYTES_PER_CONNECTION));
        assert_eq!(dropped, (13..=20).collect::<Vec<_>>());
        assert_eq!((window.entries.len(), window.compacted()), (1, 20));
        window.push(entry(22, 21));
        assert_eq!((window.entries.len(), window.compacted()), (1, 21));
    }

    #[test]
    fn what_is_not_committed_yet_is_not_there() {
        let mut window = Window::of_connection(1);
        window.push(entry(2, 1));
        window.push(entry(4, 2));
        assert_eq!(window.after(1, 3), Ok(vec![entry(2, 1)]));
        assert_eq!(window.after(4, 3), Ok(vec![]), "of a position ahead of it");
        assert_eq!(window.latest_committed(3), Some(&entry(2, 1)));
        assert_eq!((window.latest_committed(1), window.latest()), (None, 4));
        assert_eq!(window.after(0, 3), Err(Compacted(1)), "not known here");
    }

    #[test]
    fn a_window_that_was_kept_with_a_gap_begins_after_it() {
        let window = Window::recovered(&[entry(2, 1), entry(3, 2), entry(9, 7), entry(12, 9)]);
        assert_eq!(window.after(3, 99), Err(Compacted(7)));
        assert_eq!(window.after(7, 99), Ok(vec![entry(9, 7), entry(12, 9)]));
    }
}
