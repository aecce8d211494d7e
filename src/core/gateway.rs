//! The use cases: connections on any backend.

use crate::{
    core::{
        backend::{Backend, Serving},
        client::Client,
        clock,
        dialect::{Call, Dialect, Made, Mark, Step, Warning, Written},
        error::{Error, ErrorKind, ErrorReason, Result},
        etag,
        execute::{NoJournal, execute},
        ledger::Unfinished,
        request_id::How,
        settings::BackendSettings,
        store::{Recovered, Store, StoreError, Volatile},
        watch::{
            knowledge::{Write, WriteKind},
            log::{Log, writer::Writer},
            poller::{Kept, Poller},
        },
    },
    model::{
        BackendName, Connection, ConnectionChange, ConnectionName, Intent, NewConnection, Parent,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A write of several requests may take this many times a backend's timeout for one.
const WRITE_TIMEOUTS: u32 = 6;

/// All configured backends, and what can be done with them.
#[derive(Debug)]
pub struct Gateway {
    pub(super) pollers: BTreeMap<BackendName, Arc<Poller>>,
    pub(super) log: Arc<Log>,
    pub(super) heartbeat: Duration,
    /// Owns the pollers and the writes under way.
    tasks: TaskTracker,
    cancel: CancellationToken,
    /// Owns the log's writer, which ends after everything that appends.
    log_tasks: TaskTracker,
    stop_log: CancellationToken,
    /// `None` if the log is in memory.
    keeping: Option<watch::Receiver<Serving>>,
}

/// A write that was accepted, or would be.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The connection; `None` if nothing was sent (`validate_only`, or a delete of what is not there).
    pub name: Option<ConnectionName>,
    /// As the cloud answered it; `None` after a delete and if nothing was sent.
    pub connection: Option<Connection>,
    /// Names the write; empty if there was none.
    pub write_token: String,
    /// What the cloud does only approximately.
    pub warnings: Vec<Warning>,
    /// What would be done, if it was only tried.
    pub plan: Vec<Step>,
}

impl Gateway {
    /// A gateway over these backends whose log is in memory, and its pollers, which run until
    /// [`Gateway::shut_down`]. Must be called within a tokio runtime.
    pub fn start(
        backends: Vec<(BackendSettings, Arc<dyn Dialect>)>,
        heartbeat: Duration,
    ) -> Arc<Gateway> {
        let recovered = Recovered {
            epoch: now_ms(),
            ..Recovered::default()
        };
        let mut gateway = Gateway::with(backends, heartbeat, Arc::new(Volatile), recovered);
        gateway.keeping = None;
        Arc::new(gateway)
    }

    /// A gateway that goes on from what `store` kept, and keeps its log there.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub async fn start_with_store(
        backends: Vec<(BackendSettings, Arc<dyn Dialect>)>,
        heartbeat: Duration,
        store: Arc<dyn Store>,
    ) -> std::result::Result<Arc<Gateway>, StoreError> {
        let recovered = store.begin(now_ms()).await?;
        let gateway = Gateway::with(backends, heartbeat, store, recovered);
        Ok(Arc::new(gateway))
    }

    fn with(
        backends: Vec<(BackendSettings, Arc<dyn Dialect>)>,
        heartbeat: Duration,
        store: Arc<dyn Store>,
        recovered: Recovered,
    ) -> Gateway {
        let log = Arc::new(Log::recovered(&recovered));
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let mut pollers = BTreeMap::new();
        let floor = recovered.floor;
        let mut kept = by_backend(recovered);
        for (settings, dialect) in backends {
            let backend = Arc::new(Backend::new(settings, dialect));
            let mut kept = kept.remove(backend.name()).unwrap_or_default();
            kept.floor = kept.floor.max(floor);
            let poller = Poller::recalled(Arc::clone(&backend), Arc::clone(&log), kept);
            let poller = Arc::new(poller);
            tasks.spawn(Arc::clone(&poller).run(cancel.clone()));
            pollers.insert(backend.name().clone(), poller);
        }
        let writer = Writer::new(Arc::clone(&log), store);
        let keeping = Some(writer.subscribe());
        let (log_tasks, stop_log) = (TaskTracker::new(), CancellationToken::new());
        log_tasks.spawn(writer.run(stop_log.clone()));
        Gateway {
            pollers,
            log,
            heartbeat,
            tasks,
            cancel,
            log_tasks,
            stop_log,
            keeping,
        }
    }

    /// The longest silence of a watch.
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Stops the pollers and waits for the writes under way, at most `grace`; then has the rest of the log kept.
    pub async fn shut_down(&self, grace: Duration) {
        self.cancel.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("a write to a cloud did not end within the grace period");
        }
        self.stop_log.cancel();
        self.log_tasks.close();
        // Ends by itself: a store has a bounded time for every batch.
        self.log_tasks.wait().await;
    }

    /// The writes of a backend that did not end with their call, newest first; at most 64.
    pub fn unfinished(&self, _backend: &BackendName) -> Vec<Unfinished> {
        Vec::new()
    }

    /// Whether writes under way and request ids outlive the process.
    pub fn durable_writes(&self) -> bool {
        false
    }

    /// Told whenever the store begins or ceases to keep the log; `None` if the log is in memory.
    pub fn keeping(&self) -> Option<watch::Receiver<Serving>> {
        self.keeping.clone()
    }

    /// Told whenever a backend begins or ceases to answer.
    pub fn serving(&self) -> Vec<(BackendName, watch::Receiver<Serving>)> {
        let each = self.pollers.iter();
        each.map(|(name, poller)| (name.clone(), poller.backend().subscribe_serving()))
            .collect()
    }

    /// Reads one connection.
    ///
    /// # Errors
    /// As [`Dialect::get`].
    pub async fn get(&self, name: &ConnectionName, deadline: Instant) -> Result<Connection> {
        let backend = self.poller(&name.backend)?.backend();
        let result = backend.dialect().get(&name.id, &caller(deadline)).await;
        backend
            .record_caller_result(result)
            .map_err(|error| named(error, name).during("reading a connection"))
    }

    /// Makes a connection. Its caller waits until `deadline`; the write goes on.
    ///
    /// # Errors
    /// What the backend cannot express, all of it, before anything is sent; else as [`Dialect::create`].
    pub async fn create(
        &self,
        backend: &BackendName,
        wanted: NewConnection,
        how: How,
        deadline: Instant,
    ) -> Result<Accepted> {
        let poller = Arc::clone(self.poller(backend)?);
        writable(poller.backend())?;
        refused(self.refuse_create(backend, &wanted), backend)?;
        if how.validate_only {
            return Ok(Accepted::nothing());
        }
        let intent = intent(wanted.spec.admin_enabled);
        self.own(async move {
            let backend = poller.backend();
            let (dialect, call) = (backend.dialect(), write_call(backend, deadline));
            let plan = dialect.plan_create(wanted, Mark::new(), &call).await;
            let result = match plan {
                Ok(plan) => execute(&**dialect, plan, &Made::new(), &NoJournal, &call).await,
                Err(error) => Err(error),
            };
            let written = backend
                .record_result(result)
                .map_err(|error| error.during("creating a connection"))?;
            accept(&poller, WriteKind::Create, intent, written).await
        })
        .await
    }

    /// Changes a connection. What is so already is no change, and need not be expressible. With `validate_only` it is
    /// read instead: what is not there, or has another etag, could not be changed either. Its caller waits until `deadline`; the write goes on.
    ///
    /// # Errors
    /// As [`Gateway::create`] and [`Dialect::update`].
    pub async fn update(
        &self,
        name: &ConnectionName,
        change: ConnectionChange,
        how: How,
        deadline: Instant,
    ) -> Result<Accepted> {
        let poller = Arc::clone(self.poller(&name.backend)?);
        writable(poller.backend())?;
        let unread = BTreeSet::new();
        let (change, violations) = self.settle(name, change, &unread, deadline).await?;
        refused(violations, &name.backend)?;
        if how.validate_only {
            return would_apply(poller.backend(), name, &change, deadline).await;
        }
        let name = name.clone();
        self.own(async move {
            let backend = poller.backend();
            let (dialect, call) = (backend.dialect(), write_call(backend, deadline));
            let plan = dialect.plan_update(&name.id, change, &call).await;
            let result = match plan {
                Ok(plan) => execute(&**dialect, plan, &Made::new(), &NoJournal, &call).await,
                Err(error) => Err(error),
            };
            let written = backend
                .record_result(result)
                .map_err(|error| named(error, &name).during("updating a connection"))?;
            let enabled = written
                .connection
                .as_ref()
                .and_then(|connection| connection.admin_enabled);
            accept(&poller, WriteKind::Update, intent(enabled), written).await
        })
        .await
    }

    /// Removes a connection. Its caller waits until `deadline`; the write goes on.
    ///
    /// # Errors
    /// As [`Dialect::delete`]; with `allow_missing`, one that is not there is no error.
    pub async fn delete(
        &self,
        name: &ConnectionName,
        etag: Option<String>,
        allow_missing: bool,
        how: How,
        deadline: Instant,
    ) -> Result<Accepted> {
        let poller = Arc::clone(self.poller(&name.backend)?);
        writable(poller.backend())?;
        let name = name.clone();
        self.own(async move {
            let backend = poller.backend();
            let (dialect, call) = (backend.dialect(), write_call(backend, deadline));
            let plan = dialect.plan_delete(&name.id, etag, &call).await;
            if how.validate_only {
                let _ = plan;
                return Ok(Accepted::nothing());
            }
            let result = match plan {
                Ok(plan) => execute(&**dialect, plan, &Made::new(), &NoJournal, &call).await,
                Err(error) => Err(error),
            };
            match backend.record_result(result) {
                Ok(written) => accept(&poller, WriteKind::Delete, Intent::Deleted, written).await,
                Err(error) if allow_missing && error.reason == ErrorReason::ConnectionNotFound => {
                    Ok(Accepted::nothing())
                }
                Err(error) => Err(named(error, &name).during("deleting a connection")),
            }
        })
        .await
    }

    pub(super) fn poller(&self, name: &BackendName) -> Result<&Arc<Poller>> {
        self.pollers.get(name).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                ErrorReason::BackendNotFound,
                format!("no backend `{}` is configured", name.as_str()),
            )
            .resource(name.to_string())
        })
    }

    /// Runs a write to its end, also when its caller goes away: half of several requests would leave
    /// things behind that nobody knows of.
    pub(super) async fn own<T, F>(&self, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let span = tracing::Span::current();
        let client = Client::current().unwrap_or_default();
        match self
            .tasks
            .spawn(tracing::Instrument::instrument(client.serve(write), span))
            .await
        {
            Ok(result) => result,
            Err(error) => Err(Error::internal(format!(
                "the write ended in a fault: {error}"
            ))),
        }
    }
}

impl Accepted {
    fn nothing() -> Accepted {
        Accepted {
            name: None,
            connection: None,
            write_token: String::new(),
            warnings: Vec::new(),
            plan: Vec::new(),
        }
    }
}

/// Finds out, without writing, whether a change is one of something that is there, as its author believes, and can
/// become so.
async fn would_apply(
    backend: &Backend,
    name: &ConnectionName,
    change: &ConnectionChange,
    deadline: Instant,
) -> Result<Accepted> {
    let call = write_call(backend, deadline);
    let result = backend.dialect().get(&name.id, &call).await;
    let current = backend
        .record_result(result)
        .map_err(|error| named(error, name).during("reading the connection to be updated"))?;
    etag::check(change.etag.as_deref(), &current.etag)
        .map_err(|error| error.on(backend.name()).during("updating a connection"))?;
    let change = change.without(&current);
    let violations = backend.dialect().refuse_to_become(&change, &current);
    refused(violations, backend.name())?;
    Ok(Accepted::nothing())
}

/// Notes a write that the cloud has accepted, so that every poll from now on is measured against it. Its name is
/// given away once it is kept.
async fn accept(
    poller: &Arc<Poller>,
    kind: WriteKind,
    intent: Intent,
    written: Written,
) -> Result<Accepted> {
    let done = Instant::now();
    let name =
        ConnectionName::connection(poller.backend().name(), &written.id).map_err(|error| {
            Error::internal(format!("the cloud's id cannot stand in a name: {error}"))
        })?;
    let subject = poller.inventory().shown(&name);
    let token = subject.wrote(&Write {
        kind,
        proof: written.proof,
        intent,
        done,
        parts_remain: false,
    });
    if subject.is_watched() {
        poller.poll_soon(&subject);
    }
    poller.inventory().joined(&subject);
    subject.wait_committed().await;
    tracing::info!(connection.name = %name, write = ?kind, "the cloud accepted a write");
    Ok(Accepted {
        name: Some(name),
        connection: written.connection,
        write_token: token.encode(),
        warnings: written.warnings,
        plan: Vec::new(),
    })
}

/// What was kept, for each backend its own.
fn by_backend(recovered: Recovered) -> BTreeMap<BackendName, Kept> {
    let mut all: BTreeMap<BackendName, Kept> = BTreeMap::new();
    for (backend, floor) in recovered.floors {
        all.entry(backend).or_default().floor = floor;
    }
    for change in recovered.log {
        let backend = change.name.backend.clone();
        all.entry(backend).or_default().log.push(change);
    }
    for (latest, memory) in recovered.connections {
        let backend = latest.name.backend.clone();
        let kept = all.entry(backend).or_default();
        kept.connections.push((latest, memory));
    }
    all
}

/// Milliseconds since 1970: later lives of a log have higher numbers, also if what it kept is lost.
fn now_ms() -> u64 {
    clock::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

/// The text that tokens of a list or a watch over many are bound to.
pub(super) fn scope(parent: &Parent) -> String {
    match parent {
        Parent::One(name) => name.to_string(),
        Parent::Every => "backends/-".to_owned(),
    }
}

/// A call that somebody waits for until then.
pub(super) fn caller(deadline: Instant) -> Call {
    Call {
        deadline,
        ..Call::unary(Duration::ZERO)
    }
}

/// A write has the gateway's own time, however little its caller has.
pub(super) fn write_call(backend: &Backend, answer_by: Instant) -> Call {
    Call {
        answer_by: Some(answer_by),
        ..Call::unary(backend.settings().timeout * WRITE_TIMEOUTS)
    }
}

fn intent(admin_enabled: Option<bool>) -> Intent {
    if admin_enabled == Some(false) {
        Intent::Disabled
    } else {
        Intent::Enabled
    }
}

fn named(error: Error, name: &ConnectionName) -> Error {
    let is_missing = error.reason == ErrorReason::ConnectionNotFound;
    if is_missing && error.context.resource.is_none() {
        error.resource(name.to_string())
    } else {
        error
    }
}

pub(super) fn writable(backend: &Backend) -> Result<()> {
    if !backend.settings().read_only {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::PermissionDenied,
        ErrorReason::ReadOnly,
        "the gateway's configuration has this backend read-only",
    )
    .on(backend.name()))
}

pub(super) fn refused(
    violations: Vec<crate::core::error::Violation>,
    backend: &BackendName,
) -> Result<()> {
    if violations.is_empty() {
        return Ok(());
    }
    Err(Error::not_expressible(violations).on(backend))
}
