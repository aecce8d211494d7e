//! Creates, changes and removes connections: two objects that are kept together.
//!
//! ```text
//!   plan (steps, and how each is performed) ──► object (one request, and what became of it)
//!     └──► service                                ▲      └──► memo (what a PUT leaves to be known by; pure)
//!   refusals (what cannot be; pure)               │
//!   settle (steps without their plan) ────────────┘
//! ```

pub mod memo;
pub mod object;
pub mod plan;
pub mod refusals;
mod service;
pub mod settle;
