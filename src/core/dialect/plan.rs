//! A write as a plan: one step for each object that it creates, changes or removes, in the order in which the requests
//! go out.
//!
//! A dialect plans, and reads what it needs to do so; the core decides what to do with the plan. The core either
//! returns it (`validate_only`) or performs it step by step, noting each in the ledger before its request goes out.
//! Plans of several seams are joined: parts first, then the connection.

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

/// What a step does to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    Create,
    /// The object exists and is used as it is. Nothing is sent.
    Reuse,
    Update,
    Delete,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Reuse => "reuse",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// One write of one object, in the form the ledger keeps. It holds no key, and nothing a key could be derived from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub action: Action,
    /// The kind of object, as in resource names (`connections`, `ikePolicies`), or the dialect's own word for an object
    /// without a resource name, such as `peerEndpoints`.
    pub collection: String,
    /// The cloud's id of the object; `None` until the object exists.
    pub id: Option<String>,
    /// The written fields, as paths relative to the resource. Empty for `Reuse` and `Delete`.
    pub fields: Vec<String>,
    /// For CREATE, the mark left on the object. For UPDATE, a nonce that distinguishes this write from others, if the
    /// cloud has room for one.
    pub mark: Option<Mark>,
    /// Whether the request carries a key, so that it cannot be sent again once the process has ended.
    pub bears_key: bool,
    /// What the dialect needs to tell later whether the step was done, and to undo it; opaque to the core.
    pub memo: Value,
}

impl Step {
    /// Returns a step without fields, mark, key and memo.
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

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The cloud's id of the object.
    pub id: String,
    /// The cloud's id of the write, for asking about its realization (NSX `x-nsx-requestid`).
    pub request_id: Option<String>,
}

/// The ids of what earlier plans of the same write created or found, by kind.
pub type Made = BTreeMap<ResourceKind, String>;

/// A planned write, and how to perform each of its steps.
///
/// # Behavior
/// - `Reuse` steps are never performed. All others are performed in order, each at most once, and each only after the
///   one before succeeded.
/// - A step whose answer is lost is looked for, like every write. If it cannot be known whether it was done, the error
///   is `Ambiguous`; any other error means that it certainly was not.
/// - A plan undoes nothing; that is the core's decision, by [`Dialect::undo`](crate::core::dialect::Dialect::undo).
#[async_trait]
pub trait Plan<W>: Send {
    /// Returns the steps, in order.
    fn steps(&self) -> &[Step];

    /// Returns the connection as the plan read it, if it did. It saves another read when the core plans the parts.
    fn there(&self) -> Option<&Connection> {
        None
    }

    /// Performs one step. `made` holds the ids of referenced objects that did not exist when the plan was made.
    async fn perform(&mut self, index: usize, made: &Made, call: &Call) -> Result<Done>;

    /// Returns the result of the write, after its last step. If a removal other than the first step fails, it is called
    /// earlier: the caller's request is fulfilled by then, and the remaining removals continue without the plan.
    fn written(self: Box<Self>) -> W;
}

/// What the cloud shows of a step that was sent and whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    Done(Done),
    /// The cloud does not show the step's effect; it may still appear.
    NotDone,
    /// Nothing that can be read shows whether the step was done.
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

    /// Returns a plan without steps, for a request that is already fulfilled.
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
