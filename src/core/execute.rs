//! Performs a plan step by step, and undoes it if a step fails. The caller chooses the journal that is told of each
//! step before its request and after its answer: the ledger, or none.
//!
//! ```text
//!   CREATE | UPDATE … ──all done──► DELETE …        a failure here: written; the remaining removals follow later
//!          │ a failure
//!          ├─ certain: the steps done are undone, last first; what cannot be undone is left
//!          └─ it may have been done: everything is left until that is known
//! ```

use crate::{
    core::{
        dialect::{Action, Call, Dialect, Done, Made, Plan, Step},
        error::{Error, ErrorKind, Leftover, Result},
    },
    spans,
};
use async_trait::async_trait;
use tracing::Instrument;

/// Is told of each step of a plan.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Called before a step is sent.
    ///
    /// # Errors
    /// If the step could not be made durable. It is not sent then.
    async fn sending(&self, index: usize, step: &Step) -> Result<()>;

    /// Called after a step was done. This need not be durable, since the step can be traced.
    async fn done(&self, index: usize, done: &Done);

    /// Called when a step was undone, or certainly not done. This need not be durable either.
    async fn undone(&self, _index: usize) {}
}

/// A journal that records nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn sending(&self, _index: usize, _step: &Step) -> Result<()> {
        Ok(())
    }

    async fn done(&self, _index: usize, _done: &Done) {}
}

/// The result of performing a plan.
#[derive(Debug)]
pub enum Performed<W> {
    /// All steps were done.
    Whole(W),
    /// All steps but some removals were done; the error says why those were not. They are to be retried.
    Rest(W, Error),
    /// Nothing of the write is in the cloud.
    Undone(Error),
    /// Something of the write is, or may be, in the cloud.
    Open(Error),
}

/// Returns the index of the last step that can be undone. After that step a plan only goes forward. Returns `None` for
/// a plan that only removes: it only goes forward once its first step is sent.
pub fn last_to_undo(
    actions: impl ExactSizeIterator<Item = Action> + DoubleEndedIterator,
) -> Option<usize> {
    let mut places = actions.enumerate().rev();
    let made = places.find(|(_, action)| matches!(action, Action::Create | Action::Update));
    made.map(|(place, _)| place)
}

pub async fn perform<W>(
    dialect: &dyn Dialect,
    mut plan: Box<dyn Plan<W> + '_>,
    made: &Made,
    journal: &dyn Journal,
    call: &Call,
) -> Performed<W> {
    let steps = plan.steps().to_vec();
    let decisive = last_to_undo(steps.iter().map(|step| step.action)).unwrap_or_default();
    let mut done: Vec<(usize, Step)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if step.action == Action::Reuse {
            continue;
        }
        let performed = match journal.sending(index, step).await {
            Ok(()) => plan.perform(index, made, call).await,
            Err(error) => Err(error),
        };
        match performed {
            Ok(left) => {
                journal.done(index, &left).await;
                let id = Some(left.id);
                done.push((index, Step { id, ..step.clone() }));
            }
            Err(error) if index > decisive => return Performed::Rest(plan.written(), error),
            Err(error) if error.kind == ErrorKind::Ambiguous => {
                let left = done.iter().rev().map(|(_, step)| leftover(step));
                return Performed::Open(with_leftovers(error, left.collect()));
            }
            Err(error) => {
                journal.undone(index).await;
                let span = spans::child(|| tracing::info_span!("undo"));
                let undone = undo(dialect, &done, journal, call).instrument(span);
                let left = undone.await;
                return match left.is_empty() {
                    true => Performed::Undone(error),
                    false => Performed::Open(with_leftovers(error, left)),
                };
            }
        }
    }
    Performed::Whole(plan.written())
}

/// Undoes steps, last first, up to the first that cannot be undone. Returns what is left.
async fn undo(
    dialect: &dyn Dialect,
    done: &[(usize, Step)],
    journal: &dyn Journal,
    call: &Call,
) -> Vec<Leftover> {
    for (count, (index, step)) in done.iter().enumerate().rev() {
        if let Err(error) = dialect.undo(step, call).await {
            tracing::warn!(collection = step.collection, id = ?step.id, %error, "what a write left could not be undone yet");
            let left = done[..=count].iter().rev();
            return left.map(|(_, step)| leftover(step)).collect();
        }
        journal.undone(*index).await;
    }
    Vec::new()
}

/// Performs a plan to its end, without a ledger.
///
/// # Errors
/// The first failure. The steps done before it are undone, unless the failed step may have been done and may need them.
/// `Error.context.leftovers` lists what is left.
pub async fn execute<W>(
    dialect: &dyn Dialect,
    plan: Box<dyn Plan<W> + '_>,
    made: &Made,
    journal: &dyn Journal,
    call: &Call,
) -> Result<W> {
    match perform(dialect, plan, made, journal, call).await {
        Performed::Whole(written) => Ok(written),
        Performed::Rest(_, error) | Performed::Undone(error) | Performed::Open(error) => Err(error),
    }
}

fn with_leftovers(mut error: Error, left: Vec<Leftover>) -> Error {
    for it in left {
        if !error.context.leftovers.contains(&it) {
            error.context.leftovers.push(it);
        }
    }
    error
}

/// Returns the object that a step made.
pub fn leftover(step: &Step) -> Leftover {
    Leftover {
        kind: step.collection.clone(),
        id: step.id.clone().unwrap_or_default(),
    }
}
