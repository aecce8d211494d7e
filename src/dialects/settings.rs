//! What all dialects read from a backend's table, and a backend that is described in code instead of in a file.

use crate::{
    core::{
        error::Violation,
        secret::Secret,
        settings::BackendSettings,
        table::{Keys, Table, one_of},
    },
    model::BackendName,
    rest::transport::Options,
};
use reqwest::Url;
use std::time::Duration;

/// A backend described in code: the settings for the core, and those for its dialect.
#[derive(Debug, Clone)]
pub struct Given {
    pub core: BackendSettings,
    /// A name in [`ALL`](crate::dialects::ALL).
    pub dialect: &'static str,
    /// The dialect's settings, by configuration key.
    pub keys: Keys,
}

impl Given {
    /// A backend with the core's defaults and none of the dialect's keys.
    pub fn new(name: BackendName, dialect: &'static str) -> Given {
        Given {
            core: BackendSettings::new(name),
            dialect,
            keys: Keys::default(),
        }
    }

    /// Sets one of the dialect's keys.
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Given {
        self.keys.set(key, value);
        self
    }
}

/// Reads how the cloud is reached.
pub fn options(table: &mut dyn Table, timeout: Duration) -> Option<Options> {
    let ca_file = table.path("ca_file");
    let insecure_skip_verify = table.flag("insecure_skip_verify");
    if insecure_skip_verify {
        table.warn(
            "insecure_skip_verify",
            "anyone in between can read logins and pre-shared keys, and change every answer; name the cloud's \
             authority by `ca_file` instead",
        );
    }
    if timeout.is_zero() {
        table.refuse("timeout", "must be longer than zero");
        return None;
    }
    Some(Options {
        backend: table.backend().into(),
        account_lasts: table.is_read_again(),
        ca_file,
        insecure_skip_verify,
        timeout,
    })
}

/// Parses `text` as an address that requests can be sent to: `http` or `https`, with a host, and without query,
/// fragment, user and password.
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

/// Reads `auth.kind`, which must be one of `kinds`.
pub fn login_kind<K: Copy>(table: &mut dyn Table, kinds: &[(&'static str, K)]) -> Option<K> {
    let words: Vec<&'static str> = kinds.iter().map(|(word, _)| *word).collect();
    let Some(word) = table.word("auth.kind", &words) else {
        table.refuse("auth.kind", &one_of(&words));
        return None;
    };
    let known = kinds.iter().find(|(known, _)| *known == word);
    known.map(|(_, kind)| *kind)
}

/// Refuses `key` if nothing was read from it.
pub fn needed(table: &mut dyn Table, key: &str, read: Option<String>) -> Option<String> {
    if read.is_none() {
        table.refuse(key, "must be given");
    }
    read
}

/// Does the same as [`needed`] for a secret.
pub fn needed_secret(table: &mut dyn Table, key: &str, read: Option<Secret>) -> Option<Secret> {
    if read.is_none() {
        let name = key.rsplit('.').next().unwrap_or(key);
        let why = format!("must be given, as `{name}`, `{name}_env` or `{name}_file`");
        table.refuse(key, &why);
    }
    read
}

/// Refuses every violation in `made`.
pub fn or_refuse<T>(table: &mut dyn Table, made: Result<T, Vec<Violation>>) -> Option<T> {
    made.map_err(|violations| {
        for violation in violations {
            table.refuse(&violation.field, &violation.description);
        }
    })
    .ok()
}
