//! Which connections of one backend are known, and which of them are watched. Which there are, as far as anybody knows, is
//! in `inventory`.
//!
//! Anybody can name anything, and a name costs its author nothing. So one that no cloud has shown and nobody here wrote
//! is known for as long as somebody uses it, and not a moment longer. What was shown is remembered for a while, so that
//! a stream can be resumed.

use crate::{
    core::{
        configured::Configured,
        watch::{
            elsewhere::ForeignWrite, interest::Interest, links::Links, log::backend::BackendLog,
            subject::Subject, timetable::Timetable,
        },
    },
    model::ConnectionName,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// How long a connection nobody watches is remembered, so that a stream can be resumed.
pub const REMEMBERED: Duration = Duration::from_secs(3600);
/// Beyond so many, those that nobody watches are forgotten after a minute.
const REMEMBERED_AT_LENGTH: usize = 20_000;

/// The connections of one backend.
#[derive(Debug)]
pub struct Names {
    log: Arc<BackendLog>,
    configured: Arc<Configured>,
    /// When each is polled.
    timetable: Arc<Timetable>,
    /// The spans of those who watch them.
    links: Arc<Links>,
    /// A std mutex: held for bookkeeping only, never across an await.
    known: Mutex<Known>,
    /// How many are watched, for whoever may not wait for the others.
    watched: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Known {
    all: HashMap<Arc<str>, Arc<Subject>>,
    /// Those of them that somebody watches.
    watched: HashMap<Arc<str>, Arc<Subject>>,
}

impl Names {
    /// None yet.
    pub fn new(
        log: Arc<BackendLog>,
        configured: Arc<Configured>,
        timetable: Arc<Timetable>,
    ) -> Names {
        Names {
            log,
            configured,
            timetable,
            links: Arc::default(),
            known: Mutex::default(),
            watched: Arc::default(),
        }
    }

    /// The spans of those who watch them.
    pub fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// How many are watched, from now on.
    pub fn count(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.watched)
    }

    /// Adds one that was known before the process began.
    pub fn recall(&self, subject: Subject) {
        let id = Arc::clone(&subject.name().id);
        self.known().all.insert(id, Arc::new(subject));
    }

    /// One that a cloud has shown, or that was written here: known from now on.
    pub fn shown(&self, name: &ConnectionName) -> Arc<Subject> {
        let mut known = self.known();
        let subject = self.get(&mut known, name);
        // Before the lock is let go, so that nobody forgets it first.
        subject.shown();
        subject
    }

    /// One that somebody watches from now on, until [`Names::release`].
    pub fn hold(&self, name: &ConnectionName, interest: Interest) -> Arc<Subject> {
        let mut known = self.known();
        let subject = self.get(&mut known, name);
        subject.hold(interest);
        let watched = known.watched.entry(Arc::clone(&name.id));
        watched.or_insert_with(|| Arc::clone(&subject));
        self.watched.store(known.watched.len(), Relaxed);
        subject
    }

    /// Somebody no longer watches one, nor these writes made elsewhere.
    pub fn release(&self, subject: &Subject, interest: Interest, elsewhere: &[ForeignWrite]) {
        let mut known = self.known();
        if !subject.release(interest, elsewhere) {
            known.watched.remove(&subject.name().id);
            self.watched.store(known.watched.len(), Relaxed);
            self.forget(&mut known, subject);
        }
    }

    /// A poll of one is over that nobody watches any more.
    pub fn polled(&self, subject: &Subject) {
        self.forget(&mut self.known(), subject);
    }

    /// Forgets one if nobody uses it and nothing was ever shown of it.
    fn forget(&self, known: &mut Known, subject: &Subject) {
        if subject.is_nothing() && remove(&mut known.all, subject) {
            self.forgotten(subject);
        }
    }

    /// Forgets all that nobody has used for so long that nobody will.
    pub fn forget_idle(&self) {
        let mut known = self.known();
        let remembered = match known.all.len() > REMEMBERED_AT_LENGTH {
            true => Duration::from_secs(60),
            false => REMEMBERED,
        };
        known.all.retain(|_, subject| {
            let idle = subject.idle_since();
            let over = idle.is_some_and(|since| since.elapsed() >= remembered);
            if over {
                self.forgotten(subject);
            }
            !over
        });
    }

    fn forgotten(&self, subject: &Subject) {
        self.timetable.queue().remove(&subject.name().id);
        subject.forget();
    }

    /// Every one, sorted by id.
    pub fn all(&self) -> Vec<Arc<Subject>> {
        let mut all: Vec<_> = self.known().all.values().cloned().collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// Those that somebody watches, in no order.
    pub fn watching(&self) -> Vec<Arc<Subject>> {
        self.known().watched.values().cloned().collect()
    }

    /// How many are watched, and the longest interval at which one of them is polled.
    pub fn watched(&self) -> (usize, Duration) {
        let known = self.known();
        let intervals = known.watched.values();
        let longest = intervals.filter_map(|subject| subject.watched_interval());
        (known.watched.len(), longest.max().unwrap_or_default())
    }

    /// The longest interval at which a watched connection is meant to be polled; `None` if none is watched.
    pub fn meant_interval(&self) -> Option<Duration> {
        let known = self.known();
        let intervals = known
            .watched
            .values()
            .map(|subject| subject.meant_interval());
        intervals.max()
    }

    /// How long ago the watched connection was polled that has waited longest; `None` if none is watched.
    pub fn poll_age(&self) -> Option<Duration> {
        let known = self.known();
        let ages = known.watched.values().map(|subject| subject.poll_age());
        ages.max()
    }

    /// What `begin` makes of each of these that is watched. None of them is forgotten meanwhile.
    pub fn begin<T>(&self, ids: &[Arc<str>], begin: impl Fn(&Arc<Subject>) -> Option<T>) -> Vec<T> {
        let known = self.known();
        let watched = ids.iter().filter_map(|id| known.watched.get(id));
        watched.filter_map(begin).collect()
    }

    fn get(&self, known: &mut Known, name: &ConnectionName) -> Arc<Subject> {
        let subject = known.all.entry(Arc::clone(&name.id)).or_insert_with(|| {
            let log = Arc::clone(&self.log);
            Arc::new(Subject::new(
                name.clone(),
                log,
                Arc::clone(&self.configured),
            ))
        });
        Arc::clone(subject)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes off this one, and not another that has its name by now.
fn remove(from: &mut HashMap<Arc<str>, Arc<Subject>>, subject: &Subject) -> bool {
    let id = &subject.name().id;
    let is_it = from
        .get(id)
        .is_some_and(|there| std::ptr::eq(&**there, subject));
    is_it && from.remove(id).is_some()
}
