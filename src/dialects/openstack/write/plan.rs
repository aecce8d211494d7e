//! Making, changing and removing connections, as plans.
//!
//! ```text
//!   create, update ──► form (what rules with both sides are here) ──► groups ──► read
//!     │                   └──► resources/attachments, translate/rules (pure)
//!     └──► write (one request, and what became of it)
//! ```

mod create;
mod delete;
mod form;
mod groups;
mod update;
mod warnings;

pub use create::create;
pub use delete::delete;
pub use form::attach;
pub use update::update;
