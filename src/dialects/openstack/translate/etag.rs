//! The etag of an object.

use crate::{
    dialects::openstack::{
        translate::words::plain_peer_id,
        variant::Variant,
        wire::{Body, kind::Kind},
    },
    rest::json,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// Fields whose value is a word of a table.
const WORDS: [&str; 9] = [
    "auth_algorithm",
    "encapsulation_mode",
    "encryption_algorithm",
    "ike_version",
    "initiator",
    "pfs",
    "phase1_negotiation_mode",
    "transform_protocol",
    "type",
];

/// Returns a fingerprint of every writable field except the key. If it is unchanged, a write overwrites no other
/// client's change.
///
/// Fields that the cloud changes by itself, such as `status`, are left out. So are differences that reading ignores:
/// the `@` that some clouds put before a peer's id, the case of a word, and whether an unset field is absent, null or
/// empty.
pub fn etag(kind: &Kind, body: &Body, variant: &Variant) -> String {
    let mut print = Sha256::new();
    for key in kind.writable.iter().copied() {
        let Some(value) = body.object().get(key).filter(|value| !is_nothing(value)) else {
            continue;
        };
        text(&mut print, key);
        match (key, value) {
            // A set: a PUT returns it in the caller's order, a GET in the database's.
            ("peer_cidrs" | "endpoints", Value::Array(set)) => {
                let sorted: BTreeSet<Cow<'_, str>> = set.iter().map(scalar).collect();
                head(&mut print, b'[', sorted.len());
                sorted.iter().for_each(|element| text(&mut print, element));
            }
            ("peer_id", Value::String(id)) => text(&mut print, plain_peer_id(id, variant)),
            (key, Value::String(word)) if WORDS.contains(&key) => {
                text(&mut print, &plain_word(word))
            }
            ("admin_state_up", value) => {
                let is_up = json::boolean(body.object(), key);
                text(
                    &mut print,
                    &is_up.map_or(scalar(value), |up| up.to_string().into()),
                );
            }
            (_, value) => whole(&mut print, value),
        }
    }
    let digest = print.finalize();
    let digits = digest
        .iter()
        .take(16)
        .flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Reports whether a value counts as unset.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Returns a word of a table, trimmed and in lower case.
fn plain_word(word: &str) -> Cow<'_, str> {
    let word = word.trim();
    match word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(word.to_ascii_lowercase()),
        false => Cow::Borrowed(word),
    }
}

/// Begins a part of a fingerprint with its type and length, so that different values never hash the same bytes.
fn head(print: &mut Sha256, kind: u8, length: usize) {
    print.update([kind]);
    print.update((length as u64).to_be_bytes());
}

fn text(print: &mut Sha256, text: &str) {
    head(print, b'"', text.len());
    print.update(text);
}

/// Hashes a value, whatever the order of its keys.
fn whole(print: &mut Sha256, value: &Value) {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<&String, &Value> = object.iter().collect();
            head(print, b'{', sorted.len());
            for (key, value) in sorted {
                text(print, key);
                match (key.as_str(), value) {
                    ("action" | "units", Value::String(word)) => text(print, &plain_word(word)),
                    (_, value) => whole(print, value),
                }
            }
        }
        Value::Array(list) => {
            head(print, b'[', list.len());
            list.iter().for_each(|element| whole(print, element));
        }
        other => text(print, &scalar(other)),
    }
}

/// Returns the text of a scalar, the same whether the cloud sent a number or boolean as such or as text.
fn scalar(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}
