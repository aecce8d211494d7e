//! What can be wrong with records: the ledger of writes, and the answers to request ids.

use crate::bugs::Bug;
use async_trait::async_trait;
use isthmus::core::store::{Batch, Expect, Record, RecordChange, Recovered, Store, StoreError};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Writes under way, and the answers to request ids.
const WRITES: &str = "writes/";
const ANSWERS: &str = "requests/";
/// How many writes of records an answer is late.
const LATE: usize = 6;

/// The store with this bug, or as it is.
pub fn forgetful(bug: Option<Bug>, store: Arc<dyn Store>) -> Arc<dyn Store> {
    match bug {
        Some(
            bug @ (Bug::LedgerIsForgotten
            | Bug::LedgerIsKeptLate
            | Bug::AnswersAreForgotten
            | Bug::AnswersAreKeptLate),
        ) => Arc::new(Forgetful {
            bug,
            store,
            memory: Mutex::default(),
        }),
        _ => store,
    }
}

#[derive(Debug)]
struct Forgetful {
    bug: Bug,
    store: Arc<dyn Store>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// What was written in this life.
    known: BTreeSet<String>,
    /// What is kept later, and after how many writes of records. It ends with the process.
    late: Vec<(usize, RecordChange)>,
}

impl Forgetful {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// Whether such a change is said to be kept before it is.
    fn is_late(&self, change: &RecordChange) -> Option<usize> {
        let written = change.value.is_some();
        match self.bug {
            Bug::LedgerIsKeptLate if written && change.key.starts_with(WRITES) => Some(1),
            Bug::AnswersAreKeptLate if written && change.key.starts_with(ANSWERS) => Some(LATE),
            _ => None,
        }
    }

    /// The changes that are due with these, and these but for what is late.
    fn due(&self, changes: Vec<RecordChange>) -> Vec<RecordChange> {
        let mut memory = self.memory();
        let mut due = Vec::new();
        for (count, change) in std::mem::take(&mut memory.late) {
            let is_gone = changes.iter().any(|it| it.key == change.key);
            if is_gone {
                continue;
            }
            if count <= 1 {
                due.push(change);
            } else {
                memory.late.push((count - 1, change));
            }
        }
        for change in changes {
            memory.known.insert(change.key.clone());
            let change = RecordChange {
                expect: Expect::Anything,
                ..change
            };
            match self.is_late(&change) {
                Some(count) => memory.late.push((count, change)),
                None => due.push(change),
            }
        }
        due
    }
}

#[async_trait]
impl Store for Forgetful {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        *self.memory() = Memory::default();
        self.store.begin(at_least).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.store.commit(batch).await
    }

    async fn poll(&self) -> Result<(), StoreError> {
        self.store.poll().await
    }

    fn check_interval(&self) -> Option<Duration> {
        self.store.check_interval()
    }

    fn keeps_records(&self) -> bool {
        self.store.keeps_records()
    }

    async fn records(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        let mut records = self.store.records(prefix).await?;
        let memory = self.memory();
        let forgotten = match self.bug {
            Bug::LedgerIsForgotten => WRITES,
            Bug::AnswersAreForgotten => ANSWERS,
            _ => return Ok(records),
        };
        records.retain(|it| !it.key.starts_with(forgotten) || memory.known.contains(&it.key));
        Ok(records)
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        match self.bug {
            Bug::LedgerIsKeptLate | Bug::AnswersAreKeptLate => {
                let due = self.due(changes);
                self.store.write_records(due).await
            }
            _ => {
                let keys = changes.iter().map(|it| it.key.clone());
                self.memory().known.extend(keys);
                self.store.write_records(changes).await
            }
        }
    }
}
