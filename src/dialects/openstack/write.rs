//! Making, changing and removing connections, as plans; and what became of steps whose call did not see their end.
//!
//! ```text
//!   plan ────┬──► sent (one request, and what became of it) ──► made (what tells what a POST made)
//!   settle ──┘
//! ```

pub mod made;
mod plan;
pub mod sent;
mod settle;

pub use plan::{attach, create, delete, update};
pub use settle::{remove, trace, undo};
