//! Translates a session and its peer endpoint to a connection, and back. Pure.
//!
//! Reading never fails: what does not fit the model stays in `native` as it came. A change starts from what was read,
//! so unknown fields go back unchanged.

mod etag;
mod fields;
mod inward;
mod outward;
mod references;
#[cfg(test)]
mod round_trips;
mod same;
mod selectors;
#[cfg(test)]
mod tests;
mod words;

pub use etag::etag;
pub use fields::{changed_in_peer_endpoint, changed_in_session, concerns_peer_endpoint, written};
pub use inward::{connection, read_each, read_rule};
pub use outward::{
    changed_peer_endpoint, changed_session, fixed, new_peer_endpoint, new_session, other_service,
};
pub use references::{complete, with_parts};
pub use same::are_same_rules;
pub use selectors::policy_rules;
pub use words::{interface_address, psk};
