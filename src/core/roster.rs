//! Which backends are in the gateway now. A reload puts another list in the place of this one; who has a list, or a backend of
//! it, keeps it for what they are at, and asks again for the next thing.

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
    /// The log of all of them.
    pub log: Arc<Log>,
    /// Where their ledgers are kept.
    pub shelf: Arc<Shelf>,
    /// What their requests are told apart by.
    pub key: MacKey,
    /// Ends when the tasks of every backend have ended, of those that were removed too.
    pub tasks: TaskTracker,
    /// Ends the tasks of every backend.
    pub cancel: CancellationToken,
}

/// The backends, by name.
#[derive(Debug, Default)]
pub struct Roster(BTreeMap<BackendName, Arc<Member>>);

impl Roster {
    /// The one of this name.
    pub fn get(&self, name: &BackendName) -> Option<&Arc<Member>> {
        self.0.get(name)
    }

    /// Every one, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.0.values()
    }

    /// The same, without some and with others.
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

/// A backend that is in the gateway, with the tasks that are its own.
#[derive(Debug)]
pub struct Member {
    poller: Arc<Poller>,
    ledger: Arc<Ledger>,
    /// By its present dialect. Held for one copy only, never across an await.
    writes: RwLock<Arc<Writes>>,
    /// Its poller, and its writes under way or being settled.
    tasks: TaskTracker,
    cancel: CancellationToken,
    /// What was in the log when it came.
    base: Revision,
    /// The last position that may have been given out by who did not know of it; 0 if it is there from the start.
    since: AtomicU64,
}

/// What a backend begins with that is new in the gateway.
#[derive(Debug)]
pub struct Arrival {
    /// Its settings.
    pub settings: BackendSettings,
    /// What speaks to its cloud.
    pub dialect: Arc<dyn Dialect>,
    /// What was kept of its log.
    pub kept: Kept,
    /// What was left in its ledger.
    pub left: Left,
}

impl Member {
    /// One that is there, and does nothing until [`Member::start`]. Answers what is to be gone on with then.
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

    /// Has it polled, and gone on with what was left. Must be called within a tokio runtime.
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

    /// Its name.
    pub fn name(&self) -> &BackendName {
        self.poller.backend().name()
    }

    /// What polls it.
    pub fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    /// Its ledger.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Its writes, by the dialect that it has now.
    pub fn writes(&self) -> Arc<Writes> {
        let writes = self.writes.read();
        Arc::clone(&writes.unwrap_or_else(PoisonError::into_inner))
    }

    /// Whoever has a position up to `latest` may not know of it: those of everybody before it was in the roster.
    pub fn joined(&self, latest: Revision) {
        self.since.store(latest, Ordering::SeqCst);
    }

    /// Whether somebody who is at this position of the log of all backends has not been told yet which connections it has.
    pub fn is_unknown_at(&self, position: Revision) -> bool {
        let since = self.since.load(Ordering::SeqCst);
        since != 0 && position <= since
    }

    /// From where on its changes are all its own: what was kept of it is not beyond.
    pub fn base(&self) -> Revision {
        self.base
    }

    /// It is configured differently, and needs the same dialect.
    pub fn change_settings(&self, settings: BackendSettings) {
        let backend = self.poller.backend();
        let polled_as_before = backend.settings().poll == settings.poll;
        backend.configured().change(settings);
        if !polled_as_before {
            self.poller.poll_all_anew();
        }
    }

    /// It is configured so that it takes another dialect, of the same capabilities. Writes under way end with the one that
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

    /// It is out of the roster: nothing is begun any more, and whoever watches is told. Answers what ends with the last of
    /// its tasks: writes under way take as long as they may.
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
    /// One that nothing is asked of by itself.
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
