//! Has the gateway serve other backends than before, or the same ones differently, while it runs.
//!
//! ```text
//!   there ─┬─ not configured any more ──────────────► leaves: watches end, writes under way may end
//!          ├─ polled or written to differently ─────► its settings are swapped, and watches go on
//!          ├─ the same cloud, told otherwise ───────► its dialect is swapped, and watches go on
//!          └─ another cloud, or kind of cloud ──────► leaves, and comes
//!   new ──────────────────────────────────────────────► comes, with what was kept of one of its name
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

/// When the ledger of a backend that comes back is read again, after it could not be.
const RETRY: Duration = Duration::from_secs(5);

/// How long a reload waits for those to come whose names others have.
const MOMENT: Duration = Duration::from_secs(2);

/// What a reload did, each sorted by name. A backend that became another cloud was removed, and added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Those that came, or come once another of their name has ended.
    pub added: Vec<BackendName>,
    /// Those that are configured differently, and go on.
    pub changed: Vec<BackendName>,
    /// Those that left.
    pub removed: Vec<BackendName>,
    /// Those that nothing changed for.
    pub kept: Vec<BackendName>,
}

/// Why nothing was reloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReloaded {
    /// What was kept of a backend that is to come cannot be read.
    Store(StoreError),
    /// Two backends have this name.
    Twice(BackendName),
    /// The gateway is shutting down.
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

/// A backend as it is to be.
type Wanted = (BackendSettings, Arc<dyn Dialect>);

/// What is to be done with one that is there.
enum Change {
    Settings(BackendSettings),
    Dialect(BackendSettings, Arc<dyn Dialect>),
}

/// What is to be done, before anything is.
#[derive(Default)]
struct Agenda {
    reloaded: Reloaded,
    changes: Vec<(Arc<Member>, Change)>,
    /// Those to come whose name nobody has.
    come: Vec<Wanted>,
    /// Those to come once who has their name has ended.
    take_over: Vec<Wanted>,
}

impl Agenda {
    /// What leads from those that are there, and those that have not ended yet, to those that are wanted.
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
    /// Serves these backends from now on. Whoever is not concerned notices nothing. Where only the polls or `read_only` are
    /// other than before, or the dialect is another with the same capabilities that speaks to the same cloud, watches go on; what is under way ends as it
    /// began. Watches of a backend that is not among them end with `NotFound` / `BackendRemoved`, as do calls that wait
    /// for it; its writes under way may end, and what was kept of it stays in the store.
    ///
    /// One reload follows the other, and goes on if its caller goes away. One whose name another has that was removed comes once
    /// the writes under way of that have ended, since they have one ledger. So long nobody waits: it is among those that were
    /// added, and the next reload decides anew whether it is to come.
    ///
    /// # Errors
    /// If the store cannot be read, two have the same name, or the gateway is shutting down; then nothing has changed.
    pub async fn reload(self: &Arc<Self>, backends: Vec<Wanted>) -> Result<Reloaded, NotReloaded> {
        let gateway = Arc::clone(self);
        let reload = self.common.tasks.spawn(async move {
            // Never closed.
            let turn = gateway.reloading.acquire().await;
            let (reloaded, coming) = gateway.reload_now(backends).await?;
            drop(turn);
            // As a rule nothing is under way.
            let _ = timeout(MOMENT, coming.wait()).await;
            Ok(reloaded)
        });
        match reload.await {
            Ok(reloaded) => reloaded,
            Err(fault) if fault.is_panic() => std::panic::resume_unwind(fault.into_panic()),
            Err(_) => Err(NotReloaded::ShuttingDown),
        }
    }

    /// Answers what has ended when all have come, too.
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
        // Of the others it is read once nobody writes it any more. By then there is no way back.
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

    /// Has some leave and others come, at once.
    fn replace(&self, leave: &[BackendName], come: Vec<Arrival>) {
        if leave.is_empty() && come.is_empty() {
            return;
        }
        let come = come.into_iter();
        let come: Vec<_> = come.map(|it| Member::new(it, &self.common)).collect();
        let members: Vec<_> = come.iter().map(|(it, _)| Arc::clone(it)).collect();
        for member in &members {
            // Until it is in the roster, nobody can know of it.
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

    /// Those that were removed and have tasks that have not ended.
    fn leaving(&self) -> Vec<(BackendName, TaskTracker)> {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|(_, tasks)| !tasks.is_empty());
        leaving.clone()
    }

    /// Has these come whose names others have that are removed, and nobody come any more that an earlier reload would have had
    /// come.
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

    /// Has one come once nobody of its name is left.
    async fn come(&self, settings: BackendSettings, dialect: Arc<dyn Dialect>) {
        for (name, tasks) in self.leaving() {
            if name == settings.name {
                tasks.wait().await;
            }
        }
        loop {
            {
                // Never closed. No other reload decides meanwhile, and one that has decided has ended this.
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
