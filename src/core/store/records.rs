//! In-memory records, by the rules of `Store::write_records`: for stores that are not files, and as the reference for
//! all others.

use crate::core::store::{Record, RecordChange, StoreError};
use std::collections::{BTreeMap, HashSet};

#[derive(Debug, Clone, Default)]
pub struct Records {
    kept: BTreeMap<String, Record>,
    /// The last revision given out, for any key.
    revision: u64,
}

impl Records {
    /// Returns the records whose key starts with `prefix`, ordered by key.
    pub fn under(&self, prefix: &str) -> Vec<Record> {
        let from = self.kept.range(prefix.to_owned()..);
        let under = from.take_while(|(key, _)| key.starts_with(prefix));
        under.map(|(_, record)| record.clone()).collect()
    }

    /// Writes all of the changes, or none if a precondition fails; returns which.
    ///
    /// # Errors
    /// If `changes` has a key twice. Nothing was written.
    pub fn write(&mut self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        each_key_once(&changes)?;
        let holds = |change: &RecordChange| {
            let found = self.kept.get(&change.key);
            change.expect.holds(found.map(|record| record.revision))
        };
        if !changes.iter().all(holds) {
            return Ok(false);
        }
        self.revision += 1;
        for RecordChange { key, value, .. } in changes {
            match value {
                Some(value) => {
                    let record = Record {
                        key: key.clone(),
                        value,
                        revision: self.revision,
                    };
                    self.kept.insert(key, record);
                }
                None => {
                    self.kept.remove(&key);
                }
            }
        }
        Ok(true)
    }
}

/// Checks that no key is changed twice in one write. Stores would not agree on whether the second precondition refers
/// to the result of the first change.
///
/// # Errors
/// Names the key.
pub fn each_key_once(changes: &[RecordChange]) -> Result<(), StoreError> {
    let mut seen = HashSet::new();
    match changes.iter().find(|change| !seen.insert(&change.key)) {
        None => Ok(()),
        Some(change) => Err(StoreError(format!(
            "the record `{}` is changed twice in one write",
            change.key
        ))),
    }
}
