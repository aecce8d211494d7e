//! Operations on the table of records, each in one transaction.

use crate::{
    core::store::{Record, RecordChange},
    store::{
        tables::{META, RECORDS},
        unusable::Unusable,
    },
};
use redb::{Database, ReadableDatabase, ReadableTable, Table};

/// The key in `meta` of the last assigned record revision. It outlives the record, so no revision is assigned twice.
const REVISION: &str = "record_revision";

type Rows<'txn> = Table<'txn, &'static str, (u64, &'static [u8])>;

/// Checks that all records can be read, and returns the last assigned revision.
///
/// # Errors
/// `Corrupt` if a record has a revision that was never assigned.
pub fn check(database: &Database) -> Result<u64, Unusable> {
    let read = database.begin_read().map_err(redb::Error::from)?;
    let meta = read.open_table(META).map_err(redb::Error::from)?;
    let last = meta.get(REVISION).map_err(redb::Error::from)?;
    let last = last.map_or(0, |last| last.value());
    drop(read);
    let all = under(database, "")?;
    match all.iter().find(|record| record.revision > last) {
        None => Ok(last),
        Some(record) => Err(Unusable::Corrupt(format!(
            "a record has revision {}, and the last is {last}",
            record.revision
        ))),
    }
}

/// Returns the records whose keys begin with `prefix`.
pub fn under(database: &Database, prefix: &str) -> Result<Vec<Record>, redb::Error> {
    let rows = database.begin_read()?.open_table(RECORDS)?;
    let mut found = Vec::new();
    for item in rows.range(prefix..)? {
        let (key, row) = item?;
        if !key.value().starts_with(prefix) {
            break;
        }
        let (revision, value) = row.value();
        found.push(Record {
            key: key.value().to_owned(),
            value: value.to_owned(),
            revision,
        });
    }
    Ok(found)
}

/// Performs several writes in order. Each is done as a whole, or not at all if its expectations do not hold at that
/// point. Returns which were done. `revision` is the last that may have been assigned, in this file or an earlier one.
pub fn write(
    database: &Database,
    writes: &[Vec<RecordChange>],
    revision: &mut u64,
) -> Result<Vec<bool>, redb::Error> {
    let write = database.begin_write()?;
    let mut done = Vec::with_capacity(writes.len());
    {
        let mut meta = write.open_table(META)?;
        let mut rows = write.open_table(RECORDS)?;
        let last = meta.get(REVISION)?.map_or(0, |last| last.value());
        *revision = last.max(*revision);
        for changes in writes {
            let holds = all_hold(&rows, changes)?;
            if holds {
                *revision += 1;
                apply(&mut rows, changes, *revision)?;
            }
            done.push(holds);
        }
        meta.insert(REVISION, *revision)?;
    }
    match done.contains(&true) {
        true => write.commit()?,
        false => write.abort()?,
    }
    Ok(done)
}

fn all_hold(rows: &Rows<'_>, changes: &[RecordChange]) -> Result<bool, redb::Error> {
    for change in changes {
        let found = rows.get(change.key.as_str())?.map(|row| row.value().0);
        if !change.expect.holds(found) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn apply(rows: &mut Rows<'_>, changes: &[RecordChange], revision: u64) -> Result<(), redb::Error> {
    for change in changes {
        let key = change.key.as_str();
        match &change.value {
            Some(value) => drop(rows.insert(key, (revision, value.as_slice()))?),
            None => drop(rows.remove(key)?),
        }
    }
    Ok(())
}
