//! The settings of a backend that the core uses. The rest belongs to its dialect: [`Table`](crate::core::table::Table).

use crate::model::BackendName;
use std::{fmt, time::Duration};

/// The part of a `[[backends]]` entry that does not depend on its dialect.
#[derive(Debug, Clone)]
pub struct BackendSettings {
    /// The name that clients use.
    pub name: BackendName,
    /// The longest time for a single upstream request. Default 10 s.
    pub timeout: Duration,
    /// Whether every write is refused. Default false.
    pub read_only: bool,
    pub poll: PollSettings,
    /// Identifies the rest of the configuration.
    pub identity: Identity,
}

/// Stands for everything in a backend's configuration except its polls and `read_only`. While it is equal, the backend
/// needs no new dialect. The default stands for a backend without further settings. Identities are comparable within
/// one process only, and reveal nothing of the settings.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity(u64);

impl Identity {
    /// Makes an identity of a hash. The hash must be keyed, since its input may contain secrets.
    pub fn of_hash(hash: u64) -> Identity {
        Identity(hash)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl BackendSettings {
    /// The default of `timeout`.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Returns the default settings.
    pub fn new(name: BackendName) -> BackendSettings {
        BackendSettings {
            name,
            timeout: BackendSettings::DEFAULT_TIMEOUT,
            read_only: false,
            poll: PollSettings::default(),
            identity: Identity::default(),
        }
    }
}

/// How a backend is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollSettings {
    /// The interval between polls while a write is in progress. Default 2 s.
    pub fresh: Duration,
    /// The interval between polls when nothing is at stake. Default 30 s.
    pub stable: Duration,
    /// How long the status must stay unchanged after an update that the cloud cannot prove, before the update is
    /// assumed to be in effect. Default 75 s: Neutron's agents report every 60 s.
    pub quiet_after_update: Duration,
    /// The least time between a poll that sees a failure and a second poll that confirms it. Only a confirmed failure
    /// is an outcome. Default 10 s.
    pub confirm_failure: Duration,
    /// How long a connection must be gone before that is a confirmed failure, if its last write is its creation through
    /// this gateway: a cloud may take time to show a new object. Counts only if longer than `confirm_failure`, which
    /// applies after any other write. Default 30 s.
    pub vanish_grace: Duration,
    /// How long the cloud may refuse the gateway's login before watches end. Default 10 min.
    pub auth_window: Duration,
}

impl Default for PollSettings {
    fn default() -> Self {
        PollSettings {
            fresh: Duration::from_secs(2),
            stable: Duration::from_secs(30),
            quiet_after_update: Duration::from_secs(75),
            confirm_failure: Duration::from_secs(10),
            vanish_grace: Duration::from_secs(30),
            auth_window: Duration::from_secs(600),
        }
    }
}
