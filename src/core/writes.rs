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
//! | `joint.rs` | a connection with its parts, as one plan |
//! | `removal.rs` | a connection and the parts that nobody else uses, as one plan |
//! | `noting.rs` | each step in the ledger before its request |
//! | `settle.rs` | finishes or undoes what did not end with its call |
//! | `finish.rs` | what a write that was finished without its call has left |
//! | `accepted.rs` | what a write answers, and a repeat of it |
//! | `desk.rs` | what the writes of one backend share |

pub mod accepted;
pub mod apply;
pub mod connections;
pub mod desk;
mod finish;
pub mod joint;
mod noting;
mod removal;
pub mod resources;
pub mod run;
mod settle;
#[cfg(test)]
mod tests;
