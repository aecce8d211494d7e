//! Writes to what connections refer to: a part has no realization of its own, so a write to it is as far as it has come on
//! every connection that uses it.
//!
//! ```text
//!   token ──names the write──► stream: connections that use the part, some at a time
//!                                 │ each polled, and judged, as one with a write made elsewhere (`elsewhere`)
//!                                 ▼
//!                              tally: how many have it ──► what is said of all, and how it ends
//! ```

pub mod stream;
pub mod tally;
mod token;

pub use token::{PartToken, token};
