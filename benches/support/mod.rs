//! What the benches share: processes on cores, a meter of what else ran, figures, and the peers.
//!
//! A bench is one file with a `main` of two halves: the roles it plays when it is started again, and the
//! bench itself, which starts them, has each measured in turn, and reports.
#![allow(dead_code, reason = "no bench uses all of it")]

pub mod bare;
pub mod cloud;
pub mod delivery;
pub mod etcd;
pub mod gateway;
pub mod machine;
pub mod process;
pub mod report;
pub mod streams;
pub mod upstream;

use std::time::{SystemTime, UNIX_EPOCH};

/// The command's; `main.rs` says why. For the peers in this process, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether only to show that everything works.
pub fn is_quick() -> bool {
    std::env::args().any(|arg| arg == "--quick")
}

/// Whether logs are to be on disk: the gateway's, and etcd's.
pub fn is_durable() -> bool {
    std::env::args().any(|arg| arg == "--durable")
}

/// Now, in nanoseconds since 1970: what all processes of a machine agree on.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}
