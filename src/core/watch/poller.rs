//! Polls the watched connections of one backend on schedule. `knowledge` decides what a poll means, `pace` when to poll
//! again, and `inventory` which connections exist.

use crate::{
    core::{
        backend::Backend,
        clock,
        dialect::{Priority, Target},
        error::{Error, Result},
        watch::{
            counts::Counts,
            due_queue::Stake,
            interest::Interest,
            inventory::Inventory,
            knowledge::{Memory, PollResult},
            log::{Log, Observation, backend::BackendLog},
            names::Names,
            pace,
            subject::Subject,
            timetable::Timetable,
            watching::Watching,
        },
    },
    model::{ConnectionName, Sighting},
    spans,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Maximum number of concurrent polls of one stake. The account's budget paces polls; this bounds memory. Polls of low
/// stake that hang do not keep others from starting.
const MAX_POLLS: usize = 16;
/// Interval of the chores, and how long a backend may go without a request before it is probed.
const PROBE: Duration = Duration::from_secs(30);

/// The poller of one backend.
#[derive(Debug)]
pub struct Poller {
    backend: Arc<Backend>,
    log: Arc<BackendLog>,
    counts: Arc<Counts>,
    names: Arc<Names>,
    inventory: Arc<Inventory>,
    timetable: Arc<Timetable>,
    /// How many times the loop has turned.
    turns: AtomicU64,
    /// Permits for concurrent polls, by stake.
    places: [Arc<Semaphore>; 3],
}

/// What a store kept of one backend.
#[derive(Debug, Default)]
pub struct Kept {
    /// The highest revision that has left `log`.
    pub floor: u64,
    /// The backend's changes, in order.
    pub log: Vec<Arc<Observation>>,
    /// The backend's connections, each with its newest change.
    pub connections: Vec<(Arc<Observation>, Memory)>,
}

impl Poller {
    /// Creates a poller that continues from what was kept of its backend.
    pub fn recalled(backend: Arc<Backend>, log: Arc<Log>, kept: Kept) -> Poller {
        let mut changes: HashMap<Arc<str>, Vec<Arc<Observation>>> = HashMap::new();
        for change in &kept.log {
            let of_one = changes.entry(Arc::clone(&change.name.id)).or_default();
            of_one.push(Arc::clone(change));
        }
        let log = BackendLog::recovered(backend.name().clone(), log, kept.log, kept.floor);
        let poller = Poller::with(backend, log);
        for (latest, memory) in kept.connections {
            let id = Arc::clone(&latest.name.id);
            // The newest change of a connection that has been quiet for long may have left the window.
            let mut changes = changes.remove(&id).unwrap_or_default();
            if changes.last() != Some(&latest) {
                changes = vec![Arc::clone(&latest)];
            }
            let configured = Arc::clone(poller.backend.configured());
            let log = Arc::clone(&poller.log);
            let subject = Subject::recalled(&changes, &latest, memory, log, configured);
            poller.names.recall(subject);
        }
        poller
    }

    fn with(backend: Arc<Backend>, log: BackendLog) -> Poller {
        let (log, timetable) = (Arc::new(log), Arc::<Timetable>::default());
        let configured = Arc::clone(backend.configured());
        let names = Names::new(Arc::clone(&log), configured, Arc::clone(&timetable));
        let names = Arc::new(names);
        backend.count_watched(names.count());
        let inventory = Inventory::new(
            Arc::clone(&backend),
            Arc::clone(&names),
            Arc::clone(&timetable),
        );
        Poller {
            counts: Counts::of(backend.name()),
            backend,
            log,
            names,
            inventory: Arc::new(inventory),
            timetable,
            turns: AtomicU64::new(0),
            places: Stake::ALL.map(|_| Arc::new(Semaphore::new(MAX_POLLS))),
        }
    }

    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Returns the log of changes to all connections of the backend.
    pub fn log(&self) -> &Arc<BackendLog> {
        &self.log
    }

    /// Returns the counters of watches and polls.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Returns the set of existing connections, and the watches over all of them.
    pub fn inventory(&self) -> &Arc<Inventory> {
        &self.inventory
    }

    /// Has a connection polled for as long as the returned [`Watching`] is held.
    pub fn watch(&self, name: &ConnectionName, interest: Interest) -> (Arc<Subject>, Watching) {
        let watching = Watching::begin(&self.names, name, interest).linked();
        (Arc::clone(watching.subject()), watching)
    }

    /// Has a connection polled now. Returns the poll's number, for [`Subject::poll_ended`].
    pub fn poll_soon(&self, subject: &Subject) -> u64 {
        self.timetable.poll_now(subject)
    }

    /// Like [`Poller::poll_soon`], for a call that waits for the poll.
    pub fn poll_for_call(&self, subject: &Subject) -> u64 {
        self.timetable.poll_by(subject, Instant::now(), true)
    }

    /// Has a connection polled by `when`.
    pub fn poll_by(&self, subject: &Subject, when: Instant) {
        self.timetable.poll_by(subject, when, false);
    }

    /// Returns the connections whose deletes wait, as far as is known here, for the removal of objects made together
    /// with them. The task that removes these reports the end with [`Subject::parts_settled`].
    pub fn with_parts_remaining(&self) -> Vec<Arc<Subject>> {
        let mut all = self.names.all();
        all.retain(|subject| subject.parts_remain());
        all
    }

    /// Returns the share of the account's budget in use, from 0 to 1.
    pub fn budget_used(&self) -> f64 {
        let usage = self.backend.dialect().usage();
        match usage.rate_limit > 0.0 {
            true => (usage.rate_used / usage.rate_limit).clamp(0.0, 1.0),
            false => 0.0,
        }
    }

    /// Replans all polls after the backend's configuration changed. Every watched connection is polled within its new
    /// interval, spread over that time.
    pub fn poll_all_anew(&self) {
        let now = Instant::now();
        let watched = self.names.watching();
        let count = watched.len().max(1) as u32;
        for (index, subject) in (1..).zip(&watched) {
            let wait = subject.usual_interval() * index / count;
            self.timetable.poll_by(subject, now + wait, false);
        }
        self.timetable.wake.notify_one();
    }

    /// Wakes the watches and the waiters for a poll after the backend was removed.
    pub fn leave(&self) {
        for subject in self.names.all() {
            subject.leave();
        }
        self.log.window().wake();
    }

    /// Wakes the loop and returns how many turns it took before. A live loop takes another within moments.
    pub fn nudge(&self) -> u64 {
        let turns = self.turns.load(Relaxed);
        self.timetable.wake.notify_one();
        turns
    }

    /// Polls until cancelled. Runs as one task per backend.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let batch = self.backend.capabilities().look_batch.max(1);
        let mut polls: JoinSet<()> = JoinSet::new();
        let mut chores = tokio::time::interval(PROBE);
        chores.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut relisted = Instant::now();
        loop {
            self.turns.fetch_add(1, Relaxed);
            let open = self.start_due(batch, &mut polls);
            let next = self.timetable.queue().next(&open);
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let relist = self.inventory.next_list(relisted);
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(_) = polls.join_next(), if !polls.is_empty() => {}
                _ = chores.tick() => {
                    polls.spawn(Arc::clone(&self).do_chores());
                }
                () = self.timetable.wake.notified() => {}
                () = sleep_until(relist.unwrap_or_else(Instant::now)), if relist.is_some() => {
                    relisted = Instant::now();
                    self.inventory.begin_list();
                    let inventory = Arc::clone(&self.inventory);
                    let span = spans::root(false, || {
                        let name = self.backend.name().as_str();
                        tracing::info_span!(parent: None, "list", isthmus.backend = name)
                    });
                    polls.spawn(async move { inventory.list_again().await }.instrument(span));
                }
                () = due => {}
            }
        }
        polls.shutdown().await;
    }

    /// Starts all due polls for which there is a permit. Returns the stakes that have permits left.
    fn start_due(self: &Arc<Self>, batch: usize, polls: &mut JoinSet<()>) -> Vec<Stake> {
        loop {
            let is_open = |stake: &Stake| self.places[*stake as usize].available_permits() > 0;
            let open: Vec<Stake> = Stake::ALL.into_iter().filter(is_open).collect();
            let (due, stake, place) = self.take_due(batch, &open);
            if due.is_empty() {
                return open;
            }
            let span = self.span(&due, stake);
            let poll = Arc::clone(self).poll(due, priority(stake)).instrument(span);
            polls.spawn(async move {
                poll.await;
                drop(place);
            });
        }
    }

    fn take_due(
        &self,
        batch: usize,
        of: &[Stake],
    ) -> (Vec<Due>, Stake, Option<OwnedSemaphorePermit>) {
        let now = Instant::now();
        let (ids, stake) = self.timetable.queue().take_due(now, batch, of);
        let place = Arc::clone(&self.places[stake as usize]).try_acquire_owned();
        let due = self.names.begin(&ids, |subject| {
            let (target, after_writes) = subject.start_poll()?;
            Some(Due {
                subject: Arc::clone(subject),
                target,
                after_writes,
            })
        });
        // Polls are taken only of stakes with a free permit.
        (due, stake, place.ok())
    }

    /// Starts a trace for a poll, linked to the sampled watches that it serves. The poll is sampled on its own, so that
    /// one sampled watch does not keep every poll made while it is open.
    fn span(&self, due: &[Due], stake: Stake) -> Span {
        spans::root(false, || {
            let ids = due.iter().map(|due| &*due.target.id);
            let (links, watches) = self.names.links().of(ids);
            let span = tracing::info_span!(
                parent: None,
                "poll",
                isthmus.backend = self.backend.name().as_str(),
                isthmus.stake = stake.as_str(),
                isthmus.poll.connections = due.len(),
                isthmus.poll.links_left_out = watches - links.len(),
                isthmus.poll.failed = Empty,
                otel.status_code = Empty,
                error.type = Empty,
            );
            for link in links {
                span.add_link(link);
            }
            span
        })
    }

    async fn poll(self: Arc<Self>, due: Vec<Due>, priority: Priority) {
        let begun = Instant::now();
        let began_at = clock::now();
        let targets: Vec<Target> = due.iter().map(|due| due.target.clone()).collect();
        let jitter = pace::jitter();
        let unended = Unended {
            poller: &self,
            due: Mutex::new(due.into_iter().map(Some).collect()),
        };
        let failed = AtomicUsize::new(0);
        let tell = |place: usize, result: Result<Sighting>| {
            let Some(due) = unended.take(place) else {
                return;
            };
            if let Err(error) = &result {
                tracing::debug!(connection.name = %due.subject.name(), %error, "a look told nothing");
                let span = Span::current();
                span.record("isthmus.poll.failed", 1 + failed.fetch_add(1, Relaxed));
                span.record("otel.status_code", "ERROR");
                span.record("error.type", error.reason.as_str());
            }
            self.apply(&due, begun, began_at, jitter, result);
        };
        let all = self.backend.poll(&targets, priority, &tell).await;
        let ended = Instant::now();
        drop(unended);
        if let Some(ids) = all {
            self.inventory.shown_all(ids, begun, ended);
        }
        self.timetable.wake.notify_one();
    }

    /// Ends a poll, and plans the next one if the connection is still watched.
    fn apply(
        &self,
        due: &Due,
        begun: Instant,
        began_at: SystemTime,
        jitter: f64,
        result: Result<Sighting>,
    ) {
        let subject = &due.subject;
        let seen = result.as_ref().map(|seen| &*seen.unrecognized);
        self.counts.polled(seen.map_err(|error| error.reason));
        let poll = PollResult {
            begun,
            ended: Instant::now(),
            after_writes: due.after_writes,
            result,
        };
        let applied = subject.apply_poll(&poll, began_at, jitter);
        if applied.gone {
            self.inventory.release(subject);
        }
        match applied.next {
            Some((next, stake)) if !applied.gone || subject.is_watched() => {
                self.timetable.add(subject, next, stake);
            }
            _ => self.names.polled(subject),
        }
    }

    async fn do_chores(self: Arc<Self>) {
        self.names.forget_idle();
        if self.backend.silent_for() >= PROBE {
            let name = self.backend.name().as_str();
            let span = spans::root(
                false,
                || tracing::info_span!(parent: None, "probe", isthmus.backend = name),
            );
            self.backend.probe().instrument(span).await;
        }
    }
}

/// Polls in flight. Drop ends those without a result, so that a panic in the dialect does not leave a connection
/// waiting for a poll forever.
struct Unended<'a> {
    poller: &'a Poller,
    /// The polls without a result, by place in the batch. Held for bookkeeping only, never across an await.
    due: Mutex<Vec<Option<Due>>>,
}

impl Unended<'_> {
    /// Takes the poll at `place`, if it has no result yet.
    fn take(&self, place: usize) -> Option<Due> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.get_mut(place).and_then(Option::take)
    }
}

impl Drop for Unended<'_> {
    fn drop(&mut self) {
        if self.poller.backend.configured().is_removed() {
            // The waiters get `BackendRemoved`, and the connections' statuses stay as they are.
            return;
        }
        let due = self.due.get_mut().unwrap_or_else(PoisonError::into_inner);
        for due in due.drain(..).flatten() {
            let result = Err(Error::internal(
                "the look was given up, or the dialect told nothing of it",
            ));
            let (now, time) = (Instant::now(), clock::now());
            self.poller.apply(&due, now, time, pace::jitter(), result);
        }
    }
}

/// Returns the share of the account's budget that a poll draws on.
fn priority(stake: Stake) -> Priority {
    match stake {
        Stake::High => Priority::Outcome,
        Stake::Asked => Priority::Asked,
        Stake::Low => Priority::Stable,
    }
}

/// A poll about to start.
struct Due {
    subject: Arc<Subject>,
    target: Target,
    after_writes: u64,
}

#[cfg(test)]
mod forgetting;
