//! The gateway against a real Keystone and a real Neutron VPNaaS, which nobody here wrote.
//!
//! A plain `cargo test` ignores these and says why. `tests/live/openstack/up` starts the servers and prints
//! the environment this reads. Most of the time here is spent waiting, so give it threads:
//! `cargo test --test live_neutron -- --ignored --test-threads 6`.
//!
//! | module | holds |
//! | --- | --- |
//! | `lifecycle` | made, watched, read, removed in every state |
//! | `updates` | what proves a change, and what happens where nothing does |
//! | `lists` | a thousand connections in pages, while they vanish |
//! | `logins` | wrong password, revoked tokens |
//! | `sight` | accounts that are shown nothing, and other projects |
//! | `refusals` | every refusal of a connection, as the caller sees it |
//! | `resources` | policies, services and endpoint groups, from made to removed |
//! | `portable` | local networks as networks: what they become, how they read back, what a change of them is |
//! | `together` | six objects made by one write, and removed |
//! | `sites` | the files of `examples/sites`, through the command |
//! | `lasting` | tokens of 20 seconds, for minutes; the stated quiet window |
//! | `outage` | fifty watches while Neutron is gone |

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod calls;
mod cloud;
#[path = "../sites/command.rs"]
mod command;
#[allow(dead_code, reason = "its other half is for many clouds at once")]
#[path = "../sites/description.rs"]
mod description;
mod lasting;
mod lifecycle;
mod lists;
mod logins;
mod operator;
mod outage;
mod portable;
mod refusals;
mod resources;
mod sight;
mod sites;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "its other half is for many clouds at once")]
#[path = "../sites/table.rs"]
mod table;
mod tap;
mod together;
mod updates;
