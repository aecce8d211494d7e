//! An object of NSX that is about to be written.
//!
//! Every method leaves a field alone if it already has the wanted meaning, so an unchanged object is not written. A
//! value that the gateway does not know reads as absent, and wanting nothing keeps it, so it goes back as it came.

use crate::{
    dialects::nsx::body::{
        Body, remainder,
        words::{meaning, word},
    },
    rest::json,
};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// An object that is about to be written, and whether it differs from what is there.
pub struct Draft {
    pub body: Map<String, Value>,
    /// Whether the object does not exist yet. A new object says what is wanted even where that is the default, and
    /// nothing else.
    is_new: bool,
    /// Whether a field was set or removed.
    pub differs: bool,
}

/// NSX has no word for the wanted value.
#[derive(Debug)]
pub struct NoWord;

impl Draft {
    /// A draft of a new object.
    pub fn new() -> Draft {
        Draft {
            body: Map::new(),
            is_new: true,
            differs: false,
        }
    }

    /// A draft of an existing object.
    pub fn of(body: &Body) -> Draft {
        Draft {
            body: body.object().clone(),
            is_new: false,
            differs: false,
        }
    }

    /// Sets a text; empty and absent are the same.
    pub fn text(&mut self, key: &str, wanted: Option<&str>) {
        let current = json::text(&self.body, key).unwrap_or_default();
        match wanted.unwrap_or_default() {
            wanted if wanted == current => {}
            "" => self.remove(key),
            wanted => self.set(key, wanted.into()),
        }
    }

    /// Sets a text that may be an IP address. Two spellings of one address are the same.
    pub fn address(&mut self, key: &str, wanted: Option<&str>) {
        let parsed = |text: &str| text.parse::<IpAddr>().ok();
        let current = json::text(&self.body, key).and_then(|it| parsed(&it));
        if current.is_none() || current != wanted.and_then(parsed) {
            self.text(key, wanted);
        }
    }

    /// Sets the name. NSX shows the id of an object without a name, so a name equal to the id reads as none.
    pub fn name(&mut self, wanted: &str) {
        let current = json::text(&self.body, "display_name");
        let is_nameless = current.is_none() || current == json::text(&self.body, "id");
        if !(wanted.is_empty() && is_nameless) {
            self.text("display_name", Some(wanted));
        }
    }

    /// Sets a list of texts; empty and absent are the same.
    pub fn texts(&mut self, key: &str, wanted: &[String]) {
        let current = remainder::texts(&self.body, key).unwrap_or_default();
        match wanted {
            wanted if wanted == current => {}
            [] => self.remove(key),
            wanted => self.set(key, wanted.into()),
        }
    }

    /// Sets a boolean. `None` wants the default.
    pub fn boolean(&mut self, key: &str, wanted: Option<bool>, default: bool) {
        let current = json::boolean(&self.body, key);
        match wanted {
            None if self.is_new || (current.is_none() && self.says(key)) => {}
            wanted => {
                let wanted = wanted.unwrap_or(default);
                if current.or(self.implied(key, Some(default))) != Some(wanted) {
                    self.set(key, wanted.into());
                }
            }
        }
    }

    /// Sets a whole number. `None` wants the default; without a default, NSX chooses.
    pub fn integer<T>(&mut self, key: &str, wanted: Option<T>, default: Option<T>)
    where
        T: TryFrom<i64> + Copy + PartialEq + Into<Value>,
    {
        let current = json::integer(&self.body, key);
        let current = current.and_then(|it| T::try_from(it).ok());
        match wanted {
            None if self.is_new || (current.is_none() && self.says(key)) => {}
            wanted => match (wanted.or(default), current.or(self.implied(key, default))) {
                (Some(wanted), current) if current != Some(wanted) => self.set(key, wanted.into()),
                (None, Some(_)) => self.remove(key),
                _ => {}
            },
        }
    }

    /// Sets a word from a table. `None` wants the default, or keeps a word that the table does not know. Without a
    /// default, NSX chooses.
    ///
    /// # Errors
    /// Fails if the table has no word for the wanted value.
    pub fn word<T: Copy + Eq>(
        &mut self,
        key: &str,
        table: &[(&'static str, T)],
        wanted: Option<T>,
        default: Option<T>,
    ) -> Result<(), NoWord> {
        let said = json::text(&self.body, key);
        let current = said.and_then(|said| meaning(table, &said));
        match wanted {
            None if self.is_new || (current.is_none() && self.says(key)) => {}
            wanted => match (wanted.or(default), current.or(self.implied(key, default))) {
                (Some(wanted), current) if current != Some(wanted) => {
                    let word = word(table, &wanted).ok_or(NoWord)?;
                    self.set(key, word.into());
                }
                (None, Some(_)) => self.remove(key),
                _ => {}
            },
        }
        Ok(())
    }

    /// Sets a list of words from a table. A `None` in the list stands for a word that the table does not know. An empty
    /// list wants the default; without a default, NSX chooses.
    ///
    /// # Errors
    /// Fails if the wanted list differs from the present one and the table has no word for one of its elements.
    pub fn words<T: Copy + Eq>(
        &mut self,
        key: &str,
        table: &[(&'static str, T)],
        wanted: &[Option<T>],
        default: &[&str],
    ) -> Result<(), NoWord> {
        let current: Vec<Option<T>> = said(&self.body, key)
            .into_iter()
            .map(|said| meaning(table, said.unwrap_or_default()))
            .collect();
        if current == wanted {
            return Ok(());
        }
        if wanted.is_empty() {
            let is_there = default.iter().map(|it| meaning(table, it)).eq(current);
            match default {
                [] => self.remove(key),
                _ if is_there => {}
                default => self.set(key, default.to_vec().into()),
            }
            return Ok(());
        }
        let words = wanted.iter().map(|it| word(table, &(*it)?));
        let words: Option<Vec<&str>> = words.collect();
        self.set(key, words.ok_or(NoWord)?.into());
        Ok(())
    }

    fn says(&self, key: &str) -> bool {
        self.body.get(key).is_some_and(|said| !said.is_null())
    }

    /// The meaning of an absent field: the default, unless the object is new.
    fn implied<T>(&self, key: &str, default: Option<T>) -> Option<T> {
        default.filter(|_| !self.is_new && !self.says(key))
    }

    pub fn set(&mut self, key: &str, value: Value) {
        self.body.insert(key.to_owned(), value);
        self.differs = true;
    }

    pub fn remove(&mut self, key: &str) {
        self.body.remove(key);
        self.differs = true;
    }

    /// Returns the object if it differs from what is there.
    pub fn changed(self) -> Option<Map<String, Value>> {
        self.differs.then_some(self.body)
    }
}

/// Returns the elements of a list, with `None` for each that is not a text. The result is empty if the field is not a
/// list.
pub fn said<'a>(object: &'a Map<String, Value>, key: &str) -> Vec<Option<&'a str>> {
    let list = object.get(key).and_then(Value::as_array);
    list.into_iter().flatten().map(Value::as_str).collect()
}
