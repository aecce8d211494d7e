//! A write that did not end with its call, as reported to clients.

use crate::core::dialect::Action;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// A write that did not end with its call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    pub state: UnfinishedState,
    pub action: Action,
    /// The resource name of what it was to create, update or delete.
    pub name: String,
    /// The `request_id` of its call; empty if it had none.
    pub request_id: String,
    /// The resource names of what it left in the cloud that should not be there.
    pub leftovers: Vec<String>,
    /// Why it did not end, or has not ended yet.
    pub message: String,
    /// When its call began.
    pub begin_time: SystemTime,
    /// When its state last changed.
    pub update_time: SystemTime,
}

/// The state of a write that did not end with its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UnfinishedState {
    /// It is being traced, finished or undone.
    Settling,
    /// All of it was done.
    Finished,
    /// Nothing of it is left.
    Undone,
    /// The gateway gave up.
    Abandoned,
}

impl UnfinishedState {
    pub fn as_str(self) -> &'static str {
        match self {
            UnfinishedState::Settling => "settling",
            UnfinishedState::Finished => "finished",
            UnfinishedState::Undone => "undone",
            UnfinishedState::Abandoned => "abandoned",
        }
    }
}
