//! A store in memory that outlives the gateway: what a disk is to a process that is killed.

use async_trait::async_trait;
use isthmus::core::{
    store::{Batch, Record, RecordChange, Recovered, Step, Store, StoreError, records::Records},
    watch::{knowledge::Memory, log::Observation},
};
use isthmus::model::BackendName;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

/// How long a commit takes.
const COMMIT: Duration = Duration::from_millis(3);

/// The disk; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    epoch: Option<u64>,
    earlier: BTreeMap<u64, u64>,
    last: u64,
    floor: u64,
    floors: BTreeMap<BackendName, u64>,
    log: BTreeMap<u64, Arc<Observation>>,
    connections: BTreeMap<String, (Arc<Observation>, Memory)>,
    records: Records,
}

impl Disk {
    /// The connections of which anything is kept.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().connections.keys().cloned().collect()
    }
}

#[async_trait]
impl Store for Disk {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        let mut kept = self.0.lock().unwrap();
        let last = kept.last;
        let before = kept.epoch;
        if let Some(before) = before {
            kept.earlier.insert(before, last);
        }
        let epoch = at_least.max(before.map_or(0, |before| before + 1));
        kept.epoch = Some(epoch);
        Ok(Recovered {
            epoch,
            earlier: kept.earlier.clone(),
            last,
            floor: kept.floor,
            floors: kept.floors.clone(),
            log: kept.log.values().cloned().collect(),
            connections: kept.connections.values().cloned().collect(),
        })
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        // Killed meanwhile, nothing of it is kept.
        sleep(COMMIT).await;
        let mut kept = self.0.lock().unwrap();
        kept.last = batch.last;
        for step in batch.steps {
            match step {
                Step::Change(change, memory) => {
                    kept.floors.entry(change.name.backend.clone()).or_insert(0);
                    kept.log.insert(change.revision, Arc::clone(&change));
                    let name = change.name.to_string();
                    kept.connections.insert(name, (change, (*memory).clone()));
                }
                Step::Compact(backend, sequence) => {
                    kept.log.remove(&sequence);
                    kept.floors.insert(backend, sequence);
                }
                Step::Forget(name) => {
                    kept.connections.remove(&name.to_string());
                }
            }
        }
        if let Some(gap) = batch.gap_until {
            kept.floor = gap;
            kept.log.retain(|sequence, _| *sequence > gap);
            kept.floors.values_mut().for_each(|floor| *floor = gap);
        }
        Ok(())
    }

    fn keeps_records(&self) -> bool {
        true
    }

    async fn records(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        Ok(self.0.lock().unwrap().records.under(prefix))
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        // Killed meanwhile, none of them is kept.
        sleep(COMMIT).await;
        self.0.lock().unwrap().records.write(changes)
    }
}
