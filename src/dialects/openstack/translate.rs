//! Translates an ipsec-site-connection into a connection, and back. Pure.
//!
//! Reading never fails: a value that does not fit the model stays in `native`. Writing sends only what is wanted,
//! since a PUT leaves missing fields alone.

mod etag;
mod inward;
mod outward;
mod refusals;
mod rest;
#[cfg(test)]
mod round_trips;
mod rules;
#[cfg(test)]
mod tests;
mod time;
mod values;
mod words;

pub use etag::etag;
pub use inward::connection;
pub use outward::{changes, fixed, is_descriptive, is_same_address, new_connection, other_kind};
pub use refusals::{Refusals, SUBNET_OF_PART, Writing};
pub use rest::Rest;
pub use rules::{Inside, Product, first_with_sources, inside, network, product};
pub use time::utc;
pub use values::{Values, is_same, paths};
pub use words::{LONGEST_TEXT, elements, psk};
