//! Pages, filters, orders, masks, etags, and what is only validated: ConnectionService over gRPC, on both clouds.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "../support/mod.rs"]
mod support;

mod apply;
mod filters;
mod pages;
mod parts;
mod round_trips;
mod setup;
mod writes;
