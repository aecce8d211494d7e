//! Where records are kept: the store, or memory where it keeps none.

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

/// How long a disk may take before what it was to keep counts as not kept.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a write that could not be noted may be tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Where records are kept.
#[derive(Debug)]
pub struct Shelf {
    store: Option<Arc<dyn Store>>,
    /// What is kept without a store. A std mutex: held for bookkeeping only, never across an await.
    memory: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Shelf {
    /// One that ends with the process.
    pub fn in_memory() -> Shelf {
        Shelf {
            store: None,
            memory: Mutex::default(),
        }
    }

    /// One in this store, if it keeps records.
    pub fn of(store: Arc<dyn Store>) -> Shelf {
        Shelf {
            store: Some(store).filter(|store| store.keeps_records()),
            ..Shelf::in_memory()
        }
    }

    /// Whether what is kept outlives the process.
    pub fn is_durable(&self) -> bool {
        self.store.is_some()
    }

    /// What is kept under keys that begin so.
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

    /// Keeps all of these or none; durable when it returns. Answers whether what was expected held.
    ///
    /// # Errors
    /// If they could not be made durable; they may still have been.
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

/// A record to be kept, whatever was there.
pub fn put(key: String, value: &impl serde::Serialize) -> RecordChange {
    RecordChange {
        key,
        expect: Expect::Anything,
        value: Some(serde_json::to_vec(value).expect("records are plain data")),
    }
}

/// A record to be removed.
pub fn remove(key: String) -> RecordChange {
    RecordChange {
        key,
        expect: Expect::Anything,
        value: None,
    }
}

/// Why a write is not begun: what it is about to do cannot be noted.
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
