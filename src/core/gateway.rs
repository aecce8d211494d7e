//! The gateway: its start and shutdown, and the use cases of connections on any backend.

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

/// The configured backends, and the use cases on them.
#[derive(Debug)]
pub struct Gateway {
    /// Read often, and replaced by a reload. The lock is held for one copy only, never across an await.
    pub(super) roster: watch::Sender<Arc<Roster>>,
    pub(super) common: Common,
    pub(super) store: Arc<dyn Store>,
    /// Serializes reloads.
    pub(super) reloading: Semaphore,
    /// The removed backends whose tasks have not all ended. A std mutex: held for bookkeeping only, never across an
    /// await.
    pub(super) leaving: Mutex<Vec<(BackendName, TaskTracker)>>,
    /// Cancels the backends that wait for a removed one of the same name to end. A std mutex, too.
    pub(super) taking_over: Mutex<CancellationToken>,
    pub(super) heartbeat: Duration,
    /// Owns the log's writer, which ends after everything that appends.
    log_tasks: TaskTracker,
    stop_log: CancellationToken,
    /// Whether the store is keeping the log; `None` if the log is in memory.
    pub(super) keeping: Option<watch::Receiver<Serving>>,
}

impl Gateway {
    /// Returns a gateway over these backends with an in-memory log. Its pollers run until [`Gateway::shut_down`]. Must
    /// be called within a tokio runtime.
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

    /// Returns a gateway that continues from what `store` kept, and keeps its log there.
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

    /// Registers the gateway with the gauges.
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

    /// Returns the current roster. An operation uses one roster from beginning to end.
    pub fn present(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.borrow())
    }

    /// Returns a receiver that is notified when a backend is added or removed.
    pub fn follow_present(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.subscribe()
    }

    /// Returns the number of watched connections of all backends.
    pub fn watched(&self) -> usize {
        let there = self.present();
        let each = there.iter();
        each.map(|it| it.poller().inventory().watched().0).sum()
    }

    /// The longest silence of a watch.
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Stops the pollers, waits at most `grace` for the writes in flight, then flushes the log to the store.
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
        // Bounded: a store has a limited time for every batch.
        self.log_tasks.wait().await;
    }

    /// Returns the writes of a backend that did not end with their call, newest first; at most 64.
    pub fn unfinished(&self, backend: &BackendName) -> Vec<Unfinished> {
        let there = self.present();
        there
            .get(backend)
            .map_or_else(Vec::new, |it| it.ledger().unfinished())
    }

    /// Reports whether writes in flight and request ids outlive the process.
    pub fn durable_writes(&self) -> bool {
        self.common.shelf.is_durable()
    }

    /// Returns a receiver that is notified when the store starts or stops keeping the log; `None` if the log is in
    /// memory.
    pub fn keeping(&self) -> Option<watch::Receiver<Serving>> {
        self.keeping.clone()
    }

    /// Reads one connection.
    ///
    /// # Errors
    /// Those of [`Dialect::get`].
    pub async fn get(&self, name: &ConnectionName, deadline: Instant) -> Result<Connection> {
        let poller = self.poller(&name.backend)?;
        let backend = poller.backend();
        let result = backend.dialect().get(&name.id, &caller(deadline)).await;
        backend
            .record_caller_result(result)
            .map_err(|error| error.missing(name).during("reading a connection"))
    }

    /// Creates a connection with its parts, fitted to the backend (`portable::fit`), with warnings about what was
    /// changed. The caller waits until `deadline`; the write goes on after that.
    ///
    /// # Errors
    /// Everything that the backend cannot express, before anything is sent; those of [`Dialect::attach`] and
    /// [`Dialect::plan_create`]; those of [`Writes::begin`].
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

    /// Updates a connection. A value that the connection already has is no change, and need not be expressible. With
    /// `validate_only` the update is only planned. Planning reads the connection, so a missing connection or a stale
    /// etag is an error too. The caller waits until `deadline`; the write goes on after that.
    ///
    /// # Errors
    /// Those of [`Gateway::create`] and [`Dialect::plan_update`].
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

    /// Deletes a connection and the parts that only it uses. The caller waits until `deadline`; the write goes on after
    /// that.
    ///
    /// # Errors
    /// Those of [`Dialect::plan_delete`]. With `allow_missing` a missing connection is not an error.
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

    /// Returns the writes of a backend, unless it is read-only.
    pub(super) fn writable(&self, name: &BackendName) -> Result<Arc<Writes>> {
        let member = self.member(name)?;
        writable(member.poller().backend())?;
        Ok(member.writes())
    }

    /// Runs or validates a write that has begun, or returns its stored answer.
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

/// Runs a write to its end, even if its caller goes away: stopping between its requests would leave objects that
/// nothing knows of.
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

/// Milliseconds since the Unix epoch. As an epoch of the log it is higher than all before, even if the store was lost.
fn now_ms() -> u64 {
    clock::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

/// Returns the text that the tokens of a list or a watch of many are bound to.
pub(super) fn scope(parent: &Parent) -> String {
    match parent {
        Parent::One(name) => name.to_string(),
        Parent::Every => "backends/-".to_owned(),
    }
}

/// Returns a call whose caller waits until `deadline`.
pub(super) fn caller(deadline: Instant) -> Call {
    Call {
        deadline,
        ..Call::unary(Duration::ZERO)
    }
}

/// Returns the stored answer for a repeat of a request.
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
        "the gateway's configuration makes this backend read-only",
    )
    .on(backend.name()))
}
