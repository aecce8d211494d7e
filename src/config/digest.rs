//! Digests of parts of the configuration. Two digests are equal as long as the parts say the same. The hash key is
//! random in every process, because the parts may hold secrets.

use crate::{config::source::Source, core::settings::Identity};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::LazyLock,
};
use toml::de::{DeTable, DeValue};

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

pub fn digest(bytes: &[u8]) -> u64 {
    KEY.hash_one(bytes)
}

/// Keys of a backend that do not concern its dialect.
const BESIDE: [&str; 2] = ["poll", "read_only"];

/// The key of a file whose content counts as if it stood in the configuration. The content of secret files does not
/// count: it may change while they are in use.
const CONTENT: &str = "ca_file";

/// The digest of a whole backend table except [`BESIDE`].
pub(super) fn identity(backend: &DeTable<'_>, source: &Source<'_>) -> Identity {
    let mut hasher = KEY.build_hasher();
    for (key, value) in sorted(backend) {
        if !BESIDE.contains(&key) {
            key.hash(&mut hasher);
            hash(value, &mut hasher);
        }
        if key == CONTENT
            && let Some(path) = value.as_str()
        {
            let content = source.surroundings().plain_file(&source.file(path));
            content.unwrap_or_default().hash(&mut hasher);
        }
    }
    Identity::of_hash(hasher.finish())
}

/// The digest of each key of a table, by title and key: `server.listen`.
pub(super) fn by_key(title: &str, table: &DeTable<'_>) -> BTreeMap<String, u64> {
    let key = |(key, value): (&str, &DeValue<'_>)| {
        let mut hasher = KEY.build_hasher();
        hash(value, &mut hasher);
        (format!("{title}.{key}"), hasher.finish())
    };
    sorted(table).into_iter().map(key).collect()
}

/// Sorts the entries, so that neither their order nor inline syntax affects a digest.
fn sorted<'a>(table: &'a DeTable<'_>) -> BTreeMap<&'a str, &'a DeValue<'a>> {
    let entries = table.iter();
    entries
        .map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()))
        .collect()
}

fn hash(value: &DeValue<'_>, hasher: &mut impl Hasher) {
    value.type_str().hash(hasher);
    match value {
        DeValue::String(text) => text.hash(hasher),
        DeValue::Integer(number) => (number.as_str(), number.radix()).hash(hasher),
        DeValue::Float(number) => number.as_str().hash(hasher),
        DeValue::Boolean(flag) => flag.hash(hasher),
        DeValue::Datetime(time) => time.to_string().hash(hasher),
        DeValue::Array(items) => {
            items.len().hash(hasher);
            for item in items.iter() {
                hash(item.get_ref(), hasher);
            }
        }
        DeValue::Table(table) => {
            let entries = sorted(table);
            entries.len().hash(hasher);
            for (key, value) in entries {
                key.hash(hasher);
                hash(value, hasher);
            }
        }
    }
}
