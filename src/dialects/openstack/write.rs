//! Creates, changes and removes connections, as plans; and settles steps that did not end with their call.
//!
//! ```text
//!   plan ────┬──► sent (one request, and its outcome) ──► made (what identifies what a POST created)
//!   settle ──┘
//! ```

pub mod made;
mod plan;
pub mod sent;
mod settle;

pub use plan::{attach, create, delete, update};
pub use settle::{remove, trace, undo};
