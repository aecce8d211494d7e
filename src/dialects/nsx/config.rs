//! What of a backend's settings this dialect takes, checked.

use crate::{
    core::{
        error::Violation,
        settings::{AuthKind, BackendSettings},
    },
    rest::{budget::Limits, transport::Options},
};
use reqwest::Url;
use secrecy::SecretString;

/// What one account may ask for. NSX itself allows 100 requests a second and 40 at the same time to one
/// user, and locks out whoever else uses the account beyond; this leaves them
/// two fifths, and a tenth in a second in which everything saved up is used at once.
pub const LIMITS: Limits = Limits {
    rate: 60.0,
    concurrency: 16,
};

/// The settings of one NSX backend.
#[derive(Debug)]
pub struct Config {
    /// The managers of one cluster, at least one.
    pub managers: Vec<Url>,
    /// How to log in.
    pub login: Login,
    /// How to reach them.
    pub options: Options,
}

/// How to log in.
#[derive(Debug)]
pub enum Login {
    /// The password goes with every request.
    Basic(Credentials),
    /// The password is exchanged for a cookie, once a manager.
    Session(Credentials),
    /// A token from elsewhere goes with every request.
    Bearer(SecretString),
}

/// A user with a password.
#[derive(Debug)]
pub struct Credentials {
    /// A local user, or `user@domain`.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is wrong with them, by configuration key.
    pub fn read(settings: &BackendSettings) -> Result<Config, Vec<Violation>> {
        let mut violations = Vec::new();
        if settings.variant.is_some() {
            violations.push(Violation::new("variant", "must be absent: there is none"));
        }
        if settings.timeout.is_zero() {
            violations.push(Violation::new("timeout", "must be longer than nothing"));
        }
        let managers = managers(&settings.urls, &mut violations);
        let login = login(settings, &mut violations);
        match login {
            Some(login) if violations.is_empty() => Ok(Config {
                managers,
                login,
                options: Options {
                    ca_file: settings.ca_file.clone(),
                    insecure_skip_verify: settings.insecure_skip_verify,
                    timeout: settings.timeout,
                },
            }),
            _ => Err(violations),
        }
    }
}

fn managers(urls: &[String], violations: &mut Vec<Violation>) -> Vec<Url> {
    const ACCEPTED: &str = "must be the https:// address of an NSX manager, or a list of the managers of one \
                            cluster, without path, query, user or password";
    if urls.is_empty() {
        violations.push(Violation::new("url", ACCEPTED));
    }
    let mut managers = Vec::new();
    for text in urls {
        match Url::parse(text) {
            Ok(url) if is_manager(&url) => managers.push(url),
            // The text may hold a password, so it is not repeated.
            _ => violations.push(Violation::new("url", ACCEPTED)),
        }
    }
    managers
}

fn is_manager(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

fn login(settings: &BackendSettings, violations: &mut Vec<Violation>) -> Option<Login> {
    let auth = &settings.auth;
    let mut credentials = || {
        let username = auth.username.clone().filter(|name| !name.is_empty());
        if username.is_none() {
            violations.push(Violation::new("auth.username", "must be given"));
        } else if username.as_ref().is_some_and(|name| name.contains(':')) {
            violations.push(Violation::new("auth.username", "must have no colon"));
        }
        if auth.password.is_none() {
            violations.push(Violation::new(
                "auth.password",
                "must be given, as `password`, `password_env` or `password_file`",
            ));
        }
        Some(Credentials {
            username: username?,
            password: auth.password.clone()?,
        })
    };
    match auth.kind {
        AuthKind::Basic => credentials().map(Login::Basic),
        AuthKind::Session => credentials().map(Login::Session),
        AuthKind::Bearer => {
            if auth.token.is_none() {
                violations.push(Violation::new(
                    "auth.token",
                    "must be given, as `token`, `token_env` or `token_file`",
                ));
            }
            auth.token.clone().map(Login::Bearer)
        }
        AuthKind::Password | AuthKind::ApplicationCredential | AuthKind::None => {
            violations.push(Violation::new(
                "auth.kind",
                "must be `basic`, `session` or `bearer`",
            ));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::settings::{AuthSettings, PollSettings};
    use std::time::Duration;

    fn settings() -> BackendSettings {
        BackendSettings {
            name: "nsx".parse().unwrap(),
            dialect: "nsx".to_owned(),
            variant: None,
            urls: vec!["https://nsx.example".to_owned()],
            ca_file: None,
            insecure_skip_verify: false,
            timeout: Duration::from_secs(10),
            read_only: false,
            auth: AuthSettings {
                kind: AuthKind::Basic,
                username: Some("admin".to_owned()),
                password: Some("canary".into()),
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
        check(|s| s.urls.clear(), &["url"]);
        check(|s| s.urls.push("nsx.example".to_owned()), &["url"]);
        check(|s| s.urls = vec!["https://a:canary@b".to_owned()], &["url"]);
        check(|s| s.urls = vec!["https://a/api/v1".to_owned()], &["url"]);
        check(|s| s.variant = Some("x".to_owned()), &["variant"]);
        check(|s| s.auth.kind = AuthKind::Password, &["auth.kind"]);
        check(|s| s.auth.kind = AuthKind::Bearer, &["auth.token"]);
        check(
            |s| {
                s.auth.username = None;
                s.auth.password = None;
                s.timeout = Duration::ZERO;
            },
            &["timeout", "auth.username", "auth.password"],
        );
    }

    #[test]
    fn settings_do_not_print_their_secrets() {
        let config = Config::read(&settings()).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
    }
}
