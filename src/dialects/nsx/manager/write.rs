//! Creates, changes and removes connections: two objects that are kept together.
//!
//! ```text
//!   plan (steps, and how each is performed) ──► object (one request, and what became of it)
//!     └──► service                                ▲      └──► memo (what a PUT records for a later trace; pure)
//!   refusals (what NSX cannot express; pure)      │
//!   settle (steps whose plan has ended) ──────────┘
//! ```

pub mod memo;
pub mod object;
pub mod plan;
pub mod refusals;
mod service;
pub mod settle;
