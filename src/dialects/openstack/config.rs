//! The settings of an OpenStack backend, read from its table and checked.

pub use crate::dialects::settings::address;

use crate::{
    core::{secret::Secret, table::Table},
    dialects::{
        openstack::variant::{self, Variant},
        settings::{login_kind, needed, needed_secret, options},
    },
    rest::{budget::Limits, transport::Options},
};
use reqwest::Url;
use std::time::Duration;

/// The rate and concurrency limits of one account. Neutron has none of its own; a GET costs it about 5 ms of one
/// worker, a LIST of a thousand connections half a second.
pub const LIMITS: Limits = Limits {
    rate: 20.0,
    concurrency: 8,
};

#[derive(Debug)]
pub struct Config {
    pub variant: &'static Variant,
    pub login: Login,
    pub options: Options,
    pub limits: Limits,
}

/// How to log in, and where the network service is.
#[derive(Debug)]
pub enum Login {
    /// No login; the URL of the network service, with its `/v2.0`.
    None(Url),
    Keystone(Box<Keystone>),
}

/// A login to Keystone.
#[derive(Debug)]
pub struct Keystone {
    /// The token endpoint: `…/v3/auth/tokens`.
    pub tokens: Url,
    pub identity: Identity,
    /// The network service with its `/v2.0`. `None`: taken from the service catalogue.
    pub network: Option<Url>,
    /// The region of the catalogue to use. `None`: the catalogue must list only one.
    pub region: Option<String>,
}

/// The identity that logs in to Keystone.
#[derive(Debug)]
pub enum Identity {
    /// A user, scoped to a project.
    Password {
        username: String,
        password: Secret,
        /// The id of the user's domain.
        user_domain_id: String,
        project: Project,
    },
    /// An application credential, which is bound to its project.
    ApplicationCredential {
        /// The id, not the name.
        id: String,
        secret: Secret,
    },
}

impl Identity {
    /// Returns the password, or the application credential's secret.
    pub fn secret(&self) -> &Secret {
        match self {
            Identity::Password { password, .. } => password,
            Identity::ApplicationCredential { secret, .. } => secret,
        }
    }
}

/// The project that a password login is scoped to.
#[derive(Debug)]
pub enum Project {
    Id(String),
    /// By its name within a domain.
    Name {
        name: String,
        domain_id: String,
    },
}

/// The id of Keystone's initial domain, whose name is `Default`.
const DEFAULT_DOMAIN: &str = "default";

impl Config {
    /// Reads the table. Returns `None` after reporting every problem to the table.
    pub fn read(table: &mut dyn Table, timeout: Duration) -> Option<Config> {
        let variant = variant(table);
        let network = network(table);
        let options = options(table, timeout);
        let login = login(table, network.clone().flatten());
        Some(Config {
            variant: variant?,
            login: network.and(login)?,
            options: options?,
            limits: LIMITS,
        })
    }
}

fn variant(table: &mut dyn Table) -> Option<&'static Variant> {
    let Some(name) = table.word("variant", &variant::ALL.map(Variant::name)) else {
        return (!table.has("variant")).then_some(variant::ALL[0]);
    };
    let mut known = variant::ALL.into_iter();
    known.find(|variant| variant.name() == name)
}

/// Appends `/v2.0` to a network service's address if it is missing, as it is in catalogues.
pub fn with_version(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let path = match path.ends_with("/v2.0") {
        true => path.to_owned(),
        false => format!("{path}/v2.0"),
    };
    url.set_path(&path);
    url
}

/// Reads `url`. Returns `Some(None)` if it is absent, so that the service catalogue applies, and `None` after reporting
/// to the table that it is wrong.
fn network(table: &mut dyn Table) -> Option<Option<Url>> {
    let urls = table.urls("url");
    let url = match urls.as_slice() {
        [] => return Some(None),
        [text] => address(text).map(with_version),
        _ => {
            table.refuse("url", "must be one address, not a list");
            return None;
        }
    };
    if url.is_none() {
        // The text may contain a password, so the message does not repeat it.
        table.refuse(
            "url",
            "must be the http:// or https:// address of the network service, with or without /v2.0, without query, \
             user or password; absent, the service catalogue tells",
        );
    }
    url.map(Some)
}

#[derive(Clone, Copy)]
enum Kind {
    None,
    Password,
    ApplicationCredential,
}

/// Every setting under `auth`, whatever the kind of login.
struct Auth {
    auth_url: Option<String>,
    region: Option<String>,
    username: Option<String>,
    password: Option<Secret>,
    user_domain_id: Option<String>,
    project_id: Option<String>,
    project_name: Option<String>,
    project_domain_id: Option<String>,
    credential_id: Option<String>,
    credential_secret: Option<Secret>,
}

fn login(table: &mut dyn Table, network: Option<Url>) -> Option<Login> {
    let kinds = [
        ("password", Kind::Password),
        ("application_credential", Kind::ApplicationCredential),
        ("none", Kind::None),
    ];
    // Without `auth` there is no login.
    let kind = match table.has("auth") {
        true => login_kind(table, &kinds),
        false => Some(Kind::None),
    };
    let auth = Auth {
        auth_url: table.url("auth.auth_url"),
        username: table.text("auth.username"),
        password: table.secret("auth.password"),
        project_name: table.text("auth.project_name"),
        project_id: table.text("auth.project_id"),
        user_domain_id: table.text("auth.user_domain_id"),
        project_domain_id: table.text("auth.project_domain_id"),
        region: table.text("auth.region"),
        credential_id: table.text("auth.application_credential_id"),
        credential_secret: table.secret("auth.application_credential_secret"),
    };
    match kind? {
        Kind::None => {
            if network.is_none() {
                table.refuse(
                    "url",
                    "must be given with auth kind `none`: there is no service catalogue to tell",
                );
            }
            network.map(Login::None)
        }
        Kind::Password => keystone(table, auth, network, password),
        Kind::ApplicationCredential => keystone(table, auth, network, application_credential),
    }
}

fn keystone(
    table: &mut dyn Table,
    auth: Auth,
    network: Option<Url>,
    identity: fn(&mut dyn Table, Auth) -> Option<Identity>,
) -> Option<Login> {
    let tokens = tokens(table, auth.auth_url.as_deref());
    let region = auth.region.clone();
    let identity = identity(table, auth);
    Some(Login::Keystone(Box::new(Keystone {
        tokens: tokens?,
        identity: identity?,
        network,
        region,
    })))
}

fn tokens(table: &mut dyn Table, auth_url: Option<&str>) -> Option<Url> {
    let Some(mut url) = auth_url.and_then(address) else {
        table.refuse(
            "auth.auth_url",
            "must be Keystone's http:// or https:// address, with or without /v3, without query, user or password",
        );
        return None;
    };
    let path = url.path().trim_end_matches('/');
    let version = if path.ends_with("/v3") { "" } else { "/v3" };
    let path = format!("{path}{version}/auth/tokens");
    url.set_path(&path);
    Some(url)
}

fn password(table: &mut dyn Table, auth: Auth) -> Option<Identity> {
    let username = needed(table, "auth.username", auth.username);
    let password = needed_secret(table, "auth.password", auth.password);
    let domain = |id: Option<String>| id.unwrap_or(DEFAULT_DOMAIN.to_owned());
    // Check presence in the table, not the parsed values: a malformed value is not a missing one.
    let named = (table.has("auth.project_id"), table.has("auth.project_name"));
    match named {
        // A token without a project is shown only empty lists.
        (false, false) => table.refuse("auth.project_name", "must be given, or `project_id`"),
        (true, true) => {
            table.refuse(
                "auth.project_name",
                "must be absent if `project_id` is given",
            );
            return None;
        }
        _ => {}
    }
    let by_name = auth.project_name.map(|name| Project::Name {
        name,
        domain_id: domain(auth.project_domain_id),
    });
    Some(Identity::Password {
        username: username?,
        password: password?,
        user_domain_id: domain(auth.user_domain_id),
        project: auth.project_id.map(Project::Id).or(by_name)?,
    })
}

fn application_credential(table: &mut dyn Table, auth: Auth) -> Option<Identity> {
    let id = needed(table, "auth.application_credential_id", auth.credential_id);
    let key = "auth.application_credential_secret";
    let secret = needed_secret(table, key, auth.credential_secret);
    let mut is_bound = true;
    for key in ["auth.project_id", "auth.project_name"] {
        if table.has(key) {
            table.refuse(
                key,
                "must be absent: an application credential is bound to its project",
            );
            is_bound = false;
        }
    }
    Some(Identity::ApplicationCredential {
        id: id.filter(|_| is_bound)?,
        secret: secret?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::table::Keys;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn keys() -> Keys {
        Keys::default()
            .with("auth.kind", "password")
            .with("auth.username", "demo")
            .with("auth.password", "canary")
            .with("auth.auth_url", "https://keystone.example/identity")
            .with("auth.project_name", "demo")
    }

    #[track_caller]
    fn check(keys: Keys, timeout: Duration, refused: &[&str]) {
        let mut table = keys;
        let config = Config::read(&mut table, timeout);
        let violations = table.into_refused();
        let found: Vec<&str> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(found, refused);
        assert_eq!(config.is_none(), !refused.is_empty());
        assert!(!format!("{violations:?}").contains("canary"));
    }

    #[test]
    fn every_wrong_setting_is_named() {
        let wrong = |key, value: &str, refused: &[&str]| {
            check(keys().with(key, value), TIMEOUT, refused);
        };
        check(keys(), TIMEOUT, &[]);
        check(keys(), Duration::ZERO, &["timeout"]);
        wrong("variant", "k5", &[]);
        wrong("variant", "huawei", &["variant"]);
        wrong("url", "https://a:canary@b", &["url"]);
        wrong("auth.auth_url", "", &["auth.auth_url"]);
        wrong("auth.auth_url", "keystone", &["auth.auth_url"]);
        wrong("auth.kind", "bearer", &["auth.kind"]);
        wrong("auth.kind", "", &["auth.kind"]);
        wrong("auth.kind", "none", &["url"]);
        wrong("auth.project_id", "x", &["auth.project_name"]);
        wrong("auth.project_name", "", &["auth.project_name"]);
        wrong(
            "auth.kind",
            "application_credential",
            &[
                "auth.application_credential_id",
                "auth.application_credential_secret",
                "auth.project_name",
            ],
        );
        let mut list = keys();
        list.set_all("url", ["https://a", "https://b"]);
        check(list, TIMEOUT, &["url"]);
        let url = Keys::default().with("url", "https://neutron.example");
        check(url.clone(), TIMEOUT, &[]);
        check(url.with("auth.kind", "none"), TIMEOUT, &[]);
        check(Keys::default(), TIMEOUT, &["url"]);
        check(
            Keys::default().with("auth.kind", "password"),
            TIMEOUT,
            &[
                "auth.auth_url",
                "auth.username",
                "auth.password",
                "auth.project_name",
            ],
        );
    }

    #[test]
    fn addresses_are_completed() {
        for (given, tokens) in [
            ("http://k:5000", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/v3", "http://k:5000/v3/auth/tokens"),
            (
                "https://k/identity/v3/",
                "https://k/identity/v3/auth/tokens",
            ),
        ] {
            let mut keys = keys().with("auth.auth_url", given);
            match Config::read(&mut keys, TIMEOUT).unwrap().login {
                Login::Keystone(keystone) => assert_eq!(keystone.tokens.as_str(), tokens),
                Login::None(_) => panic!("a login was configured"),
            }
        }
        for (given, network) in [
            ("http://n:9696", "http://n:9696/v2.0"),
            ("http://n:9696/v2.0/", "http://n:9696/v2.0"),
            ("https://n/networking", "https://n/networking/v2.0"),
        ] {
            assert_eq!(with_version(address(given).unwrap()).as_str(), network);
        }
    }

    #[test]
    fn settings_do_not_print_their_secrets() {
        let config = Config::read(&mut keys(), TIMEOUT).unwrap();
        assert!(!format!("{config:?}{:?}", keys()).contains("canary"));
    }
}
