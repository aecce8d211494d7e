//! Performs a plan: step by step, and undone if one fails. Who is told of each step before its request goes out, and after
//! its answer, is the caller's: the ledger, or nobody.
//!
//! ```text
//!   CREATE | UPDATE … ──all done──► DELETE …        a failure here: written, and the rest is to be removed later
//!          │ a failure
//!          ├─ certain: what was done is undone, last first; what cannot be is left
//!          └─ it may have been done: all is left, until that is known
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

/// Is told of each step. What it refuses is not sent.
#[async_trait]
pub trait Journal: Send + Sync {
    /// A step is about to be sent.
    ///
    /// # Errors
    /// If that could not be made durable: then it is not sent.
    async fn sending(&self, index: usize, step: &Step) -> Result<()>;

    /// A step was done. It need not be durable: the step can be traced.
    async fn done(&self, index: usize, done: &Done);

    /// A step was undone, or certainly not done. It need not be durable either.
    async fn undone(&self, _index: usize) {}
}

/// Remembers nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn sending(&self, _index: usize, _step: &Step) -> Result<()> {
        Ok(())
    }

    async fn done(&self, _index: usize, _done: &Done) {}
}

/// How performing a plan ended.
#[derive(Debug)]
pub enum Performed<W> {
    /// All of it was done.
    Whole(W),
    /// All was done but removals, which are to go on; and why they did not.
    Rest(W, Error),
    /// Nothing of it is there.
    Undone(Error),
    /// Something of it is there, or may be.
    Open(Error),
}

/// The place of the last step that can be undone, among these: from there on a plan only goes on. `None` for one that only
/// removes, which goes on as soon as its first step was sent.
pub fn last_to_undo(
    actions: impl ExactSizeIterator<Item = Action> + DoubleEndedIterator,
) -> Option<usize> {
    let mut places = actions.enumerate().rev();
    let made = places.find(|(_, action)| matches!(action, Action::Create | Action::Update));
    made.map(|(place, _)| place)
}

/// Performs a plan as far as it goes.
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

/// Undoes steps, last first, up to the first that cannot be. Answers what is left.
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

/// Performs a plan to its end, for whoever keeps no ledger.
///
/// # Errors
/// The first failure. What was done before it is undone, but for what a step that may yet have been done needs; what is left
/// is in `Error.context.leftovers`.
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

/// Names an object that a step made.
pub fn leftover(step: &Step) -> Leftover {
    Leftover {
        kind: step.collection.clone(),
        id: step.id.clone().unwrap_or_default(),
    }
}
