//! A connection together with the parts that the same call creates.

use crate::model::{
    connection::ConnectionSpec,
    resource::{ResourceKind, ResourceSpec},
};
use std::collections::BTreeMap;

/// What one create call makes.
#[derive(Debug, Clone, Default)]
pub struct NewConnection {
    /// The connection. It holds no references to what is in `parts`.
    pub spec: ConnectionSpec,
    /// Parts to create with the connection, at most one of each kind.
    pub parts: BTreeMap<ResourceKind, ResourceSpec>,
    /// Whether an existing resource that equals a part may take its place.
    pub reuse: Reuse,
}

impl NewConnection {
    /// A connection without parts.
    pub fn alone(spec: ConnectionSpec) -> NewConnection {
        NewConnection {
            spec,
            ..NewConnection::default()
        }
    }

    pub fn has(&self, kind: ResourceKind) -> bool {
        self.parts.contains_key(&kind)
    }
}

/// Which existing resources may take the place of an equal part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reuse {
    /// None: every part is created.
    #[default]
    Never,
    /// Resources that carry the gateway's mark.
    Managed,
    /// Any resource.
    Any,
}
