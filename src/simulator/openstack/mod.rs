//! A simulated OpenStack on loopback: Keystone v3 and Neutron with VPNaaS, or a cloud derived from it.
//!
//! Keystone and Neutron are separate servers, so Keystone can be down alone. The demo starts them like this and logs in
//! as [`Inventory::member`]:
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
//! - `state`: rows, their visibility and the references between them;
//! - `agent`: when a status changes;
//! - `attributes`, `validate`: what Neutron's API layer accepts;
//! - `connections`, `resources`: what its VPN plugin does with it;
//! - `listing`: filters, pages, fields;
//! - `variant`, `bounds`: how other clouds differ;
//! - `topology`, `network`: routers, subnets and ports;
//! - `quotas`, `discovery`: limits, and the index of the API;
//! - `neutron`, `keystone`, `identity`: routes and tokens;
//! - [`Inventory`]: the objects at the start; [`OpenstackState`]: the levers.
//!
//! `README.md` in this directory names the sources.

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

/// A running Keystone and Neutron. Dropping it stops both.
#[derive(Debug)]
pub struct OpenstackSimulator {
    keystone: Server,
    neutron: Server,
    state: OpenstackState,
}

impl OpenstackSimulator {
    /// Starts both servers on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
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

    /// Creates both services for a network other than loopback, where clients reach them at these addresses.
    pub fn sites(options: &OpenstackOptions, keystone_url: &str, neutron_url: &str) -> Sites {
        let shared = Arc::new(Shared::new(options));
        shared.reached_at(keystone_url.to_owned(), neutron_url.to_owned());
        Sites {
            keystone: Site::new(keystone::router(Arc::clone(&shared)), Faults::default()),
            neutron: Site::new(neutron::router(Arc::clone(&shared)), Faults::default()),
            state: OpenstackState(shared),
        }
    }

    /// `http://127.0.0.1:<port>`. Tokens are at `/v3/auth/tokens` below it.
    pub fn keystone_url(&self) -> String {
        self.keystone.url()
    }

    /// `http://127.0.0.1:<port>`, without `/v2.0`, as in the catalogue.
    pub fn neutron_url(&self) -> String {
        self.neutron.url()
    }

    /// The HTTP faults of Neutron. Those of Keystone are at [`OpenstackSimulator::keystone`].
    pub fn faults(&self) -> &Faults {
        self.neutron.faults()
    }

    /// The Keystone server: to stop and restart it, and to read its request log.
    pub fn keystone(&self) -> &Server {
        &self.keystone
    }

    /// The Neutron server: to stop and restart it, and to read its request log.
    pub fn neutron(&self) -> &Server {
        &self.neutron
    }

    /// The levers.
    pub fn state(&self) -> &OpenstackState {
        &self.state
    }

    /// The objects at the start.
    pub fn inventory(&self) -> Inventory {
        Inventory::fixed()
    }
}

/// A Keystone and a Neutron without listeners.
#[derive(Clone, Debug)]
pub struct Sites {
    pub keystone: Site,
    pub neutron: Site,
    /// The levers of both.
    pub state: OpenstackState,
}
