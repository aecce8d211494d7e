//! An OpenStack on loopback: Keystone v3 and Neutron with VPNaaS, or a cloud that descends from it.
//!
//! Two servers, so that Keystone can be down alone. The demo starts one like this and logs in as
//! [`Inventory::member`]:
//!
//! ```no_run
//! use std::time::Duration;
//! use isthmus::simulator::openstack::{AgentPace, OpenstackOptions, OpenstackSimulator};
//!
//! # async fn start() -> std::io::Result<()> {
//! let pace = AgentPace::Elapsed {
//!     installed: Duration::from_secs(2),
//!     established: Duration::from_secs(3),
//!     dip_on_update: false,
//! };
//! let cloud = OpenstackSimulator::start(OpenstackOptions { pace, ..OpenstackOptions::default() })?;
//! println!("auth_url = {}/v3, project {}", cloud.keystone_url(), cloud.inventory().project.project_name);
//! # Ok(())
//! # }
//! ```
//!
//! In reading order:
//! - `state`: rows, who may see them, what refers to what;
//! - `agent`: when a status changes;
//! - `attributes`, `validate`: what Neutron's API layer takes;
//! - `connections`, `resources`: what its VPN plugin makes of it;
//! - `listing`: filters, pages, fields;
//! - `variant`, `bounds`: how other clouds differ;
//! - `topology`, `network`: routers, subnets and ports;
//! - `quotas`, `discovery`: limits, and what the API has;
//! - `neutron`, `keystone`, `identity`: routes and tokens;
//! - [`Inventory`]: what is there from the start; [`OpenstackState`]: levers.
//!
//! What it is written from is in `README.md` beside this file.

mod agent;
mod attributes;
mod bounds;
mod call;
mod clock;
mod connections;
mod discovery;
mod identity;
mod inventory;
mod keystone;
mod kinds;
mod levers;
mod listing;
mod memo;
mod network;
mod neutron;
mod options;
mod quotas;
mod reply;
mod resources;
mod row;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod topology;
mod validate;
mod variant;

use std::io;
use std::sync::Arc;

use crate::simulator::faults::Faults;
use crate::simulator::http::{Server, Site};
use crate::simulator::openstack::shared::Shared;

pub use crate::simulator::openstack::identity::{LoginCounts, Region};
pub use crate::simulator::openstack::inventory::{Inventory, Login, Owned};
pub use crate::simulator::openstack::kinds::Kind;
pub use crate::simulator::openstack::levers::OpenstackState;
pub use crate::simulator::openstack::listing::FieldsTaken;
pub use crate::simulator::openstack::memo::{AgentPace, ReportFate};
pub use crate::simulator::openstack::options::OpenstackOptions;
pub use crate::simulator::openstack::variant::{Series, Variant};

/// A running Keystone and Neutron; dropped, both stop.
#[derive(Debug)]
pub struct OpenstackSimulator {
    keystone: Server,
    neutron: Server,
    state: OpenstackState,
}

impl OpenstackSimulator {
    /// Starts both servers on free ports of 127.0.0.1. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(options: OpenstackOptions) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(&options));
        let keystone = Server::start(keystone::router(Arc::clone(&shared)), Faults::default())?;
        let neutron = Server::start(neutron::router(Arc::clone(&shared)), Faults::default())?;
        shared.reached_at(keystone.url(), neutron.url());
        Ok(Self {
            keystone,
            neutron,
            state: OpenstackState(shared),
        })
    }

    /// The same for another network than loopback, where Keystone and Neutron are reached at these addresses.
    pub fn sites(options: &OpenstackOptions, keystone_url: &str, neutron_url: &str) -> Sites {
        let shared = Arc::new(Shared::new(options));
        shared.reached_at(keystone_url.to_owned(), neutron_url.to_owned());
        Sites {
            keystone: Site::new(keystone::router(Arc::clone(&shared)), Faults::default()),
            neutron: Site::new(neutron::router(Arc::clone(&shared)), Faults::default()),
            state: OpenstackState(shared),
        }
    }

    /// `http://127.0.0.1:<port>`; tokens are at `/v3/auth/tokens` below it.
    pub fn keystone_url(&self) -> String {
        self.keystone.url()
    }

    /// `http://127.0.0.1:<port>`, without `/v2.0`, as the catalogue has it.
    pub fn neutron_url(&self) -> String {
        self.neutron.url()
    }

    /// What Neutron does wrong. Keystone's faults are at [`OpenstackSimulator::keystone`].
    pub fn faults(&self) -> &Faults {
        self.neutron.faults()
    }

    /// The server of Keystone: to stop, to restart, and what it was asked.
    pub fn keystone(&self) -> &Server {
        &self.keystone
    }

    /// The server of Neutron: to stop, to restart, and what it was asked.
    pub fn neutron(&self) -> &Server {
        &self.neutron
    }

    /// Its levers.
    pub fn state(&self) -> &OpenstackState {
        &self.state
    }

    /// What was there from the start.
    pub fn inventory(&self) -> Inventory {
        Inventory::fixed()
    }
}

/// A Keystone and a Neutron that nobody can reach yet.
#[derive(Clone, Debug)]
pub struct Sites {
    /// Keystone.
    pub keystone: Site,
    /// Neutron.
    pub neutron: Site,
    /// Their levers.
    pub state: OpenstackState,
}
