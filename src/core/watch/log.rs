//! The observation log: what was said of each connection, in order, in a bounded window.

use crate::{core::watch::knowledge::View, model::ConnectionName};
use std::{collections::VecDeque, sync::Arc, time::SystemTime};

/// How many changes of one connection are remembered. A resume from further back is out of range.
pub const WINDOW_PER_CONNECTION: usize = 64;

/// One entry of the log: what was said of a connection, and from which look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The connection.
    pub name: ConnectionName,
    /// The life of the log; grows whenever it starts anew.
    pub epoch: u64,
    /// Grows over the whole log, so strictly for each connection. Not contiguous.
    pub sequence: u64,
    /// When the look that saw this began; `None` if there was none. Never goes back.
    pub observe_time: Option<SystemTime>,
    /// What is said.
    pub view: View,
}

/// The remembered changes of one connection, oldest first.
#[derive(Debug, Default)]
pub struct Log {
    entries: VecDeque<Arc<Observation>>,
    /// The highest sequence that was forgotten; 0 if none.
    forgotten: u64,
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
    /// Adds an entry, and forgets the oldest beyond the window.
    pub fn push(&mut self, entry: Arc<Observation>) {
        self.entries.push_back(entry);
        while self.entries.len() > WINDOW_PER_CONNECTION {
            if let Some(old) = self.entries.pop_front() {
                self.forgotten = old.sequence;
            }
        }
    }

    /// The newest entry.
    pub fn last(&self) -> Option<&Arc<Observation>> {
        self.entries.back()
    }

    /// Everything after `sequence`.
    pub fn after(&self, sequence: u64) -> After {
        if sequence < self.forgotten {
            return After::Compacted(self.forgotten);
        }
        let start = self
            .entries
            .partition_point(|entry| entry.sequence <= sequence);
        After::Entries(self.entries.range(start..).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64) -> Arc<Observation> {
        Arc::new(Observation {
            name: ConnectionName::connection(&"a".parse().unwrap(), "1").unwrap(),
            epoch: 1,
            sequence,
            observe_time: None,
            view: View::default(),
        })
    }

    #[test]
    fn what_comes_after_a_position_is_whole_or_refused() {
        let mut log = Log::default();
        assert_eq!(log.after(0), After::Entries(vec![]));
        for sequence in (2..).step_by(2).take(WINDOW_PER_CONNECTION + 3) {
            log.push(entry(sequence));
        }
        assert_eq!(log.after(5), After::Compacted(6));
        let After::Entries(entries) = log.after(6) else {
            panic!("6 is the oldest position")
        };
        assert_eq!(entries.len(), WINDOW_PER_CONNECTION);
        assert_eq!(entries[0].sequence, 8);
        let last = log.last().unwrap().sequence;
        assert_eq!(log.after(last), After::Entries(vec![]));
    }
}
