//! What of a backend's settings this dialect takes, checked.

use crate::{
    core::{
        error::Violation,
        settings::{AuthKind, BackendSettings},
    },
    dialects::openstack::variant::{self, Variant},
    rest::{budget::Limits, transport::Options},
};
use reqwest::Url;
use secrecy::SecretString;

/// What one account may ask for. Neutron sets no limit of its own; a GET takes it about 5 ms of one worker,
/// a LIST of a thousand connections half a second.
pub const LIMITS: Limits = Limits {
    rate: 20.0,
    concurrency: 8,
};

/// The settings of one OpenStack backend.
#[derive(Debug)]
pub struct Config {
    /// Which cloud it is.
    pub variant: &'static Variant,
    /// How to log in.
    pub login: Login,
    /// How to reach it.
    pub options: Options,
    /// What the account may ask for.
    pub limits: Limits,
}

/// How to log in, and where the network service is.
#[derive(Debug)]
pub enum Login {
    /// Nobody asks who we are; the network service with its `/v2.0`.
    None(Url),
    /// By a token of Keystone.
    Keystone(Box<Keystone>),
}

/// A login to Keystone.
#[derive(Debug)]
pub struct Keystone {
    /// Its tokens: `…/v3/auth/tokens`.
    pub tokens: Url,
    /// Who logs in.
    pub identity: Identity,
    /// The network service with its `/v2.0`; `None`: the service catalogue tells.
    pub network: Option<Url>,
    /// Which region of the catalogue; `None` if it lists only one.
    pub region: Option<String>,
}

/// Who logs in to Keystone.
#[derive(Debug)]
pub enum Identity {
    /// A user, to a project.
    Password {
        /// The user's name.
        username: String,
        /// The password.
        password: SecretString,
        /// The user's domain, by id.
        user_domain_id: String,
        /// The project.
        project: Project,
    },
    /// An application credential, which is bound to its project.
    ApplicationCredential {
        /// Its id.
        id: String,
        /// Its secret.
        secret: SecretString,
    },
}

/// A project.
#[derive(Debug)]
pub enum Project {
    /// By its id.
    Id(String),
    /// By its name in a domain.
    Name {
        /// The name.
        name: String,
        /// The domain, by id.
        domain_id: String,
    },
}

/// The id of Keystone's first domain, whose name is `Default`.
const DEFAULT_DOMAIN: &str = "default";

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is wrong with them, by configuration key.
    pub fn read(settings: &BackendSettings) -> Result<Config, Vec<Violation>> {
        let mut violations = Vec::new();
        let variant = match &settings.variant {
            None => Some(variant::ALL[0]),
            Some(name) => {
                let known = variant::ALL.iter().find(|variant| variant.name() == name);
                if known.is_none() {
                    let names = variant::ALL.map(|variant| format!("`{}`", variant.name()));
                    let what = format!("must be one of {}", names.join(", "));
                    violations.push(Violation::new("variant", what));
                }
                known.copied()
            }
        };
        if settings.timeout.is_zero() {
            violations.push(Violation::new("timeout", "must be longer than nothing"));
        }
        let network = network(&settings.urls, &mut violations);
        let login = login(settings, network, &mut violations);
        match (variant, login) {
            (Some(variant), Some(login)) if violations.is_empty() => Ok(Config {
                variant,
                login,
                options: Options {
                    ca_file: settings.ca_file.clone(),
                    insecure_skip_verify: settings.insecure_skip_verify,
                    timeout: settings.timeout,
                },
                limits: LIMITS,
            }),
            _ => Err(violations),
        }
    }
}

/// The network service at this address: `/v2.0` is added where it is missing, as it is in catalogues.
pub fn with_version(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let path = match path.ends_with("/v2.0") {
        true => path.to_owned(),
        false => format!("{path}/v2.0"),
    };
    url.set_path(&path);
    url
}

/// The address in `text`, if it is one that requests can be sent to.
pub fn address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

fn network(urls: &[String], violations: &mut Vec<Violation>) -> Option<Url> {
    let mut refuse = |what: &str| violations.push(Violation::new("url", what));
    match urls {
        [] => None,
        [text] => {
            let url = address(text).map(with_version);
            if url.is_none() {
                // The text may hold a password, so it is not repeated.
                refuse(
                    "must be the http:// or https:// address of the network service, with or without /v2.0, \
                     without query, user or password; absent, the service catalogue tells",
                );
            }
            url
        }
        _ => {
            refuse("must be one address, not a list");
            None
        }
    }
}

fn login(
    settings: &BackendSettings,
    network: Option<Url>,
    violations: &mut Vec<Violation>,
) -> Option<Login> {
    match settings.auth.kind {
        AuthKind::None => {
            if settings.urls.is_empty() {
                violations.push(Violation::new(
                    "url",
                    "must be given with auth kind `none`: there is no service catalogue to tell",
                ));
            }
            network.map(Login::None)
        }
        AuthKind::Password | AuthKind::ApplicationCredential => {
            let tokens = tokens(settings, violations);
            let identity = match settings.auth.kind {
                AuthKind::Password => password(settings, violations),
                _ => application_credential(settings, violations),
            };
            Some(Login::Keystone(Box::new(Keystone {
                tokens: tokens?,
                identity: identity?,
                network,
                region: given(settings.auth.region.as_ref()),
            })))
        }
        AuthKind::Basic | AuthKind::Session | AuthKind::Bearer => {
            violations.push(Violation::new(
                "auth.kind",
                "must be `password`, `application_credential` or `none`",
            ));
            None
        }
    }
}

fn tokens(settings: &BackendSettings, violations: &mut Vec<Violation>) -> Option<Url> {
    let url = settings.auth.auth_url.as_deref().and_then(address);
    let Some(mut url) = url else {
        violations.push(Violation::new(
            "auth.auth_url",
            "must be Keystone's http:// or https:// address, with or without /v3, without query, user or \
             password",
        ));
        return None;
    };
    let path = url.path().trim_end_matches('/');
    let version = if path.ends_with("/v3") { "" } else { "/v3" };
    let path = format!("{path}{version}/auth/tokens");
    url.set_path(&path);
    Some(url)
}

fn password(settings: &BackendSettings, violations: &mut Vec<Violation>) -> Option<Identity> {
    let auth = &settings.auth;
    let username = given(auth.username.as_ref());
    if username.is_none() {
        violations.push(Violation::new("auth.username", "must be given"));
    }
    if auth.password.is_none() {
        violations.push(Violation::new(
            "auth.password",
            "must be given, as `password`, `password_env` or `password_file`",
        ));
    }
    let domain = |id: &Option<String>| given(id.as_ref()).unwrap_or(DEFAULT_DOMAIN.to_owned());
    let project = match (
        given(auth.project_id.as_ref()),
        given(auth.project_name.as_ref()),
    ) {
        (Some(id), None) => Some(Project::Id(id)),
        (None, Some(name)) => Some(Project::Name {
            name,
            domain_id: domain(&auth.project_domain_id),
        }),
        (None, None) => {
            // Without a project a token sees nothing, and says so by empty lists.
            let what = "must be given, or `project_id`";
            violations.push(Violation::new("auth.project_name", what));
            None
        }
        (Some(_), Some(_)) => {
            let what = "must be absent if `project_id` is given";
            violations.push(Violation::new("auth.project_name", what));
            None
        }
    };
    Some(Identity::Password {
        username: username?,
        password: auth.password.clone()?,
        user_domain_id: domain(&auth.user_domain_id),
        project: project?,
    })
}

fn application_credential(
    settings: &BackendSettings,
    violations: &mut Vec<Violation>,
) -> Option<Identity> {
    let auth = &settings.auth;
    let id = given(auth.application_credential_id.as_ref());
    if id.is_none() {
        let what = "must be given";
        violations.push(Violation::new("auth.application_credential_id", what));
    }
    if auth.application_credential_secret.is_none() {
        violations.push(Violation::new(
            "auth.application_credential_secret",
            "must be given, as `application_credential_secret`, `application_credential_secret_env` or \
             `application_credential_secret_file`",
        ));
    }
    let named = [
        ("auth.project_id", &auth.project_id),
        ("auth.project_name", &auth.project_name),
    ];
    for (key, _) in named.iter().filter(|(_, value)| value.is_some()) {
        let what = "must be absent: an application credential is bound to its project";
        violations.push(Violation::new(*key, what));
    }
    Some(Identity::ApplicationCredential {
        id: id?,
        secret: auth.application_credential_secret.clone()?,
    })
}

fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::settings::{AuthSettings, PollSettings};
    use std::time::Duration;

    fn settings() -> BackendSettings {
        BackendSettings {
            name: "cloud".parse().unwrap(),
            dialect: "openstack".to_owned(),
            variant: None,
            urls: Vec::new(),
            ca_file: None,
            insecure_skip_verify: false,
            timeout: Duration::from_secs(10),
            read_only: false,
            auth: AuthSettings {
                kind: AuthKind::Password,
                username: Some("demo".to_owned()),
                password: Some("canary".into()),
                auth_url: Some("https://keystone.example/identity".to_owned()),
                project_name: Some("demo".to_owned()),
                ..AuthSettings::default()
            },
            poll: PollSettings::default(),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut BackendSettings), keys: &[&str]) {
        let mut settings = settings();
        change(&mut settings);
        let violations = Config::read(&settings).err().unwrap_or_default();
        let found: Vec<&str> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(found, keys);
        assert!(!format!("{violations:?}").contains("canary"));
    }

    #[test]
    fn every_wrong_setting_is_named() {
        check(|_| {}, &[]);
        check(|s| s.variant = Some("k5".to_owned()), &[]);
        check(|s| s.variant = Some("huawei".to_owned()), &["variant"]);
        check(|s| s.timeout = Duration::ZERO, &["timeout"]);
        check(|s| s.urls = vec!["https://a:canary@b".to_owned()], &["url"]);
        check(
            |s| s.urls = vec!["https://a".to_owned(), "https://b".to_owned()],
            &["url"],
        );
        check(|s| s.auth.auth_url = None, &["auth.auth_url"]);
        check(
            |s| s.auth.auth_url = Some("keystone".to_owned()),
            &["auth.auth_url"],
        );
        check(|s| s.auth.kind = AuthKind::Bearer, &["auth.kind"]);
        check(|s| s.auth.kind = AuthKind::None, &["url"]);
        check(
            |s| {
                s.auth.kind = AuthKind::None;
                s.urls = vec!["https://neutron.example".to_owned()];
            },
            &[],
        );
        check(
            |s| {
                s.auth = AuthSettings {
                    kind: AuthKind::Password,
                    ..AuthSettings::default()
                }
            },
            &[
                "auth.auth_url",
                "auth.username",
                "auth.password",
                "auth.project_name",
            ],
        );
        check(
            |s| s.auth.project_id = Some("x".to_owned()),
            &["auth.project_name"],
        );
        check(
            |s| s.auth.kind = AuthKind::ApplicationCredential,
            &[
                "auth.application_credential_id",
                "auth.application_credential_secret",
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
            let mut settings = settings();
            settings.auth.auth_url = Some(given.to_owned());
            match Config::read(&settings).unwrap().login {
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
        let config = Config::read(&settings()).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
    }
}
