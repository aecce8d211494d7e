//! Looks at the watched connections of one backend, on schedule. Dull on purpose: what a look means is
//! decided in `knowledge`, when to look again in `pace`.

use crate::{
    core::{
        backend::Backend,
        clock,
        dialect::{Priority, Target},
        error::{Error, ErrorKind, ErrorReason, Result},
        watch::{
            knowledge::{Look, Memory},
            log::{Log, Observation, backend::BackendLog},
            names::Names,
            pace,
            schedule::{Planned, Schedule, Stake},
            subject::{Interest, Subject, Watching},
        },
    },
    model::{Assurance, ConnectionName, Intent, RealizationState, Sighting},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Looks of one stake under way at the same time. The account's budget paces them; this bounds memory. What hangs
/// where little is at stake keeps nothing else from beginning.
const MOST_LOOKS: usize = 16;
/// How long a connection nobody watches is remembered, so that a stream can be resumed.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Beyond so many, those that nobody watches are forgotten after a minute.
const REMEMBERED_AT_LENGTH: usize = 20_000;
/// How long it takes at most until a connection that somebody else made joins the watches over all, where the stable
/// interval is longer.
const JOINED: Duration = Duration::from_secs(60);
/// After which part of that time the connections are listed again. The rest is for the list and for a first look.
const RELIST: f64 = 0.8;
/// Over which part of it the first looks at what a list brings are spread.
const SPREAD: f64 = 0.05;
/// For how long the longest interval of all connections is passed on.
const SURVEY: Duration = Duration::from_secs(1);
/// How often a backend that nobody asks anything is asked whether it is there.
const PROBE: Duration = Duration::from_secs(30);

/// The watched connections of one backend.
#[derive(Debug)]
pub struct Poller {
    backend: Arc<Backend>,
    ring: Arc<BackendLog>,
    names: Arc<Names>,
    /// Std mutexes: held for bookkeeping only, never across an await.
    schedule: Arc<Mutex<Schedule>>,
    /// Places for looks, by stake.
    places: [Arc<Semaphore>; 3],
    wake: Notify,
    whole: Mutex<Whole>,
    /// The last list.
    listed: Mutex<Option<Listed>>,
    /// One list at a time: whoever comes meanwhile shares it.
    listing: Semaphore,
    /// The connections that the last list had.
    there: Mutex<HashSet<Arc<str>>>,
    /// The longest interval of all connections, and when they were walked over for it.
    surveyed: Mutex<Option<(Instant, Duration)>>,
}

/// How a list of all connections went.
#[derive(Debug)]
struct Listed {
    begun: Instant,
    ended: Instant,
    /// It came with looks, as everything is shown to whoever looks at several.
    by_looks: bool,
    result: Result<()>,
}

/// What a store kept of one backend.
#[derive(Debug, Default)]
pub struct Kept {
    /// The highest sequence that is not in `log` any more.
    pub floor: u64,
    /// Its changes, in order.
    pub log: Vec<Arc<Observation>>,
    /// Its connections, each with its newest change.
    pub connections: Vec<(Arc<Observation>, Memory)>,
}

/// Keeps a whole backend being polled for as long as it is held.
#[derive(Debug)]
pub struct WatchingWhole {
    poller: Arc<Poller>,
    tunnel: bool,
}

impl Drop for WatchingWhole {
    fn drop(&mut self) {
        let mut whole = lock(&self.poller.whole);
        whole.watches -= 1;
        whole.tunnels -= usize::from(self.tunnel);
        if whole.watches == 0 {
            whole.held.clear();
        } else if self.tunnel && whole.tunnels == 0 {
            whole.change_interest();
        }
    }
}

/// The watches over all connections of a backend.
#[derive(Debug, Default)]
struct Whole {
    watches: usize,
    /// How many of them want tunnels.
    tunnels: usize,
    /// Keeps every connection polled that is there as far as anybody knows, while there are such watches.
    held: HashMap<Arc<str>, Watching>,
}

impl Whole {
    /// What all of them together need of each look.
    fn interest(&self) -> Interest {
        Interest {
            tunnel: self.tunnels > 0,
            outcome: false,
        }
    }

    /// Has what is held looked at with the interest of now.
    fn change_interest(&mut self) {
        let interest = self.interest();
        for watching in self.held.values_mut() {
            // The new one is there before the old one goes, so that it is watched all the time.
            *watching = watching.subject().watch(interest);
        }
    }
}

impl Poller {
    /// A poller that goes on from what was kept of its backend.
    pub fn recalled(backend: Arc<Backend>, log: Arc<Log>, kept: Kept) -> Poller {
        let mut changes: HashMap<Arc<str>, Vec<Arc<Observation>>> = HashMap::new();
        for change in &kept.log {
            let of_one = changes.entry(Arc::clone(&change.name.id)).or_default();
            of_one.push(Arc::clone(change));
        }
        let ring = BackendLog::recovered(backend.name().clone(), log, kept.log, kept.floor);
        let poller = Poller::with(backend, ring);
        for (latest, memory) in kept.connections {
            let id = Arc::clone(&latest.name.id);
            // The newest change of a connection that has long been quiet may have left the window.
            let mut changes = changes.remove(&id).unwrap_or_default();
            if changes.last() != Some(&latest) {
                changes = vec![Arc::clone(&latest)];
            }
            let settings = poller.backend.settings().poll;
            let ring = Arc::clone(&poller.ring);
            let subject = Subject::recalled(&changes, &latest, memory, ring, settings);
            poller.names.recall(subject);
        }
        poller
    }

    fn with(backend: Arc<Backend>, ring: BackendLog) -> Poller {
        let (ring, schedule) = (Arc::new(ring), Arc::default());
        let settings = backend.settings().poll;
        Poller {
            backend,
            names: Names::new(Arc::clone(&ring), settings, Arc::clone(&schedule)),
            ring,
            schedule,
            places: Stake::ALL.map(|_| Arc::new(Semaphore::new(MOST_LOOKS))),
            wake: Notify::new(),
            whole: Mutex::default(),
            listed: Mutex::new(None),
            listing: Semaphore::new(1),
            there: Mutex::default(),
            surveyed: Mutex::new(None),
        }
    }

    /// The backend.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// The changes of all its connections.
    pub fn ring(&self) -> &Arc<BackendLog> {
        &self.ring
    }

    /// The connection of that name, which a cloud has shown or which was written here: known from now on.
    pub fn shown(&self, name: &ConnectionName) -> Arc<Subject> {
        self.names.shown(name)
    }

    /// Has a connection polled for as long as the second part of the answer is held.
    pub fn watch(&self, name: &ConnectionName, interest: Interest) -> (Arc<Subject>, Watching) {
        self.names.watch(name, interest)
    }

    /// Every connection known, sorted by id.
    pub fn subjects(&self) -> Vec<Arc<Subject>> {
        let mut all = self.names.all();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// Every connection that is there as far as anybody knows, sorted by id.
    ///
    /// What is known is more: what was removed, so that watches on it can go on, and names that somebody asks
    /// for. A watch over all has nothing to say of them.
    fn existing(&self) -> Vec<Arc<Subject>> {
        let mut all = self.subjects();
        let there = lock(&self.there);
        all.retain(|subject| {
            let view = &subject.last_or_unseen().view;
            let removed = view.intent == Intent::Deleted || view.state == RealizationState::Deleted;
            let known = view.assurance > Assurance::None;
            there.contains(&subject.name().id) || (known && !removed)
        });
        all
    }

    /// Has a connection looked at now.
    pub fn look_soon(&self, subject: &Subject) {
        self.look_by(subject, Instant::now());
    }

    /// Has a connection looked at by then.
    pub fn look_by(&self, subject: &Subject, when: Instant) {
        let planned = Planned {
            from: when.min(Instant::now()),
            due: when,
        };
        self.plan(subject, planned);
    }

    fn plan(&self, subject: &Subject, planned: Planned) {
        lock(&self.schedule).no_later_than(&subject.name().id, planned, subject.stake());
        subject.scheduled(planned.due);
        self.wake.notify_one();
    }

    /// Has every connection of the backend polled for as long as the answer is held.
    pub fn watch_whole(self: &Arc<Self>, tunnel: bool) -> WatchingWhole {
        let mut whole = lock(&self.whole);
        whole.watches += 1;
        whole.tunnels += usize::from(tunnel);
        if tunnel && whole.tunnels == 1 {
            whole.change_interest();
        }
        drop(whole);
        // A thousand connections must not be looked at in the same instant.
        self.hold_all(self.backend.settings().poll.stable);
        self.wake.notify_one();
        WatchingWhole {
            poller: Arc::clone(self),
            tunnel,
        }
    }

    /// Connections being watched now, and the longest interval at which one of them is looked at.
    pub fn watched(&self) -> (usize, Duration) {
        self.names.watched()
    }

    /// The longest interval at which a watched connection is looked at, as of a moment ago: every heartbeat of every
    /// watch over all asks for it, and must not cost a walk over all connections.
    pub fn longest_interval(&self) -> Duration {
        let mut surveyed = lock(&self.surveyed);
        match *surveyed {
            Some((at, longest)) if at.elapsed() < SURVEY => longest,
            _ => {
                let (_, longest) = self.watched();
                *surveyed = Some((Instant::now(), longest));
                longest
            }
        }
    }

    /// The share of the account's budget that is being used, from 0 to 1.
    pub fn budget_used(&self) -> f64 {
        let usage = self.backend.dialect().usage();
        match usage.rate_limit > 0.0 {
            true => (usage.rate_used / usage.rate_limit).clamp(0.0, 1.0),
            false => 0.0,
        }
    }

    /// Reads the names of all connections, unless that was done, or failed, a moment ago. Callers who come together
    /// share the request.
    ///
    /// # Errors
    /// As the list fails.
    pub async fn list(&self, deadline: Instant) -> Result<()> {
        let late = |_| {
            Error::new(
                ErrorKind::DeadlineExceeded,
                ErrorReason::Deadline,
                "the connections were not listed in time",
            )
        };
        let turn = timeout_at(deadline, self.listing.acquire());
        let turn = turn.await.map_err(late)?;
        let _turn = turn.expect("the semaphore is never closed");
        let fresh = self.backend.settings().poll.fresh;
        if let Some(last) = &*lock(&self.listed)
            && last.ended.elapsed() < fresh
        {
            return last.result.clone();
        }
        let begun = Instant::now();
        let result = self.list_now(deadline).await;
        *lock(&self.listed) = Some(Listed {
            begun,
            ended: Instant::now(),
            by_looks: false,
            result: result.clone(),
        });
        result
    }

    async fn list_now(&self, deadline: Instant) -> Result<()> {
        self.listed_now(self.backend.list_ids(deadline).await?);
        Ok(())
    }

    /// Takes in which connections there are.
    fn listed_now(&self, ids: Vec<String>) {
        *lock(&self.there) = ids.iter().map(|id| Arc::from(id.as_str())).collect();
        for id in ids {
            // An id that cannot stand in a name cannot be watched either; reads report it.
            if let Ok(name) = ConnectionName::connection(self.backend.name(), &id) {
                self.shown(&name);
            }
        }
        self.hold_all(self.joined_within().mul_f64(SPREAD));
    }

    /// Polls until cancelled. One task per backend.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let batch = self.backend.capabilities().look_batch.max(1);
        let mut looks: JoinSet<()> = JoinSet::new();
        let mut chores = tokio::time::interval(PROBE);
        chores.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut relisted = Instant::now();
        loop {
            let open = loop {
                let open = self.open();
                let (due, priority, place) = self.take_due(batch, &open);
                if due.is_empty() {
                    break open;
                }
                let look = Arc::clone(&self).look(due, priority);
                looks.spawn(async move {
                    look.await;
                    drop(place);
                });
            };
            let next = lock(&self.schedule).next(&open);
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let relist = self.next_list(relisted);
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(_) = looks.join_next(), if !looks.is_empty() => {}
                _ = chores.tick() => {
                    looks.spawn(Arc::clone(&self).do_chores());
                }
                () = self.wake.notified() => {}
                () = sleep_until(relist.unwrap_or_else(Instant::now)), if relist.is_some() => {
                    relisted = Instant::now();
                    looks.spawn(Arc::clone(&self).list_again());
                }
                () = due => {}
            }
        }
        looks.shutdown().await;
    }

    /// The stakes of which another look may begin.
    fn open(&self) -> Vec<Stake> {
        let is_open = |stake: &Stake| self.places[*stake as usize].available_permits() > 0;
        Stake::ALL.into_iter().filter(is_open).collect()
    }

    fn take_due(
        &self,
        batch: usize,
        of: &[Stake],
    ) -> (Vec<Due>, Priority, Option<OwnedSemaphorePermit>) {
        let (ids, stake) = lock(&self.schedule).take_due(Instant::now(), batch, of);
        let place = Arc::clone(&self.places[stake as usize]).try_acquire_owned();
        let due = self.names.begin(&ids, |subject| {
            let (target, after_writes) = subject.begin_look()?;
            Some(Due {
                subject: Arc::clone(subject),
                target,
                after_writes,
            })
        });
        let priority = match stake {
            Stake::High => Priority::Outcome,
            Stake::Asked => Priority::Asked,
            Stake::Low => Priority::Stable,
        };
        // Only of stakes that have one is anything taken.
        (due, priority, place.ok())
    }

    async fn look(self: Arc<Self>, due: Vec<Due>, priority: Priority) {
        let begun = Instant::now();
        let began_at = clock::now();
        let targets: Vec<Target> = due.iter().map(|due| due.target.clone()).collect();
        let jitter = pace::jitter();
        let unended = Unended {
            poller: &self,
            due: Mutex::new(due.into_iter().map(Some).collect()),
        };
        let tell = |place: usize, result: Result<Sighting>| {
            let due = lock(&unended.due).get_mut(place).and_then(Option::take);
            let Some(Due {
                subject,
                after_writes,
                ..
            }) = due
            else {
                return;
            };
            if let Err(error) = &result {
                tracing::debug!(connection.name = %subject.name(), %error, "a look told nothing");
            }
            let look = Look {
                begun,
                ended: Instant::now(),
                after_writes,
                result,
            };
            self.ended(&subject, &look, began_at, jitter);
        };
        let all = self.backend.look(&targets, priority, &tell).await;
        let ended = Instant::now();
        drop(unended);
        if let Some(ids) = all
            && lock(&self.whole).watches > 0
        {
            self.listed_now(ids);
            *lock(&self.listed) = Some(Listed {
                begun,
                ended,
                by_looks: true,
                result: Ok(()),
            });
        }
        self.wake.notify_one();
    }

    /// Takes note of a look that is over, and plans the next one if somebody still watches.
    fn ended(&self, subject: &Arc<Subject>, look: &Look, began_at: SystemTime, jitter: f64) {
        let next = subject.end_look(look, began_at, jitter);
        self.let_go(subject);
        match next.filter(|_| subject.is_watched()) {
            Some(next) => self.plan(subject, next),
            None => self.names.looked(subject),
        }
    }

    async fn do_chores(self: Arc<Self>) {
        self.forget_idle();
        if self.backend.silent_for() >= PROBE {
            self.backend.probe().await;
        }
    }

    /// When the connections are to be listed for those that somebody else made, if the poller did so last at
    /// `relisted`. Never if nobody watches them all.
    fn next_list(&self, relisted: Instant) -> Option<Instant> {
        let watched = lock(&self.whole).watches > 0;
        let listed = lock(&self.listed).as_ref().map(|last| last.begun);
        let last = listed.map_or(relisted, |listed| listed.max(relisted));
        watched.then(|| last + self.joined_within().mul_f64(RELIST))
    }

    /// A connection at which a look, together with those that come along, will show which there are.
    fn shown_all_by(&self) -> Option<Arc<Subject>> {
        let listed = lock(&self.listed);
        let last = listed.as_ref().filter(|last| last.by_looks)?;
        // If the last looks did not show it after all, a list does.
        if last.begun.elapsed() >= self.joined_within() {
            return None;
        }
        drop(listed);
        let whole = lock(&self.whole);
        let any = whole
            .held
            .values()
            .next()
            .filter(|_| whole.held.len() > 1)?;
        Some(Arc::clone(any.subject()))
    }

    /// How long it takes until a connection that somebody else made joins the watches over all.
    fn joined_within(&self) -> Duration {
        JOINED.min(self.backend.settings().poll.stable)
    }

    async fn list_again(self: Arc<Self>) {
        if let Some(any) = self.shown_all_by() {
            return self.look_soon(&any);
        }
        let timeout = self.backend.settings().timeout * 3;
        if let Err(error) = self.list(Instant::now() + timeout).await {
            tracing::warn!(backend.name = self.backend.name().as_str(), %error, "cannot list connections");
        }
    }

    /// Takes a connection that was just made into the watches over all.
    pub fn joined(&self, subject: &Arc<Subject>) {
        let mut whole = lock(&self.whole);
        if whole.watches > 0 {
            let interest = whole.interest();
            let id = Arc::clone(&subject.name().id);
            whole
                .held
                .entry(id)
                .or_insert_with(|| subject.watch(interest));
            drop(whole);
            self.look_soon(subject);
        }
    }

    /// Takes every connection that is there into the watches over all, if there are any.
    /// The first looks are spread over `spread`.
    fn hold_all(&self, spread: Duration) {
        let all = self.existing();
        let mut whole = lock(&self.whole);
        if whole.watches == 0 {
            return;
        }
        let interest = whole.interest();
        let mut fresh = Vec::new();
        for subject in all {
            let id = Arc::clone(&subject.name().id);
            whole.held.entry(id).or_insert_with(|| {
                let watching = subject.watch(interest);
                fresh.push(subject);
                watching
            });
        }
        drop(whole);
        let count = fresh.len().max(1) as u32;
        for (index, subject) in fresh.iter().enumerate() {
            let wait = spread.mul_f64(pace::jitter()) * (index as u32) / count;
            self.look_by(subject, Instant::now() + wait);
        }
    }

    /// Takes a connection that is certainly gone out of the watches over all: there is nothing more to say of it. If
    /// it is listed again, it joins again. Whoever watches the connection itself goes on.
    fn let_go(&self, subject: &Subject) {
        if !subject.is_gone() {
            return;
        }
        let mut whole = lock(&self.whole);
        // Not if it was written meanwhile.
        if subject.is_gone() {
            let id = &subject.name().id;
            lock(&self.there).remove(id);
            whole.held.remove(id);
        }
    }

    fn forget_idle(&self) {
        let crowded = self.names.count() > REMEMBERED_AT_LENGTH;
        let remembered = if crowded {
            Duration::from_secs(60)
        } else {
            REMEMBERED
        };
        self.names.forget_idle(remembered);
    }
}

/// Looks that have begun. If the dialect panics, they are ended here: a connection must not wait for ever
/// for a look that nobody makes any more.
struct Unended<'a> {
    poller: &'a Poller,
    /// Those that nothing was told of yet, by their place. Held for bookkeeping only, never across an await.
    due: Mutex<Vec<Option<Due>>>,
}

impl Drop for Unended<'_> {
    fn drop(&mut self) {
        for Due {
            subject,
            after_writes,
            ..
        } in lock(&self.due).drain(..).flatten()
        {
            let now = Instant::now();
            let result = Err(Error::internal(
                "the look was given up, or the dialect told nothing of it",
            ));
            let look = Look {
                begun: now,
                ended: now,
                after_writes,
                result,
            };
            self.poller
                .ended(&subject, &look, clock::now(), pace::jitter());
        }
    }
}

/// A look about to be made.
struct Due {
    subject: Arc<Subject>,
    target: Target,
    after_writes: u64,
}

impl Poller {
    /// Where every connection stands that is there as far as anybody knows, for the beginning of a watch over all.
    pub fn snapshot(&self) -> Vec<Arc<Observation>> {
        self.existing()
            .iter()
            .map(|subject| subject.last_or_unseen())
            .collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod forgetting;
