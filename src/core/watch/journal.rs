//! Numbers the changes of all backends, has them kept, and shows them to streams once they are.
//!
//! ```text
//!   append ──► queued ──(one task, one batch at a time)──► kept ──► shown ──► streams
//! ```
//!
//! No stream is told of a change that a restart could forget: a client that resumes after it would go on from a
//! position that means something else. If the store cannot keep (a full disk), changes are shown all the same,
//! because whoever waits is better off; positions among them then end with the process, and the store says where
//! the gap is once it keeps again.

use crate::{
    core::{
        backend::Serving,
        store::{Batch, Recovered, Step, Store, StoreError},
        watch::{knowledge::Memory, log::Observation},
    },
    model::{BackendName, ConnectionName},
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a batch may take before its changes are shown without being kept: whoever waits for an outcome must
/// not wait for a disk that hangs.
const COMMIT_PATIENCE: Duration = Duration::from_secs(2);
/// How long to leave a store alone that could not keep.
const RETRY: Duration = Duration::from_secs(10);
/// How often a store that has nothing to do is asked whether it still has what it kept.
const LOOK: Duration = Duration::from_secs(10);

/// Rung with the sequence of a change once it is shown.
pub type Bell = Arc<watch::Sender<u64>>;

/// The log's numbering, and the way of every change into the store.
#[derive(Debug)]
pub struct Journal {
    epoch: u64,
    earlier: BTreeMap<u64, u64>,
    durable: bool,
    /// A std mutex: held for numbering and queueing only, never across an await.
    queue: Mutex<Queue>,
    queued: Notify,
    /// The sequence up to which changes are shown.
    shown: watch::Sender<u64>,
    keeping: watch::Sender<Serving>,
}

#[derive(Debug, Default)]
struct Queue {
    last: u64,
    steps: Vec<Step>,
    bells: Vec<Bell>,
}

impl Journal {
    /// One that nobody keeps: every change is shown as it happens, and forgotten with the process.
    pub fn volatile(epoch: u64) -> Journal {
        let recovered = Recovered {
            epoch,
            ..Recovered::default()
        };
        Journal {
            durable: false,
            ..Journal::durable(&recovered)
        }
    }

    /// Goes on from what a store has kept. Nothing is shown unless [`Journal::keep`] runs.
    pub fn durable(recovered: &Recovered) -> Journal {
        let latest = recovered.connections.iter().map(|(latest, _)| latest);
        let kept = latest.chain(&recovered.log).map(|change| change.sequence);
        // Whatever the store believes: no number is ever given twice.
        let last = kept.fold(recovered.last, u64::max);
        let queue = Queue {
            last,
            ..Queue::default()
        };
        Journal {
            epoch: recovered.epoch,
            earlier: recovered.earlier.clone(),
            durable: true,
            queue: Mutex::new(queue),
            queued: Notify::new(),
            shown: watch::Sender::new(last),
            keeping: watch::Sender::new(Serving::Yes),
        }
    }

    /// This life of the log.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last number given.
    pub fn last(&self) -> u64 {
        self.queue().last
    }

    /// The sequence up to which changes are shown.
    pub fn shown(&self) -> u64 {
        *self.shown.borrow()
    }

    /// Whether a position was given out by this log, in this life or an earlier one.
    pub fn gave(&self, epoch: u64, sequence: u64) -> bool {
        let end = if epoch == self.epoch {
            Some(self.last())
        } else {
            self.earlier.get(&epoch).copied()
        };
        end.is_some_and(|end| sequence <= end)
    }

    /// Waits until the change of that number is shown.
    pub async fn until_shown(&self, sequence: u64) {
        // The sender lives in `self`.
        let _ = self
            .shown
            .subscribe()
            .wait_for(|shown| *shown >= sequence)
            .await;
    }

    /// Whether changes are being kept; told of every change of that. `None` for a log in memory.
    pub fn subscribe_keeping(&self) -> Option<watch::Receiver<Serving>> {
        self.durable.then(|| self.keeping.subscribe())
    }

    /// Numbers a change and queues it. `bells` are rung once it is shown; in a log that nobody keeps it is shown
    /// at once, and the caller rings them when it holds no lock, by [`Journal::ring`].
    pub fn append(
        &self,
        make: impl FnOnce(u64, u64) -> Observation,
        memory: impl FnOnce() -> Memory,
        bells: &[&Bell],
    ) -> Arc<Observation> {
        let keep = |change: &Arc<Observation>| Step::Change(Arc::clone(change), Arc::new(memory()));
        self.number(make, keep, bells)
    }

    /// The same for a change of what is not to be remembered: kept is only that its number was given.
    pub fn pass(
        &self,
        make: impl FnOnce(u64, u64) -> Observation,
        bell: &Bell,
    ) -> Arc<Observation> {
        let keep = |change: &Arc<Observation>| Step::Forget(change.name.clone());
        self.number(make, keep, &[bell])
    }

    fn number(
        &self,
        make: impl FnOnce(u64, u64) -> Observation,
        keep: impl FnOnce(&Arc<Observation>) -> Step,
        bells: &[&Bell],
    ) -> Arc<Observation> {
        let mut queue = self.queue();
        queue.last += 1;
        let change = Arc::new(make(self.epoch, queue.last));
        if self.durable {
            queue.steps.push(keep(&change));
            queue
                .bells
                .extend(bells.iter().map(|bell| Arc::clone(bell)));
            self.queued.notify_one();
        } else {
            self.shown.send_replace(queue.last);
        }
        change
    }

    /// Rings a bell for a change that is shown already.
    pub fn ring(&self, sequence: u64, bell: &Bell) {
        if self.shown() >= sequence {
            bell.send_replace(sequence);
        }
    }

    /// The change of that number left the window of its backend.
    pub fn compact(&self, backend: &BackendName, sequence: u64) {
        self.note(|| Step::Compact(backend.clone(), sequence));
    }

    /// The connection is no longer remembered.
    pub fn forget(&self, name: &ConnectionName) {
        self.note(|| Step::Forget(name.clone()));
    }

    fn note(&self, step: impl FnOnce() -> Step) {
        if self.durable {
            self.queue().steps.push(step());
            self.queued.notify_one();
        }
    }

    /// Has the store keep what is queued until cancelled, and then what is left.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn Store>, cancel: CancellationToken) {
        let mut owed: Option<Owed> = None;
        loop {
            let now = Instant::now();
            let retry = owed.as_ref().map_or(now + LOOK, |owed| owed.retry);
            let ended = tokio::select! {
                biased;
                () = cancel.cancelled() => true,
                () = self.queued.notified() => false,
                () = sleep_until(retry) => false,
            };
            let Queue { last, steps, bells } = {
                let mut queue = self.queue();
                let last = queue.last;
                std::mem::replace(
                    &mut *queue,
                    Queue {
                        last,
                        ..Queue::default()
                    },
                )
            };
            owed = match owed {
                None if steps.is_empty() && ended => None,
                None => {
                    let batch = Batch {
                        last,
                        gap_until: None,
                        steps: steps.clone(),
                    };
                    let kept = match steps.is_empty() {
                        true => patiently(store.look()).await,
                        false => patiently(store.commit(batch)).await,
                    };
                    match kept {
                        Ok(()) => None,
                        Err(error) => {
                            tracing::error!(%error, "the log cannot be kept; watches go on, but positions from now on are lost with the process");
                            self.keeping.send_replace(Serving::No);
                            let missed = !steps.is_empty();
                            Some(Owed::new(steps, missed))
                        }
                    }
                }
                Some(mut owed) => {
                    owed.add(steps);
                    if !ended && Instant::now() < owed.retry {
                        Some(owed)
                    } else {
                        self.settle(&*store, owed, last).await
                    }
                }
            };
            self.shown.send_replace(last);
            for bell in bells {
                bell.send_replace(last);
            }
            if ended {
                return;
            }
        }
    }

    /// Tries to keep what could not be kept before.
    async fn settle(&self, store: &dyn Store, owed: Owed, last: u64) -> Option<Owed> {
        let missed = owed.missed || !owed.steps.is_empty();
        let batch = Batch {
            last,
            gap_until: Some(last),
            steps: owed.steps.clone(),
        };
        let kept = match missed {
            true => patiently(store.commit(batch)).await,
            false => patiently(store.look()).await,
        };
        match kept {
            Ok(()) => {
                tracing::info!("the log is being kept again");
                self.keeping.send_replace(Serving::Yes);
                None
            }
            Err(error) => {
                tracing::debug!(%error, "the log still cannot be kept");
                Some(Owed::new(owed.steps, missed))
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a store has to be told once it keeps again: of each connection the newest step.
#[derive(Debug)]
struct Owed {
    steps: Vec<Step>,
    retry: Instant,
    /// Whether the store was told of anything that it did not keep, so that there is a gap.
    missed: bool,
}

impl Owed {
    fn new(steps: Vec<Step>, missed: bool) -> Owed {
        let mut owed = Owed {
            steps: Vec::new(),
            retry: Instant::now() + RETRY,
            missed,
        };
        owed.add(steps);
        owed
    }

    /// Bounded by the number of connections.
    fn add(&mut self, steps: Vec<Step>) {
        self.steps.extend(steps);
        let mut told = HashSet::new();
        let mut kept: Vec<Step> = std::mem::take(&mut self.steps)
            .into_iter()
            .rev()
            .filter(|step| match step {
                Step::Change(change, _) => told.insert(change.name.clone()),
                Step::Forget(name) => told.insert(name.clone()),
                // Beyond the gap there is nothing left to compact.
                Step::Compact(..) => false,
            })
            .collect();
        kept.reverse();
        self.steps = kept;
    }
}

async fn patiently(asked: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    timeout(COMMIT_PATIENCE, asked).await.unwrap_or_else(|_| {
        let limit = COMMIT_PATIENCE.as_secs();
        Err(StoreError(format!("it took longer than {limit} s")))
    })
}

#[cfg(test)]
mod tests;
