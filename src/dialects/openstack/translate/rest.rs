//! The fields of an object that are not translated yet.

use crate::rest::json;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// The fields of an object that are not translated yet. Fields left over at the end go to `native`.
pub struct Rest(pub Map<String, Value>);

impl Rest {
    /// Returns a field as text without taking it out.
    pub fn shown(&self, key: &str) -> Option<String> {
        json::text(&self.0, key)
    }

    /// Takes a field out as text.
    pub fn text(&mut self, key: &str) -> Option<String> {
        if let Some(Value::String(text)) = self.0.get_mut(key) {
            let text = std::mem::take(text);
            self.0.remove(key);
            return Some(text);
        }
        let text = self.shown(key);
        self.forget(key, text.is_some());
        text
    }

    /// Takes an id out. An empty one counts as none.
    pub fn reference(&mut self, key: &str) -> Option<String> {
        self.text(key).filter(|id| !id.is_empty())
    }

    /// Takes out the project that owns the object.
    pub fn project(&mut self) -> String {
        let (project, tenant) = (self.shown("project_id"), self.shown("tenant_id"));
        self.forget("project_id", project.is_some());
        // Both names normally hold the same id. If they differ, `tenant_id` stays.
        let is_shown = tenant.is_some() && (project.is_none() || project == tenant);
        self.forget("tenant_id", is_shown);
        project.or(tenant).unwrap_or_default()
    }

    /// Takes a field out as a number.
    pub fn number(&mut self, key: &str) -> Option<u32> {
        let number = json::integer(&self.0, key).and_then(|number| u32::try_from(number).ok());
        self.forget(key, number.is_some());
        number
    }

    /// Takes a field out as a boolean.
    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        let boolean = json::boolean(&self.0, key);
        self.forget(key, boolean.is_some());
        boolean
    }

    /// Returns an address as written. One that does not parse also stays.
    pub fn address(&mut self, key: &str) -> String {
        let text = self.shown(key).unwrap_or_default();
        self.forget(key, text.parse::<IpAddr>().is_ok());
        text
    }

    /// Takes out a word of a table, in any case. Any other word stays.
    pub fn word<T: Copy>(&mut self, key: &str, table: &[(&str, T)]) -> Option<T> {
        let said = self.shown(key).unwrap_or_default();
        let meaning = table
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(said.trim()));
        self.forget(key, meaning.is_some());
        meaning.map(|(_, meaning)| *meaning)
    }

    /// Removes a field if it was translated.
    pub fn forget(&mut self, key: &str, found: bool) {
        if found {
            self.0.remove(key);
        }
    }
}
