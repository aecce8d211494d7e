//! The part of a cloud's answer without a place in the model: JSON as a protobuf `Struct`.

use prost_types::{ListValue, Struct, Value as Proto, value::Kind};
use serde_json::{Map, Value};

/// Nesting depth from which values are sent as JSON text. Each level takes three of the hundred message levels that
/// protobuf readers accept.
const MAX_DEPTH: usize = 24;

/// Every integer up to this one has an exact `double`.
const MAX_EXACT: u64 = 1 << 53;

/// Converts fields to a `Struct`. Returns `None` if there are none.
///
/// The only number type of a `Struct` is `double`. An integer without an exact `double` is sent as text, so that no
/// digit is lost.
pub fn fields(native: Map<String, Value>) -> Option<Struct> {
    (!native.is_empty()).then(|| object(native, 0))
}

fn object(map: Map<String, Value>, depth: usize) -> Struct {
    Struct {
        fields: map
            .into_iter()
            .map(|(key, item)| (key, value(item, depth + 1)))
            .collect(),
    }
}

fn value(json: Value, depth: usize) -> Proto {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::Number(number) => self::number(&number),
        Value::String(text) => Kind::StringValue(text),
        deep @ (Value::Array(_) | Value::Object(_)) if depth > MAX_DEPTH => {
            Kind::StringValue(deep.to_string())
        }
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items
                .into_iter()
                .map(|item| value(item, depth + 1))
                .collect(),
        }),
        Value::Object(map) => Kind::StructValue(object(map, depth)),
    };
    Proto { kind: Some(kind) }
}

fn number(number: &serde_json::Number) -> Kind {
    let exact = match (number.as_u64(), number.as_i64()) {
        (Some(unsigned), _) => unsigned <= MAX_EXACT,
        (None, Some(signed)) => signed.unsigned_abs() <= MAX_EXACT,
        (None, None) => true,
    };
    match number.as_f64() {
        Some(double) if exact && double.is_finite() => Kind::NumberValue(double),
        _ => Kind::StringValue(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use serde_json::json;

    fn convert(json: Value) -> Option<Struct> {
        match json {
            Value::Object(map) => fields(map),
            _ => panic!("an object"),
        }
    }

    fn kind(json: Value) -> Kind {
        value(json, 0).kind.unwrap()
    }

    #[test]
    fn nothing_is_no_struct() {
        assert_eq!(convert(json!({})), None);
    }

    #[test]
    fn every_kind_of_value_is_kept() {
        let all = convert(json!({
            "null": null, "flag": true, "number": 1.5, "text": "x", "list": [1, "two"], "object": {"a": {}}
        }))
        .unwrap();
        assert_eq!(all.fields["null"].kind, Some(Kind::NullValue(0)));
        assert_eq!(all.fields["flag"].kind, Some(Kind::BoolValue(true)));
        assert_eq!(all.fields["number"].kind, Some(Kind::NumberValue(1.5)));
        assert_eq!(
            all.fields["text"].kind,
            Some(Kind::StringValue("x".to_owned()))
        );
        let Some(Kind::ListValue(list)) = &all.fields["list"].kind else {
            panic!("a list");
        };
        assert_eq!(list.values.len(), 2);
        let Some(Kind::StructValue(object)) = &all.fields["object"].kind else {
            panic!("an object");
        };
        assert!(object.fields.contains_key("a"));
    }

    #[test]
    fn integers_beyond_a_double_keep_their_digits_as_text() {
        assert_eq!(kind(json!(1_u64 << 53)), Kind::NumberValue(2_f64.powi(53)));
        assert_eq!(
            kind(json!((1_u64 << 53) + 1)),
            Kind::StringValue("9007199254740993".to_owned())
        );
        assert_eq!(
            kind(json!(i64::MIN)),
            Kind::StringValue("-9223372036854775808".to_owned())
        );
        assert_eq!(
            kind(json!(u64::MAX)),
            Kind::StringValue("18446744073709551615".to_owned())
        );
        assert_eq!(kind(json!(-1)), Kind::NumberValue(-1.0));
    }

    #[test]
    fn what_is_nested_too_deep_for_readers_comes_as_text() {
        let deep = (0..120).fold(json!("bottom"), |inner, n| {
            if n % 2 == 0 {
                json!({ "k": inner })
            } else {
                json!([inner])
            }
        });
        let bytes = convert(json!({ "deep": deep })).unwrap().encode_to_vec();
        let read = Struct::decode(bytes.as_slice()).expect("readers accept it");
        assert!(format!("{read:?}").contains("bottom"));
    }
}
