//! The only task that commits the log and notifies its followers.

use crate::{
    core::{
        backend::Serving,
        notifier::Notifier,
        store::{Batch, Step, Store, StoreError},
        watch::log::{Log, Queue, observation::Revision},
    },
    metrics::table::STORE_COMMIT,
};
use opentelemetry::KeyValue;
use std::{collections::HashSet, future::pending, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a batch may take before its changes are published without being kept: a watch that waits for an outcome
/// must not wait for a disk that hangs.
pub(super) const COMMIT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait before retrying a store that failed.
const RETRY: Duration = Duration::from_secs(10);

/// Commits what is appended to a log. Each log has one writer.
#[derive(Debug)]
pub struct Writer {
    log: Arc<Log>,
    store: Arc<dyn Store>,
    /// Steps that the store has not kept; after a failure, only the newest of each connection.
    pending: Vec<Step>,
    /// When to retry after a failure.
    retry: Option<Instant>,
    /// Since when the store has been failing.
    lost: Option<Instant>,
    /// Whether any step was committed without being kept, so that the store has a gap.
    has_gap: bool,
    serving: watch::Sender<Serving>,
}

impl Writer {
    pub fn new(log: Arc<Log>, store: Arc<dyn Store>) -> Writer {
        Writer {
            log,
            store,
            pending: Vec::new(),
            retry: None,
            lost: None,
            has_gap: false,
            serving: watch::Sender::new(Serving::Yes),
        }
    }

    /// Returns a receiver that reports whether the store keeps what is appended.
    pub fn subscribe(&self) -> watch::Receiver<Serving> {
        self.serving.subscribe()
    }

    /// Commits what is queued until cancelled, and then what is left.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            let is_last = tokio::select! {
                biased;
                () = cancel.cancelled() => true,
                () = self.log.queued.notified() => false,
                () = self.silence() => false,
            };
            let queue = self.log.take();
            self.write(queue.latest, queue.steps, is_last).await;
            self.log.publish(queue.latest, queue.notifiers);
            if is_last {
                return;
            }
        }
    }

    /// Waits until the store is due for a check or a retry.
    async fn silence(&self) {
        let check = self.store.check_interval().map(|it| Instant::now() + it);
        match self.retry.or(check) {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
    }

    /// Has the store keep these steps and the pending ones, unless a failure was a moment ago.
    async fn write(&mut self, latest: Revision, steps: Vec<Step>, is_last: bool) {
        self.pending.extend(steps);
        match self.retry {
            None if is_last && self.pending.is_empty() => return,
            None => {}
            Some(retry) => {
                self.keep_newest();
                if !is_last && Instant::now() < retry {
                    return;
                }
                self.has_gap |= !self.pending.is_empty();
            }
        }
        let written = if self.pending.is_empty() && !self.has_gap {
            patiently(self.store.poll()).await
        } else {
            let batch = Batch {
                last: latest,
                gap_until: self.has_gap.then_some(latest),
                steps: self.pending.clone(),
            };
            self.commit(batch).await
        };
        match written {
            Ok(()) => {
                self.pending.clear();
                self.has_gap = false;
                if self.retry.take().is_some() {
                    let for_s = self.lost.take().map(|lost| lost.elapsed().as_secs());
                    tracing::info!(for_s, "the log is being kept again");
                    self.serving.send_replace(Serving::Yes);
                }
            }
            Err(error) => {
                if self.retry.is_some() {
                    tracing::debug!(%error, "the log still cannot be kept");
                } else {
                    tracing::error!(%error, "the log cannot be kept; watches go on, but positions from now on are lost with the process");
                    self.serving.send_replace(Serving::No);
                    self.lost = Some(Instant::now());
                }
                self.has_gap |= !self.pending.is_empty();
                self.keep_newest();
                self.retry = Some(Instant::now() + RETRY);
            }
        }
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let begun = Instant::now();
        let committed = patiently(self.store.commit(batch)).await;
        if self.store.is_there() {
            let took = begun.elapsed();
            let why = match &committed {
                Ok(()) => None,
                Err(_) if took >= COMMIT_TIMEOUT => Some("timeout"),
                Err(_) => Some("store"),
            };
            let why = why.map(|why| KeyValue::new("error.type", why));
            STORE_COMMIT.record(took.as_secs_f64(), why.as_slice());
        }
        committed
    }

    /// Reduces the pending steps to the newest of each connection, so that the number of connections bounds them.
    fn keep_newest(&mut self) {
        let mut told = HashSet::new();
        let newest_first = std::mem::take(&mut self.pending).into_iter().rev();
        let newest = newest_first.filter(|step| match step {
            Step::Change(change, _) => told.insert(change.name.clone()),
            Step::Forget(name) => told.insert(name.clone()),
            // After the gap nothing is left to compact.
            Step::Compact(..) => false,
        });
        self.pending = newest.collect();
        self.pending.reverse();
    }
}

impl Log {
    /// Takes what was queued since the last call.
    fn take(&self) -> Queue {
        let mut queue = self.queue();
        let empty = Queue {
            latest: queue.latest,
            ..Queue::default()
        };
        std::mem::replace(&mut *queue, empty)
    }

    /// Lets streams read everything up to a revision, and wakes the followers of each window once.
    fn publish(&self, committed: Revision, notifiers: Vec<Arc<Notifier>>) {
        self.committed.send_replace(committed);
        let mut told = HashSet::new();
        for notifier in notifiers {
            if told.insert(Arc::as_ptr(&notifier)) {
                notifier.notify();
            }
        }
    }
}

async fn patiently(asked: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    timeout(COMMIT_TIMEOUT, asked).await.unwrap_or_else(|_| {
        let limit = COMMIT_TIMEOUT.as_secs();
        Err(StoreError(format!("it took longer than {limit} s")))
    })
}
