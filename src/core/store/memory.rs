//! An in-memory store for tests. It keeps records, and its log ends with the process.

use crate::core::store::{
    Batch, Record, RecordChange, Recovered, Store, StoreError, records::Records,
};
use async_trait::async_trait;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// The store. Clones share their content, as processes do that open the same file one after the other.
#[derive(Debug, Clone, Default)]
pub struct InMemory {
    records: Arc<Mutex<Records>>,
    lives: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
}

impl InMemory {
    /// Makes writes fail from here on, as on a full disk, or succeed again.
    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn works(&self) -> Result<(), StoreError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(StoreError("no space left on the device".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for InMemory {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        let before = self.lives.load(Ordering::SeqCst);
        let epoch = at_least.max(before + 1);
        self.lives.store(epoch, Ordering::SeqCst);
        Ok(Recovered {
            epoch,
            ..Recovered::default()
        })
    }

    async fn commit(&self, _: Batch) -> Result<(), StoreError> {
        self.works()
    }

    fn check_interval(&self) -> Option<Duration> {
        None
    }

    fn keeps_records(&self) -> bool {
        true
    }

    async fn records(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        Ok(self.records.lock().unwrap().under(prefix))
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        self.works()?;
        // Lets other tasks run, as they do while a disk is busy.
        tokio::task::yield_now().await;
        self.records.lock().unwrap().write(changes)
    }
}

#[tokio::test]
async fn records_in_memory_keep_their_promises() {
    let store = Arc::new(InMemory::default());
    crate::core::store::promises::records_keep_their_promises(store).await;
}

#[tokio::test]
async fn a_store_that_fails_keeps_what_it_had() {
    let store = InMemory::default();
    let written = RecordChange {
        key: "a".to_owned(),
        expect: crate::core::store::Expect::Absent,
        value: Some(vec![1]),
    };
    store.write_records(vec![written.clone()]).await.unwrap();
    store.fail(true);
    assert!(store.write_records(vec![written.clone()]).await.is_err());
    assert!(store.commit(Batch::default()).await.is_err());
    store.fail(false);
    assert_eq!(store.records("").await.unwrap().len(), 1);
    assert!(!store.write_records(vec![written]).await.unwrap());
}
