//! The promises of a watch, one by one, over a scripted cloud and with paused time: the seconds here are
//! the seconds of the contract in `proto/isthmus/v1/realization_service.proto`.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "../support/mod.rs"]
mod support;

mod beginning;
mod causality;
mod coalescing;
mod elsewhere;
mod ending;
mod isolation;
mod liveness;
mod many;
mod outcome;
mod parts;
mod resume;
mod unproven;
