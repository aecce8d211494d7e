//! Which connections of one backend are known, and which of them are watched.
//!
//! Anybody can name anything, and a name costs its author nothing. So one that no cloud has shown and nobody here wrote
//! is known for as long as somebody uses it, and not a moment longer. What was shown is remembered for a while, so that
//! a stream can be resumed.

use crate::{
    core::{
        settings::PollSettings,
        watch::{
            log::backend::BackendLog,
            schedule::Schedule,
            subject::{Interest, Subject, Watching},
        },
    },
    model::ConnectionName,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The connections of one backend.
#[derive(Debug)]
pub struct Names {
    ring: Arc<BackendLog>,
    settings: PollSettings,
    /// When each is looked at.
    schedule: Arc<Mutex<Schedule>>,
    /// A std mutex: held for bookkeeping only, never across an await.
    known: Mutex<Known>,
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
        ring: Arc<BackendLog>,
        settings: PollSettings,
        schedule: Arc<Mutex<Schedule>>,
    ) -> Arc<Names> {
        Arc::new(Names {
            ring,
            settings,
            schedule,
            known: Mutex::default(),
        })
    }

    /// Adds one that was known before the process began.
    pub fn recall(self: &Arc<Self>, subject: Subject) {
        let subject = Arc::new(subject.owned_by(self));
        let id = Arc::clone(&subject.name().id);
        self.known().all.insert(id, subject);
    }

    /// One that a cloud has shown, or that was written here: known from now on.
    pub fn shown(self: &Arc<Self>, name: &ConnectionName) -> Arc<Subject> {
        let subject = self.get(&mut self.known(), name);
        subject.shown();
        subject
    }

    /// One that somebody watches, known for as long as the second part of the answer is held.
    pub fn watch(
        self: &Arc<Self>,
        name: &ConnectionName,
        interest: Interest,
    ) -> (Arc<Subject>, Watching) {
        let mut known = self.known();
        let subject = self.get(&mut known, name);
        let watching = known.hold(&subject, interest);
        (subject, watching)
    }

    /// Has somebody watch one that was got from here.
    pub fn hold(&self, subject: &Arc<Subject>, interest: Interest) -> Watching {
        self.known().hold(subject, interest)
    }

    /// Somebody no longer watches one; `end` takes them off.
    pub fn release(&self, subject: &Subject, end: impl FnOnce()) {
        let mut known = self.known();
        end();
        if !subject.is_watched() {
            remove(&mut known.watched, subject);
            self.forget(&mut known, subject);
        }
    }

    /// A look at one has ended that nobody watches any more.
    pub fn looked(&self, subject: &Subject) {
        self.forget(&mut self.known(), subject);
    }

    /// Forgets one if nobody uses it and nothing was ever shown of it.
    fn forget(&self, known: &mut Known, subject: &Subject) {
        if subject.is_nothing() && remove(&mut known.all, subject) {
            self.forgotten(subject);
        }
    }

    /// Forgets all that nobody has used for so long.
    pub fn forget_idle(&self, remembered: Duration) {
        let is_over = |subject: &Subject| {
            let idle = subject.idle_since();
            idle.is_some_and(|since| since.elapsed() >= remembered)
        };
        self.known().all.retain(|_, subject| {
            let over = is_over(subject);
            if over {
                self.forgotten(subject);
            }
            !over
        });
    }

    fn forgotten(&self, subject: &Subject) {
        lock(&self.schedule).remove(&subject.name().id);
        if !subject.is_unseen() {
            self.ring.log().forget(subject.name());
        }
    }

    /// How many are known.
    pub fn count(&self) -> usize {
        self.known().all.len()
    }

    /// Every one, in no order.
    pub fn all(&self) -> Vec<Arc<Subject>> {
        self.known().all.values().cloned().collect()
    }

    /// How many are watched, and the longest interval at which one of them is looked at.
    pub fn watched(&self) -> (usize, Duration) {
        let known = self.known();
        let intervals = known.watched.values();
        let longest = intervals.filter_map(|subject| subject.watched_interval());
        (known.watched.len(), longest.max().unwrap_or_default())
    }

    /// What `begin` makes of each of these that is watched. None of them is forgotten meanwhile.
    pub fn begin<T>(&self, ids: &[Arc<str>], begin: impl Fn(&Arc<Subject>) -> Option<T>) -> Vec<T> {
        let known = self.known();
        let watched = ids.iter().filter_map(|id| known.watched.get(id));
        watched.filter_map(begin).collect()
    }

    fn get(self: &Arc<Self>, known: &mut Known, name: &ConnectionName) -> Arc<Subject> {
        let subject = known.all.entry(Arc::clone(&name.id)).or_insert_with(|| {
            let subject = Subject::new(name.clone(), Arc::clone(&self.ring), self.settings);
            Arc::new(subject.owned_by(self))
        });
        Arc::clone(subject)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

impl Known {
    fn hold(&mut self, subject: &Arc<Subject>, interest: Interest) -> Watching {
        let watching = Watching::begin(subject, interest);
        let id = &subject.name().id;
        // It may have been forgotten since it was got.
        self.all
            .entry(Arc::clone(id))
            .or_insert_with(|| Arc::clone(subject));
        self.watched
            .entry(Arc::clone(id))
            .or_insert_with(|| Arc::clone(subject));
        watching
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
