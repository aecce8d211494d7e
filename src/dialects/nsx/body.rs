//! An object of NSX, read leniently: everything may be absent, numbers may be strings, and what nobody here knows stays.
//!
//! It holds no pre-shared key: NSX does not give it out, and if it did, [`Body`] would drop it.

pub mod draft;
pub mod remainder;
pub mod words;

use crate::rest::json;
use serde_json::{Map, Value};
use std::fmt;

/// An object as the cloud gave it, whole, so that an update can give back what nobody here knows.
#[derive(Clone, Default, PartialEq)]
pub struct Body(Map<String, Value>);

impl fmt::Debug for Body {
    /// Names the object only: a body may hold what a log should not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({})", self.text("id").unwrap_or_default())
    }
}

impl Body {
    /// Takes an object over, but for its key.
    pub fn new(mut object: Map<String, Value>) -> Body {
        object.remove("psk");
        Body(object)
    }

    /// The same of any JSON; `None` if it is no object.
    pub fn of(value: Value) -> Option<Body> {
        match value {
            Value::Object(object) => Some(Body::new(object)),
            _ => None,
        }
    }

    /// The object.
    pub fn object(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A field as text.
    pub fn text(&self, key: &str) -> Option<String> {
        json::text(&self.0, key)
    }

    /// A field as a whole number.
    pub fn integer(&self, key: &str) -> Option<i64> {
        json::integer(&self.0, key)
    }

    /// A field as a boolean.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        json::boolean(&self.0, key)
    }

    /// A field as a list; empty if it is none.
    pub fn list(&self, key: &str) -> &[Value] {
        self.0
            .get(key)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// `id`; empty if there is none.
    pub fn id(&self) -> String {
        self.text("id").unwrap_or_default()
    }

    /// `_revision`.
    pub fn revision(&self) -> Option<i64> {
        self.integer("_revision")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_that_should_not_be_there_is_dropped() {
        let body = Body::of(json!({ "id": "a", "psk": "canary" })).unwrap();
        assert!(!body.object().contains_key("psk"));
        assert!(!format!("{body:?}").contains("canary"));
    }
}
