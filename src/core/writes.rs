//! Writes: planned, noted in the ledger, performed, told; and brought to an end by somebody else if they do not end with their
//! call.
//!
//! ```text
//!   begin: the request id, the turn ─► plan ─► each step noted, then sent ─► accepted ─► the record goes, the answer stays
//!                                                     │
//!                                                     └─ not all done, not all undone ─► settler ◄─ what a restart finds
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | `run.rs` | one path for every write |
//! | `connections.rs`, `resources.rs` | what is special about each of the six |
//! | `apply.rs` | a connection as it is described: made, changed or left alone |
//! | `find.rs` | which connection a description means |
//! | `described.rs` | what it says of one that is there |
//! | `amend.rs` | one that is there with its parts, changed to what is described, as one plan |
//! | `joint.rs` | a connection with its parts, as one plan |
//! | `removal.rs` | a connection and the parts that nobody else uses, as one plan |
//! | `noting.rs` | each step in the ledger before its request |
//! | `settle.rs` | finishes or undoes what did not end with its call |
//! | `finish.rs` | what a write that was finished without its call has left |
//! | `accepted.rs` | what a write answers, and a repeat of it |
//! | `desk.rs` | what the writes of one backend share |

pub mod accepted;
mod amend;
pub mod apply;
pub mod connections;
mod described;
pub mod desk;
mod find;
mod finish;
pub mod joint;
mod noting;
mod removal;
pub mod resources;
pub mod run;
mod settle;
#[cfg(test)]
mod tests;
