//! The watch: one poller per backend, one subject per connection, any number of streams.
//!
//! ```text
//!   watching ──held by who watches──► names (who is known and watched), inventory (which there are)
//!                                       │
//!                                       ▼
//!   poller ──poll──► dialect          timetable (ordered by `due_queue`)
//!     │                                 ▲
//!     ▼                                 │ polling (when next; paced by `pace`)
//!   subject: knowledge ──changed?──► log (numbers it, has it written, then tells streams)
//!                                     ◄──cursor── stream (one connection)
//!                                     ◄──cursor── many   (a whole backend)
//!                                                   │
//!                                                   └─ judge: does it end?
//! ```
//!
//! # Locks
//!
//! All are std mutexes, held for bookkeeping only and never across an await. Whoever holds one takes only those that
//! come after it:
//!
//! 1. the polls of one batch that have not ended (`poller`);
//! 2. `Inventory::surveyed`, then `Inventory::whole`, then `Inventory::there`;
//! 3. `Names::known`;
//! 4. the queue in `Timetable`;
//! 5. `Subject::state`, of one subject at a time;
//! 6. `BackendLog::window`, under which changes are numbered, so that it is in order and nothing with a lower revision
//!    is still on its way to whoever has the lock;
//! 7. `Log::queue`.
//!
//! `Inventory::listed`, `Links::open` and the map of `counts` are taken alone. Whoever reads metrics holds the lock of
//! their provider, and takes each of these in turn: the gateways of `gauges`, `Names::known` and then `Subject::state`,
//! `BackendLog::window`, the map of `counts`; beside them that of the ledger and those of the account (`rest`, `account`).
//! The first use of a counter takes the provider's lock, too, since it makes the instrument. So nothing is counted by a
//! counter of `metrics` under any of these.
//!
//! What is configured of the backend (`core::configured`), which a reload may change, is
//! read under any of them, and whoever reads it takes none meanwhile.

pub mod admin_state;
pub mod counts;
pub mod due_queue;
pub mod elsewhere;
pub mod interest;
pub mod inventory;
pub mod judge;
pub mod knowledge;
pub mod links;
pub mod log;
pub mod many;
pub mod names;
pub mod pace;
pub mod part;
pub mod poller;
pub mod polling;
pub mod remains;
pub mod status;
pub mod stream;
pub mod subject;
pub mod timetable;
pub mod token;
pub mod watching;
