//! An object of NSX on its way to be written.
//!
//! Every method leaves what is there as it is where it says already what is wanted, so that an object that nobody changes
//! is not written, and what nobody here knows goes back as it came: it reads as nothing, and nothing wanted keeps it.

use crate::{
    dialects::nsx::body::{
        Body, remainder,
        words::{meaning, word},
    },
    rest::json,
};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// An object on its way to be written, and whether it has become another.
pub struct Draft {
    /// The object.
    pub body: Map<String, Value>,
    /// Nothing is there yet, so that what is wanted is said even where it is the default, and nothing else.
    is_new: bool,
    /// Whether it is another by now.
    pub differs: bool,
}

/// NSX has no word for what is wanted.
#[derive(Debug)]
pub struct NoWord;

impl Draft {
    /// Nothing.
    pub fn new() -> Draft {
        Draft {
            body: Map::new(),
            is_new: true,
            differs: false,
        }
    }

    /// What is there.
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

    /// Sets a text that may be an IP address: another spelling of the same one is the same.
    pub fn address(&mut self, key: &str, wanted: Option<&str>) {
        let parsed = |text: &str| text.parse::<IpAddr>().ok();
        let current = json::text(&self.body, key).and_then(|it| parsed(&it));
        if current.is_none() || current != wanted.and_then(parsed) {
            self.text(key, wanted);
        }
    }

    /// Sets the name. Without a name NSX shows the id, so that is what no name reads back as.
    pub fn name(&mut self, wanted: &str) {
        let current = json::text(&self.body, "display_name");
        let is_nameless = current.is_none() || current == json::text(&self.body, "id");
        if !(wanted.is_empty() && is_nameless) {
            self.text("display_name", Some(wanted));
        }
    }

    /// Sets texts; empty and absent are the same.
    pub fn texts(&mut self, key: &str, wanted: &[String]) {
        let current = remainder::texts(&self.body, key).unwrap_or_default();
        match wanted {
            wanted if wanted == current => {}
            [] => self.remove(key),
            wanted => self.set(key, wanted.into()),
        }
    }

    /// Sets a boolean, whose default this is.
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

    /// Sets a whole number. Nothing wanted is the default; where there is none, NSX chooses.
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

    /// Sets a word of a table. Nothing wanted is the default, or what nobody knows if that is there; where there is no
    /// default, NSX chooses.
    ///
    /// # Errors
    /// If the table has no word for it.
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

    /// Sets a list of words of a table, of which a `None` is one that nobody knows. An empty one is the default; where
    /// there is none, NSX chooses.
    ///
    /// # Errors
    /// If it is another list than what is there, and the table has no word for something in it.
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

    /// What is so where nothing is said: the default, unless nothing is there at all.
    fn implied<T>(&self, key: &str, default: Option<T>) -> Option<T> {
        default.filter(|_| !self.is_new && !self.says(key))
    }

    /// Sets a field.
    pub fn set(&mut self, key: &str, value: Value) {
        self.body.insert(key.to_owned(), value);
        self.differs = true;
    }

    /// Removes a field.
    pub fn remove(&mut self, key: &str) {
        self.body.remove(key);
        self.differs = true;
    }

    /// The object, if it has become another.
    pub fn changed(self) -> Option<Map<String, Value>> {
        self.differs.then_some(self.body)
    }
}

/// What a list says, place by place; `None` is what is no text. Nothing if it is no list.
pub fn said<'a>(object: &'a Map<String, Value>, key: &str) -> Vec<Option<&'a str>> {
    let list = object.get(key).and_then(Value::as_array);
    list.into_iter().flatten().map(Value::as_str).collect()
}
