//! Isthmus: one gRPC API over two worlds of IPsec VPN.
//!
//! In reading order:
//! - [`model`]: what an IPsec connection is, independent of any vendor;
//! - [`core`]: what the gateway does with every dialect: the use cases, the seams (`core::dialect`, `core::store`), and
//!   the watch (`core::watch`);
//! - [`dialects`]: one folder for each kind of cloud;
//! - [`rest`]: HTTP for dialects: deadline, size limit, budget, redaction;
//! - [`store`]: the observation log in a file;
//! - [`grpc`]: the only place that knows prost types;
//! - [`server`]: connections, calls, health, reflection, drain;
//! - [`telemetry`]: logs, spans and metrics, and where they go;
//! - [`text`]: text from outside, made safe to show;
//! - [`metrics`]: every metric, in one table that all layers count into;
//! - [`spans`]: which traces are kept, and the trace context that passes through the gateway to the clouds;
//! - [`account`]: whom the requests of an upstream account serve, and how much of its budget is used;
//! - [`address`]: the classes of IP addresses;
//! - [`files`]: small files, read without blocking on pipes, and their permissions;
//! - [`config`]: the configuration file, and every problem in it;
//! - [`cli`]: the command, which assembles all of this;
//! - `simulator`: both clouds on loopback, for the demo and the tests, behind the feature `demo`.
//!
//! Allowed dependencies. Each arrow points at the module that is depended on, and `tests/architecture.rs` enforces
//! them:
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
