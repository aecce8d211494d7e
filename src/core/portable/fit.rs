//! What a description becomes on a backend. Pure, and goes by the backend's capabilities alone.
//!
//! The same text is valid on every backend: what one of them has in another form gets that form here, what it takes only some
//! of is cut to that, and what it has no place for is left out if nothing is lost by it. Whatever of this a caller may not
//! expect is a warning. The rest is refused, as everything that a backend cannot express.
//!
//! What is written by a call of its own is taken as it is said: only descriptions are fitted.
//!
//! ```text
//!   proposals     of each list of algorithms, those that the cloud takes
//!   dead_peer     `dpd` as a profile of its own
//!   place         where this side is: the local address, the availability zone
//!   unsaid        what is so on the cloud, and cannot be said there
//!   names         parts without a name, where the cloud wants one
//! ```

pub mod dead_peer;
mod fitted;
mod names;
mod place;
mod proposals;
mod unsaid;

pub use fitted::Fitted;

use crate::{core::dialect::Capabilities, model::NewConnection};

/// What a description becomes on a backend that can do this.
///
/// What is fitted already stays as it is, without a warning.
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
