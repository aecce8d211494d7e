//! Which connections of one backend there are, as far as anybody knows, and the watches over all of them.
//!
//! What is known is more ([`Names`]): what was removed, so that watches on it can go on, and names that somebody asks
//! for. A watch over all has nothing to say of them.

use crate::{
    core::{
        backend::Backend,
        error::{Error, ErrorKind, ErrorReason, Result},
        watch::{
            interest::{Interest, Interests},
            links::Link,
            log::{Observation, observation::Revision},
            names::Names,
            pace,
            subject::Subject,
            timetable::Timetable,
            watching::Watching,
        },
    },
    model::{Assurance, ConnectionName, Intent, RealizationState},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

/// How long it takes at most until a connection that somebody else made joins the watches over all, where the stable
/// interval is longer.
const JOINED: Duration = Duration::from_secs(60);
/// After which part of that time the connections are listed again. The rest is for the list and for a first poll.
const RELIST: f64 = 0.8;
/// Over which part of it the first polls of what a list brings are spread.
const SPREAD: f64 = 0.05;
/// For how long the longest interval of all connections is passed on.
const SURVEY: Duration = Duration::from_secs(1);

/// The connections of one backend that are there.
#[derive(Debug)]
pub struct Inventory {
    backend: Arc<Backend>,
    names: Arc<Names>,
    timetable: Arc<Timetable>,
    /// Somebody who cannot wait for a list wants one.
    is_wanted: AtomicBool,
    /// One list at a time: whoever comes meanwhile shares it.
    listing: Semaphore,
    /// The last list. Std mutexes, as the others: held for bookkeeping only, never across an await.
    listed: Mutex<Option<Listed>>,
    /// The connections that it had.
    there: Mutex<HashSet<Arc<str>>>,
    /// Locked before the names and a subject, never after.
    whole: Mutex<Whole>,
    /// The longest interval of all connections, and when they were walked over for it.
    surveyed: Mutex<Option<(Instant, Duration)>>,
}

/// How a list of all connections went.
#[derive(Debug)]
struct Listed {
    begun: Instant,
    ended: Instant,
    /// It came with polls, as everything is shown to whoever polls several.
    by_polls: bool,
    result: Result<()>,
}

/// The watches over all connections of a backend.
#[derive(Debug, Default)]
struct Whole {
    interests: Interests,
    /// Keeps every connection polled that is there as far as anybody knows, while there are such watches.
    held: HashMap<Arc<str>, Watching>,
}

impl Whole {
    /// Takes in who comes or goes: what is held is polled for what all of them together need from now on.
    fn change(&mut self, change: impl FnOnce(&mut Interests)) {
        let before = self.interests.combined();
        change(&mut self.interests);
        let interest = self.interests.combined();
        if self.interests.is_empty() {
            self.held.clear();
        } else if interest != before {
            for watching in self.held.values_mut() {
                watching.change(interest);
            }
        }
    }

    /// Takes a connection in. Answers whether it is new.
    fn hold(&mut self, names: &Arc<Names>, name: &ConnectionName) -> bool {
        let interest = self.interests.combined();
        let fresh = !self.held.contains_key(&name.id);
        if fresh {
            let watching = Watching::begin(names, name, interest);
            self.held.insert(Arc::clone(&name.id), watching);
        }
        fresh
    }
}

/// Keeps a whole backend being polled for as long as it is held.
#[derive(Debug)]
pub struct WatchingAll {
    inventory: Arc<Inventory>,
    interest: Interest,
    /// Has polls linked to the span it was begun in.
    _link: Option<Box<Link>>,
}

impl Drop for WatchingAll {
    fn drop(&mut self) {
        lock(&self.inventory.whole).change(|all| all.remove(self.interest));
    }
}

impl Inventory {
    /// Nothing yet.
    pub fn new(backend: Arc<Backend>, names: Arc<Names>, timetable: Arc<Timetable>) -> Inventory {
        Inventory {
            backend,
            names,
            timetable,
            is_wanted: AtomicBool::new(false),
            listing: Semaphore::new(1),
            listed: Mutex::default(),
            there: Mutex::default(),
            whole: Mutex::default(),
            surveyed: Mutex::default(),
        }
    }

    /// Where every connection stands, sorted by id, for the beginning of a watch over all at this position.
    pub fn snapshot(&self, position: Revision) -> Vec<Arc<Observation>> {
        let said = self.existing().into_iter().map(|(_, said)| said);
        said.map(|said| said.no_later_unless_told(position))
            .collect()
    }

    /// Where every connection stood at this position of which anything was said by then, sorted by id. What was said later is
    /// in the log.
    pub fn snapshot_at(&self, position: Revision) -> Vec<Arc<Observation>> {
        let there = self.existing().into_iter();
        there
            .filter_map(|(subject, _)| subject.at(position))
            .collect()
    }

    /// Every connection that is there, sorted by id, and what is said of it.
    fn existing(&self) -> Vec<(Arc<Subject>, Arc<Observation>)> {
        let all = self.names.all();
        let there = lock(&self.there);
        let all = all.into_iter().map(|subject| {
            let said = subject.latest();
            (subject, said)
        });
        all.filter(|(subject, said)| {
            let status = &said.status;
            let removed =
                status.intent == Intent::Deleted || status.state == RealizationState::Deleted;
            let known = status.assurance > Assurance::None;
            there.contains(&subject.name().id) || (known && !removed)
        })
        .collect()
    }

    /// How many connections are being watched, and the longest interval at which one of them is polled.
    pub fn watched(&self) -> (usize, Duration) {
        self.names.watched()
    }

    /// The longest interval at which a watched connection is meant to be polled; `None` if none is watched.
    pub fn meant_interval(&self) -> Option<Duration> {
        self.names.meant_interval()
    }

    /// How long ago the watched connection was polled that has waited longest; `None` if none is watched.
    pub fn poll_age(&self) -> Option<Duration> {
        self.names.poll_age()
    }

    /// The longest interval at which a watched connection is polled, as of a moment ago: every heartbeat of every
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
}

/// Which there are.
impl Inventory {
    /// The connection of that name, which a cloud has shown or which was written here: known from now on.
    pub fn shown(&self, name: &ConnectionName) -> Arc<Subject> {
        self.names.shown(name)
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
        let ids = self.backend.list_ids(deadline).await;
        let result = ids.map(|ids| self.take_in(ids));
        *lock(&self.listed) = Some(Listed {
            begun,
            ended: Instant::now(),
            by_polls: false,
            result: result.clone(),
        });
        result
    }

    /// Takes in what a poll showed of all connections, for the watches over all, if there are any.
    pub fn shown_all(&self, ids: Vec<String>, begun: Instant, ended: Instant) {
        if self.is_watched() {
            self.take_in(ids);
            *lock(&self.listed) = Some(Listed {
                begun,
                ended,
                by_polls: true,
                result: Ok(()),
            });
        }
    }

    /// Takes in which connections there are.
    fn take_in(&self, ids: Vec<String>) {
        *lock(&self.there) = ids.iter().map(|id| Arc::from(id.as_str())).collect();
        for id in ids {
            // An id that cannot stand in a name cannot be watched either; reads report it.
            if let Ok(name) = ConnectionName::connection(self.backend.name(), &id) {
                self.shown(&name);
            }
        }
        self.hold_all(self.joined_within().mul_f64(SPREAD));
    }

    /// When the connections are to be listed for those that somebody else made, if the poller did so last at
    /// `relisted`. Never if nobody watches them all.
    pub fn next_list(&self, relisted: Instant) -> Option<Instant> {
        if self.is_wanted.load(Ordering::SeqCst) {
            return Some(Instant::now());
        }
        let listed = lock(&self.listed).as_ref().map(|last| last.begun);
        let last = listed.map_or(relisted, |listed| listed.max(relisted));
        self.is_watched()
            .then(|| last + self.joined_within().mul_f64(RELIST))
    }

    /// Has the poller list the connections now, unless that was done before.
    pub fn want_list(&self) {
        if lock(&self.listed).is_none() {
            self.is_wanted.store(true, Ordering::SeqCst);
            self.timetable.wake.notify_one();
        }
    }

    /// The poller is about to list the connections.
    pub fn begin_list(&self) {
        self.is_wanted.store(false, Ordering::SeqCst);
    }

    /// Lists the connections for those that somebody else made, or polls one where polls show them all.
    pub async fn list_again(&self) {
        if let Some(any) = self.shown_all_by() {
            self.timetable.poll_now(&any);
            return;
        }
        let timeout = self.backend.settings().timeout * 3;
        if let Err(error) = self.list(Instant::now() + timeout).await {
            // Whether the backend answers has a line of its own.
            tracing::debug!(backend = self.backend.name().as_str(), %error, "cannot list connections");
        }
    }

    /// A connection at which a poll, together with those that come along, will show which there are.
    fn shown_all_by(&self) -> Option<Arc<Subject>> {
        let listed = lock(&self.listed);
        let last = listed.as_ref().filter(|last| last.by_polls)?;
        // If the last polls did not show it after all, a list does.
        if last.begun.elapsed() >= self.joined_within() {
            return None;
        }
        drop(listed);
        let whole = lock(&self.whole);
        let any = whole.held.values().next();
        let any = any.filter(|_| whole.held.len() > 1)?;
        Some(Arc::clone(any.subject()))
    }

    /// How long it takes until a connection that somebody else made joins the watches over all.
    fn joined_within(&self) -> Duration {
        JOINED.min(self.backend.settings().poll.stable)
    }
}

/// The watches over all.
impl Inventory {
    /// Has every connection of the backend polled for as long as the answer is held.
    pub fn watch(self: &Arc<Self>, tunnel: bool) -> WatchingAll {
        let interest = Interest {
            tunnel,
            outcome: false,
        };
        lock(&self.whole).change(|all| all.add(interest));
        // A thousand connections must not be polled in the same instant.
        self.hold_all(self.backend.settings().poll.stable);
        self.timetable.wake.notify_one();
        WatchingAll {
            inventory: Arc::clone(self),
            interest,
            _link: self.names.links().to_current(None),
        }
    }

    fn is_watched(&self) -> bool {
        !lock(&self.whole).interests.is_empty()
    }

    /// Takes a connection that was just made into the watches over all, if there are any.
    pub fn joined(&self, subject: &Subject) {
        let mut whole = lock(&self.whole);
        if !whole.interests.is_empty() {
            whole.hold(&self.names, subject.name());
            drop(whole);
            self.timetable.poll_now(subject);
        }
    }

    /// Takes every connection that is there into the watches over all, if there are any. The first polls are spread
    /// over `spread`.
    fn hold_all(&self, spread: Duration) {
        let mut fresh = self.existing();
        let mut whole = lock(&self.whole);
        if whole.interests.is_empty() {
            return;
        }
        fresh.retain(|(subject, _)| whole.hold(&self.names, subject.name()));
        drop(whole);
        let count = fresh.len().max(1) as u32;
        for (index, (subject, _)) in fresh.iter().enumerate() {
            let wait = spread.mul_f64(pace::jitter()) * (index as u32) / count;
            let due = Instant::now() + wait;
            self.timetable.poll_by(subject, due, false);
        }
    }

    /// Takes a connection that is certainly gone out of the watches over all: there is nothing more to say of it. If
    /// it is listed again, it joins again. Whoever watches the connection itself goes on.
    pub fn release(&self, subject: &Subject) {
        let mut whole = lock(&self.whole);
        // Not if it was written meanwhile.
        if subject.is_gone() {
            let id = &subject.name().id;
            lock(&self.there).remove(id);
            whole.held.remove(id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
