//! What a description becomes on a backend. Pure.

use crate::{
    core::{
        dialect::{Capabilities, Warning},
        error::Violation,
    },
    model::NewConnection,
};

/// A description as a backend takes it.
#[derive(Debug, Clone, Default)]
pub struct Fitted {
    /// What is to be there.
    pub wanted: NewConnection,
    /// What of the description became something else, by its path in the request: `parts.ike_policy.dh_groups`, `dpd.timeout`.
    pub warnings: Vec<Warning>,
    /// What of it this backend cannot be given in any form, by the same paths.
    pub violations: Vec<Violation>,
}

impl Fitted {
    /// The path of the request that a path of `wanted` stands for: a DPD policy that was made of `dpd` has its fields there.
    pub fn path(&self, path: &str) -> String {
        path.to_owned()
    }
}

/// What a description becomes on a backend that can do this.
pub fn fit(wanted: NewConnection, _capabilities: &Capabilities) -> Fitted {
    Fitted {
        wanted,
        ..Fitted::default()
    }
}
