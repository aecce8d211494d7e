//! What a part of the configuration says, as a number: equal as long as it says the same. Keyed anew in every process,
//! since secrets may be in what is counted.

use crate::{config::source::Source, core::settings::Identity};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::LazyLock,
};
use toml::de::{DeTable, DeValue};

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The number of these bytes in this process.
pub fn digest(bytes: &[u8]) -> u64 {
    KEY.hash_one(bytes)
}

/// Keys of a backend that say nothing of its dialect.
const BESIDE: [&str; 2] = ["poll", "read_only"];

/// The key of a file whose content is as good as if it stood here. The content of secret files is not: it may change
/// while they are used.
const CONTENT: &str = "ca_file";

/// Everything that is said of a backend but how it is polled and whether it may be written to.
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

/// Each key of a table by its title, as `server.listen`.
pub(super) fn by_key(title: &str, table: &DeTable<'_>) -> BTreeMap<String, u64> {
    let key = |(key, value): (&str, &DeValue<'_>)| {
        let mut hasher = KEY.build_hasher();
        hash(value, &mut hasher);
        (format!("{title}.{key}"), hasher.finish())
    };
    sorted(table).into_iter().map(key).collect()
}

/// However the same is written: inline or not, and in which order.
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
