//! Watches of writes to parts. A part has no realization of its own, so a write to it is as far as it has come on every
//! connection that uses the part.
//!
//! ```text
//!   token ──names the write──► stream: connections that use the part, some at a time
//!                                 │ each polled and judged as one with a foreign write (`elsewhere`)
//!                                 ▼
//!                              tally: how many have it ──► the status of all, and the outcome
//! ```

pub mod stream;
pub mod tally;
mod token;

pub use token::{PartToken, token};
