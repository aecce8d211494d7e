//! What the core takes of a backend's settings. The rest is its dialect's: [`Table`](crate::core::table::Table).

use crate::model::BackendName;
use std::{fmt, time::Duration};

/// What of one `[[backends]]` of the configuration does not depend on its dialect.
#[derive(Debug, Clone)]
pub struct BackendSettings {
    /// The name callers use.
    pub name: BackendName,
    /// The longest a single upstream request may take. Default 10 s.
    pub timeout: Duration,
    /// Refuse every write. Default no.
    pub read_only: bool,
    /// How to poll.
    pub poll: PollSettings,
    /// What else the configuration says of it.
    pub identity: Identity,
}

/// Stands for everything that the configuration says of a backend but how it is polled and whether it may be written to.
/// While it is the same, the backend's dialect would be made the same again. Default: that of a backend of which nothing
/// else is said. It is comparable within one process only, and tells nobody what was said.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity(u64);

impl Identity {
    /// The one of this hash, which is keyed, since secrets may be among what it is made of.
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
    /// The longest a single upstream request may take, unless the configuration says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// The defaults, under this name.
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

/// How one backend is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollSettings {
    /// Between polls while a write is on its way. Default 2 s.
    pub fresh: Duration,
    /// Between polls when nothing is at stake. Default 30 s.
    pub stable: Duration,
    /// How long an update must be quiet where the cloud cannot prove it. Default 75 s: Neutron's agents
    /// report every 60 s.
    pub quiet_after_update: Duration,
    /// The least time between the two polls that make a failure an outcome. Default 10 s.
    pub confirm_failure: Duration,
    /// How long a connection must be gone before that fails a create or update. Default 30 s.
    pub vanish_grace: Duration,
    /// How long a refused login is waited out before watches end. Default 10 min.
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
