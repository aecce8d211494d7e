//! The known connections of one backend, and which of them are watched. `inventory` tells which exist.
//!
//! A client can name anything at no cost. So a name that no cloud has shown and that was not written here is known only
//! while it is in use. A name that was shown is remembered for a while, so that streams can resume.

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

/// How long an unwatched connection is remembered, so that streams can resume.
pub const REMEMBERED: Duration = Duration::from_secs(3600);
/// Above this number of connections, unwatched ones are forgotten after a minute.
const REMEMBERED_AT_LENGTH: usize = 20_000;

/// The known connections of one backend.
#[derive(Debug)]
pub struct Names {
    log: Arc<BackendLog>,
    configured: Arc<Configured>,
    timetable: Arc<Timetable>,
    /// The spans of the watches.
    links: Arc<Links>,
    /// A std mutex: held for bookkeeping only, never across an await.
    known: Mutex<Known>,
    /// The number of watched connections, readable without the lock.
    watched: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Known {
    all: HashMap<Arc<str>, Arc<Subject>>,
    /// The watched connections of `all`.
    watched: HashMap<Arc<str>, Arc<Subject>>,
}

impl Names {
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

    /// Returns the spans of the watches.
    pub fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// Returns the live number of watched connections.
    pub fn count(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.watched)
    }

    /// Adds a connection that was known before a restart.
    pub fn recall(&self, subject: Subject) {
        let id = Arc::clone(&subject.name().id);
        self.known().all.insert(id, Arc::new(subject));
    }

    /// Returns a connection that a cloud has shown or that was written here, and remembers it as known.
    pub fn shown(&self, name: &ConnectionName) -> Arc<Subject> {
        let mut known = self.known();
        let subject = self.get(&mut known, name);
        // Under the lock, so that it is not forgotten first.
        subject.shown();
        subject
    }

    /// Returns a connection and adds a watcher to it, until [`Names::release`].
    pub fn hold(&self, name: &ConnectionName, interest: Interest) -> Arc<Subject> {
        let mut known = self.known();
        let subject = self.get(&mut known, name);
        subject.hold(interest);
        let watched = known.watched.entry(Arc::clone(&name.id));
        watched.or_insert_with(|| Arc::clone(&subject));
        self.watched.store(known.watched.len(), Relaxed);
        subject
    }

    /// Removes a watcher from a connection, and the foreign writes that it waited for.
    pub fn release(&self, subject: &Subject, interest: Interest, elsewhere: &[ForeignWrite]) {
        let mut known = self.known();
        if !subject.release(interest, elsewhere) {
            known.watched.remove(&subject.name().id);
            self.watched.store(known.watched.len(), Relaxed);
            self.forget(&mut known, subject);
        }
    }

    /// Records the end of a poll of a connection that is not watched any more.
    pub fn polled(&self, subject: &Subject) {
        self.forget(&mut self.known(), subject);
    }

    /// Forgets a connection that is not in use and was never shown.
    fn forget(&self, known: &mut Known, subject: &Subject) {
        if subject.is_nothing() && remove(&mut known.all, subject) {
            self.forgotten(subject);
        }
    }

    /// Forgets connections that have been idle for too long to be resumed.
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

    /// Returns every known connection, sorted by id.
    pub fn all(&self) -> Vec<Arc<Subject>> {
        sorted(&self.known().all)
    }

    /// Returns the watched connections, sorted by id.
    pub fn watching(&self) -> Vec<Arc<Subject>> {
        sorted(&self.known().watched)
    }

    /// Returns how many connections are watched, and the longest actual poll interval among them.
    pub fn watched(&self) -> (usize, Duration) {
        let known = self.known();
        let intervals = known.watched.values();
        let longest = intervals.filter_map(|subject| subject.watched_interval());
        (known.watched.len(), longest.max().unwrap_or_default())
    }

    /// Returns the longest intended poll interval among the watched connections; `None` if none is watched.
    pub fn meant_interval(&self) -> Option<Duration> {
        let known = self.known();
        let intervals = known
            .watched
            .values()
            .map(|subject| subject.meant_interval());
        intervals.max()
    }

    /// Returns the greatest poll age among the watched connections; `None` if none is watched.
    pub fn poll_age(&self) -> Option<Duration> {
        let known = self.known();
        let ages = known.watched.values().map(|subject| subject.poll_age());
        ages.max()
    }

    /// Calls `begin` on each of these connections that is watched. The lock keeps them from being forgotten in the
    /// meantime.
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

fn sorted(subjects: &HashMap<Arc<str>, Arc<Subject>>) -> Vec<Arc<Subject>> {
    let mut all: Vec<_> = subjects.values().cloned().collect();
    all.sort_by(|a, b| a.name().cmp(b.name()));
    all
}

/// Removes this subject, and not another that has its name by now.
fn remove(from: &mut HashMap<Arc<str>, Arc<Subject>>, subject: &Subject) -> bool {
    let id = &subject.name().id;
    let is_it = from
        .get(id)
        .is_some_and(|there| std::ptr::eq(&**there, subject));
    is_it && from.remove(id).is_some()
}
