//! Watches of writes to parts. A part has no realization of its own, so such a watch follows the write on every
//! connection that uses the part.
//!
//! ```text
//!   token ──names the write──► stream: the connections that use the part, some at a time
//!                                 │ polls and judges each as if it awaited a foreign write (`elsewhere`)
//!                                 ▼
//!                              tally: how many have the write ──► the combined status, and the outcome
//! ```

pub mod stream;
pub mod tally;
mod token;

pub use token::{PartToken, token};
