//! The configuration table of one backend, as its dialect reads it: key by key, independent of the file format.

use crate::core::{error::Violation, secret::Secret};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

/// The table of one backend. Keys of nested tables are written with a dot: `auth.username`.
///
/// The keys that a dialect asks for are the valid ones. Every other key is refused, with a list of those asked for. So
/// a dialect asks for every key that it takes, whether it needs it or not.
///
/// Reading does not stop at the first problem. A value of the wrong form is refused here and reads as absent. The
/// dialect refuses what it cannot work with, and goes on.
pub trait Table {
    /// Returns the backend's name; empty if it has no valid one.
    fn backend(&self) -> String;

    /// Reports whether the same backend may be read again in this process. What is known of its account then has to
    /// outlive the dialect made of this table.
    fn is_read_again(&self) -> bool {
        false
    }

    /// Reads text that is not empty.
    fn text(&mut self, key: &'static str) -> Option<String>;

    /// Reads one of `words`.
    fn word(&mut self, key: &'static str, words: &[&'static str]) -> Option<&'static str>;

    /// Reads `true` or `false`; `false` if absent.
    fn flag(&mut self, key: &'static str) -> bool;

    fn url(&mut self, key: &'static str) -> Option<String>;

    /// Reads one URL or a list of URLs; empty if absent.
    fn urls(&mut self, key: &'static str) -> Vec<String>;

    fn path(&mut self, key: &'static str) -> Option<PathBuf>;

    /// Reads a secret from `KEY` itself, `KEY_env` or `KEY_file`. A secret from a file may change while it is in use.
    fn secret(&mut self, key: &'static str) -> Option<Secret>;

    /// Reports whether the key is present, valid or not.
    fn has(&self, key: &str) -> bool;

    /// Reports what is wrong with a key, or with its absence, and what would be accepted; never a secret. Only the
    /// first report for a key counts.
    fn refuse(&mut self, key: &str, why: &str);

    /// Reports a key that works but is dangerous, and what would be better.
    fn warn(&mut self, key: &str, why: &str);
}

/// A table made in code. `Debug` shows no values, since some are secrets.
#[derive(Clone, Default)]
pub struct Keys {
    backend: String,
    values: BTreeMap<&'static str, Vec<String>>,
    secrets: BTreeMap<&'static str, Secret>,
    asked: BTreeSet<&'static str>,
    refused: Vec<Violation>,
}

impl Keys {
    /// Sets the name of the backend.
    #[must_use]
    pub fn of(mut self, backend: impl Into<String>) -> Keys {
        self.backend = backend.into();
        self
    }

    /// Sets the value of a key. An empty value counts as absent; a flag that is set is `true`.
    pub fn set(&mut self, key: &'static str, value: impl Into<String>) {
        self.set_all(key, [value]);
    }

    /// Sets several values of a key.
    pub fn set_all(
        &mut self,
        key: &'static str,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) {
        let values = values.into_iter().map(Into::into);
        let values: Vec<String> = values.filter(|value| !value.is_empty()).collect();
        match values.is_empty() {
            true => self.values.remove(key),
            false => self.values.insert(key, values),
        };
    }

    /// The same as [`Keys::set`], by value.
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Keys {
        self.set(key, value);
        self
    }

    /// Sets a secret that may change while it is in use.
    pub fn set_secret(&mut self, key: &'static str, secret: Secret) {
        self.values.remove(key);
        self.secrets.insert(key, secret);
    }

    /// Returns the first value of a key, secret or not, but not of a secret that may change.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.first().map(String::as_str)
    }

    /// Returns what was refused, and the keys that the dialect did not ask for.
    pub fn into_refused(mut self) -> Vec<Violation> {
        let given = self.values.keys().chain(self.secrets.keys());
        let unknown = given.filter(|key| !self.asked.contains(*key));
        let unknown = unknown.map(|key| Violation::new(*key, "is not a key of this dialect"));
        self.refused.extend(unknown);
        self.refused
    }

    fn asked(&mut self, key: &'static str) -> Option<String> {
        self.asked.insert(key);
        self.get(key).map(str::to_owned)
    }
}

impl Table for Keys {
    fn backend(&self) -> String {
        self.backend.clone()
    }

    fn text(&mut self, key: &'static str) -> Option<String> {
        self.asked(key)
    }

    fn word(&mut self, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let value = self.asked(key)?;
        let known = words.iter().find(|word| **word == value).copied();
        if known.is_none() {
            self.refuse(key, &one_of(words));
        }
        known
    }

    fn flag(&mut self, key: &'static str) -> bool {
        self.asked(key).is_some_and(|value| value == "true")
    }

    fn url(&mut self, key: &'static str) -> Option<String> {
        self.asked(key)
    }

    fn urls(&mut self, key: &'static str) -> Vec<String> {
        self.asked(key);
        self.values.get(key).cloned().unwrap_or_default()
    }

    fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.asked(key).map(PathBuf::from)
    }

    fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let text = self.asked(key).map(Secret::from);
        text.or_else(|| self.secrets.get(key).cloned())
    }

    fn has(&self, key: &str) -> bool {
        let below = format!("{key}.");
        let mut keys = self.values.keys().chain(self.secrets.keys());
        keys.any(|given| *given == key || given.starts_with(&below))
    }

    fn refuse(&mut self, key: &str, why: &str) {
        if !self.refused.iter().any(|refused| refused.field == key) {
            self.refused.push(Violation::new(key, why));
        }
    }

    fn warn(&mut self, _key: &str, _why: &str) {}
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.values.keys().chain(self.secrets.keys());
        f.debug_set().entries(keys).finish()
    }
}

/// Says what is accepted where one of several words is.
pub fn one_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    format!("must be one of {}", words.join(", "))
}
