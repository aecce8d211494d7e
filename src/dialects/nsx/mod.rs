//! NSX. Each of its APIs is a dialect of its own. `README.md` beside this file holds the vendor's facts.
//!
//! ```text
//!   manager ──► paging ──► client ──► auth ──► dialects::login ──► rest
//!      │            └────────┬─┴────────┘
//!      ├──► mark ──► body    └──► api_error
//!      └──► body::{remainder, draft} ──► body::words
//! ```
//!
//! This folder holds what every API of NSX shares: the managers of a cluster and the choice between them, the login,
//! the format of errors, objects and how they are taken apart and put together, their vocabulary and tags, and lists.
//! It knows none of the APIs, and no API knows another.

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
