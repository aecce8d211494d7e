//! The OpenStack dialect against the simulated clouds, over real sockets: what conformance does not hold for all.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod attachments;
mod lists;
mod lost;
mod objects;
mod plans;
mod polls;
mod portable;
mod refusals;
mod resources;
mod setup;
mod variants;
