//! What the writes of one backend share.

use crate::{
    core::{
        backend::Backend,
        dialect::{Action, Call, Dialect, Proof},
        error::{Error, Result, Violation},
        ledger::book::Ledger,
        watch::{
            knowledge::{Write, WriteKind},
            poller::Poller,
            subject::Subject,
        },
    },
    metrics::table::{BACKEND, WRITES},
    model::{BackendName, ConnectionName, Intent},
};
use opentelemetry::KeyValue;
use std::sync::Arc;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A write of several requests may take this many times a backend's timeout for one.
const WRITE_TIMEOUTS: u32 = 6;
/// How many writes that did not end with their call are gone on with at the same time.
const PLACES: usize = 4;
/// How often answers that are old enough are forgotten.
const FORGET: std::time::Duration = std::time::Duration::from_secs(3600);

/// The writes of one backend.
#[derive(Debug)]
pub struct Writes {
    pub(super) poller: Arc<Poller>,
    pub(super) ledger: Arc<Ledger>,
    /// The dialect that they are done with, from their beginning to their end.
    dialect: Arc<dyn Dialect>,
    /// Owns them.
    pub(super) tasks: TaskTracker,
    pub(super) cancel: CancellationToken,
    pub(super) places: Arc<Semaphore>,
}

impl Writes {
    /// Those of the poller's backend, by its present dialect; they belong to `tasks`, and none begins after `cancel`.
    pub fn new(
        poller: &Arc<Poller>,
        ledger: &Arc<Ledger>,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Arc<Writes> {
        Arc::new(Writes {
            dialect: poller.backend().dialect(),
            poller: Arc::clone(poller),
            ledger: Arc::clone(ledger),
            tasks: tasks.clone(),
            cancel: cancel.clone(),
            places: Arc::new(Semaphore::new(PLACES)),
        })
    }

    /// The same by the dialect that the backend has by now.
    pub fn renewed(self: &Arc<Self>) -> Arc<Writes> {
        let dialect = self.backend().dialect();
        if Arc::ptr_eq(&dialect, &self.dialect) {
            return Arc::clone(self);
        }
        Arc::new(Writes {
            poller: Arc::clone(&self.poller),
            ledger: Arc::clone(&self.ledger),
            dialect,
            tasks: self.tasks.clone(),
            cancel: self.cancel.clone(),
            places: Arc::clone(&self.places),
        })
    }

    /// Owns those under way.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// The backend.
    pub fn backend(&self) -> &Arc<Backend> {
        self.poller.backend()
    }

    /// Its name.
    pub fn name(&self) -> &BackendName {
        self.backend().name()
    }

    /// The dialect they are done with.
    pub fn dialect(&self) -> &dyn Dialect {
        &*self.dialect
    }

    /// Its ledger.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Counts a write that has ended, and how.
    pub(super) fn count(&self, action: Action, result: &'static str) {
        let attributes = [
            KeyValue::new(BACKEND, self.name().as_str().to_owned()),
            KeyValue::new("isthmus.action", action.as_str()),
            KeyValue::new("isthmus.result", result),
        ];
        WRITES.add(1, &attributes);
    }

    /// The name of the connection with this id.
    pub(super) fn connection_name(&self, id: &str) -> Result<ConnectionName> {
        ConnectionName::connection(self.name(), id).map_err(|error| {
            Error::internal(format!("the cloud's id cannot stand in a name: {error}"))
        })
    }

    /// The connection with this id, as the watch knows it.
    pub(super) fn subject(&self, name: &ConnectionName) -> Arc<Subject> {
        self.poller.inventory().shown(name)
    }

    /// Notes a write that the cloud has accepted, so that every poll from now on is measured against it. Its name is
    /// given away once it is kept.
    pub(super) async fn note(&self, name: &ConnectionName, write: &Write) -> String {
        let subject = self.subject(name);
        let token = subject.wrote(write);
        if subject.is_watched() {
            self.poller.poll_soon(&subject);
        }
        self.poller.inventory().joined(&subject);
        subject.wait_committed().await;
        tracing::debug!(connection.name = %name, write = ?write.kind, "the cloud accepted a write");
        token.encode()
    }
}

/// Forgets the answers of a backend that are old enough, until cancelled.
pub async fn forget_old(ledger: Arc<Ledger>, cancel: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = sleep(FORGET) => {}
        }
        if let Err(error) = ledger.claims.forget_old().await {
            tracing::debug!(%error, "old answers could not be forgotten");
        }
    }
}

/// A write that has just been accepted.
pub fn accepted(kind: WriteKind, proof: Proof, intent: Intent, parts_remain: bool) -> Write {
    Write {
        kind,
        proof,
        intent,
        done: Instant::now(),
        parts_remain,
    }
}

/// What a connection is meant to be that is switched so.
pub fn intent(admin_enabled: Option<bool>) -> Intent {
    if admin_enabled == Some(false) {
        Intent::Disabled
    } else {
        Intent::Enabled
    }
}

/// A write has the gateway's own time, however little its caller has.
pub fn write_call(backend: &Backend, answer_by: Instant) -> Call {
    Call {
        answer_by: Some(answer_by),
        ..Call::unary(backend.settings().timeout * WRITE_TIMEOUTS)
    }
}

/// Fails if there is anything that the backend cannot express.
///
/// # Errors
/// `NotExpressible` with all of it.
pub fn refused(violations: Vec<Violation>, backend: &BackendName) -> Result<()> {
    if violations.is_empty() {
        return Ok(());
    }
    Err(Error::not_expressible(violations).on(backend))
}
