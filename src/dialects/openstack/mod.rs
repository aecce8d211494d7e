//! OpenStack Neutron VPNaaS (`/v2.0/vpn`) and its descendants. `README.md` beside this file records the vendors'
//! facts.
//!
//! ```text
//!   mod ──► read, write, poll ──► client ──► auth ──► rest
//!   (the trait)    │
//!                  ├──► wire (bodies, kinds) ──► translate, status (pure), mark
//!                  ├──► variant (how the clouds differ, as data)
//!                  └──► error (what a refusal means)
//! ```
//!
//! A connection is an ipsec-site-connection.

mod auth;
mod client;
mod config;
mod error;
mod mark;
mod poll;
mod read;
mod resources;
mod status;
mod translate;
mod variant;
mod wire;
mod write;

pub use config::LIMITS;

use crate::{
    core::{
        dialect::{
            Call, Capabilities, Dialect, Done, Mark, Page, PageRequest, Plan, Resources, Step,
            Target, Tell, Trace, Usage, Written,
        },
        error::{Result, Violation},
        home::Home,
        table::Table,
    },
    dialects::settings::or_refuse,
    model::{Connection, ConnectionChange, Field, NewConnection, Selectors, Sighting},
    rest::{budget::Limits, transport::Network},
};
use async_trait::async_trait;
use client::Client;
use config::Config;
use resources::networks;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use translate::{Refusals, Writing};

/// Binds the dialect to the backend that `table` describes, reached over `network`. `timeout` limits each request.
///
/// Sends nothing. Returns `None` after reporting every problem to the table.
pub fn connect(
    table: &mut dyn Table,
    timeout: Duration,
    network: &dyn Network,
) -> Option<Arc<dyn Dialect>> {
    bind(table, timeout, network, LIMITS)
}

/// Like [`connect`], with other limits than [`LIMITS`], which spare an unknown Neutron. For measuring the gateway
/// itself against one's own cloud.
#[cfg(feature = "demo")]
pub fn connect_within(
    table: &mut dyn Table,
    timeout: Duration,
    network: &dyn Network,
    limits: Limits,
) -> Option<Arc<dyn Dialect>> {
    bind(table, timeout, network, limits)
}

fn bind(
    table: &mut dyn Table,
    timeout: Duration,
    network: &dyn Network,
    limits: Limits,
) -> Option<Arc<dyn Dialect>> {
    let config = Config::read(table, timeout)?;
    let client = Client::new(Config { limits, ..config }, network);
    let client = or_refuse(table, client)?;
    Some(Arc::new(Openstack { client }))
}

#[derive(Debug)]
struct Openstack {
    client: Client,
}

#[async_trait]
impl Dialect for Openstack {
    fn capabilities(&self) -> &Capabilities {
        &self.client.variant().capabilities
    }

    fn refuse_create(&self, wanted: &NewConnection) -> Vec<Violation> {
        let spec = &wanted.spec;
        let refusals = Refusals::of(self.client.variant(), spec, Writing::New);
        refusals.beside(&wanted.parts).of_fields(Field::ALL.iter())
    }

    fn refuse_update(&self, change: &ConnectionChange) -> Vec<Violation> {
        let refusals = Refusals::of(self.client.variant(), &change.values, Writing::Change);
        refusals.of_fields(change.fields.iter())
    }

    fn resources(&self) -> &dyn Resources {
        self
    }

    fn refuse_to_become(&self, change: &ConnectionChange, there: &Connection) -> Vec<Violation> {
        translate::fixed(change, there, self.client.variant())
    }

    async fn attach(&self, wanted: NewConnection, call: &Call) -> Result<NewConnection> {
        write::attach(&self.client, wanted, call).await
    }

    async fn as_networks(&self, there: &Connection, call: &Call) -> Result<Option<Selectors>> {
        networks::as_networks(&self.client, there, call).await
    }

    fn place(&self) -> String {
        self.client.place()
    }

    fn home(&self) -> Home {
        self.client.home()
    }

    fn usage(&self) -> Usage {
        self.client.usage()
    }

    async fn probe(&self, call: &Call) -> Result<()> {
        read::probe(&self.client, call).await
    }

    async fn get(&self, id: &str, call: &Call) -> Result<Connection> {
        read::get(&self.client, id, call).await
    }

    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        read::list(&self.client, page, call).await
    }

    async fn plan_create<'a>(
        &'a self,
        wanted: NewConnection,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        write::create(&self.client, wanted, mark, call).await
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        write::update(&self.client, id, change, call).await
    }

    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        write::delete(&self.client, id, etag, call).await
    }

    async fn trace(&self, step: &Step, call: &Call) -> Result<Trace> {
        write::trace(&self.client, step, call).await
    }

    async fn undo(&self, step: &Step, call: &Call) -> Result<()> {
        write::undo(&self.client, step, call).await
    }

    async fn remove(&self, step: &Step, call: &Call) -> Result<Done> {
        write::remove(&self.client, step, call).await
    }

    async fn poll(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>> {
        let seen = Mutex::new(targets.iter().map(|_| None).collect::<Vec<_>>());
        let note = |place: usize, told| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen[place] = Some(told);
        };
        poll::poll(&self.client, targets, call, &note).await;
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        seen.into_iter().flatten().collect()
    }

    async fn poll_around(
        &self,
        targets: &[Target],
        call: &Call,
        tell: Tell<'_>,
    ) -> Option<Vec<String>> {
        poll::poll(&self.client, targets, call, tell).await
    }
}
