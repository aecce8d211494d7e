//! What can be wrong with a store.

use crate::bugs::Bug;
use async_trait::async_trait;
use isthmus::core::{
    store::{Batch, Record, RecordChange, Recovered, Step, Store, StoreError},
    watch::{knowledge::Memory, log::Observation},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// The store with this bug, or as it is. What it gets wrong shows when the gateway begins its next life.
pub fn careless(bug: Option<Bug>, store: Arc<dyn Store>) -> Arc<dyn Store> {
    match bug {
        Some(
            bug @ (Bug::StoreForgets
            | Bug::StoreLosesTheNewest
            | Bug::StoreLosesTheOldest
            | Bug::StoreReusesNumbers
            | Bug::StoreResurrects),
        ) => Arc::new(Careless {
            bug,
            store,
            first: Mutex::default(),
        }),
        _ => store,
    }
}

#[derive(Debug)]
struct Careless {
    bug: Bug,
    store: Arc<dyn Store>,
    /// What each connection was at first.
    first: Mutex<BTreeMap<String, (Arc<Observation>, Memory)>>,
}

/// How many changes are lost, or numbers given out again.
const FEW: usize = 6;

#[async_trait]
impl Store for Careless {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        let mut recovered = self.store.begin(at_least).await?;
        match self.bug {
            Bug::StoreForgets => {
                recovered = Recovered {
                    epoch: recovered.epoch,
                    ..Recovered::default()
                };
            }
            Bug::StoreLosesTheNewest | Bug::StoreReusesNumbers => {
                let kept = recovered.log.len().saturating_sub(FEW);
                recovered.log.truncate(kept);
                recovered.last = recovered.log.last().map_or(0, |change| change.revision);
                recovered
                    .connections
                    .retain(|(change, _)| change.revision <= recovered.last);
                let last = recovered.last;
                let ends = recovered.earlier.values_mut();
                // The one knows what it has lost, the other takes positions for good that now mean something else.
                if self.bug == Bug::StoreLosesTheNewest {
                    ends.for_each(|end| *end = last.min(*end));
                }
            }
            Bug::StoreLosesTheOldest => {
                let lost = recovered.log.len().saturating_sub(1);
                recovered.log.drain(..lost);
            }
            Bug::StoreResurrects => {
                let first = self.first.lock().unwrap();
                recovered.connections = first.values().cloned().collect();
                let known = |change: &Arc<Observation>| {
                    first
                        .values()
                        .any(|(first, _)| first.revision == change.revision)
                };
                recovered.log.retain(known);
            }
            _ => {}
        }
        Ok(recovered)
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        for step in &batch.steps {
            if let Step::Change(change, memory) = step {
                let mut first = self.first.lock().unwrap();
                let name = change.name.to_string();
                let entry = first.entry(name);
                entry.or_insert_with(|| (Arc::clone(change), (**memory).clone()));
            }
        }
        self.store.commit(batch).await
    }

    fn keeps_records(&self) -> bool {
        self.store.keeps_records()
    }

    async fn records(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        self.store.records(prefix).await
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        self.store.write_records(changes).await
    }
}
