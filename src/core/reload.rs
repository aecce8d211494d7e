//! Changes the gateway's backends, or their configuration, while it runs.
//!
//! ```text
//!   present ─┬─ removed from the configuration ──────────► leaves: its watches end, its writes in flight may end
//!            ├─ other polls or `read_only` ──────────────► its settings are replaced, and watches go on
//!            ├─ same cloud, other dialect settings ──────► its dialect is replaced, and watches go on
//!            └─ another cloud, or kind of cloud ─────────► leaves, and joins anew
//!   new ─────────────────────────────────────────────────► joins, with what the store kept under its name
//! ```

use crate::{
    core::{
        dialect::Dialect,
        gateway::Gateway,
        recovery::recall,
        roster::{Arrival, Member, Roster},
        settings::BackendSettings,
        store::StoreError,
    },
    model::BackendName,
};
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

/// The delay before the ledger of a returning backend is read again after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// How long a reload waits for backends that take over the name of a removed one.
const MOMENT: Duration = Duration::from_secs(2);

/// What a reload did, each list sorted by name. A backend that became another cloud is both removed and added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Backends that joined, or join once a removed one of the same name has ended.
    pub added: Vec<BackendName>,
    /// Backends that are configured differently and go on.
    pub changed: Vec<BackendName>,
    pub removed: Vec<BackendName>,
    pub kept: Vec<BackendName>,
}

/// Why nothing was reloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReloaded {
    /// What the store kept of a new backend cannot be read.
    Store(StoreError),
    /// Two backends have this name.
    Twice(BackendName),
    ShuttingDown,
}

impl fmt::Display for NotReloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotReloaded::Store(error) => {
                write!(f, "what was kept of a backend cannot be read: {error}")
            }
            NotReloaded::Twice(name) => write!(f, "two backends are named `{}`", name.as_str()),
            NotReloaded::ShuttingDown => f.write_str("the gateway is shutting down"),
        }
    }
}

impl std::error::Error for NotReloaded {}

type Wanted = (BackendSettings, Arc<dyn Dialect>);

/// How to change a backend that stays.
enum Change {
    Settings(BackendSettings),
    Dialect(BackendSettings, Arc<dyn Dialect>),
}

/// What a reload is going to do.
#[derive(Default)]
struct Agenda {
    reloaded: Reloaded,
    changes: Vec<(Arc<Member>, Change)>,
    /// Backends to add whose name is free.
    come: Vec<Wanted>,
    /// Backends to add once a removed one of the same name has ended.
    take_over: Vec<Wanted>,
}

impl Agenda {
    /// Compares the backends that are present or have not ended with those that are wanted.
    fn new(
        there: &Roster,
        leaving: &[BackendName],
        wanted: Vec<Wanted>,
    ) -> Result<Agenda, NotReloaded> {
        let mut agenda = Agenda::default();
        let mut names = BTreeSet::new();
        for (settings, dialect) in wanted {
            let name = settings.name.clone();
            if !names.insert(name.clone()) {
                return Err(NotReloaded::Twice(name));
            }
            match there.get(&name) {
                Some(member) => agenda.change(member, settings, dialect),
                None => {
                    agenda.reloaded.added.push(name.clone());
                    match leaving.contains(&name) {
                        true => agenda.take_over.push((settings, dialect)),
                        false => agenda.come.push((settings, dialect)),
                    }
                }
            }
        }
        let gone = there.iter().map(|it| it.name());
        let gone = gone.filter(|name| !names.contains(*name)).cloned();
        agenda.reloaded.removed.extend(gone);
        let Reloaded {
            added,
            changed,
            removed,
            kept,
        } = &mut agenda.reloaded;
        for names in [added, changed, removed, kept] {
            names.sort();
        }
        Ok(agenda)
    }

    fn change(
        &mut self,
        member: &Arc<Member>,
        settings: BackendSettings,
        dialect: Arc<dyn Dialect>,
    ) {
        let backend = member.poller().backend();
        let (now, name) = (backend.settings(), settings.name.clone());
        let takes_another = now.identity != settings.identity || now.timeout != settings.timeout;
        let change = match takes_another {
            false if now.poll == settings.poll && now.read_only == settings.read_only => {
                self.reloaded.kept.push(name);
                return;
            }
            false => Change::Settings(settings),
            true if dialect.capabilities() == backend.capabilities()
                && !dialect.home().is_elsewhere(&backend.dialect().home()) =>
            {
                Change::Dialect(settings, dialect)
            }
            true => {
                self.reloaded.removed.push(name.clone());
                self.reloaded.added.push(name);
                self.take_over.push((settings, dialect));
                return;
            }
        };
        self.reloaded.changed.push(name);
        self.changes.push((Arc::clone(member), change));
    }
}

impl Gateway {
    /// Replaces the backends that the gateway serves. Clients of unchanged backends notice nothing. If only the polls
    /// or `read_only` differ, or the new dialect has the same capabilities and speaks to the same cloud, watches go on,
    /// and what is in flight ends as it began. If a backend is removed, its watches, and the calls that wait for it,
    /// end with `NotFound` / `BackendRemoved`; its writes in flight may end, and the store keeps what it has of the
    /// backend.
    ///
    /// Reloads run one after the other, and go on if their callers go away. A new backend with the name of a removed
    /// one joins once the writes in flight of that one have ended, since the two share a ledger. The call does not wait
    /// for long: such a backend counts as added, and the next reload decides again whether it joins.
    ///
    /// # Errors
    /// If the store cannot be read, two backends have the same name, or the gateway is shutting down. Then nothing has
    /// changed.
    pub async fn reload(self: &Arc<Self>, backends: Vec<Wanted>) -> Result<Reloaded, NotReloaded> {
        let gateway = Arc::clone(self);
        let reload = self.common.tasks.spawn(async move {
            // The semaphore is never closed.
            let turn = gateway.reloading.acquire().await;
            let (reloaded, coming) = gateway.reload_now(backends).await?;
            drop(turn);
            // Usually nothing is in flight, so all have joined by then.
            let _ = timeout(MOMENT, coming.wait()).await;
            Ok(reloaded)
        });
        match reload.await {
            Ok(reloaded) => reloaded,
            Err(fault) if fault.is_panic() => std::panic::resume_unwind(fault.into_panic()),
            Err(_) => Err(NotReloaded::ShuttingDown),
        }
    }

    /// Returns what was done, and a tracker that finishes when the backends to take over have joined too.
    async fn reload_now(
        self: &Arc<Self>,
        backends: Vec<Wanted>,
    ) -> Result<(Reloaded, TaskTracker), NotReloaded> {
        let there = self.present();
        let leaving = self.leaving();
        let names: Vec<_> = leaving.iter().map(|(name, _)| name.clone()).collect();
        let agenda = Agenda::new(&there, &names, backends)?;
        let mut come = Vec::new();
        for (settings, dialect) in agenda.come {
            let arrival = self.recall(settings, dialect).await;
            come.push(arrival.map_err(NotReloaded::Store)?);
        }
        // What the others have kept is read again once nothing writes it any more. Reading it here too makes the reload
        // fail before it changes anything.
        for (settings, dialect) in &agenda.take_over {
            let read = self.recall(settings.clone(), Arc::clone(dialect)).await;
            read.map_err(NotReloaded::Store)?;
        }
        if self.common.cancel.is_cancelled() {
            return Err(NotReloaded::ShuttingDown);
        }
        for (member, change) in agenda.changes {
            match change {
                Change::Settings(settings) => member.change_settings(settings),
                Change::Dialect(settings, dialect) => member.change(settings, dialect),
            }
        }
        self.replace(&agenda.reloaded.removed, come);
        let coming = self.take_over(agenda.take_over);
        Ok((agenda.reloaded, coming))
    }

    async fn recall(
        &self,
        settings: BackendSettings,
        dialect: Arc<dyn Dialect>,
    ) -> Result<Arrival, StoreError> {
        let (store, keeping) = (&self.store, self.keeping.as_ref());
        recall(settings, dialect, &self.common, store, keeping).await
    }

    /// Removes some backends and adds others, in one step.
    fn replace(&self, leave: &[BackendName], come: Vec<Arrival>) {
        if leave.is_empty() && come.is_empty() {
            return;
        }
        let come = come.into_iter();
        let come: Vec<_> = come.map(|it| Member::new(it, &self.common)).collect();
        let members: Vec<_> = come.iter().map(|(it, _)| Arc::clone(it)).collect();
        for member in &members {
            // Before it is in the roster, no client can know of the member.
            member.joined(u64::MAX);
        }
        let there = self.present();
        self.roster
            .send_replace(Arc::new(there.with(leave, &members)));
        for (member, left) in come {
            member.joined(self.common.log.latest());
            member.start(left, &self.common);
        }
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        for member in leave.iter().filter_map(|name| there.get(name)) {
            leaving.push((member.name().clone(), member.leave()));
        }
    }

    /// Returns the removed backends with tasks that have not ended.
    fn leaving(&self) -> Vec<(BackendName, TaskTracker)> {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|(_, tasks)| !tasks.is_empty());
        leaving.clone()
    }

    /// Adds backends once the removed ones of the same names have ended. Cancels those that an earlier reload was still
    /// waiting to add.
    fn take_over(self: &Arc<Self>, wanted: Vec<Wanted>) -> TaskTracker {
        let goes_on = self.common.cancel.child_token();
        let mut taking_over = self
            .taking_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *taking_over, goes_on.clone()).cancel();
        drop(taking_over);
        let coming = TaskTracker::new();
        for (settings, dialect) in wanted {
            let (gateway, goes_on) = (Arc::clone(self), goes_on.clone());
            let come = async move { gateway.come(settings, dialect).await };
            let come = async move { goes_on.run_until_cancelled_owned(come).await };
            self.common.tasks.spawn(coming.track_future(come));
        }
        coming.close();
        coming
    }

    /// Adds a backend once all removed ones of its name have ended.
    async fn come(&self, settings: BackendSettings, dialect: Arc<dyn Dialect>) {
        for (name, tasks) in self.leaving() {
            if name == settings.name {
                tasks.wait().await;
            }
        }
        loop {
            {
                // The semaphore is never closed. No other reload runs while this is held; one that ran earlier has
                // cancelled this task.
                let _turn = self.reloading.acquire().await;
                match self.recall(settings.clone(), Arc::clone(&dialect)).await {
                    Ok(arrival) => return self.replace(&[], vec![arrival]),
                    Err(error) => {
                        tracing::error!(backend = settings.name.as_str(), %error, "a backend cannot come back yet: what was kept of it cannot be read");
                    }
                }
            }
            sleep(RETRY).await;
        }
    }
}
