//! One description, every cloud: the files of `examples/sites` and what they become on each simulated cloud, through the command
//! itself, as a shell has it.
//!
//! | module | holds |
//! | --- | --- |
//! | `clouds` | one gateway over all of them |
//! | `command` | the command, and what it says |
//! | `description` | descriptions as values, and how a cloud is to show one that it took |
//! | `table` | what has to become of each file on each cloud |
//! | `files` | each file on each cloud: realized, read back, applied again; or refused by field |
//! | `everywhere` | one file for all clouds at once |
//! | `matrix` | what one cloud describes, applied to each other: `cargo test --test sites matrix -- --nocapture` prints it |
//! | `drawn` | descriptions out of what the clouds say they take, and one change of each |
//!
//! What goes wrong with a request of an amendment is in `tests/conformance/composite/amendments.rs`.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod clouds;
mod command;
mod description;
mod drawn;
mod everywhere;
mod files;
mod matrix;
#[path = "../support/mod.rs"]
mod support;
mod table;
