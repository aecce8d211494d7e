//! What can be wrong with a dialect.

use crate::bugs::Bug;
use async_trait::async_trait;
use isthmus::{
    core::{
        dialect::{
            Call, Capabilities, Dialect, Done, Made, Mark, Page, PageRequest, Plan, Proof,
            Resources, Step, Target, Trace, Usage, Written,
        },
        error::{Result, Violation},
    },
    model::{Assurance, Connection, ConnectionChange, NewConnection, RealizationState, Sighting},
};
use std::{
    collections::{BTreeMap, BTreeSet},
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
            | Bug::LooksAreRepeated
            | Bug::GoneIsStillThere
            | Bug::GoneIsAskedAbout
            | Bug::TheirsAreHidden
            | Bug::TunnelsAreNotRead
            | Bug::AnyNameIsThere),
        ) => Arc::new(Liar {
            bug,
            dialect,
            seen: Mutex::default(),
            ours: Mutex::default(),
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
    /// What was made by us.
    ours: Mutex<BTreeSet<String>>,
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
            (Bug::GoneIsStillThere, Ok(seen)) if is_gone(&seen) && !target.deleting => {
                let before = self.seen.lock().unwrap();
                Ok(before
                    .get(&target.id)
                    .map_or(seen, |(seen, _)| seen.clone()))
            }
            (Bug::AnyNameIsThere, Ok(seen)) if is_gone(&seen) && !self.is_known(&target.id) => {
                Ok(Sighting {
                    state: RealizationState::Realized,
                    assurance: Assurance::ControlPlane,
                    native_state: "in_sync".to_owned(),
                    ..Sighting::default()
                })
            }
            (_, seen) => seen,
        }
    }

    fn is_known(&self, id: &str) -> bool {
        self.seen.lock().unwrap().contains_key(id)
    }

    /// What was last seen of everything that is gone.
    fn gone(&self) -> Vec<Target> {
        let seen = self.seen.lock().unwrap();
        let gone = seen.iter().filter(|(_, (seen, _))| is_gone(seen));
        gone.map(|(id, _)| Target {
            id: id.clone(),
            ..Target::default()
        })
        .collect()
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

    fn refuse_create(&self, wanted: &NewConnection) -> Vec<Violation> {
        self.dialect.refuse_create(wanted)
    }

    fn refuse_update(&self, change: &ConnectionChange) -> Vec<Violation> {
        self.dialect.refuse_update(change)
    }

    async fn attach(&self, wanted: NewConnection, call: &Call) -> Result<NewConnection> {
        self.dialect.attach(wanted, call).await
    }

    async fn as_networks(
        &self,
        there: &Connection,
        call: &Call,
    ) -> Result<Option<isthmus::model::Selectors>> {
        self.dialect.as_networks(there, call).await
    }

    fn refuse_to_become(&self, change: &ConnectionChange, there: &Connection) -> Vec<Violation> {
        self.dialect.refuse_to_become(change, there)
    }

    fn resources(&self) -> &dyn Resources {
        self.dialect.resources()
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

    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        let mut page = self.dialect.list(page, call).await?;
        if self.bug == Bug::TheirsAreHidden {
            let ours = self.ours.lock().unwrap();
            page.items.retain(|it| ours.contains(&it.id));
        }
        Ok(page)
    }

    async fn plan_create<'a>(
        &'a self,
        wanted: NewConnection,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let plan = self.dialect.plan_create(wanted, mark, call).await?;
        Ok(told(plan, |written| {
            self.ours.lock().unwrap().insert(written.id.clone());
        }))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let plan = self.dialect.plan_update(id, change, call).await?;
        Ok(told(plan, |written| {
            if self.bug == Bug::OldStatusIsProof {
                written.proof = Proof::AnyStatus;
            }
        }))
    }

    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        self.dialect.plan_delete(id, etag, call).await
    }

    async fn trace(&self, step: &Step, call: &Call) -> Result<Trace> {
        self.dialect.trace(step, call).await
    }

    async fn undo(&self, step: &Step, call: &Call) -> Result<()> {
        self.dialect.undo(step, call).await
    }

    async fn remove(&self, step: &Step, call: &Call) -> Result<Done> {
        self.dialect.remove(step, call).await
    }

    async fn poll(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>> {
        if self.bug == Bug::LooksAreCached
            && let Some(remembered) = self.remembered(targets)
        {
            return remembered;
        }
        if self.bug == Bug::LooksAreRepeated {
            for _ in 0..3 {
                self.dialect.poll(targets, call).await;
            }
        }
        if self.bug == Bug::GoneIsAskedAbout {
            for gone in self.gone() {
                self.dialect.poll(&[gone], call).await;
            }
        }
        let mut asked = targets.to_vec();
        if self.bug == Bug::TunnelsAreNotRead {
            asked
                .iter_mut()
                .for_each(|target| target.want_tunnel = false);
        }
        let results = self.dialect.poll(&asked, call).await;
        let mut told = Vec::new();
        for (target, result) in targets.iter().zip(results) {
            if let Ok(sighting) = &result
                && (!is_gone(sighting) || self.bug == Bug::GoneIsAskedAbout)
            {
                let mut seen = self.seen.lock().unwrap();
                seen.insert(target.id.clone(), (sighting.clone(), 0));
            }
            told.push(self.lie(target, result));
        }
        told
    }
}

/// A plan that tells something else of what it wrote.
struct Told<'a, F> {
    plan: Box<dyn Plan<Written> + 'a>,
    lie: F,
}

fn told<'a>(
    plan: Box<dyn Plan<Written> + 'a>,
    lie: impl FnOnce(&mut Written) + Send + 'a,
) -> Box<dyn Plan<Written> + 'a> {
    Box::new(Told { plan, lie })
}

#[async_trait]
impl<F: FnOnce(&mut Written) + Send> Plan<Written> for Told<'_, F> {
    fn steps(&self) -> &[Step] {
        self.plan.steps()
    }

    async fn perform(&mut self, index: usize, made: &Made, call: &Call) -> Result<Done> {
        self.plan.perform(index, made, call).await
    }

    fn written(self: Box<Self>) -> Written {
        let mut written = self.plan.written();
        (self.lie)(&mut written);
        written
    }
}

fn is_gone(seen: &Sighting) -> bool {
    seen.state == RealizationState::Deleted
}
