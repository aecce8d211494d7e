//! A connection that is there, as a description.

use crate::{
    core::{
        dialect::Warning,
        error::{Error, Result},
        gateway::Gateway,
    },
    model::{ConnectionName, NewConnection},
};
use tokio::time::Instant;

/// A connection as a description.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    /// What can be written of it. It refers to nothing, and has no key.
    pub site: NewConnection,
    /// What of it has no form that every backend takes.
    pub warnings: Vec<Warning>,
}

impl Gateway {
    /// Describes a connection in the form that every backend takes.
    ///
    /// # Errors
    /// As it, or what it refers to, cannot be read.
    pub async fn export(&self, _name: &ConnectionName, _deadline: Instant) -> Result<Exported> {
        Err(Error::internal("not built yet"))
    }
}
