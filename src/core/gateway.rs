//! The use cases: connections on any backend.

pub use crate::core::writes::accepted::Accepted;

use crate::{
    core::{
        backend::{Backend, Serving},
        client::Client,
        clock,
        dialect::{Action, Call, Dialect},
        error::{Error, ErrorKind, ErrorReason, Result},
        ledger::{
            Unfinished,
            book::{Ledger, Left},
            fingerprint::MacKey,
            record::Entry,
            shelf::Shelf,
        },
        request_id::How,
        settings::BackendSettings,
        store::{Recovered, Store, StoreError, Volatile},
        watch::{
            log::{Log, writer::Writer},
            poller::{Kept, Poller},
        },
        writes::{
            accepted::Answer,
            connections::{self, about},
            desk::{Writes, refused},
            run::{Begun, Write},
        },
    },
    model::{BackendName, Connection, ConnectionChange, ConnectionName, NewConnection, Parent},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// All configured backends, and what can be done with them.
#[derive(Debug)]
pub struct Gateway {
    pub(super) pollers: BTreeMap<BackendName, Arc<Poller>>,
    writes: BTreeMap<BackendName, Arc<Writes>>,
    shelf: Arc<Shelf>,
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
        let store = Arc::new(Volatile);
        let mut gateway = Gateway::with(backends, heartbeat, store, recovered, Ledgers::new());
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
        let names = backends.iter().map(|(settings, _)| &settings.name);
        let ledgers = Ledgers::kept(&store, names).await?;
        let gateway = Gateway::with(backends, heartbeat, store, recovered, ledgers);
        Ok(Arc::new(gateway))
    }

    fn with(
        backends: Vec<(BackendSettings, Arc<dyn Dialect>)>,
        heartbeat: Duration,
        store: Arc<dyn Store>,
        recovered: Recovered,
        mut ledgers: Ledgers,
    ) -> Gateway {
        let log = Arc::new(Log::recovered(&recovered));
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let (mut pollers, mut writes) = (BTreeMap::new(), BTreeMap::new());
        let floor = recovered.floor;
        let mut kept = by_backend(recovered);
        for (settings, dialect) in backends {
            let backend = Arc::new(Backend::new(settings, dialect));
            let mut kept = kept.remove(backend.name()).unwrap_or_default();
            kept.floor = kept.floor.max(floor);
            let poller = Poller::recalled(Arc::clone(&backend), Arc::clone(&log), kept);
            let poller = Arc::new(poller);
            tasks.spawn(Arc::clone(&poller).run(cancel.clone()));
            let (ledger, left) = ledgers.take(backend.name());
            let of_backend = Writes::new(Arc::clone(&poller), ledger, &tasks, &cancel);
            of_backend.recall(left);
            tasks.spawn(Arc::clone(&of_backend).forget_old());
            writes.insert(backend.name().clone(), of_backend);
            pollers.insert(backend.name().clone(), poller);
        }
        let writer = Writer::new(Arc::clone(&log), store);
        let keeping = Some(writer.subscribe());
        let (log_tasks, stop_log) = (TaskTracker::new(), CancellationToken::new());
        log_tasks.spawn(writer.run(stop_log.clone()));
        Gateway {
            pollers,
            writes,
            shelf: ledgers.shelf,
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
    pub fn unfinished(&self, backend: &BackendName) -> Vec<Unfinished> {
        let writes = self.writes.get(backend);
        writes.map_or_else(Vec::new, |writes| writes.ledger().unfinished())
    }

    /// Whether writes under way and request ids outlive the process.
    pub fn durable_writes(&self) -> bool {
        self.shelf.is_durable()
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
            .map_err(|error| error.missing(name).during("reading a connection"))
    }

    /// Makes a connection, with its parts, as this backend takes the description (`portable::fit`), which is told by warnings.
    /// Its caller waits until `deadline`; the write goes on.
    ///
    /// # Errors
    /// What the backend cannot express, all of it, before anything is sent; else as [`Dialect::attach`] and
    /// [`Dialect::plan_create`]; of the request id as [`Writes::begin`].
    pub async fn create(
        &self,
        backend: &BackendName,
        wanted: NewConnection,
        how: How,
        deadline: Instant,
    ) -> Result<Accepted> {
        let writes = self.writable(backend)?;
        let fitted = self.fitted(backend, wanted)?;
        let begun = writes.begin(about(Action::Create, None), &how, deadline);
        let begun = begun.await?;
        let write = connections::Create {
            wanted: fitted.wanted.clone(),
        };
        let done = self.carry_out(writes, write, begun, deadline).await;
        let mut accepted: Accepted = done.map_err(|error| fitted.told_error(error))?;
        accepted.warnings = fitted.told_warnings(accepted.warnings);
        Ok(accepted)
    }

    /// Changes a connection. What is so already is no change, and need not be expressible. With `validate_only` it is
    /// planned and no more, which reads it: what is not there, or has another etag, could not be changed either. Its caller
    /// waits until `deadline`; the write goes on.
    ///
    /// # Errors
    /// As [`Gateway::create`] and [`Dialect::plan_update`].
    pub async fn update(
        &self,
        name: &ConnectionName,
        change: ConnectionChange,
        how: How,
        deadline: Instant,
    ) -> Result<Accepted> {
        let writes = self.writable(&name.backend)?;
        let begun = writes.begin(about(Action::Update, Some(name)), &how, deadline);
        let begun = begun.await?;
        if let Begun::Answered(answer) = begun {
            return repeated(answer);
        }
        let unread = BTreeSet::new();
        let (change, violations) = self.settle(name, change, &unread, deadline).await?;
        refused(violations, &name.backend)?;
        let name = name.clone();
        let write = connections::Update { name, change };
        self.carry_out(writes, write, begun, deadline).await
    }

    /// Removes a connection, and the parts of it that nobody else uses. Its caller waits until `deadline`; the write goes
    /// on.
    ///
    /// # Errors
    /// As [`Dialect::plan_delete`]; with `allow_missing`, one that is not there is no error.
    pub async fn delete(
        &self,
        name: &ConnectionName,
        etag: Option<String>,
        allow_missing: bool,
        how: How,
        deadline: Instant,
    ) -> Result<Accepted> {
        let writes = self.writable(&name.backend)?;
        let begun = writes.begin(about(Action::Delete, Some(name)), &how, deadline);
        let begun = begun.await?;
        let write = connections::Delete {
            name: name.clone(),
            etag,
            allow_missing,
        };
        self.carry_out(writes, write, begun, deadline).await
    }

    /// The writes of a backend, if it takes any.
    pub(super) fn writable(&self, name: &BackendName) -> Result<Arc<Writes>> {
        let backend = self.poller(name)?.backend();
        writable(backend)?;
        self.writes_of(name)
    }

    fn writes_of(&self, name: &BackendName) -> Result<Arc<Writes>> {
        let writes = self.writes.get(name);
        writes.cloned().ok_or_else(|| unknown(name))
    }

    /// Does a write that has begun, tries it, or answers what was answered before.
    pub(super) async fn carry_out<W: Write>(
        &self,
        writes: Arc<Writes>,
        write: W,
        begun: Begun,
        deadline: Instant,
    ) -> Result<W::Answer> {
        match begun {
            Begun::Tried => writes.try_out(&write, deadline).await,
            Begun::Answered(answer) => repeated(answer),
            Begun::Now(held) => self.own(writes.run(write, held, deadline)).await,
        }
    }

    pub(super) fn poller(&self, name: &BackendName) -> Result<&Arc<Poller>> {
        self.pollers.get(name).ok_or_else(|| unknown(name))
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

/// The ledgers of all backends, and what earlier lives left in them.
struct Ledgers {
    shelf: Arc<Shelf>,
    key: MacKey,
    left: BTreeMap<BackendName, Left>,
}

impl Ledgers {
    /// Those of a gateway that keeps nothing.
    fn new() -> Ledgers {
        Ledgers {
            shelf: Arc::new(Shelf::in_memory()),
            key: MacKey::random(),
            left: BTreeMap::new(),
        }
    }

    /// Those that are in this store.
    async fn kept(
        store: &Arc<dyn Store>,
        backends: impl Iterator<Item = &BackendName>,
    ) -> std::result::Result<Ledgers, StoreError> {
        let shelf = Arc::new(Shelf::of(Arc::clone(store)));
        let key = MacKey::kept(&shelf).await?;
        let mut left = BTreeMap::new();
        for name in backends {
            left.insert(name.clone(), Left::read(name, &shelf).await?);
        }
        Ok(Ledgers { shelf, key, left })
    }

    fn take(&mut self, backend: &BackendName) -> (Arc<Ledger>, Vec<Entry>) {
        let mut left = self.left.remove(backend).unwrap_or_default();
        let shelf = Arc::clone(&self.shelf);
        let ledger = Ledger::new(backend, self.key.clone(), shelf, &mut left);
        (ledger, left.entries)
    }
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

/// What a repeat of a request is answered.
pub(super) fn repeated<A: Answer>(answer: Value) -> Result<A> {
    serde_json::from_value(answer)
        .map_err(|error| Error::internal(format!("a kept answer cannot be read: {error}")))
}

fn unknown(name: &BackendName) -> Error {
    Error::new(
        ErrorKind::NotFound,
        ErrorReason::BackendNotFound,
        format!("no backend `{}` is configured", name.as_str()),
    )
    .resource(name.to_string())
}

fn writable(backend: &Backend) -> Result<()> {
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
