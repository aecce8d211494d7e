//! Accepted writes, and how a later poll can tell that it speaks for one.

use crate::model::Connection;
use serde::{Deserialize, Serialize};

/// A write that the cloud accepted.
#[derive(Debug, Clone)]
pub struct Written {
    pub id: String,
    /// The cloud's answer; `None` after a delete.
    pub connection: Option<Connection>,
    /// How a later poll can tell that it speaks for this write.
    pub proof: Proof,
    /// What the cloud realizes only approximately, and what could not be removed.
    pub warnings: Vec<Warning>,
}

/// How a poll can tell that what it sees is not older than a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// The cloud answers for these write ids when asked (NSX `x-nsx-requestid`). All must be proven.
    RequestIds(Vec<String>),
    /// Any status speaks for the write, because nothing came before it (a new Neutron row, a delete).
    AnyStatus,
    /// The status may still describe the configuration before the write. It is proven when the cloud is seen to start
    /// and finish work on a change, and otherwise assumed after a quiet time.
    StatusMustMove {
        /// The cloud's status when it answered the write.
        native_state: String,
    },
    /// The cloud supports write ids but gave none for this write. The write is assumed in place after a quiet time.
    RequestIdMissing,
    /// The write changed only text for people (a name, a description). The cloud realizes nothing of it, so what is
    /// known of earlier writes stays as it is. Not for a cloud whose state covers such a write like any other (NSX): it
    /// would be reported before that state includes it.
    Descriptive,
    /// Nothing had to be written.
    Nothing,
}

/// What the cloud realizes only approximately. The call succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The field concerned; empty if the warning is about the whole.
    pub field: String,
    pub message: String,
}
