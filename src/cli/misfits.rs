//! The differences between JSON or YAML and a proto message: every misfit at once, by its path.

use crate::cli::tree::Tree;
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value as Json;
use std::collections::HashMap;

/// Returns a line for each way in which `tree` is not this message. Paths begin within the message, as in a field mask.
pub fn find(message: &MessageDescriptor, tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    match tree {
        Tree::Fields(fields) => of_fields(message, fields, "", &mut lines),
        other => lines.push(format!(
            "it must be a mapping of fields, not {}",
            named(other)
        )),
    }
    lines
}

/// `before` is the path to this message, followed by a dot.
fn of_fields(
    message: &MessageDescriptor,
    fields: &[(String, Tree)],
    before: &str,
    lines: &mut Vec<String>,
) {
    // The fields seen so far. A oneof counts as one field.
    let mut given: HashMap<String, String> = HashMap::new();
    for (key, value) in fields {
        let Some(field) = field(message, key) else {
            lines.push(format!("{before}{key}: {}", unknown_field(message, key)));
            continue;
        };
        let path = format!("{before}{}", field.name());
        // In protobuf's JSON mapping, null means absent.
        if matches!(value, Tree::Leaf(Json::Null)) {
            continue;
        }
        let choice = field.containing_oneof();
        let place = choice.map_or(field.name().to_owned(), |choice| {
            choice.full_name().to_owned()
        });
        match given.insert(place, field.name().to_owned()) {
            Some(other) if other == field.name() => lines.push(format!("{path}: is given twice")),
            Some(other) => lines.push(format!("{path}: excludes `{other}`, which is also given")),
            None => of_field(&field, value, &path, lines),
        }
    }
}

/// Finds a field by its proto name or its JSON name.
fn field(message: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
    message
        .get_field_by_json_name(key)
        .or_else(|| message.get_field_by_name(key))
}

fn of_field(field: &FieldDescriptor, value: &Tree, path: &str, lines: &mut Vec<String>) {
    if !field.is_list() {
        return of_value(field, value, path, lines);
    }
    match value {
        Tree::List(list) => {
            for (at, item) in list.iter().enumerate() {
                of_value(field, item, &format!("{path}[{at}]"), lines);
            }
        }
        other => lines.push(format!("{path}: takes a list, not {}", named(other))),
    }
}

fn of_value(field: &FieldDescriptor, value: &Tree, path: &str, lines: &mut Vec<String>) {
    match (field.kind(), value) {
        // Well-known types have JSON forms of their own: a time is a text.
        (Kind::Message(inner), Tree::Fields(fields))
            if inner.package_name() != "google.protobuf" =>
        {
            of_fields(&inner, fields, &format!("{path}."), lines);
        }
        (Kind::Enum(values), Tree::Leaf(Json::String(word)))
            if values.get_value_by_name(word).is_none() =>
        {
            lines.push(format!("{path}: {}", unknown_value(&values, word)));
        }
        (kind, _) if !is_taken(field, value) => {
            lines.push(format!(
                "{path}: takes {}{}",
                taken(&kind),
                instead(&kind, value)
            ));
        }
        _ => {}
    }
}

/// Reports whether protobuf's own parser accepts the value.
fn is_taken(field: &FieldDescriptor, value: &Tree) -> bool {
    let value = Json::from(value.clone());
    let value = if field.is_list() {
        Json::Array(vec![value])
    } else {
        value
    };
    let fields = serde_json::Map::from_iter([(field.name().to_owned(), value)]);
    DynamicMessage::deserialize(field.parent_message().clone(), Json::Object(fields)).is_ok()
}

/// Says what a field takes, for people.
fn taken(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => match message.name() {
            "Duration" => "a time with its unit, as \"3600s\"".to_owned(),
            "Timestamp" => "a point in time, as \"2026-11-22T01:02:03Z\"".to_owned(),
            "FieldMask" => "names of fields in a string, as \"displayName,peer\"".to_owned(),
            _ => "a mapping of fields".to_owned(),
        },
        Kind::Enum(values) => format!("one of {}", accepted(values)),
        Kind::String => "a string".to_owned(),
        Kind::Bytes => "a string in base64".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Float | Kind::Double => "a number".to_owned(),
        Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => {
            "a whole number that is not negative".to_owned()
        }
        _ => "a whole number".to_owned(),
    }
}

/// Says what the value is instead, if it has another form than the field takes.
fn instead(kind: &Kind, value: &Tree) -> String {
    match (kind, value) {
        (Kind::String, Tree::Leaf(Json::Number(_) | Json::Bool(_))) => {
            format!(", not {}: put it in quotes", named(value))
        }
        (Kind::Message(inner), Tree::Leaf(Json::String(_)))
            if inner.package_name() == "google.protobuf" =>
        {
            String::new()
        }
        (Kind::String | Kind::Bool | Kind::Message(_), _)
        | (_, Tree::List(_) | Tree::Fields(_)) => {
            format!(", not {}", named(value))
        }
        _ => String::new(),
    }
}

/// Names the form of a value for people, without its content: it may be a misplaced key.
pub fn named(tree: &Tree) -> &'static str {
    match tree {
        Tree::Leaf(Json::Null) => "nothing",
        Tree::Leaf(Json::Bool(_)) => "true or false",
        Tree::Leaf(Json::Number(_)) => "a number",
        Tree::Leaf(_) => "a string",
        Tree::List(_) => "a list",
        Tree::Fields(_) => "fields",
    }
}

fn unknown_field(message: &MessageDescriptor, key: &str) -> String {
    let names = message.fields().map(|field| field.name().to_owned());
    unknown(key, &names.collect::<Vec<String>>())
}

/// Returns the message for an unknown field, with a suggestion out of `names`.
pub fn unknown(key: &str, names: &[String]) -> String {
    match nearest(key, names) {
        Some(name) => format!("is not known; did you mean `{name}`?"),
        None => format!("is not known; there are {}", names.join(", ")),
    }
}

fn unknown_value(values: &EnumDescriptor, word: &str) -> String {
    let names: Vec<String> = values
        .values()
        .map(|value| value.name().to_owned())
        .collect();
    let prefix = prefix(values);
    let bare: Vec<String> = names
        .iter()
        .map(|name| name.strip_prefix(&prefix).unwrap_or(name).to_owned())
        .collect();
    let meant = nearest(word.strip_prefix(&prefix).unwrap_or(word), &bare)
        .map_or(String::new(), |near| {
            format!("did you mean {prefix}{near}? ")
        });
    let word: String = word.chars().take(64).collect();
    format!(
        "{word:?} is not known; {meant}accepted: {}",
        accepted(values)
    )
}

/// Returns the prefix of all names of an enum, such as `IKE_VERSION_`.
pub fn prefix(values: &EnumDescriptor) -> String {
    let zero = values.default_value();
    let prefix = zero.name().strip_suffix("UNSPECIFIED");
    prefix.unwrap_or_default().to_owned()
}

fn accepted(values: &EnumDescriptor) -> String {
    // The zero value is left out, because it means the same as an absent field.
    let names = values.values().filter(|value| value.number() != 0);
    let names: Vec<String> = names.map(|value| value.name().to_owned()).collect();
    names.join(", ")
}

/// Returns the name that was probably meant: one with at most three edits per ten letters, or one that the word
/// abbreviates.
pub fn nearest<'a>(word: &str, names: &'a [String]) -> Option<&'a str> {
    let bare = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let wanted = bare(&word.chars().take(64).collect::<String>());
    let length = wanted.chars().count();
    let is_near = |name: &str, steps: usize| {
        let mut letters = name.chars();
        let abbreviates = length > 2 && wanted.chars().all(|letter| letters.any(|it| it == letter));
        steps * 10 <= length.max(4) * 3 || abbreviates
    };
    let measured = names.iter().map(|name| (name, bare(name)));
    let measured = measured.map(|(name, bare)| (strsim::osa_distance(&wanted, &bare), name, bare));
    let near = measured.filter(|(steps, _, bare)| is_near(bare, *steps));
    near.min_by_key(|(steps, ..)| *steps)
        .map(|(_, name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::json;

    #[test]
    fn every_misfit_is_told_by_its_path_with_what_would_fit() {
        for (message, text, said) in [
            (
                "IkePolicy",
                r#"{"encryptionAlgorithms": ["ENCRYPTION_ALGORITHM_3DES", "AES_CBC_256"], "lifetime": {"time": "1h"}}"#,
                "encryption_algorithms[1]: \"AES_CBC_256\" is not known; did you mean ENCRYPTION_ALGORITHM_AES_CBC_256? \
                 accepted: ENCRYPTION_ALGORITHM_3DES, ENCRYPTION_ALGORITHM_AES_CBC_128, …\n\
                 lifetime.time: takes a time with its unit, as \"3600s\"",
            ),
            (
                "IkePolicy",
                r#"{"encryptionAlgoritms": [], "ikeVersion": "2", "colour": 1}"#,
                "encryptionAlgoritms: is not known; did you mean `encryption_algorithms`?\n\
                 ike_version: \"2\" is not known; did you mean IKE_VERSION_2? accepted: IKE_VERSION_1, …\n\
                 colour: is not known; there are name, …",
            ),
            (
                "Connection",
                r#"{"mtu": -1, "displayName": 7, "peer": "p", "ikePolicy": [], "mtu": null, "display_name": "a"}"#,
                "mtu: takes a whole number that is not negative\n\
                 display_name: takes a string, not a number: put it in quotes\n\
                 peer: takes a mapping of fields, not a string\n\
                 ike_policy: takes a string, not a list\n\
                 display_name: is given twice",
            ),
            (
                "Connection",
                r#"{"policyBased": {"rules": {"id": "1"}}, "routeBased": {}, "adminEnabled": "yes"}"#,
                "policy_based.rules: takes a list, not fields\n\
                 route_based: excludes `policy_based`, which is also given\n\
                 admin_enabled: takes true or false, not a string",
            ),
            (
                "EndpointGroup",
                r#"{"type": {}, "createTime": "today", "native": {"any": ["thing", null]}, "etag": null}"#,
                "type: takes one of TYPE_SUBNET, TYPE_CIDR, …, not fields\n\
                 create_time: takes a point in time, as \"2026-11-22T01:02:03Z\"",
            ),
            (
                "Connection",
                "[]",
                "it must be a mapping of fields, not a list",
            ),
            (
                "Connection",
                r#"{"peer": {"id": "a"}, "initiation": 2, "mtu": "1400"}"#,
                "",
            ),
        ] {
            let tree: Tree = serde_json::from_str(text).unwrap();
            let lines = find(&json::descriptor(message), &tree);
            let said: Vec<&str> = said.lines().collect();
            assert_eq!(lines.len(), said.len(), "{lines:#?}");
            for (line, said) in lines.iter().zip(said) {
                let mut rest = line.as_str();
                for (at, part) in said.split('…').enumerate() {
                    let found = rest.find(part).unwrap_or_else(|| panic!("{line}: {said}"));
                    assert!(at > 0 || found == 0, "{line}: {said}");
                    rest = &rest[found + part.len()..];
                }
                assert!(rest.is_empty() || said.ends_with('…'), "{line}: {said}");
            }
        }
    }

    #[test]
    fn what_is_far_off_is_not_meant() {
        let names = ["mtu", "description", "peer"].map(str::to_owned);
        assert_eq!(nearest("descripton", &names), Some("description"));
        assert_eq!(nearest("Mtu_", &names), Some("mtu"));
        assert_eq!(nearest("desc", &names), Some("description"));
        assert_eq!(nearest("colour", &names), None);
        assert_eq!(nearest("", &names), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
