//! What a backend cannot express of a resource is refused before any request is sent. By its capabilities, as data.

use crate::{
    core::{dialect::Capabilities, error::Violation},
    model::{ResourceChange, ResourceSpec},
};

/// The violations of a resource to be made.
pub fn refuse_create(_capabilities: &Capabilities, _spec: &ResourceSpec) -> Vec<Violation> {
    Vec::new()
}

/// The violations of a change.
pub fn refuse_update(_capabilities: &Capabilities, _change: &ResourceChange) -> Vec<Violation> {
    Vec::new()
}
