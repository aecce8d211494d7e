//! Records each step in the ledger before its request goes out. One store write per request also records the result of
//! the step before.

use crate::core::{
    audit,
    dialect::{Done, Step},
    error::Result,
    execute::Journal,
    ledger::{
        book::Ledger,
        record::{Entry, Millis, StepState},
        shelf::unavailable,
    },
};
use async_trait::async_trait;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Records the steps of one write.
#[derive(Debug)]
pub struct Noting<'a> {
    ledger: &'a Ledger,
    /// A std mutex: held for bookkeeping only, never across an await.
    noted: Mutex<Noted>,
}

/// The progress of a write.
#[derive(Debug)]
pub struct Noted {
    pub entry: Entry,
    /// Whether the store may have a record of the write.
    pub kept: bool,
}

impl<'a> Noting<'a> {
    pub fn new(ledger: &'a Ledger, noted: Noted) -> Noting<'a> {
        Noting {
            ledger,
            noted: Mutex::new(noted),
        }
    }

    /// Returns the progress.
    pub fn into_noted(self) -> Noted {
        let noted = self.noted.into_inner();
        noted.unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, index: usize, state: StepState) {
        if let Some(step) = self.lock().entry.steps.get_mut(index) {
            step.state = state;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for Noting<'_> {
    async fn sending(&self, index: usize, _step: &Step) -> Result<()> {
        self.set(index, StepState::Sent { at: Millis::now() });
        let record = {
            let mut noted = self.lock();
            noted.kept = true;
            self.ledger.record(&noted.entry)
        };
        if let Err(error) = self.ledger.shelf().write(vec![record]).await {
            self.set(index, StepState::Planned);
            return Err(unavailable(&error));
        }
        Ok(())
    }

    async fn done(&self, index: usize, done: &Done) {
        self.set(index, StepState::Done(done.clone()));
        let name = || self.lock().entry.name(self.ledger.backend());
        audit::note(name, done.request_id.as_deref());
    }

    async fn undone(&self, index: usize) {
        self.set(index, StepState::Undone);
    }
}
