//! Making, changing and removing connections, as plans.
//!
//! ```text
//!   create, update ──► groups (which endpoint groups stand for rules) ──► resources, read
//!     │                   └──► translate/rules (pure)
//!     └──► write (one request, and what became of it)
//! ```

mod create;
mod delete;
mod groups;
mod update;
mod warnings;

pub use create::create;
pub use delete::delete;
pub use update::update;
