//! The NSX dialect against the simulated managers, over real sockets: what conformance does not hold for all.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "../support/mod.rs"]
mod support;

mod attachments;
mod lists;
mod lost;
mod managers;
mod nonces;
mod objects;
mod polls;
mod portable;
mod resources;
mod resources_lost;
mod setup;
mod statistics;
mod steps;
