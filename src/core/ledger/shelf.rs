//! Where records are kept: the store, or memory if the store keeps no records.

use crate::core::{
    error::{Error, ErrorKind, ErrorReason, Result},
    store::{Expect, Record, RecordChange, Store, StoreError},
};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// How long the store may take before a read or write counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a write that could not be recorded may be retried.
const RETRY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Shelf {
    store: Option<Arc<dyn Store>>,
    /// The records if there is no store. A std mutex: held for bookkeeping only, never across an await.
    memory: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Shelf {
    /// Returns a shelf whose records end with the process.
    pub fn in_memory() -> Shelf {
        Shelf {
            store: None,
            memory: Mutex::default(),
        }
    }

    /// Returns a shelf in this store, or in memory if the store keeps no records.
    pub fn of(store: Arc<dyn Store>) -> Shelf {
        Shelf {
            store: Some(store).filter(|store| store.keeps_records()),
            ..Shelf::in_memory()
        }
    }

    /// Reports whether records outlive the process.
    pub fn is_durable(&self) -> bool {
        self.store.is_some()
    }

    /// Returns the keys and values of the records whose key starts with `prefix`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn read(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        if let Some(store) = &self.store {
            let records = patiently(store.records(prefix)).await?.into_iter();
            return Ok(records
                .map(|Record { key, value, .. }| (key, value))
                .collect());
        }
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let from = memory.range(prefix.to_owned()..);
        let with = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(with
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    /// Applies all of the changes or none; they are durable when it returns. Returns whether everything expected held.
    ///
    /// # Errors
    /// If the changes could not be made durable. They may still have been applied.
    pub async fn write(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        if let Some(store) = &self.store {
            return patiently(store.write_records(changes)).await;
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change.value {
                Some(value) => memory.insert(change.key, value),
                None => memory.remove(&change.key),
            };
        }
        Ok(true)
    }
}

/// Returns the change that stores a record, whatever is there.
pub fn put(key: String, value: &impl serde::Serialize) -> RecordChange {
    RecordChange {
        key,
        expect: Expect::Anything,
        value: Some(serde_json::to_vec(value).expect("records are plain data")),
    }
}

/// Returns the change that removes a record.
pub fn remove(key: String) -> RecordChange {
    RecordChange {
        key,
        expect: Expect::Anything,
        value: None,
    }
}

/// Returns the error of a write that does not begin because it cannot be recorded.
pub fn unavailable(error: &StoreError) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::StoreUnavailable,
        format!("what it is about to do cannot be kept: {error}"),
    )
    .retry_after(RETRY)
}

async fn patiently<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
        let limit = PATIENCE.as_secs();
        Err(StoreError(format!("it took longer than {limit} s")))
    })
}
