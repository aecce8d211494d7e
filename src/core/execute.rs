//! Performs a plan: step by step, and undone if one fails. Who is told of each step before its request goes out, and after
//! its answer, is the caller's: the ledger, or nobody.

use crate::core::{
    dialect::{Call, Dialect, Done, Made, Plan, Step},
    error::{ErrorKind, Leftover, Result},
};
use async_trait::async_trait;

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

/// Performs a plan to its end.
///
/// # Errors
/// The first failure. What was done before it is undone, but for what a step that may yet have been done needs; what is left
/// is in `Error.context.leftovers`.
pub async fn execute<W>(
    dialect: &dyn Dialect,
    mut plan: Box<dyn Plan<W> + '_>,
    made: &Made,
    journal: &dyn Journal,
    call: &Call,
) -> Result<W> {
    let steps = plan.steps().to_vec();
    let mut undoable: Vec<Step> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let performed = match journal.sending(index, step).await {
            Ok(()) => plan.perform(index, made, call).await,
            Err(error) => Err(error),
        };
        match performed {
            Ok(done) => {
                journal.done(index, &done).await;
                undoable.push(Step {
                    id: Some(done.id),
                    ..step.clone()
                });
            }
            Err(mut error) => {
                let may_be_done = error.kind == ErrorKind::Ambiguous;
                for step in undoable.iter().rev() {
                    if may_be_done || dialect.undo(step, call).await.is_err() {
                        error.context.leftovers.push(leftover(step));
                    }
                }
                return Err(error);
            }
        }
    }
    Ok(plan.written())
}

/// Names an object that a step made.
pub fn leftover(step: &Step) -> Leftover {
    Leftover {
        kind: step.collection.clone(),
        id: step.id.clone().unwrap_or_default(),
    }
}
