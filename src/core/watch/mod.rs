//! The watch: one poller per backend, one subject per connection, any number of streams.
//!
//! ```text
//!   poller ──look──► dialect            (paced by `pace`, ordered by `schedule`)
//!     │
//!     ▼
//!   subject: knowledge ──changed?──► journal (numbers, has it kept, then shows it)
//!                                      │
//!                                      ▼
//!                                   log, ring ◄──cursor── stream (one connection)
//!                                             ◄──cursor── many   (a whole backend)
//!                                                             │
//!                                                             └─ judge: does it end?
//! ```

pub mod elsewhere;
pub mod journal;
pub mod judge;
pub mod knowledge;
pub mod log;
pub mod many;
pub mod names;
pub mod pace;
pub mod poller;
pub mod ring;
pub mod schedule;
pub mod stream;
pub mod subject;
pub mod token;
