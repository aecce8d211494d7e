//! The existing connections of one backend, as far as known, and the watches over all of them.
//!
//! [`Names`] knows more connections: removed ones, so that watches over them can go on, and names that clients ask for.
//! A watch over all reports nothing about these.

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
    collections::{BTreeMap, HashSet},
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

/// The longest time until a connection created by another client joins the watches over all. The stable interval
/// applies if it is shorter.
const JOINED: Duration = Duration::from_secs(60);
/// The fraction of that time after which the connections are listed again. The rest is for the list and a first poll.
const RELIST: f64 = 0.8;
/// The fraction of that time over which the first polls of newly listed connections are spread.
const SPREAD: f64 = 0.05;
/// How long the longest interval of all connections is cached.
const SURVEY: Duration = Duration::from_secs(1);

/// The existing connections of one backend.
#[derive(Debug)]
pub struct Inventory {
    backend: Arc<Backend>,
    names: Arc<Names>,
    timetable: Arc<Timetable>,
    /// Set when a caller that cannot wait for a list wants one.
    is_wanted: AtomicBool,
    /// Allows one list at a time; concurrent callers share it.
    listing: Semaphore,
    /// The last list. A std mutex, like the others: held for bookkeeping only, never across an await.
    listed: Mutex<Option<Listed>>,
    /// The connections in the last list.
    there: Mutex<HashSet<Arc<str>>>,
    /// Locked before the names and a subject, never after.
    whole: Mutex<Whole>,
    /// The longest interval of all connections, and when it was computed.
    surveyed: Mutex<Option<(Instant, Duration)>>,
}

/// The result of a list of all connections.
#[derive(Debug)]
struct Listed {
    begun: Instant,
    ended: Instant,
    /// Whether the list came with polls, from a cloud that shows all connections when several are polled.
    by_polls: bool,
    result: Result<()>,
}

/// The watches over all connections of a backend.
#[derive(Debug, Default)]
struct Whole {
    interests: Interests,
    /// Keeps every existing connection polled while there are such watches.
    /// By id, so that they are always gone through in the same order.
    held: BTreeMap<Arc<str>, Watching>,
}

impl Whole {
    /// Applies a change of the watches, and adjusts the polls of the held connections to what the watches need
    /// together.
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

    /// Keeps a connection polled. Reports whether it is new.
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

/// Keeps all connections of a backend polled for as long as it is held.
#[derive(Debug)]
pub struct WatchingAll {
    inventory: Arc<Inventory>,
    interest: Interest,
    /// Links polls to the span in which the watch was opened.
    _link: Option<Box<Link>>,
}

impl Drop for WatchingAll {
    fn drop(&mut self) {
        lock(&self.inventory.whole).change(|all| all.remove(self.interest));
    }
}

impl Inventory {
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

    /// Returns the status of every existing connection, sorted by id, for a watch over all that starts at this
    /// revision.
    pub fn snapshot(&self, position: Revision) -> Vec<Arc<Observation>> {
        let said = self.existing().into_iter().map(|(_, said)| said);
        said.map(|said| said.no_later_unless_told(position))
            .collect()
    }

    /// Returns the status at this revision of every existing connection that had one by then, sorted by id. The log has
    /// the later changes.
    pub fn snapshot_at(&self, position: Revision) -> Vec<Arc<Observation>> {
        let there = self.existing().into_iter();
        there
            .filter_map(|(subject, _)| subject.at(position))
            .collect()
    }

    /// Returns every existing connection, sorted by id, with its latest observation.
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

    /// Returns how many connections are watched, and the longest actual poll interval among them.
    pub fn watched(&self) -> (usize, Duration) {
        self.names.watched()
    }

    /// Returns the longest intended poll interval among the watched connections; `None` if none is watched.
    pub fn meant_interval(&self) -> Option<Duration> {
        self.names.meant_interval()
    }

    /// Returns the greatest poll age among the watched connections; `None` if none is watched.
    pub fn poll_age(&self) -> Option<Duration> {
        self.names.poll_age()
    }

    /// Returns the longest poll interval among the watched connections, cached for a moment. Every heartbeat of every
    /// watch over all asks for it, and must not walk all connections.
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

/// Which connections exist.
impl Inventory {
    /// Returns the connection of that name, which a cloud has shown or which was written here, and remembers it as
    /// known.
    pub fn shown(&self, name: &ConnectionName) -> Arc<Subject> {
        self.names.shown(name)
    }

    /// Reads the names of all connections, unless that succeeded or failed a moment ago. Concurrent callers share the
    /// request.
    ///
    /// # Errors
    /// The error of the list; `DeadlineExceeded` if a concurrent list does not end in time.
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

    /// Records the ids of all connections that a poll showed, if there are watches over all.
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

    /// Records which connections exist.
    fn take_in(&self, ids: Vec<String>) {
        *lock(&self.there) = ids.iter().map(|id| Arc::from(id.as_str())).collect();
        for id in ids {
            // An id that cannot be part of a name cannot be watched either; reads report it.
            if let Ok(name) = ConnectionName::connection(self.backend.name(), &id) {
                self.shown(&name);
            }
        }
        self.hold_all(self.joined_within().mul_f64(SPREAD));
    }

    /// Returns when to list the connections for those that other clients have created, given that the poller last did
    /// so at `relisted`; `None` if no watch is over all.
    pub fn next_list(&self, relisted: Instant) -> Option<Instant> {
        if self.is_wanted.load(Ordering::SeqCst) {
            return Some(Instant::now());
        }
        let listed = lock(&self.listed).as_ref().map(|last| last.begun);
        let last = listed.map_or(relisted, |listed| listed.max(relisted));
        self.is_watched()
            .then(|| last + self.joined_within().mul_f64(RELIST))
    }

    /// Has the poller list the connections now, unless they have been listed before.
    pub fn want_list(&self) {
        if lock(&self.listed).is_none() {
            self.is_wanted.store(true, Ordering::SeqCst);
            self.timetable.wake.notify_one();
        }
    }

    /// Marks that the poller is about to list the connections.
    pub fn begin_list(&self) {
        self.is_wanted.store(false, Ordering::SeqCst);
    }

    /// Lists the connections for those that other clients have created, or polls one connection where polls show them
    /// all.
    pub async fn list_again(&self) {
        if let Some(any) = self.shown_all_by() {
            self.timetable.poll_now(&any);
            return;
        }
        let timeout = self.backend.settings().timeout * 3;
        if let Err(error) = self.list(Instant::now() + timeout).await {
            // The health of the backend has its own log line.
            tracing::debug!(backend = self.backend.name().as_str(), %error, "cannot list connections");
        }
    }

    /// Returns a connection whose poll, with those that join its batch, will show which connections exist.
    fn shown_all_by(&self) -> Option<Arc<Subject>> {
        let listed = lock(&self.listed);
        let last = listed.as_ref().filter(|last| last.by_polls)?;
        // If the last polls did not show all connections, a list does.
        if last.begun.elapsed() >= self.joined_within() {
            return None;
        }
        drop(listed);
        let whole = lock(&self.whole);
        let any = whole.held.values().next();
        let any = any.filter(|_| whole.held.len() > 1)?;
        Some(Arc::clone(any.subject()))
    }

    /// Returns the longest time until a connection created by another client joins the watches over all.
    fn joined_within(&self) -> Duration {
        JOINED.min(self.backend.settings().poll.stable)
    }
}

/// The watches over all.
impl Inventory {
    /// Keeps every connection of the backend polled for as long as the returned guard is held.
    pub fn watch(self: &Arc<Self>, tunnel: bool) -> WatchingAll {
        let interest = Interest {
            tunnel,
            outcome: false,
        };
        lock(&self.whole).change(|all| all.add(interest));
        // Spreads the polls, so that a thousand connections are not polled at once.
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

    /// Adds a connection that was just created to the watches over all, if there are any.
    pub fn joined(&self, subject: &Subject) {
        let mut whole = lock(&self.whole);
        if !whole.interests.is_empty() {
            whole.hold(&self.names, subject.name());
            drop(whole);
            self.timetable.poll_now(subject);
        }
    }

    /// Adds every existing connection to the watches over all, if there are any. Spreads the first polls over `spread`.
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

    /// Removes a connection that is certainly gone from the watches over all: there is nothing more to say of it. It
    /// joins again if it is listed again. Watches over the connection itself go on.
    pub fn release(&self, subject: &Subject) {
        let mut whole = lock(&self.whole);
        // Not if a write came in between.
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
