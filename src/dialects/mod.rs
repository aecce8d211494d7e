//! The dialects this build speaks. Each is one folder with the same file names, and one line in [`ALL`].

mod etag;
mod login;
mod lost_write;
pub mod nsx;
pub mod openstack;
mod refusal;

use crate::{
    core::{
        dialect::Dialect,
        error::{Result, Violation},
        settings::BackendSettings,
    },
    rest::{internet::Internet, transport::Network},
};
use std::sync::Arc;

/// Binds a dialect to one backend that is reached over a network. Sends nothing.
///
/// # Errors
/// The settings it cannot work with: each names its configuration key and says what is accepted.
pub type Connect = fn(&BackendSettings, &dyn Network) -> Result<Arc<dyn Dialect>, Vec<Violation>>;

/// Every dialect by the name it has in the configuration. Adding one is adding one line.
pub const ALL: &[(&str, Connect)] = &[("nsx", nsx::connect), ("openstack", openstack::connect)];

/// Binds the dialect that the settings name to their backend.
///
/// # Errors
/// If there is no such dialect, or it cannot work with the settings.
pub fn connect(settings: &BackendSettings) -> Result<Arc<dyn Dialect>, Vec<Violation>> {
    connect_over(settings, &Internet)
}

/// The same for a backend that is reached over this network.
///
/// # Errors
/// As [`connect`].
pub fn connect_over(
    settings: &BackendSettings,
    network: &dyn Network,
) -> Result<Arc<dyn Dialect>, Vec<Violation>> {
    let known = ALL.iter().find(|(name, _)| *name == settings.dialect);
    match known {
        Some((_, connect)) => connect(settings, network),
        None => {
            let names: Vec<String> = ALL.iter().map(|(name, _)| format!("`{name}`")).collect();
            Err(vec![Violation::new(
                "dialect",
                format!("must be one of {}", names.join(", ")),
            )])
        }
    }
}
