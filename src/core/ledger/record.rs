//! A write and its progress, as stored. A record holds no key: steps contain none, and a request is stored as a
//! fingerprint only.

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

/// A write and its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The gateway's id of the write.
    pub id: String,
    pub action: Action,
    /// The kind of resource; `None` for connections.
    pub kind: Option<ResourceKind>,
    /// The id of the object; `None` for one that is to be created.
    pub object: Option<String>,
    /// The display name whose turn the write holds: that of a connection which an apply creates.
    #[serde(default)]
    pub site: Option<String>,
    /// The fingerprint of the request, if its caller chose a request id.
    pub request: Option<Fingerprint>,
    /// When the call began.
    pub begun: Millis,
    /// The steps, in order.
    pub steps: Vec<Progress>,
    /// Whether the write is being undone. This is final, whatever a trace finds later.
    #[serde(default)]
    pub undoing: bool,
    /// Whether the caller was told that the write succeeded. Only removals are left then.
    #[serde(default)]
    pub answered: bool,
    /// Where the backend was when the write began. Records of earlier versions lack it, which counts as where the
    /// backend is configured.
    #[serde(default)]
    pub home: Home,
}

/// A step and its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub step: Step,
    pub state: StepState,
}

/// The state of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// It was not sent.
    Planned,
    /// It was sent, or was about to be.
    Sent {
        /// When it was about to be sent.
        at: Millis,
    },
    /// It was done.
    Done(Done),
    /// It certainly was not done, or it was undone.
    Undone,
    /// The object that it made, or was to remove, stays because others use it.
    Stays,
    /// It cannot be undone, or it cannot be known whether it was done.
    Stuck,
}

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(u64);

impl Millis {
    /// Returns the present time of day.
    pub fn now() -> Millis {
        let since = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns the time since then; zero if the clock was set back.
    pub fn elapsed(self) -> Duration {
        Duration::from_millis(Millis::now().0.saturating_sub(self.0))
    }

    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0)
    }
}

impl Entry {
    /// Returns a write without steps, under a new id.
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

    /// Replaces the steps.
    pub fn plan(&mut self, steps: &[Step]) {
        let planned = steps.iter().map(|step| Progress {
            step: step.clone(),
            state: StepState::Planned,
        });
        self.steps = planned.collect();
    }

    /// Returns the collection of the object, such as `connections` or `ikePolicies`.
    pub fn collection(&self) -> &'static str {
        self.kind
            .map_or("connections", |kind| kind.collection().segment())
    }

    /// Returns the cloud's id of the object, if it has one yet.
    pub fn object_id(&self) -> Option<&str> {
        let made = || {
            let of_it = |it: &&Progress| it.step.collection == self.collection();
            let made = self.steps.iter().rev().filter(of_it);
            made.filter_map(|it| it.done_id()).next()
        };
        self.object.as_deref().or_else(made)
    }

    /// Returns the cloud's request ids of the steps that were done and not undone.
    pub fn upstream_ids(&self) -> Vec<&str> {
        let done = self.steps.iter().filter_map(|it| match &it.state {
            StepState::Done(done) => done.request_id.as_deref(),
            _ => None,
        });
        done.collect()
    }

    /// Returns the name of the object, with `-` in place of an unknown id.
    pub fn name(&self, backend: &BackendName) -> String {
        let id = self.object_id().unwrap_or("-");
        format!("{backend}/{}/{id}", self.collection())
    }

    /// Reports whether the write can only go forward: every step that can be undone is done, and only removals are
    /// left. A write that only removes can only go forward once any step may have been done.
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

    /// Reports whether the object itself is as requested, whatever is left to be removed beside it.
    pub fn is_accepted(&self) -> bool {
        match last_to_undo(self.steps.iter().map(|it| it.step.action)) {
            Some(_) => self.goes_on(),
            None => self.steps.first().is_some_and(Progress::is_done),
        }
    }

    /// Returns the indices of the removals that are left.
    pub fn to_remove(&self) -> Vec<usize> {
        let each = self.steps.iter().enumerate();
        let left = each.filter(|(_, it)| {
            it.step.action == Action::Delete
                && matches!(it.state, StepState::Planned | StepState::Sent { .. })
        });
        left.map(|(place, _)| place).collect()
    }

    /// Returns the cloud's request ids of the object's own steps and of the parts changed with it. Created parts do not
    /// count: they are real once the object is.
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

    /// Returns what the write left in the cloud that should not be there.
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
    pub fn is_done(&self) -> bool {
        matches!(self.state, StepState::Done(_))
    }

    /// Returns the id of the object that the step wrote, if it was done.
    pub fn done_id(&self) -> Option<&str> {
        match &self.state {
            StepState::Done(done) => Some(&done.id),
            _ => None,
        }
    }

    /// Returns the step with the id of the object that it made.
    pub fn with_id(&self) -> Step {
        let id = self.done_id().map(str::to_owned);
        Step {
            id: id.or_else(|| self.step.id.clone()),
            ..self.step.clone()
        }
    }
}
