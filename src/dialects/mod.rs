//! The dialects this build speaks. Each is one folder with the same file names, and one line in [`ALL`].

mod login;
mod lost_write;
pub mod nsx;
pub mod openstack;
mod refusal;
pub mod settings;

use crate::{
    core::{
        dialect::Dialect,
        error::Violation,
        table::{Table, one_of},
    },
    rest::{https::Https, transport::Network},
};
use settings::Given;
use std::{sync::Arc, time::Duration};

/// Binds a dialect to one backend that is reached over a network, from its table and how long one request may take.
/// Sends nothing. `None`: the table was told what is wrong.
pub type Connect = fn(&mut dyn Table, Duration, &dyn Network) -> Option<Arc<dyn Dialect>>;

/// Every dialect by the name it has in the configuration. Adding one is adding one line.
pub const ALL: &[(&str, Connect)] = &[("nsx", nsx::connect), ("openstack", openstack::connect)];

/// The same for the dialect of this name.
pub fn bind(
    name: &str,
    table: &mut dyn Table,
    timeout: Duration,
    network: &dyn Network,
) -> Option<Arc<dyn Dialect>> {
    let Some((_, connect)) = ALL.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        table.refuse("dialect", &one_of(&names));
        return None;
    };
    connect(table, timeout, network)
}

/// Binds a dialect to a backend that is described in code.
///
/// # Errors
/// The keys it does not know or cannot work with: each is named, with what is accepted.
pub fn connect(backend: &Given) -> Result<Arc<dyn Dialect>, Vec<Violation>> {
    connect_over(backend, &Https)
}

/// The same for one that is reached over this network.
///
/// # Errors
/// As [`connect`].
pub fn connect_over(
    backend: &Given,
    network: &dyn Network,
) -> Result<Arc<dyn Dialect>, Vec<Violation>> {
    let mut keys = backend.keys.clone().of(backend.core.name.as_str());
    let bound = bind(backend.dialect, &mut keys, backend.core.timeout, network);
    let refused = keys.into_refused();
    match bound {
        Some(dialect) if refused.is_empty() => Ok(dialect),
        _ => Err(refused),
    }
}
