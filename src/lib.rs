//! Isthmus: one gRPC API over two worlds of IPsec VPN.
//!
//! In reading order:
//! - [`model`]: what an IPsec connection is, in no vendor's words;
//! - [`core`]: what the gateway does, whatever the dialect: the use cases, the seams (`core::dialect`,
//!   `core::store`), and the watch (`core::watch`);
//! - [`dialects`]: one folder for each kind of cloud;
//! - [`rest`]: HTTP for dialects: deadline, size limit, budget, redaction;
//! - [`store`]: the observation log in a file;
//! - [`grpc`]: the only place that knows prost types;
//! - [`server`]: connections, calls, health, reflection, drain;
//! - [`telemetry`]: logs, spans and metrics: to whom, and how;
//! - [`text`]: text from outside, made fit for people to read;
//! - [`metrics`]: every metric, in one table that all layers count into;
//! - [`spans`]: which traces are kept, and the context that goes through the gateway to clouds;
//! - [`account`]: for whom the requests of an upstream account are, and how much of it is used;
//! - [`address`]: what kind of place an IP address is;
//! - [`files`]: small files, read without waiting for them, and who else can read them;
//! - [`config`]: the configuration file, and everything that is wrong with it;
//! - [`cli`]: the command, which puts all of this together;
//! - `simulator`: both clouds on loopback, for the demo and the tests, if the feature `demo` is on.
//!
//! Who may name whom (arrows point at what is known; `tests/architecture.rs` holds the code to it):
//!
//! ```text
//!         ┌──► server ──► grpc ───┐
//! main ───┼──► config ────────────┼──► core ──► model
//!         ├──► store ─────────────┤
//!         └──► dialects ──────────┘
//!                 └──► rest
//! ```

pub mod account;
pub mod address;
pub mod cli;
pub mod config;
pub mod core;
pub mod dialects;
pub mod files;
pub mod grpc;
pub mod metrics;
pub mod model;
pub mod rest;
pub mod server;
#[cfg(feature = "demo")]
pub mod simulator;
pub mod spans;
pub mod store;
pub mod telemetry;
pub mod text;
