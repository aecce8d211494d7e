//! The dialects of this build. Each is one folder with the same file names, and one line in [`ALL`].

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

/// Binds a dialect to one network backend. Takes the backend's table and the timeout of one request. Sends nothing.
/// Returns `None` after it has reported every problem to the table.
pub type Connect = fn(&mut dyn Table, Duration, &dyn Network) -> Option<Arc<dyn Dialect>>;

/// Every dialect by its name in the configuration. A new dialect is one more line.
pub const ALL: &[(&str, Connect)] = &[("nsx", nsx::connect), ("openstack", openstack::connect)];

/// Calls the [`Connect`] function of the dialect called `name`, or refuses the key `dialect` if there is none.
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
/// One violation for each key that the dialect does not know or cannot use. It names the key and what is accepted.
pub fn connect(backend: &Given) -> Result<Arc<dyn Dialect>, Vec<Violation>> {
    connect_over(backend, &Https)
}

/// Does the same as [`connect`] over the given network.
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
