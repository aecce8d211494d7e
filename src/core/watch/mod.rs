//! The watch: one poller per backend, one subject per connection, any number of streams.
//!
//! ```text
//!   watching ──held by each watcher──► names (which are known and watched), inventory (which exist)
//!                                       │
//!                                       ▼
//!   poller ──poll──► dialect          timetable (ordered by `due_queue`)
//!     │                                 ▲
//!     ▼                                 │ polling (when next; paced by `pace`)
//!   subject: knowledge ──changed?──► log (numbers it, has it written, then notifies streams)
//!                                     ◄──cursor── stream (one connection)
//!                                     ◄──cursor── many   (a whole backend)
//!                                                   │
//!                                                   └─ judge: does it end?
//! ```
//!
//! # Locks
//!
//! All are std mutexes, held for bookkeeping only and never across an await. A task that holds one takes only those
//! that come after it:
//!
//! 1. the polls of one batch that have not ended (`poller`);
//! 2. `Inventory::surveyed`, then `Inventory::whole`, then `Inventory::there`;
//! 3. `Names::known`;
//! 4. the queue in `Timetable`;
//! 5. `Subject::state`, of one subject at a time;
//! 6. `BackendLog::window`, under which changes get their revisions, so that the window is in order and holds every
//!    appended change with a lower revision;
//! 7. `Log::queue`.
//!
//! `Inventory::listed`, `Links::open` and the map of `counts` are taken alone. A reader of metrics holds the lock of
//! its provider and takes each of these in turn: the gateways of `gauges`, `Names::known` and then `Subject::state`,
//! `BackendLog::window`, the map of `counts`; also the locks of the ledger and of the account (`rest`, `account`). The
//! first use of a counter takes the provider's lock too, because it creates the instrument. So no counter of `metrics`
//! is incremented under any of these locks.
//!
//! The configuration of the backend (`core::configured`), which a reload may change, can be read under any of them. Its
//! reader takes no other lock while it reads.

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
