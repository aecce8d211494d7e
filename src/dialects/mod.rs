//! The dialects this build speaks. Each is one folder with the same file names, and one line in [`ALL`].

pub mod nsx;
pub mod openstack;

use crate::{
    core::{
        dialect::{Dialect, Priority, Share, Usage},
        error::{Result, Violation},
        settings::BackendSettings,
    },
    rest::{
        budget::{self, Class},
        internet::Internet,
        transport::Network,
    },
};
use std::{sync::Arc, time::SystemTime};

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

/// The class of an account's budget that a call belongs to.
pub fn class(priority: Priority) -> Class {
    match priority {
        Priority::Outcome => Class::Outcome,
        Priority::Caller(client) => Class::Caller(client.0),
        Priority::Asked => Class::Asked,
        Priority::Stable => Class::Stable,
    }
}

/// How much of an account's budget is used, as the core tells it.
pub fn usage(used: &budget::Used) -> Usage {
    let share = |share: budget::Share| Share {
        rate: share.rate,
        rate_used: share.rate_used,
        slots: share.slots,
        in_flight: share.in_flight,
        waiting: share.waiting,
    };
    Usage {
        rate_limit: used.rate_limit,
        rate_used: used.rate_used,
        concurrency_limit: used.concurrency_limit,
        in_flight: used.in_flight,
        paused_until: used.paused_for.map(|pause| SystemTime::now() + pause),
        paused_for: used.paused_for,
        outcome: share(used.outcome),
        callers: share(used.callers),
        stable: share(used.stable),
    }
}
