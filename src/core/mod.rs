//! What the gateway does, independent of dialects.
//!
//! `gateway` and `realizations` are the use cases. `dialect`, `store` and `table` are the seams. `watch` derives the
//! status of connections from polls.

pub mod audit;
pub mod backend;
pub mod backends;
pub mod capability_check;
pub mod client;
pub mod clock;
pub mod configured;
pub mod dialect;
pub mod error;
pub mod etag;
pub mod execute;
pub mod filter;
pub mod gateway;
pub mod gauges;
pub mod home;
pub mod ledger;
pub mod listed;
pub mod listing;
pub mod margin;
pub mod notifier;
pub mod order;
pub mod paging;
pub mod part_realizations;
pub mod portable;
pub mod realizations;
pub mod recovery;
pub mod references;
pub mod refusals;
pub mod reload;
pub mod request_id;
pub mod resource_check;
pub mod resource_refusals;
pub mod resources;
pub mod roster;
pub mod secret;
pub mod settings;
pub mod store;
pub mod table;
pub mod trouble;
pub mod watch;
pub mod writes;
