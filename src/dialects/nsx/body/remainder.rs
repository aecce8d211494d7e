//! What remains of an object of NSX after the fields that the model knows were taken out.

use crate::{dialects::nsx::body::words::meaning, model::algorithm::Named, rest::json};
use serde_json::{Map, Value};
use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

/// The fields of an object that have no place in the model yet. Each method takes a field out, unless it cannot read
/// all of it.
pub struct Rest(pub Map<String, Value>);

impl Rest {
    pub fn text(&mut self, key: &str) -> Option<String> {
        let text = json::text(&self.0, key);
        self.forget(key, text.is_some());
        text
    }

    /// Takes a whole number that fits `T`.
    pub fn integer<T: TryFrom<i64>>(&mut self, key: &str) -> Option<T> {
        let integer = json::integer(&self.0, key).and_then(|it| T::try_from(it).ok());
        self.forget(key, integer.is_some());
        integer
    }

    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        let boolean = json::boolean(&self.0, key);
        self.forget(key, boolean.is_some());
        boolean
    }

    /// Takes a point in time, given in milliseconds since 1970.
    pub fn time(&mut self, key: &str) -> Option<SystemTime> {
        let time = time(&self.0, key);
        self.forget(key, time.is_some());
        time
    }

    /// Takes an address as it is written. One that does not parse is returned and also stays.
    pub fn address(&mut self, key: &str) -> String {
        let text = json::text(&self.0, key).unwrap_or_default();
        self.forget(key, text.parse::<IpAddr>().is_ok());
        text
    }

    /// Takes a list of texts. A list with anything else in it stays.
    pub fn texts(&mut self, key: &str) -> Vec<String> {
        let texts = texts(&self.0, key);
        self.forget(key, texts.is_some());
        texts.unwrap_or_default()
    }

    /// Takes one of the words of a table, in any case. Any other word stays.
    pub fn word<T: Copy>(&mut self, key: &str, table: &[(&str, T)]) -> Option<T> {
        let said = json::text(&self.0, key).unwrap_or_default();
        let meaning = meaning(table, &said);
        self.forget(key, meaning.is_some());
        meaning
    }

    /// Does the same as [`Rest::word`], and also records the text in `words` under `path`, known or not. The field is
    /// taken out either way.
    pub fn named<T: Named>(
        &mut self,
        key: &str,
        table: &[(&str, T)],
        path: &str,
        words: &mut Map<String, Value>,
    ) -> Option<T> {
        let said = self.0.get(key)?.as_str()?.to_owned();
        self.0.remove(key);
        let meaning = meaning(table, &said);
        words.insert(path.to_owned(), said.into());
        meaning
    }

    /// Puts back what is left of a list after its elements were read.
    pub fn replace(&mut self, key: &str, left: Vec<Value>) {
        let is_list = self
            .0
            .get(key)
            .is_none_or(|value| value.is_array() || value.is_null());
        self.forget(key, is_list);
        if !left.is_empty() {
            self.0.insert(key.to_owned(), Value::Array(left));
        }
    }

    /// Takes a field out if all of it was read, or if it is null.
    pub fn forget(&mut self, key: &str, is_home: bool) {
        if is_home || self.0.get(key).is_some_and(Value::is_null) {
            self.0.remove(key);
        }
    }
}

/// Reads a field as a point in time, which NSX gives in milliseconds since 1970.
pub fn time(object: &Map<String, Value>, key: &str) -> Option<SystemTime> {
    let milliseconds = u64::try_from(json::integer(object, key)?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

/// Reads a field as a list of texts. Returns `None` if it is not a list, or has anything else in it.
pub fn texts(object: &Map<String, Value>, key: &str) -> Option<Vec<String>> {
    let list = object.get(key)?.as_array()?.iter();
    list.map(|one| one.as_str().map(str::to_owned)).collect()
}
