//! Fits a description to a backend. Pure; depends on the backend's capabilities only.
//!
//! The same text is valid on every backend. What a backend has in another form gets that form here, lists are cut to
//! what the backend takes, and what it has no place for is left out if nothing is lost. Anything in this that a caller
//! may not expect is a warning. The rest is refused, like everything that a backend cannot express.
//!
//! Only descriptions are fitted: those of creates and applies of connections. Other writes are taken as they are.
//!
//! ```text
//!   proposals     of each list of algorithms, those that the cloud takes
//!   dead_peer     `dpd` as a policy of its own
//!   place         where this side is: the local address, the availability zone
//!   unsaid        the cloud's fixed behavior, which has no field there
//!   names         names for parts without one, where the cloud requires one
//! ```

pub mod dead_peer;
mod fitted;
mod names;
mod place;
mod proposals;
mod unsaid;

pub use fitted::Fitted;

use crate::{core::dialect::Capabilities, model::NewConnection};

/// Fits a description to a backend with these capabilities.
///
/// A description that is fitted already stays as it is, without a warning.
pub fn fit(wanted: NewConnection, capabilities: &Capabilities) -> Fitted {
    let mut fitted = Fitted::of(wanted);
    proposals::fit(&mut fitted, capabilities);
    dead_peer::fit(&mut fitted, capabilities);
    place::fit(&mut fitted, capabilities);
    unsaid::fit(&mut fitted, capabilities);
    names::fit(&mut fitted, capabilities);
    fitted
}

#[cfg(test)]
mod tests;
