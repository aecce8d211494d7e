//! What can be wrong with a dialect.

use crate::bugs::Bug;
use async_trait::async_trait;
use isthmus::{
    core::{
        dialect::{
            Call, Capabilities, Dialect, Mark, Page, PageRequest, Proof, Target, Usage, Written,
        },
        error::{Result, Violation},
    },
    model::{Assurance, Connection, ConnectionChange, ConnectionSpec, RealizationState, Sighting},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// The dialect with this bug, or as it is.
pub fn lying(bug: Option<Bug>, dialect: Arc<dyn Dialect>) -> Arc<dyn Dialect> {
    match bug {
        Some(
            bug @ (Bug::AcceptedIsRealized
            | Bug::ErrorsAreMadeUp
            | Bug::OutageIsError
            | Bug::GoneTooEarly
            | Bug::OldStatusIsProof
            | Bug::LooksAreCached
            | Bug::LooksAreRepeated),
        ) => Arc::new(Liar {
            bug,
            dialect,
            seen: Mutex::default(),
        }),
        _ => dialect,
    }
}

#[derive(Debug)]
struct Liar {
    bug: Bug,
    dialect: Arc<dyn Dialect>,
    /// What each connection was last seen to be, and how often that was said since.
    seen: Mutex<BTreeMap<String, (Sighting, usize)>>,
}

impl Liar {
    fn lie(&self, target: &Target, seen: Result<Sighting>) -> Result<Sighting> {
        match (self.bug, seen) {
            (Bug::AcceptedIsRealized, Ok(mut seen)) if !target.deleting => {
                seen.state = RealizationState::Active;
                seen.assurance = Assurance::TunnelUp;
                Ok(seen)
            }
            (Bug::ErrorsAreMadeUp, Ok(mut seen)) if !target.deleting => {
                seen.state = RealizationState::Failed;
                Ok(seen)
            }
            (Bug::OutageIsError, Err(_)) => Ok(Sighting {
                state: RealizationState::Failed,
                assurance: Assurance::ControlPlane,
                native_state: "error".to_owned(),
                request_ids: target.request_ids.clone(),
                ..Sighting::default()
            }),
            (Bug::GoneTooEarly, Ok(mut seen)) if target.deleting => {
                seen.state = RealizationState::Deleted;
                Ok(seen)
            }
            (_, seen) => seen,
        }
    }

    /// What is remembered, four times out of five.
    fn remembered(&self, targets: &[Target]) -> Option<Vec<Result<Sighting>>> {
        let mut seen = self.seen.lock().unwrap();
        let fresh = targets.iter().all(|target| {
            let known = seen.get(&target.id);
            known.is_some_and(|(_, said)| *said < 4) && target.request_ids.is_empty()
        });
        if !fresh {
            return None;
        }
        let said = targets.iter().filter_map(|target| {
            let (sighting, said) = seen.get_mut(&target.id)?;
            *said += 1;
            Some(Ok(sighting.clone()))
        });
        Some(said.collect())
    }
}

#[async_trait]
impl Dialect for Liar {
    fn capabilities(&self) -> &Capabilities {
        self.dialect.capabilities()
    }

    fn refuse_create(&self, spec: &ConnectionSpec) -> Vec<Violation> {
        self.dialect.refuse_create(spec)
    }

    fn refuse_update(&self, change: &ConnectionChange) -> Vec<Violation> {
        self.dialect.refuse_update(change)
    }

    fn usage(&self) -> Usage {
        self.dialect.usage()
    }

    async fn probe(&self, call: &Call) -> Result<()> {
        self.dialect.probe(call).await
    }

    async fn get(&self, id: &str, call: &Call) -> Result<Connection> {
        self.dialect.get(id, call).await
    }

    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page> {
        self.dialect.list(page, call).await
    }

    async fn create(&self, spec: &ConnectionSpec, mark: &Mark, call: &Call) -> Result<Written> {
        self.dialect.create(spec, mark, call).await
    }

    async fn update(&self, id: &str, change: &ConnectionChange, call: &Call) -> Result<Written> {
        let mut written = self.dialect.update(id, change, call).await?;
        if self.bug == Bug::OldStatusIsProof {
            written.proof = Proof::AnyStatus;
        }
        Ok(written)
    }

    async fn delete(&self, id: &str, etag: Option<&str>, call: &Call) -> Result<Written> {
        self.dialect.delete(id, etag, call).await
    }

    async fn look(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>> {
        if self.bug == Bug::LooksAreCached
            && let Some(remembered) = self.remembered(targets)
        {
            return remembered;
        }
        if self.bug == Bug::LooksAreRepeated {
            for _ in 0..3 {
                self.dialect.look(targets, call).await;
            }
        }
        let results = self.dialect.look(targets, call).await;
        let mut told = Vec::new();
        for (target, result) in targets.iter().zip(results) {
            if let Ok(sighting) = &result {
                let mut seen = self.seen.lock().unwrap();
                seen.insert(target.id.clone(), (sighting.clone(), 0));
            }
            told.push(self.lie(target, result));
        }
        told
    }
}
