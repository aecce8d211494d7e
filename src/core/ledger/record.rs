//! A write and how far it is, as it is kept. Holds no key: steps have none, and of a request there is only a fingerprint.

use crate::{
    core::{
        clock,
        dialect::{Action, Done, Step},
        error::Leftover,
        execute::last_to_undo,
        home::Home,
        ledger::fingerprint::Fingerprint,
    },
    model::{BackendName, ResourceKind},
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which; given by the gateway.
    pub id: String,
    /// What was asked for.
    pub action: Action,
    /// Of which kind of resource; `None` for connections.
    pub kind: Option<ResourceKind>,
    /// Of which object; `None` for one that is to be made.
    pub object: Option<String>,
    /// The display name that it has to itself: that of a connection which is made unless there is one. A turn is taken by it.
    #[serde(default)]
    pub site: Option<String>,
    /// The request it is known by, if its caller chose an id.
    pub request: Option<Fingerprint>,
    /// When its call began.
    pub begun: Millis,
    /// What is done, in order.
    pub steps: Vec<Progress>,
    /// It is being undone, whatever comes to light yet.
    #[serde(default)]
    pub undoing: bool,
    /// Its caller was told that it succeeded; nothing but removals is left.
    #[serde(default)]
    pub answered: bool,
    /// Where it was begun; a record of an earlier version does not tell, and is taken to be of where the backend is.
    #[serde(default)]
    pub home: Home,
}

/// A step and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is done.
    pub step: Step,
    /// How far.
    pub state: StepState,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// It was not sent.
    Planned,
    /// It was sent, or was about to be.
    Sent {
        /// When.
        at: Millis,
    },
    /// It was done.
    Done(Done),
    /// It certainly was not done, or was undone.
    Undone,
    /// What it made, or was to remove, stays: others use it.
    Stays,
    /// It cannot be undone, or nobody can tell whether it was done.
    Stuck,
}

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(u64);

impl Millis {
    /// The time of day.
    pub fn now() -> Millis {
        let since = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long ago that was; nothing if the clock went back.
    pub fn elapsed(self) -> Duration {
        Duration::from_millis(Millis::now().0.saturating_sub(self.0))
    }

    /// The same as a time.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0)
    }
}

impl Entry {
    /// One of which nothing is planned yet.
    pub fn new(action: Action, kind: Option<ResourceKind>, object: Option<&str>) -> Entry {
        Entry {
            id: uuid::Uuid::new_v4().to_string(),
            action,
            kind,
            object: object.map(str::to_owned),
            site: None,
            request: None,
            begun: Millis::now(),
            steps: Vec::new(),
            undoing: false,
            answered: false,
            home: Home::default(),
        }
    }

    /// Has it do these.
    pub fn plan(&mut self, steps: &[Step]) {
        let planned = steps.iter().map(|step| Progress {
            step: step.clone(),
            state: StepState::Planned,
        });
        self.steps = planned.collect();
    }

    /// Where the object it is about lives: `connections`, `ikePolicies`.
    pub fn collection(&self) -> &'static str {
        self.kind
            .map_or("connections", |kind| kind.collection().segment())
    }

    /// The cloud's id of the object it is about, if it has one.
    pub fn object_id(&self) -> Option<&str> {
        let made = || {
            let of_it = |it: &&Progress| it.step.collection == self.collection();
            let made = self.steps.iter().rev().filter(of_it);
            made.filter_map(|it| it.done_id()).next()
        };
        self.object.as_deref().or_else(made)
    }

    /// The cloud's ids of those requests that were done and not undone.
    pub fn upstream_ids(&self) -> Vec<&str> {
        let done = self.steps.iter().filter_map(|it| match &it.state {
            StepState::Done(done) => done.request_id.as_deref(),
            _ => None,
        });
        done.collect()
    }

    /// The name of the object it is about; `-` where it has no id.
    pub fn name(&self, backend: &BackendName) -> String {
        let id = self.object_id().unwrap_or("-");
        format!("{backend}/{}/{id}", self.collection())
    }

    /// Whether all is done that can be undone, so that nothing but removals is left to be done; or, of a write that only
    /// removes, whether it may have removed anything.
    pub fn goes_on(&self) -> bool {
        if self.undoing {
            return false;
        }
        let Some(last) = last_to_undo(self.steps.iter().map(|it| it.step.action)) else {
            return self.steps.iter().any(|it| it.state != StepState::Planned);
        };
        let mut first_part = self.steps[..=last].iter();
        first_part.all(|it| it.step.action == Action::Reuse || it.is_done())
    }

    /// Whether what it is about is as it was wanted, whatever is left to be removed beside it.
    pub fn is_accepted(&self) -> bool {
        match last_to_undo(self.steps.iter().map(|it| it.step.action)) {
            Some(_) => self.goes_on(),
            None => self.steps.first().is_some_and(Progress::is_done),
        }
    }

    /// The removals that are left, by their places.
    pub fn to_remove(&self) -> Vec<usize> {
        let each = self.steps.iter().enumerate();
        let left = each.filter(|(_, it)| {
            it.step.action == Action::Delete
                && matches!(it.state, StepState::Planned | StepState::Sent { .. })
        });
        left.map(|(place, _)| place).collect()
    }

    /// The cloud's ids of what was written of the object itself, and of what was changed with it: what was made for it is real
    /// once it is.
    pub fn request_ids(&self) -> Vec<String> {
        let is_part = |collection: &str| {
            let mut kinds = ResourceKind::ALL.into_iter();
            kinds.any(|kind| kind.collection().segment() == collection)
        };
        let own = self.steps.iter().filter(|it| match self.kind {
            Some(_) => true,
            None => it.step.action == Action::Update || !is_part(&it.step.collection),
        });
        own.filter_map(|it| match &it.state {
            StepState::Done(done) => done.request_id.clone(),
            _ => None,
        })
        .collect()
    }

    /// What is there of it and should not be.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let goes_on = self.goes_on();
        let is_left = |it: &&Progress| match (it.step.action, &it.state) {
            (Action::Delete, StepState::Planned | StepState::Sent { .. }) => goes_on,
            (Action::Create | Action::Update, StepState::Done(_) | StepState::Stuck) => !goes_on,
            _ => false,
        };
        let left = self.steps.iter().filter(is_left);
        left.filter_map(|it| {
            let id = it.done_id().or(it.step.id.as_deref())?;
            Some(Leftover {
                kind: it.step.collection.clone(),
                id: id.to_owned(),
            })
        })
        .collect()
    }

    /// The same as resource names.
    pub fn leftover_names(&self, backend: &BackendName) -> Vec<String> {
        let left = self.leftovers().into_iter();
        left.map(|it| format!("{backend}/{}/{}", it.kind, it.id))
            .collect()
    }
}

impl Progress {
    /// Whether it was done.
    pub fn is_done(&self) -> bool {
        matches!(self.state, StepState::Done(_))
    }

    /// The id of what it did.
    pub fn done_id(&self) -> Option<&str> {
        match &self.state {
            StepState::Done(done) => Some(&done.id),
            _ => None,
        }
    }

    /// The step, with the id of what it made.
    pub fn with_id(&self) -> Step {
        let id = self.done_id().map(str::to_owned);
        Step {
            id: id.or_else(|| self.step.id.clone()),
            ..self.step.clone()
        }
    }
}
