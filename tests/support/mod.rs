//! What several test files share. Each uses part of it.
#![allow(dead_code, reason = "no test file uses all of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that panics fails the test that called it"
)]

pub mod api;
#[cfg(feature = "demo")]
pub mod cloud;
#[cfg(feature = "demo")]
pub mod clouds;
pub mod collector;
#[cfg(feature = "demo")]
pub mod recorder;
pub mod running;
pub mod scripted;
pub mod seen_spans;
pub mod setup;
#[cfg(feature = "demo")]
pub mod site;
#[cfg(feature = "demo")]
pub mod values;
pub mod writes;
