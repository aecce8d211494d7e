//! Two clouds on loopback: real HTTP servers with state, for the demo and the tests.
//!
//! They are written from the vendors' documents, never from our own clients, so that a client that
//! misreads a document fails here as it would fail there. Each keeps objects (a PUT is seen by the
//! next GET), takes its time to realize them, and has levers to misbehave in every way the clouds do.
//!
//! In reading order:
//! - [`faults`]: what a server can be told to do wrong to which requests;
//! - [`http`]: a server that can be stopped, restarted and cut, and remembers what it was asked;
//! - [`requests`]: what it remembers;
//! - [`nsx`]: NSX Manager API, `/api/v1/vpn/ipsec/…`.
//!
//! A simulator knows nothing of the gateway: no other module of this crate is named below here.

mod bodies;
mod chance;
pub mod faults;
pub mod http;
pub mod nsx;
pub mod openstack;
pub mod requests;
