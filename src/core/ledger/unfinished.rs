//! A write that did not end with its call, as it is told.

use crate::core::dialect::Action;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// A write that did not end with its call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// How far it is.
    pub state: UnfinishedState,
    /// What was asked for.
    pub action: Action,
    /// What it was to make, change or remove, as a resource name.
    pub name: String,
    /// The `request_id` of its call; empty if it had none.
    pub request_id: String,
    /// What is there of it and should not be, as resource names.
    pub leftovers: Vec<String>,
    /// Why it did not end, or has not yet.
    pub message: String,
    /// When its call began.
    pub begin_time: SystemTime,
    /// When its state became this.
    pub update_time: SystemTime,
}

/// How far a write is that did not end with its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UnfinishedState {
    /// It is being found out about, finished or undone.
    Settling,
    /// All of it was done.
    Finished,
    /// Nothing of it is left.
    Undone,
    /// The gateway gave up.
    Abandoned,
}

impl UnfinishedState {
    /// The same as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            UnfinishedState::Settling => "settling",
            UnfinishedState::Finished => "finished",
            UnfinishedState::Undone => "undone",
            UnfinishedState::Abandoned => "abandoned",
        }
    }
}
