//! What can be wrong with who has his turn: uses of a dialect that stand in each other's way.

use crate::bugs::Bug;
use async_trait::async_trait;
use isthmus::{
    core::{
        dialect::{
            Call, Capabilities, Dialect, Done, Mark, Page, PageRequest, Plan, Priority, Resources,
            Step, Target, Trace, Usage, Written,
        },
        error::{Result, Violation},
    },
    model::{Connection, ConnectionChange, NewConnection, Sighting},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep},
};

/// The dialect with this bug, or as it is.
pub fn jostling(bug: Option<Bug>, dialect: Arc<dyn Dialect>) -> Arc<dyn Dialect> {
    let places = match bug {
        Some(Bug::CallersAreOneQueue) => 1,
        Some(Bug::LooksTakeEveryPlace) => 3,
        Some(Bug::LooksWaitForCallers | Bug::ClientsAreNotToldApart) => 0,
        _ => return dialect,
    };
    let bug = bug.expect("without one there is nothing to decorate");
    Arc::new(Jostling {
        bug,
        dialect,
        callers: AtomicUsize::new(0),
        places: Semaphore::new(places),
    })
}

#[derive(Debug)]
struct Jostling {
    bug: Bug,
    dialect: Arc<dyn Dialect>,
    /// Reads under way.
    callers: AtomicUsize,
    places: Semaphore,
}

/// A read under way.
struct Reading<'a>(&'a AtomicUsize, Option<SemaphorePermit<'a>>);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Jostling {
    /// A read begins, when it has its turn.
    async fn begin(&self) -> Reading<'_> {
        self.callers.fetch_add(1, Ordering::Relaxed);
        let mut reading = Reading(&self.callers, None);
        if matches!(self.bug, Bug::CallersAreOneQueue | Bug::LooksTakeEveryPlace) {
            reading.1 = self.places.acquire().await.ok();
        }
        reading
    }

    /// For whom a use is taken to be.
    fn taken_for(&self, call: &Call) -> Call {
        let priority = match (self.bug, call.priority) {
            (Bug::ClientsAreNotToldApart, Priority::Caller(_)) => Priority::Asked,
            (_, priority) => priority,
        };
        Call {
            priority,
            ..call.clone()
        }
    }
}

#[async_trait]
impl Dialect for Jostling {
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
        let _reading = self.begin().await;
        self.dialect.get(id, &self.taken_for(call)).await
    }

    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        let _reading = self.begin().await;
        self.dialect.list(page, &self.taken_for(call)).await
    }

    async fn plan_create<'a>(
        &'a self,
        wanted: NewConnection,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        self.dialect.plan_create(wanted, mark, call).await
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        self.dialect.plan_update(id, change, call).await
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
        let _place = match self.bug {
            Bug::LooksTakeEveryPlace => self.places.acquire().await.ok(),
            _ => None,
        };
        if self.bug == Bug::LooksWaitForCallers {
            while self.callers.load(Ordering::Relaxed) > 0 && Instant::now() < call.deadline {
                sleep(Duration::from_millis(20)).await;
            }
        }
        self.dialect.poll(targets, &self.taken_for(call)).await
    }
}
