//! Plans to create, change and remove connections.
//!
//! ```text
//!   create, update ──► form (what rules with both sides become) ──► groups ──► read
//!     │                   └──► resources/attachments, translate/rules (pure)
//!     └──► write (one request, and its outcome)
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
