//! The keys of a backend's table that this dialect reads and checks.

use crate::{
    core::{secret::Secret, table::Table},
    dialects::settings::{address, login_kind, needed, needed_secret, options},
    rest::{budget::Limits, transport::Options},
};
use reqwest::Url;
use std::time::Duration;

/// The limits of one account. NSX itself allows one user 100 requests a second and 40 concurrent requests, and turns
/// away every client of the account beyond that. These limits leave the other clients two fifths, and a tenth in a
/// second in which the gateway uses everything it has saved up at once.
pub const LIMITS: Limits = Limits {
    rate: 60.0,
    concurrency: 16,
};

#[derive(Debug)]
pub struct Config {
    /// The managers of one cluster, at least one.
    pub managers: Vec<Url>,
    pub login: Login,
    /// How to reach the managers.
    pub options: Options,
}

/// How the gateway logs in.
#[derive(Debug)]
pub enum Login {
    /// Sends the password with every request.
    Basic(Credentials),
    /// Exchanges the password for a cookie, once for each manager.
    Session(Credentials),
    /// Sends a token from elsewhere with every request.
    Bearer(Secret),
}

/// A user and its password.
#[derive(Debug)]
pub struct Credentials {
    /// A local user, or `user@domain`.
    pub username: String,
    pub password: Secret,
}

impl Config {
    /// Reads the table. Returns `None` after it has reported every problem to the table.
    pub fn read(table: &mut dyn Table, timeout: Duration) -> Option<Config> {
        let managers = managers(table);
        let options = options(table, timeout);
        let login = login(table);
        Some(Config {
            managers: managers?,
            login: login?,
            options: options?,
        })
    }
}

fn managers(table: &mut dyn Table) -> Option<Vec<Url>> {
    let texts = table.urls("url");
    let manager = |text: &String| address(text).filter(|url| url.path() == "/");
    let managers: Option<Vec<Url>> = texts.iter().map(manager).collect();
    let managers = managers.filter(|managers| !managers.is_empty());
    if managers.is_none() {
        // The text may hold a password, so the message does not repeat it.
        table.refuse(
            "url",
            "must be the https:// address of an NSX manager, or a list of the managers of one cluster, without path, \
             query, user or password",
        );
    }
    managers
}

#[derive(Clone, Copy)]
enum Kind {
    Basic,
    Session,
    Bearer,
}

fn login(table: &mut dyn Table) -> Option<Login> {
    let kinds = [
        ("basic", Kind::Basic),
        ("session", Kind::Session),
        ("bearer", Kind::Bearer),
    ];
    let kind = login_kind(table, &kinds);
    let username = table.text("auth.username");
    let password = table.secret("auth.password");
    let token = table.secret("auth.token");
    match kind? {
        Kind::Basic => credentials(table, username, password).map(Login::Basic),
        Kind::Session => credentials(table, username, password).map(Login::Session),
        Kind::Bearer => needed_secret(table, "auth.token", token).map(Login::Bearer),
    }
}

fn credentials(
    table: &mut dyn Table,
    username: Option<String>,
    password: Option<Secret>,
) -> Option<Credentials> {
    if username.as_ref().is_some_and(|name| name.contains(':')) {
        table.refuse("auth.username", "must have no colon");
    }
    let username = needed(table, "auth.username", username);
    let password = needed_secret(table, "auth.password", password);
    Some(Credentials {
        username: username?,
        password: password?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::table::Keys;

    fn keys() -> Keys {
        Keys::default()
            .with("url", "https://nsx.example")
            .with("auth.kind", "basic")
            .with("auth.username", "admin")
            .with("auth.password", "canary")
    }

    #[track_caller]
    fn check(timeout: Duration, keys: &[(&'static str, &[&str])], refused: &[&str]) {
        let mut table = self::keys();
        for (key, values) in keys {
            table.set_all(key, values.iter().copied());
        }
        let config = Config::read(&mut table, timeout);
        let violations = table.into_refused();
        let found: Vec<&str> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(found, refused);
        assert!(config.is_some() || !refused.is_empty());
        assert!(!format!("{violations:?}").contains("canary"));
    }

    #[test]
    fn every_wrong_setting_is_named() {
        let wrong = |keys, refused| check(Duration::from_secs(10), keys, refused);
        wrong(&[], &[]);
        wrong(&[("url", &[])], &["url"]);
        wrong(
            &[("url", &["https://nsx.example", "nsx.example"])],
            &["url"],
        );
        wrong(&[("url", &["https://a:canary@b"])], &["url"]);
        wrong(&[("url", &["https://a/api/v1"])], &["url"]);
        wrong(&[("variant", &["x"])], &["variant"]);
        wrong(&[("auth.kind", &["password"])], &["auth.kind"]);
        wrong(&[("auth.kind", &[])], &["auth.kind"]);
        wrong(&[("auth.kind", &["bearer"])], &["auth.token"]);
        wrong(&[("auth.username", &["a:b"])], &["auth.username"]);
        check(
            Duration::ZERO,
            &[("auth.username", &[]), ("auth.password", &[])],
            &["timeout", "auth.username", "auth.password"],
        );
    }

    #[test]
    fn settings_do_not_print_their_secrets() {
        let config = Config::read(&mut keys(), Duration::from_secs(10)).unwrap();
        assert!(!format!("{config:?}{:?}", keys()).contains("canary"));
    }
}
