//! Two simulated clouds on loopback: real HTTP servers with state, for the demo and the tests.
//!
//! They are written from the vendors' documents and never from the gateway's own clients, so a client that misreads a
//! document fails here as it would against the real cloud. Each cloud keeps objects (a PUT is visible to the next GET),
//! takes time to realize them, and has levers for every known way in which the real clouds misbehave.
//!
//! In reading order:
//! - [`faults`]: the faults that a server can inject, and the requests they apply to;
//! - [`http`]: a server that can be stopped, restarted and cut off, and that logs its requests;
//! - [`requests`]: the log of requests;
//! - [`nsx`]: NSX Manager API, `/api/v1/vpn/ipsec/…`;
//! - [`openstack`]: Keystone and Neutron VPNaaS.
//!
//! The simulator knows nothing of the gateway: its modules use no other module of this crate.

mod bodies;
mod chance;
pub mod faults;
pub mod http;
pub mod nsx;
pub mod openstack;
pub mod requests;
