//! The settings of one backend, as `config` hands them to a dialect. Which of them a dialect takes is for
//! the dialect to say.

use crate::model::BackendName;
use secrecy::SecretString;
use std::{path::PathBuf, time::Duration};

/// One `[[backends]]` of the configuration, secrets already read from where they are kept.
#[derive(Debug, Clone)]
pub struct BackendSettings {
    /// The name callers use.
    pub name: BackendName,
    /// Which dialect: a name in `dialects::ALL`.
    pub dialect: String,
    /// Which variant of it, if it has any.
    pub variant: Option<String>,
    /// Where: one URL, or the managers of one NSX cluster. May be empty if a service catalogue tells.
    pub urls: Vec<String>,
    /// PEM file of the authority that signed the cloud's certificate. `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate. For labs.
    pub insecure_skip_verify: bool,
    /// The longest a single upstream request may take. Default 10 s.
    pub timeout: Duration,
    /// Refuse every write.
    pub read_only: bool,
    /// How to log in.
    pub auth: AuthSettings,
    /// How to poll.
    pub poll: PollSettings,
}

/// How the gateway logs in to a cloud.
#[derive(Debug, Clone, Default)]
pub struct AuthSettings {
    /// Which way.
    pub kind: AuthKind,
    /// User name (`basic`, `session`, `password`).
    pub username: Option<String>,
    /// Password (`basic`, `session`, `password`).
    pub password: Option<SecretString>,
    /// Token (`bearer`).
    pub token: Option<SecretString>,
    /// Keystone's URL (`password`, `application_credential`).
    pub auth_url: Option<String>,
    /// Project by name (`password`).
    pub project_name: Option<String>,
    /// Project by id (`password`).
    pub project_id: Option<String>,
    /// The user's domain (`password`); default `Default`.
    pub user_domain_id: Option<String>,
    /// The project's domain (`password`); default `Default`.
    pub project_domain_id: Option<String>,
    /// Which region of the service catalogue; needed if it lists more than one.
    pub region: Option<String>,
    /// Application credential (`application_credential`).
    pub application_credential_id: Option<String>,
    /// Its secret.
    pub application_credential_secret: Option<SecretString>,
}

/// Ways to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthKind {
    /// HTTP basic with every request (NSX).
    Basic,
    /// Session cookie with XSRF token (NSX).
    Session,
    /// A fixed token (NSX).
    Bearer,
    /// Keystone with user and password (OpenStack).
    Password,
    /// Keystone with an application credential (OpenStack).
    ApplicationCredential,
    /// None: a fixed URL that asks for nothing (OpenStack).
    #[default]
    None,
}

/// How one backend is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollSettings {
    /// Between looks while a write is on its way. Default 2 s.
    pub fresh: Duration,
    /// Between looks when nothing is at stake. Default 30 s.
    pub stable: Duration,
    /// How long an update must be quiet where the cloud cannot prove it. Default 75 s: Neutron's agents
    /// report every 60 s.
    pub quiet_after_update: Duration,
    /// The least time between the two looks that make a failure an outcome. Default 10 s.
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
