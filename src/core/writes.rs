//! Writes: planned, recorded in the ledger, performed and answered. The settler ends a write that does not end with its
//! call.
//!
//! ```text
//!   begin: the request id, the turn ─► plan ─► each step recorded, then sent ─► accepted ─► record removed, answer kept
//!                                                     │
//!                                                     └─ neither all done nor all undone ─► settler ◄─ found at a restart
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | `run.rs` | one path for every write |
//! | `connections.rs`, `resources.rs` | create, update and delete of connections and of other resources |
//! | `apply.rs` | creates or changes a connection to match a description |
//! | `find.rs` | which connection a description means |
//! | `described.rs` | how a description changes an existing connection |
//! | `amend.rs` | changes an existing connection and its parts to match a description, as one plan |
//! | `joint.rs` | creates a connection with its parts, as one plan |
//! | `removal.rs` | removes a connection and the parts that only it uses, as one plan |
//! | `noting.rs` | records each step in the ledger before its request |
//! | `settle.rs` | finishes or undoes writes that did not end with their call |
//! | `finish.rs` | what a write left that was finished after its call |
//! | `accepted.rs` | the answer of a write, also given to a repeat of it |
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
