//! A connection with what it needs and does not refer to, to be made by one call.

use crate::model::{
    connection::ConnectionSpec,
    resource::{ResourceKind, ResourceSpec},
};
use std::collections::BTreeMap;

/// What is to be made by one call.
#[derive(Debug, Clone, Default)]
pub struct NewConnection {
    /// The connection. What is in `parts` it does not refer to.
    pub spec: ConnectionSpec,
    /// What is made with it, at most one of each kind.
    pub parts: BTreeMap<ResourceKind, ResourceSpec>,
    /// Whether something equal that is there may be used in place of a part.
    pub reuse: Reuse,
}

impl NewConnection {
    /// The connection alone.
    pub fn alone(spec: ConnectionSpec) -> NewConnection {
        NewConnection {
            spec,
            ..NewConnection::default()
        }
    }

    /// Whether a part of this kind comes with it.
    pub fn has(&self, kind: ResourceKind) -> bool {
        self.parts.contains_key(&kind)
    }
}

/// Whether what is there may be used in place of an equal part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reuse {
    /// Every part is made.
    #[default]
    Never,
    /// What the gateway made may be used.
    Managed,
    /// Whatever is there may be used.
    Any,
}
