//! Lenient parsing of untrusted JSON.

use serde_json::{Map, Value};

/// Parses a body. The last value of a repeated key wins. Nesting deeper than serde_json's limit (128) is an error.
///
/// # Errors
/// Names the place where the text stops being JSON, and never quotes the text.
pub fn parse(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| {
        format!(
            "not JSON at line {} column {}",
            error.line(),
            error.column()
        )
    })
}

/// Returns a field as text. Numbers and booleans are printed; any other value that is not a string is `None`.
pub fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns a field as an integer. Some clouds send integers as strings.
pub fn integer(object: &Map<String, Value>, key: &str) -> Option<i64> {
    match object.get(key)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Returns a field as a boolean. Some clouds send booleans as strings.
pub fn boolean(object: &Map<String, Value>, key: &str) -> Option<bool> {
    match object.get(key)? {
        Value::Bool(bool) => Some(*bool),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_counts_as_its_last_value() {
        let value = parse(br#"{"a": 1, "a": 2}"#).unwrap();
        assert_eq!(value["a"], 2);
    }

    #[test]
    fn endless_nesting_is_an_error_and_not_a_crash() {
        assert!(parse("[".repeat(10_000).as_bytes()).is_err());
    }

    #[test]
    fn numbers_and_booleans_may_be_strings() {
        let value = parse(br#"{"a": "1500", "b": "true", "c": 7, "d": null}"#).unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(integer(object, "a"), Some(1500));
        assert_eq!(boolean(object, "b"), Some(true));
        assert_eq!(text(object, "c").as_deref(), Some("7"));
        assert_eq!(text(object, "d"), None);
    }
}
