//! An object of NSX, read leniently: every field may be absent, numbers may be strings, and unknown fields are kept.
//!
//! It holds no pre-shared key: NSX does not return it, and [`Body`] would drop it if NSX did.

pub mod draft;
pub mod remainder;
pub mod words;

use crate::rest::json;
use serde_json::{Map, Value};
use std::fmt;

/// An object as the cloud returned it, whole, so that an update can send back the fields that the gateway does not
/// know.
#[derive(Clone, Default, PartialEq)]
pub struct Body(Map<String, Value>);

impl fmt::Debug for Body {
    /// Names the object only: a body may hold what must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({})", self.text("id").unwrap_or_default())
    }
}

impl Body {
    /// Wraps an object without its `psk`.
    pub fn new(mut object: Map<String, Value>) -> Body {
        object.remove("psk");
        Body(object)
    }

    /// Wraps any JSON value, or returns `None` if it is not an object.
    pub fn of(value: Value) -> Option<Body> {
        match value {
            Value::Object(object) => Some(Body::new(object)),
            _ => None,
        }
    }

    pub fn object(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn text(&self, key: &str) -> Option<String> {
        json::text(&self.0, key)
    }

    pub fn integer(&self, key: &str) -> Option<i64> {
        json::integer(&self.0, key)
    }

    pub fn boolean(&self, key: &str) -> Option<bool> {
        json::boolean(&self.0, key)
    }

    /// Returns a field as a list; empty if it is not one.
    pub fn list(&self, key: &str) -> &[Value] {
        self.0
            .get(key)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// Returns `id`; empty if there is none.
    pub fn id(&self) -> String {
        self.text("id").unwrap_or_default()
    }

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
