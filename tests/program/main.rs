//! The program as a process: what a shell, an operator, systemd and a collector see of it. One test program, since each of
//! these mostly waits for another process, and they may as well wait together.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod command;
#[cfg(feature = "demo")]
mod kill;
#[cfg(feature = "demo")]
mod outage;
mod reload;
mod served;
#[path = "../support/mod.rs"]
mod support;
mod systemd;
mod telemetry;
