//! The ledger records what every write is about to do before its requests go out, so that the settler can finish or
//! undo it after a failure or a restart. It also keeps the answers of writes that have a request id.
//!
//! | file | idea |
//! | --- | --- |
//! | `record.rs` | a write and its progress, as stored |
//! | `shelf.rs` | where records are kept: the store, or memory if the store keeps no records |
//! | `claims.rs` | one write for each request id, and its answer for a day |
//! | `fingerprint.rs` | tells requests apart without holding any key |
//! | `turns.rs` | serializes the writes of an object |
//! | `book.rs` | the ledger of one backend: all of the above, and the writes that did not end with their call |
//!
//! `core/writes` uses it.

pub mod book;
pub mod claims;
pub mod fingerprint;
pub mod record;
pub mod shelf;
pub mod turns;
pub mod unfinished;

pub use unfinished::{Unfinished, UnfinishedState};
