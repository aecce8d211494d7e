//! The use cases: connections on any backend.

pub use crate::core::writes::accepted::Accepted;

use crate::{
    core::{
        audit,
        backend::{Backend, Serving},
        client::Client,
        clock,
        dialect::{Action, Call, Dialect},
        error::{Error, ErrorKind, ErrorReason, Result},
        gauges::{self, Gauged},
        ledger::{Unfinished, book::Left, fingerprint::MacKey, shelf::Shelf},
        recovery::by_backend,
        request_id::How,
        roster::{Arrival, Common, Member, Roster},
        settings::BackendSettings,
        store::{Recovered, Store, StoreError, Volatile},
        watch::{
            log::{Log, writer::Writer},
            poller::Poller,
        },
        writes::{
            accepted::Answer,
            connections::{self, about},
            desk::{Writes, refused},
            run::{Begun, Write},
        },
    },
    model::{BackendName, Connection, ConnectionChange, ConnectionName, NewConnection, Parent},
    spans,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

/// All configured backends, and what can be done with them.
#[derive(Debug)]
pub struct Gateway {
    /// Read by many, and replaced by a reload. Its lock is held for one copy only, never across an await.
    pub(super) roster: watch::Sender<Arc<Roster>>,
    pub(super) common: Common,
    pub(super) store: Arc<dyn Store>,
    /// One reload at a time.
    pub(super) reloading: Semaphore,
    /// Those that were removed, with what ends with the last of their tasks. A std mutex: held for bookkeeping only, never
    /// across an await.
    pub(super) leaving: Mutex<Vec<(BackendName, TaskTracker)>>,
    /// Ends the wait of those that are to come once another of their name has ended. A std mutex, too.
    pub(super) taking_over: Mutex<CancellationToken>,
    pub(super) heartbeat: Duration,
    /// Owns the log's writer, which ends after everything that appends.
    log_tasks: TaskTracker,
    stop_log: CancellationToken,
    /// `None` if the log is in memory.
    pub(super) keeping: Option<watch::Receiver<Serving>>,
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
        let (shelf, key) = (Arc::new(Shelf::in_memory()), MacKey::random());
        let each = backends.into_iter();
        let backends = each.map(|(settings, dialect)| (settings, dialect, Left::default()));
        let store = Arc::new(Volatile);
        let mut gateway =
            Gateway::with(backends.collect(), heartbeat, store, recovered, shelf, key);
        gateway.keeping = None;
        gateway.told_of()
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
        let shelf = Arc::new(Shelf::of(Arc::clone(&store)));
        let key = MacKey::kept(&shelf).await?;
        let mut with_left = Vec::with_capacity(backends.len());
        for (settings, dialect) in backends {
            let left = Left::read(&settings.name, &shelf).await?;
            with_left.push((settings, dialect, left));
        }
        let gateway = Gateway::with(with_left, heartbeat, store, recovered, shelf, key);
        Ok(gateway.told_of())
    }

    /// The same, told of by the gauges.
    fn told_of(self) -> Arc<Gateway> {
        let gateway = Arc::new(self);
        let weak = Arc::downgrade(&gateway);
        gauges::tell_of(weak);
        gateway
    }

    fn with(
        backends: Vec<(BackendSettings, Arc<dyn Dialect>, Left)>,
        heartbeat: Duration,
        store: Arc<dyn Store>,
        recovered: Recovered,
        shelf: Arc<Shelf>,
        key: MacKey,
    ) -> Gateway {
        let common = Common {
            log: Arc::new(Log::recovered(&recovered)),
            shelf,
            key,
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
        };
        let mut kept_of = by_backend(recovered);
        let members = backends.into_iter().map(|(settings, dialect, left)| {
            let arrival = Arrival {
                kept: kept_of(&settings.name),
                settings,
                dialect,
                left,
            };
            let (member, left) = Member::new(arrival, &common);
            member.start(left, &common);
            member
        });
        let roster: Roster = members.collect();
        let writer = Writer::new(Arc::clone(&common.log), Arc::clone(&store));
        let keeping = Some(writer.subscribe());
        let (log_tasks, stop_log) = (TaskTracker::new(), CancellationToken::new());
        log_tasks.spawn(writer.run(stop_log.clone()));
        Gateway {
            roster: watch::Sender::new(Arc::new(roster)),
            common,
            store,
            reloading: Semaphore::new(1),
            leaving: Mutex::default(),
            taking_over: Mutex::default(),
            heartbeat,
            log_tasks,
            stop_log,
            keeping,
        }
    }

    /// The backends that are there now. What is begun with it is ended with it.
    pub fn present(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.borrow())
    }

    /// Told whenever a backend comes or goes.
    pub fn follow_present(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.subscribe()
    }

    /// How many connections of all backends are watched.
    pub fn watched(&self) -> usize {
        let there = self.present();
        let each = there.iter();
        each.map(|it| it.poller().inventory().watched().0).sum()
    }

    /// The longest silence of a watch.
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Stops the pollers and waits for the writes under way, at most `grace`; then has the rest of the log kept.
    pub async fn shut_down(&self, grace: Duration) {
        self.common.cancel.cancel();
        self.common.tasks.close();
        if tokio::time::timeout(grace, self.common.tasks.wait())
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
        let there = self.present();
        there
            .get(backend)
            .map_or_else(Vec::new, |it| it.ledger().unfinished())
    }

    /// Whether writes under way and request ids outlive the process.
    pub fn durable_writes(&self) -> bool {
        self.common.shelf.is_durable()
    }

    /// Told whenever the store begins or ceases to keep the log; `None` if the log is in memory.
    pub fn keeping(&self) -> Option<watch::Receiver<Serving>> {
        self.keeping.clone()
    }

    /// Reads one connection.
    ///
    /// # Errors
    /// As [`Dialect::get`].
    pub async fn get(&self, name: &ConnectionName, deadline: Instant) -> Result<Connection> {
        let poller = self.poller(&name.backend)?;
        let backend = poller.backend();
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
        let member = self.member(name)?;
        writable(member.poller().backend())?;
        Ok(member.writes())
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
            Begun::Now(held) => {
                let span = writes.span(&write.about());
                let tasks = writes.tasks().clone();
                let write = writes.run(write, held, deadline);
                let done = own(&tasks, write.instrument(span.clone())).await;
                done.inspect_err(|error| {
                    span.record("otel.status_code", "ERROR");
                    span.record("error.type", error.reason.as_str());
                })
            }
        }
    }

    pub(super) fn member(&self, name: &BackendName) -> Result<Arc<Member>> {
        let there = self.roster.borrow();
        there.get(name).cloned().ok_or_else(|| unknown(name))
    }

    pub(super) fn poller(&self, name: &BackendName) -> Result<Arc<Poller>> {
        let there = self.roster.borrow();
        let poller = there.get(name).map(|it| Arc::clone(it.poller()));
        poller.ok_or_else(|| unknown(name))
    }
}

/// Runs a write to its end, also when its caller goes away: half of several requests would leave
/// things behind that nobody knows of.
async fn own<T, F>(tasks: &TaskTracker, write: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let client = Client::current().unwrap_or_default();
    let write = spans::go_on(client.serve(audit::carried(write)));
    match tasks.spawn(write).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal(format!(
            "the write ended in a fault: {error}"
        ))),
    }
}

impl Gauged for Gateway {
    fn present(&self) -> Vec<Arc<Member>> {
        self.roster.borrow().iter().cloned().collect()
    }

    fn keeping_now(&self) -> Option<Serving> {
        let keeping = self.keeping.as_ref();
        keeping.map(|keeping| *keeping.borrow())
    }
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
    audit::note_repeat();
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
