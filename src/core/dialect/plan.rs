//! A write as a plan: one step for each object that it makes, changes or removes, in the order in which requests go out.
//!
//! A dialect plans, reading what it needs; the core decides what is done with a plan. It answers it (`validate_only`), or has
//! it performed step by step, each noted in the ledger before its request goes out. Plans of several seams are joined: parts
//! first, then the connection.

use crate::{
    core::{
        dialect::call::{Call, Mark},
        error::Result,
    },
    model::{Connection, ResourceKind},
};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    /// It is made.
    Create,
    /// It is there, and is used as it is. Nothing is sent.
    Reuse,
    /// It is changed.
    Update,
    /// It is removed.
    Delete,
}

impl Action {
    /// The same as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Reuse => "reuse",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// One write of one object. What the ledger keeps of it: it holds no key, and nothing that a key can be found out by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What becomes of the object.
    pub action: Action,
    /// Which kind of object, as in resource names: `connections`, `ikePolicies`; or the dialect's own word for what has no
    /// resource name, as `peerEndpoints`.
    pub collection: String,
    /// The cloud's id of the object; `None` until it is made.
    pub id: Option<String>,
    /// What is written of it, as paths relative to the resource. Empty for `Reuse` and `Delete`.
    pub fields: Vec<String>,
    /// CREATE: the mark that is left on it. UPDATE: what tells this write from others (a nonce), if the cloud has room
    /// for one.
    pub mark: Option<Mark>,
    /// Whether its request carries a key, so that it cannot be sent again once the process has ended.
    pub bears_key: bool,
    /// What the dialect itself needs to tell later whether it was done, and to take it back; of no meaning to the core.
    pub memo: Value,
}

impl Step {
    /// A step with nothing but what it is about.
    pub fn new(action: Action, collection: impl Into<String>, id: Option<String>) -> Step {
        Step {
            action,
            collection: collection.into(),
            id,
            fields: Vec::new(),
            mark: None,
            bears_key: false,
            memo: Value::Null,
        }
    }
}

/// What one step left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The cloud's id of the object.
    pub id: String,
    /// The cloud's id of the write, by which its realization can be asked about (NSX `x-nsx-requestid`).
    pub request_id: Option<String>,
}

/// The ids of what earlier plans of the same write made or found, by kind.
pub type Made = BTreeMap<ResourceKind, String>;

/// A write, planned: how to perform each of its steps.
///
/// # Behavior
/// - `Reuse` steps are never performed; all others are, in order, each at most once, and the next only after the one before
///   succeeded.
/// - A step whose answer is lost is looked for, as every write; if it cannot be known whether it was done, the error is
///   `Ambiguous`. Any other error says that it certainly was not.
/// - Nothing is undone here; that is the core's to decide, by [`Dialect::undo`](crate::core::dialect::Dialect::undo).
#[async_trait]
pub trait Plan<W>: Send {
    /// The steps, in order.
    fn steps(&self) -> &[Step];

    /// The connection as it was read for the plan, if it was: then nobody has to read it again to plan what goes with it.
    fn there(&self) -> Option<&Connection> {
        None
    }

    /// Performs one. `made` is what is referred to and had no id when the plan was made.
    async fn perform(&mut self, index: usize, made: &Made, call: &Call) -> Result<Done>;

    /// What the write left, after its last step. Asked earlier if a removal failed that is not the first step, since all
    /// that was wanted is done by then: whoever goes on with removals has no plan.
    fn written(self: Box<Self>) -> W;
}

/// What the cloud shows of a step that was sent and whose answer nobody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// It was done.
    Done(Done),
    /// It was not done, as far as the cloud shows now; it may still come.
    NotDone,
    /// Nothing that can be read tells.
    Unclear,
}

/// A plan of at most one step, whose request is one future.
pub struct Single<'a, W> {
    steps: Vec<Step>,
    perform: Option<Performing<'a, W>>,
    written: Option<W>,
}

type Performing<'a, W> =
    Box<dyn FnOnce(Made, Call) -> BoxFuture<'a, Result<(Done, W)>> + Send + 'a>;

impl<'a, W: Send + 'a> Single<'a, W> {
    /// Plans one step.
    #[allow(clippy::new_ret_no_self, reason = "a plan is used as nothing else")]
    pub fn new(
        step: Step,
        perform: impl FnOnce(Made, Call) -> BoxFuture<'a, Result<(Done, W)>> + Send + 'a,
    ) -> Box<dyn Plan<W> + 'a> {
        Box::new(Single {
            steps: vec![step],
            perform: Some(Box::new(perform)),
            written: None,
        })
    }

    /// Plans nothing: what was asked for is so already.
    pub fn none(written: W) -> Box<dyn Plan<W> + 'a> {
        Box::new(Single {
            steps: Vec::new(),
            perform: None,
            written: Some(written),
        })
    }
}

#[async_trait]
impl<W: Send> Plan<W> for Single<'_, W> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    async fn perform(&mut self, _index: usize, made: &Made, call: &Call) -> Result<Done> {
        let perform = self.perform.take().expect("a step is performed once");
        let (done, written) = perform(made.clone(), call.clone()).await?;
        self.written = Some(written);
        Ok(done)
    }

    fn written(self: Box<Self>) -> W {
        self.written.expect("the step was performed")
    }
}

impl<W> fmt::Debug for Single<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single")
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
