//! NSX, whose APIs are dialects of one family. `README.md` beside this file holds the vendor's facts.
//!
//! ```text
//!   manager ──► paging ──► client ──► auth ──► dialects::login ──► rest
//!      │            └────────┬─┴────────┘
//!      ├──► mark ──► body    └──► api_error
//!      └──► body::{remainder, draft} ──► body::words
//! ```
//!
//! What is here every API of NSX shares: the managers of a cluster and who of them is asked, the login, the shape of an
//! error, objects, how they are taken apart and put together, their words and tags, lists. It knows none of the APIs, and
//! none of them knows another.

mod api_error;
mod auth;
mod body;
mod client;
mod config;
mod manager;
mod mark;
mod paging;

pub use config::LIMITS;
pub use manager::connect;
