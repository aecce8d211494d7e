//! Has a connection be as it is described.

use crate::{
    core::{
        error::{Error, Result},
        gateway::Gateway,
        request_id::How,
        writes::accepted::Accepted,
    },
    model::{BackendName, ConnectionName, NewConnection},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What is to be there.
#[derive(Debug, Clone)]
pub struct Description {
    /// The connection with its parts.
    pub wanted: NewConnection,
    /// Which connection is meant; else the one of its display name.
    pub name: Option<ConnectionName>,
    /// Whether the key is written to a connection that is there.
    pub write_key: bool,
}

/// What became of a description, or would.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// What became of the connection.
    pub result: Outcome,
    /// The write. Of one that was only tried it has the plan, and the name of what is there.
    pub accepted: Accepted,
    /// As it was, if it was only tried and is there.
    pub before: Option<NewConnection>,
    /// The description as the backend takes it, if it was only tried.
    pub taken: Option<NewConnection>,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It, or a part of it, was different.
    Changed,
    /// It was so already.
    #[default]
    Unchanged,
}

impl Gateway {
    /// Has a connection be as it is described. Its caller waits until `deadline`; the write goes on.
    ///
    /// # Errors
    /// As [`Gateway::create`] and [`Gateway::update`]; `FailedPrecondition` with `NameNotUnique`, `NotManaged` or
    /// `ReplacementNeeded`.
    pub async fn apply(
        &self,
        _backend: &BackendName,
        _description: Description,
        _how: How,
        _deadline: Instant,
    ) -> Result<Applied> {
        Err(Error::internal("not built yet"))
    }
}
