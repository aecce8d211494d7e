//! The tables.

use redb::TableDefinition;

/// `version`, `epoch`, `last`; `floor`: the highest revision that is no longer in `log` for any backend;
/// `record_revision`.
pub const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// The earlier epochs of the log, with the last revision of each.
pub const EPOCHS: TableDefinition<'_, u64, u64> = TableDefinition::new("epochs");
/// For each backend, the highest revision that is no longer in `log`.
pub const FLOORS: TableDefinition<'_, &str, u64> = TableDefinition::new("floors");
/// The changes by revision.
pub const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// The connections by name.
pub const CONNECTIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("connections");
/// The records by key: revision and value. Since version 2.
pub const RECORDS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("records");
