//! What the gateway says, held against real tunnels: two strongSwans each, one of them run by neutron-vpnaas's own driver.
//!
//! A plain `cargo test` ignores these and says why. `tests/live/openstack/up agent` starts the servers and the agent,
//! and prints the environment this reads. Each test has a router of its own, and mostly waits:
//! `cargo test --test live_tunnels -- --ignored --test-threads 8`.
//!
//! | module | holds |
//! | --- | --- |
//! | `site` | a router, its customers' gateways, and the truth as both ends tell it |
//! | `status` | up, down, wrong key, dead peer, deleted |
//! | `sites` | a described site, and one that was described otherwise |
//! | `updates` | what a changed connection says while the old tunnel is there, and what would prove the change |

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[allow(
    dead_code,
    reason = "its other half is for the servers without an agent"
)]
#[path = "../live_neutron/calls.rs"]
mod calls;
#[allow(
    dead_code,
    reason = "its other half is for the servers without an agent"
)]
#[path = "../live_neutron/cloud.rs"]
mod cloud;
#[allow(dead_code, reason = "its other half is for clouds without tunnels")]
#[path = "../sites/command.rs"]
mod command;
#[allow(
    dead_code,
    reason = "its other half is for the servers without an agent"
)]
#[path = "../live_neutron/operator.rs"]
mod operator;
mod site;
mod sites;
mod status;
#[path = "../support/mod.rs"]
mod support;
mod updates;
