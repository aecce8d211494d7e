//! The roster: the backends in the gateway. A reload replaces the list. A caller that holds a list, or a backend of it,
//! keeps it for its current work, and looks it up again for the next.

use crate::{
    core::{
        backend::Backend,
        dialect::Dialect,
        ledger::{
            book::{Ledger, Left},
            fingerprint::MacKey,
            shelf::Shelf,
        },
        settings::BackendSettings,
        watch::{
            log::{Log, observation::Revision},
            poller::{Kept, Poller},
        },
        writes::desk::{Writes, forget_old},
    },
    model::BackendName,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What all backends share.
#[derive(Debug)]
pub struct Common {
    pub log: Arc<Log>,
    /// Where the ledgers are kept.
    pub shelf: Arc<Shelf>,
    /// The key of the MAC that tells requests apart.
    pub key: MacKey,
    /// Finishes when the tasks of every backend have ended, including those of removed backends.
    pub tasks: TaskTracker,
    /// Cancels the tasks of every backend.
    pub cancel: CancellationToken,
}

#[derive(Debug, Default)]
pub struct Roster(BTreeMap<BackendName, Arc<Member>>);

impl Roster {
    pub fn get(&self, name: &BackendName) -> Option<&Arc<Member>> {
        self.0.get(name)
    }

    /// Iterates over the members, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.0.values()
    }

    /// Returns the same roster without the members `leave` and with those of `come`.
    #[must_use]
    pub fn with(&self, leave: &[BackendName], come: &[Arc<Member>]) -> Roster {
        let mut all = self.0.clone();
        all.retain(|name, _| !leave.contains(name));
        all.extend(come.iter().map(|it| (it.name().clone(), Arc::clone(it))));
        Roster(all)
    }
}

impl FromIterator<Arc<Member>> for Roster {
    fn from_iter<T: IntoIterator<Item = Arc<Member>>>(members: T) -> Roster {
        let each = members.into_iter();
        Roster(each.map(|it| (it.name().clone(), it)).collect())
    }
}

/// A backend in the gateway, with its own tasks.
#[derive(Debug)]
pub struct Member {
    poller: Arc<Poller>,
    ledger: Arc<Ledger>,
    /// The writes by its current dialect. Held for one copy only, never across an await.
    writes: RwLock<Arc<Writes>>,
    /// Its poller, and its writes in flight or being settled.
    tasks: TaskTracker,
    cancel: CancellationToken,
    /// The latest revision of the log when the member was made.
    base: Revision,
    /// The last revision that may have been given to clients that did not know of this member; 0 if it is there from
    /// the start.
    since: AtomicU64,
}

/// What a new member begins with.
#[derive(Debug)]
pub struct Arrival {
    pub settings: BackendSettings,
    pub dialect: Arc<dyn Dialect>,
    /// What was kept of its log.
    pub kept: Kept,
    /// What was left in its ledger.
    pub left: Left,
}

impl Member {
    /// Returns a member that does nothing until [`Member::start`], and the unfinished writes to pass to that.
    pub fn new(arrival: Arrival, common: &Common) -> (Arc<Member>, Left) {
        let Arrival {
            settings,
            dialect,
            kept,
            mut left,
        } = arrival;
        let (tasks, cancel) = (TaskTracker::new(), common.cancel.child_token());
        let base = common.log.latest();
        let backend = Arc::new(Backend::new(settings, dialect));
        let shelf = Arc::clone(&common.shelf);
        let ledger = Ledger::new(backend.name(), common.key.clone(), shelf, &mut left);
        let log = Arc::clone(&common.log);
        let poller = Arc::new(Poller::recalled(backend, log, kept));
        let writes = Writes::new(&poller, &ledger, &tasks, &cancel);
        let member = Member {
            poller,
            ledger,
            writes: RwLock::new(writes),
            tasks,
            cancel,
            base,
            since: AtomicU64::new(0),
        };
        (Arc::new(member), left)
    }

    /// Starts polling, and settles the writes in `left`. Must be called within a tokio runtime.
    pub fn start(&self, left: Left, common: &Common) {
        let poller = Arc::clone(&self.poller);
        self.tasks.spawn(poller.run(self.cancel.clone()));
        self.writes().recall(left.entries);
        let ledger = Arc::clone(&self.ledger);
        self.tasks.spawn(forget_old(ledger, self.cancel.clone()));
        let (tasks, cancel) = (self.tasks.clone(), self.cancel.clone());
        common.tasks.spawn(async move {
            cancel.cancelled().await;
            tasks.close();
            tasks.wait().await;
        });
    }

    pub fn name(&self) -> &BackendName {
        self.poller.backend().name()
    }

    pub fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Returns the writes by its current dialect.
    pub fn writes(&self) -> Arc<Writes> {
        let writes = self.writes.read();
        Arc::clone(&writes.unwrap_or_else(PoisonError::into_inner))
    }

    /// Records that clients that do not know of this member may have been given revisions up to `latest`.
    pub fn joined(&self, latest: Revision) {
        self.since.store(latest, Ordering::SeqCst);
    }

    /// Reports whether a client that has read the log of all backends up to this revision does not know this member's
    /// connections yet.
    pub fn is_unknown_at(&self, position: Revision) -> bool {
        let since = self.since.load(Ordering::SeqCst);
        since != 0 && position <= since
    }

    /// Returns the latest revision of the log when the member was made. What was kept of the member is not newer.
    pub fn base(&self) -> Revision {
        self.base
    }

    /// Changes settings that need no other dialect.
    pub fn change_settings(&self, settings: BackendSettings) {
        let backend = self.poller.backend();
        let polled_as_before = backend.settings().poll == settings.poll;
        backend.configured().change(settings);
        if !polled_as_before {
            self.poller.poll_all_anew();
        }
    }

    /// Changes the settings and the dialect to one with the same capabilities. Writes in flight end with the dialect
    /// they began with.
    pub fn change(&self, settings: BackendSettings, dialect: Arc<dyn Dialect>) {
        let backend = Arc::clone(self.poller.backend());
        backend.change_dialect(dialect);
        backend.configured().change(settings);
        let mut writes = self.writes.write().unwrap_or_else(PoisonError::into_inner);
        *writes = writes.renewed();
        drop(writes);
        self.poller.poll_all_anew();
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            cancel
                .run_until_cancelled_owned(async move { backend.probe().await })
                .await
        });
    }

    /// Takes the member out of service: nothing new begins, and its watches are told. Returns the tracker that finishes
    /// with the last of its tasks; writes in flight take as long as they may.
    pub fn leave(&self) -> TaskTracker {
        self.poller.backend().configured().remove();
        self.cancel.cancel();
        self.tasks.close();
        self.poller.leave();
        self.tasks.clone()
    }
}

#[cfg(test)]
impl Member {
    /// Returns a member without background tasks.
    pub fn idle(name: &str, dialect: Arc<dyn Dialect>) -> Arc<Member> {
        use crate::core::store::Recovered;
        let common = Common {
            log: Arc::new(Log::recovered(&Recovered::default())),
            shelf: Arc::new(Shelf::in_memory()),
            key: MacKey::random(),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
        };
        let arrival = Arrival {
            settings: BackendSettings::new(name.parse().unwrap()),
            dialect,
            kept: Kept::default(),
            left: Left::default(),
        };
        Member::new(arrival, &common).0
    }
}
