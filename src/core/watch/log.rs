//! The observation log: what was said of each connection, in order, in a bounded window.

use crate::{core::watch::knowledge::View, model::ConnectionName};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

/// How many changes of one connection are remembered. A resume from further back is out of range.
pub const WINDOW_PER_CONNECTION: usize = 64;

/// How many bytes of changes of one connection are remembered, about; the newest always is. Only a state of many nodes
/// that each say much fills it before the window does.
pub const MOST_BYTES_PER_CONNECTION: usize = 1 << 20;

/// One entry of the log: what was said of a connection, and from which look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The connection.
    pub name: ConnectionName,
    /// The life of the log; grows whenever it starts anew.
    pub epoch: u64,
    /// Grows over the whole log, so strictly for each connection. Not contiguous.
    pub sequence: u64,
    /// The sequence of the connection's change before this one; before the first, where its log begins.
    pub previous: u64,
    /// When the look that saw this began; `None` if there was none. Never goes back.
    pub observe_time: Option<SystemTime>,
    /// What is said.
    pub view: View,
    /// Its form on the wire.
    pub wire: Wire,
}

impl Observation {
    /// At most how many bytes it takes to keep, about.
    pub fn weight(&self) -> usize {
        self.name.id.len() + self.view.weight()
    }
}

/// What an observation is on the wire, written once for all streams by whoever serves it; what the bytes mean is
/// not known here. A copy begins without, and two observations that say the same are equal whatever is in it.
#[derive(Debug, Default)]
pub struct Wire {
    /// On a stream of its connection.
    pub alone: OnceLock<Bytes>,
    /// On a stream over many connections.
    pub among_many: OnceLock<Bytes>,
}

impl Clone for Wire {
    fn clone(&self) -> Wire {
        Wire::default()
    }
}

impl PartialEq for Wire {
    fn eq(&self, _: &Wire) -> bool {
        true
    }
}

impl Eq for Wire {}

/// The remembered changes of one connection, oldest first.
#[derive(Debug)]
pub struct Log {
    entries: VecDeque<Arc<Observation>>,
    /// Of all of them.
    bytes: usize,
    /// The position before the oldest change that is remembered.
    begin: u64,
}

/// What comes after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// These, oldest first; possibly none.
    Entries(Vec<Arc<Observation>>),
    /// Some of it is forgotten; this is the oldest position that is remembered.
    Compacted(u64),
}

impl Log {
    /// Without changes. What came before `begin` is not known here, whatever it was.
    pub fn starting_at(begin: u64) -> Log {
        Log {
            entries: VecDeque::new(),
            bytes: 0,
            begin,
        }
    }

    /// From changes of one connection in order, of which the last is its newest: those of them that follow each
    /// other without a gap.
    pub fn recalled(changes: &[Arc<Observation>]) -> Log {
        let mut log = Log::starting_at(0);
        for change in changes {
            if log.position() != change.previous {
                log = Log::starting_at(change.previous);
            }
            log.push(Arc::clone(change));
        }
        log
    }

    /// Adds an entry, and forgets the oldest beyond the window.
    pub fn push(&mut self, entry: Arc<Observation>) {
        self.bytes += entry.weight();
        self.entries.push_back(entry);
        let too_many = |log: &Log| {
            let window = log.entries.len() > WINDOW_PER_CONNECTION;
            window || (log.bytes > MOST_BYTES_PER_CONNECTION && log.entries.len() > 1)
        };
        while too_many(self) {
            if let Some(old) = self.entries.pop_front() {
                self.bytes -= old.weight();
                self.begin = old.sequence;
            }
        }
    }

    /// The position before the oldest change that is remembered.
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// The sequence of the newest entry; without any, where the log begins.
    pub fn position(&self) -> u64 {
        self.entries.back().map_or(self.begin, |last| last.sequence)
    }

    /// The newest entry up to `shown`.
    pub fn last(&self, shown: u64) -> Option<&Arc<Observation>> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.sequence <= shown)
    }

    /// Everything after `sequence` up to `shown`.
    pub fn after(&self, sequence: u64, shown: u64) -> After {
        if sequence < self.begin {
            return After::Compacted(self.begin);
        }
        let start = self
            .entries
            .partition_point(|entry| entry.sequence <= sequence);
        let entries = self.entries.range(start..);
        After::Entries(
            entries
                .take_while(|entry| entry.sequence <= shown)
                .cloned()
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, previous: u64) -> Arc<Observation> {
        Arc::new(Observation {
            name: ConnectionName::connection(&"a".parse().unwrap(), "1").unwrap(),
            epoch: 1,
            sequence,
            previous,
            observe_time: None,
            view: View::default(),
            wire: Wire::default(),
        })
    }

    #[test]
    fn what_comes_after_a_position_is_whole_or_refused() {
        let mut log = Log::starting_at(0);
        assert_eq!(log.after(0, 99), After::Entries(vec![]));
        for sequence in (2..).step_by(2).take(WINDOW_PER_CONNECTION + 3) {
            log.push(entry(sequence, sequence - 2));
        }
        assert_eq!(log.after(5, 999), After::Compacted(6));
        let After::Entries(entries) = log.after(6, 999) else {
            panic!("6 is the oldest position")
        };
        assert_eq!(entries.len(), WINDOW_PER_CONNECTION);
        assert_eq!(entries[0].sequence, 8);
        let last = log.position();
        assert_eq!(log.after(last, 999), After::Entries(vec![]));
    }

    #[test]
    fn much_is_remembered_for_fewer_changes_and_the_newest_always() {
        let heavy = |sequence: u64, bytes: usize| {
            let light = entry(sequence, sequence - 1);
            let view = View {
                native_state: "x".repeat(bytes),
                ..View::default()
            };
            Arc::new(Observation {
                view,
                ..Observation::clone(&light)
            })
        };
        let mut log = Log::starting_at(0);
        for sequence in 1..=20 {
            log.push(heavy(sequence, MOST_BYTES_PER_CONNECTION / 9));
        }
        assert_eq!((log.entries.len(), log.begin()), (8, 12));
        log.push(heavy(21, 2 * MOST_BYTES_PER_CONNECTION));
        assert_eq!((log.entries.len(), log.begin()), (1, 20));
        log.push(entry(22, 21));
        assert_eq!((log.entries.len(), log.begin()), (1, 21));
    }

    #[test]
    fn what_is_not_shown_yet_is_not_there() {
        let mut log = Log::starting_at(1);
        log.push(entry(2, 1));
        log.push(entry(4, 2));
        assert_eq!(log.after(1, 3), After::Entries(vec![entry(2, 1)]));
        assert_eq!(log.last(3), Some(&entry(2, 1)));
        assert_eq!((log.last(1), log.position()), (None, 4));
        assert_eq!(log.after(0, 3), After::Compacted(1), "not known here");
    }

    #[test]
    fn a_log_that_was_kept_with_a_gap_begins_after_it() {
        let log = Log::recalled(&[entry(2, 1), entry(3, 2), entry(9, 7), entry(12, 9)]);
        assert_eq!(log.after(3, 99), After::Compacted(7));
        assert_eq!(
            log.after(7, 99),
            After::Entries(vec![entry(9, 7), entry(12, 9)])
        );
    }
}
