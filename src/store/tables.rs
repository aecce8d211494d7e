//! The tables.

use redb::TableDefinition;

/// `version`, `epoch`, `last`, `floor`: the highest revision that is in `log` of no backend any more; `record_revision`.
pub const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Earlier lives of the log, with the last revision of each.
pub const EPOCHS: TableDefinition<'_, u64, u64> = TableDefinition::new("epochs");
/// Per backend the highest revision that is no longer in `log`.
pub const FLOORS: TableDefinition<'_, &str, u64> = TableDefinition::new("floors");
/// The changes by their revision.
pub const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// The connections by their name.
pub const CONNECTIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("connections");
/// The records by their key: revision and value. Since version 2.
pub const RECORDS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("records");
