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

/// The timeout of a write, which may take several requests, in backend timeouts.
const WRITE_TIMEOUTS: u32 = 6;
/// How many unfinished writes the settler works on at the same time.
const PLACES: usize = 4;
/// The interval at which expired answers are forgotten.
const FORGET: std::time::Duration = std::time::Duration::from_secs(3600);

#[derive(Debug)]
pub struct Writes {
    pub(super) poller: Arc<Poller>,
    pub(super) ledger: Arc<Ledger>,
    /// The dialect of these writes from beginning to end.
    dialect: Arc<dyn Dialect>,
    /// The tasks of writes in flight and of the settler.
    pub(super) tasks: TaskTracker,
    pub(super) cancel: CancellationToken,
    pub(super) places: Arc<Semaphore>,
}

impl Writes {
    /// Returns the writes of the poller's backend, by its present dialect. They run in `tasks`; none begins after
    /// `cancel`.
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

    /// Returns the same writes by the backend's current dialect.
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

    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub fn backend(&self) -> &Arc<Backend> {
        self.poller.backend()
    }

    pub fn name(&self) -> &BackendName {
        self.backend().name()
    }

    /// The dialect of these writes, which is not always the backend's current one.
    pub fn dialect(&self) -> &dyn Dialect {
        &*self.dialect
    }

    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Counts a write that has ended, and its result.
    pub(super) fn count(&self, action: Action, result: &'static str) {
        let attributes = [
            KeyValue::new(BACKEND, self.name().as_str().to_owned()),
            KeyValue::new("isthmus.action", action.as_str()),
            KeyValue::new("isthmus.result", result),
        ];
        WRITES.add(1, &attributes);
    }

    pub(super) fn connection_name(&self, id: &str) -> Result<ConnectionName> {
        ConnectionName::connection(self.name(), id).map_err(|error| {
            Error::internal(format!("the cloud's id cannot stand in a name: {error}"))
        })
    }

    /// Returns the subject that the watch keeps for this connection.
    pub(super) fn subject(&self, name: &ConnectionName) -> Arc<Subject> {
        self.poller.inventory().shown(name)
    }

    /// Records a write that the cloud accepted, so that every later poll is measured against it. Returns its token once
    /// the record is committed.
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

/// Forgets the expired answers of a backend periodically, until cancelled.
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

/// Returns the record of a write that the cloud has just accepted.
pub fn accepted(kind: WriteKind, proof: Proof, intent: Intent, parts_remain: bool) -> Write {
    Write {
        kind,
        proof,
        intent,
        done: Instant::now(),
        parts_remain,
    }
}

/// Returns the intent for this administrative state. `None` counts as enabled.
pub fn intent(admin_enabled: Option<bool>) -> Intent {
    if admin_enabled == Some(false) {
        Intent::Disabled
    } else {
        Intent::Enabled
    }
}

/// Returns the call of a write. It has the gateway's own deadline, however little time its caller has.
pub fn write_call(backend: &Backend, answer_by: Instant) -> Call {
    Call {
        answer_by: Some(answer_by),
        ..Call::unary(backend.settings().timeout * WRITE_TIMEOUTS)
    }
}

/// Rejects a request with anything that the backend cannot express.
///
/// # Errors
/// `NotExpressible` with all violations.
pub fn refused(violations: Vec<Violation>, backend: &BackendName) -> Result<()> {
    if violations.is_empty() {
        return Ok(());
    }
    Err(Error::not_expressible(violations).on(backend))
}
