//! A write that a cloud accepted, and how a later poll can tell that it speaks for it.

use crate::model::Connection;
use serde::{Deserialize, Serialize};

/// A write that the cloud accepted.
#[derive(Debug, Clone)]
pub struct Written {
    /// The connection's id.
    pub id: String,
    /// As the cloud answered it; `None` after a delete.
    pub connection: Option<Connection>,
    /// How a later poll can tell that it speaks for this write.
    pub proof: Proof,
    /// What the cloud does only approximately, and what could not be removed.
    pub warnings: Vec<Warning>,
}

/// How a poll can tell that what it sees is not older than a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// The cloud tells, when asked about these ids (NSX `x-nsx-requestid`). All must be proven.
    RequestIds(Vec<String>),
    /// Any status speaks for it, because there was nothing before (a new Neutron row, a delete).
    AnyStatus,
    /// The status may still describe what was before. It is proven when the cloud was seen to be at work on a change
    /// and to have ended it, and otherwise assumed after a quiet time.
    StatusMustMove {
        /// What the cloud said when the write was answered.
        native_state: String,
    },
    /// The cloud gave no id for a write it could have told about: assumed after a quiet time.
    RequestIdMissing,
    /// What was written is for people (a name, a description), and the cloud has nothing to realize of it: what is
    /// known of the writes before stays as it was. Not for a cloud whose state takes such a write up like any other
    /// (NSX), since it would be told of before that state has.
    Descriptive,
    /// Nothing had to be written.
    Nothing,
}

/// Something the cloud does only approximately. The call succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The field it is about; empty if it is about the whole.
    pub field: String,
    /// A sentence for people.
    pub message: String,
}
