//! The ledger: what every write is about to do, kept before its requests go out, so that whoever comes after a failure or a
//! restart can finish it or undo it; and what became of the writes that have an id of their caller's choice.
//!
//! | file | idea |
//! | --- | --- |
//! | `record.rs` | a write and how far it is, as it is kept |
//! | `shelf.rs` | where records are kept: the store, or memory where it keeps none |
//! | `claims.rs` | one write for each request id, and its answer for a day |
//! | `fingerprint.rs` | what tells one request from another, and no key |
//! | `turns.rs` | writes of the same object, one after the other |
//! | `book.rs` | the ledger of one backend: all of that, and the writes that did not end with their call |
//!
//! What is done with it is in `core/writes`.

pub mod book;
pub mod claims;
pub mod fingerprint;
pub mod record;
pub mod shelf;
pub mod turns;
pub mod unfinished;

pub use unfinished::{Unfinished, UnfinishedState};
