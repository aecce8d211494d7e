//! The version of the tables, and the operations on the log, each in one transaction.

use crate::{
    core::store::{Batch, Recovered, Step},
    model::BackendName,
    store::{
        row,
        tables::{CONNECTIONS, EPOCHS, FLOORS, LOG, META, RECORDS},
        unusable::Unusable,
    },
};
use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, TableError, TableHandle, Value, WriteTransaction,
};
use std::collections::BTreeMap;

/// The version that this program reads and writes. [`MIGRATIONS`] upgrade a file of an older version.
pub const VERSION: u64 = 2;

/// How many earlier epochs are remembered. A position of an older one is out of range.
const LIVES: u64 = 1_000;

/// The migration at index `i` upgrades a file from version `i + 1` to the next.
pub type Migration = fn(&WriteTransaction) -> Result<(), redb::Error>;
const MIGRATIONS: &[Migration] = &[|write| {
    write.open_table(RECORDS)?;
    Ok(())
}];

/// One epoch of the log, from a start of the gateway to its end.
#[derive(Debug, Clone)]
pub struct Life {
    pub epoch: u64,
    /// The earlier epochs, with the last revision of each.
    pub earlier: BTreeMap<u64, u64>,
}

/// Creates the tables, or migrates them.
///
/// # Errors
/// `Refused` if a newer version of the program, or another program, wrote the file.
pub fn prepare(database: &Database) -> Result<(), Unusable> {
    bring_forward(database, VERSION, MIGRATIONS)
}

/// Does the same as [`prepare`], for any version.
pub fn bring_forward(
    database: &Database,
    to: u64,
    migrations: &[Migration],
) -> Result<(), Unusable> {
    let read = database.begin_read().map_err(redb::Error::from)?;
    let tables = read.list_tables().map_err(redb::Error::from)?;
    let tables: Vec<String> = tables.map(|table| table.name().to_owned()).collect();
    drop(read);
    if !tables.is_empty() && !tables.iter().any(|table| table == META.name()) {
        return Err(anothers());
    }
    let write = database.begin_write().map_err(redb::Error::from)?;
    let found = {
        let meta = write.open_table(META).map_err(|error| match error {
            TableError::TableTypeMismatch { .. } | TableError::TableIsMultimap(_) => anothers(),
            other => redb::Error::from(other).into(),
        })?;
        let found = meta.get("version").map_err(redb::Error::from)?;
        found.map(|version| version.value())
    };
    match found {
        Some(version) if version > to => {
            return Err(Unusable::Refused(format!(
                "its schema has version {version}, and this program knows up to {to}: \
                 run the newer program again, or move the file away to start a new log"
            )));
        }
        Some(version) => {
            let outstanding = migrations.iter().skip(version.saturating_sub(1) as usize);
            for (migration, step) in outstanding.zip(version..to) {
                tracing::info!(from = step, to = step + 1, "bringing the store forward");
                migration(&write)?;
            }
        }
        None => {
            write.open_table(EPOCHS).map_err(redb::Error::from)?;
            write.open_table(FLOORS).map_err(redb::Error::from)?;
            write.open_table(LOG).map_err(redb::Error::from)?;
            write.open_table(CONNECTIONS).map_err(redb::Error::from)?;
            write.open_table(RECORDS).map_err(redb::Error::from)?;
        }
    }
    {
        let mut meta = write.open_table(META).map_err(redb::Error::from)?;
        meta.insert("version", to).map_err(redb::Error::from)?;
    }
    write.commit().map_err(redb::Error::from)?;
    Ok(())
}

fn anothers() -> Unusable {
    Unusable::Refused(
        "it is another program's database, and is left as it is: name a file that is not there yet, or one that \
         Isthmus made"
            .to_owned(),
    )
}

/// Returns the current epoch; `None` if no epoch has begun in the file.
pub fn epoch(database: &Database) -> Result<Option<u64>, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    Ok(meta.get("epoch")?.map(|epoch| epoch.value()))
}

/// Continues an epoch in a file that does not know it. The first batch after that must record the gap: the revision at
/// which the missing changes end.
pub fn go_on(database: &Database, life: &Life) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        write.open_table(META)?.insert("epoch", life.epoch)?;
        let mut epochs = write.open_table(EPOCHS)?;
        for (epoch, last) in &life.earlier {
            epochs.insert(epoch, last)?;
        }
    }
    write.commit()?;
    Ok(())
}

/// Copies everything from one file to another, or nothing.
pub fn copy(from: &Database, to: &Database) -> Result<(), redb::Error> {
    let read = from.begin_read()?;
    let write = to.begin_write()?;
    copy_table(&read, &write, META)?;
    copy_table(&read, &write, EPOCHS)?;
    copy_table(&read, &write, FLOORS)?;
    copy_table(&read, &write, LOG)?;
    copy_table(&read, &write, CONNECTIONS)?;
    copy_table(&read, &write, RECORDS)?;
    write.commit()?;
    Ok(())
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    write: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let from = read.open_table(table)?;
    let mut to = write.open_table(table)?;
    for item in from.iter()? {
        let (key, value) = item?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}

/// Begins a new epoch of the log. Returns it, and the epoch before it with its last revision.
pub fn begin(database: &Database, at_least: u64) -> Result<(u64, Option<(u64, u64)>), redb::Error> {
    let write = database.begin_write()?;
    let began = {
        let mut meta = write.open_table(META)?;
        let mut epochs = write.open_table(EPOCHS)?;
        let before = meta.get("epoch")?.map(|epoch| epoch.value());
        let last = meta.get("last")?.map_or(0, |last| last.value());
        let ended = before.map(|before| (before, last));
        if let Some((before, last)) = ended {
            epochs.insert(before, last)?;
        }
        while epochs.len()? > LIVES {
            epochs.pop_first()?;
        }
        // Epochs grow even if the clock was set back.
        let epoch = at_least.max(before.map_or(0, |before| before + 1));
        meta.insert("epoch", epoch)?;
        (epoch, ended)
    };
    write.commit()?;
    Ok(began)
}

/// Reads what is kept of the log of one backend.
pub fn recall(database: &Database, backend: &BackendName) -> Result<Recovered, Unusable> {
    let read = database.begin_read().map_err(redb::Error::from)?;
    let floors = read.open_table(FLOORS).map_err(redb::Error::from)?;
    let floor = floors.get(backend.as_str()).map_err(redb::Error::from)?;
    if floor.is_some() {
        let mut all = recover(database)?;
        all.floors.retain(|of, _| of == backend);
        all.log.retain(|change| change.name.backend == *backend);
        all.connections
            .retain(|(latest, _)| latest.name.backend == *backend);
        return Ok(all);
    }
    // Most backends that are added were never here. No need to read a long log to see that.
    let meta = read.open_table(META).map_err(redb::Error::from)?;
    let floor = meta.get("floor").map_err(redb::Error::from)?;
    Ok(Recovered {
        floor: floor.map_or(0, |floor| floor.value()),
        ..Recovered::default()
    })
}

/// Reads everything that is kept.
pub fn recover(database: &Database) -> Result<Recovered, Unusable> {
    let corrupt = Unusable::Corrupt;
    let read = database.begin_read().map_err(redb::Error::from)?;
    let meta = read.open_table(META).map_err(redb::Error::from)?;
    let number = |key: &str| -> Result<u64, redb::Error> {
        Ok(meta.get(key)?.map_or(0, |value| value.value()))
    };
    let mut recovered = Recovered {
        epoch: number("epoch")?,
        last: number("last")?,
        floor: number("floor")?,
        ..Recovered::default()
    };
    let epochs = read.open_table(EPOCHS).map_err(redb::Error::from)?;
    for item in epochs.iter().map_err(redb::Error::from)? {
        let (epoch, last) = item.map_err(redb::Error::from)?;
        recovered.earlier.insert(epoch.value(), last.value());
    }
    let floors = read.open_table(FLOORS).map_err(redb::Error::from)?;
    for item in floors.iter().map_err(redb::Error::from)? {
        let (backend, floor) = item.map_err(redb::Error::from)?;
        let backend = backend.value().parse();
        let backend = backend.map_err(|_| corrupt("a backend's name is none".to_owned()))?;
        recovered.floors.insert(backend, floor.value());
    }
    let log = read.open_table(LOG).map_err(redb::Error::from)?;
    for item in log.iter().map_err(redb::Error::from)? {
        let (_, change) = item.map_err(redb::Error::from)?;
        let change = row::read_change(change.value()).map_err(corrupt)?;
        recovered.log.push(change);
    }
    let connections = read.open_table(CONNECTIONS).map_err(redb::Error::from)?;
    for item in connections.iter().map_err(redb::Error::from)? {
        let (_, connection) = item.map_err(redb::Error::from)?;
        let connection = row::read_connection(connection.value()).map_err(corrupt)?;
        recovered.connections.push(connection);
    }
    Ok(recovered)
}

/// Writes a batch.
pub fn commit(database: &Database, batch: &Batch) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        let mut floors = write.open_table(FLOORS)?;
        let mut log = write.open_table(LOG)?;
        let mut connections = write.open_table(CONNECTIONS)?;
        meta.insert("last", batch.last)?;
        for step in &batch.steps {
            match step {
                Step::Change(change, memory) => {
                    log.insert(change.revision, row::change(change).as_slice())?;
                    let name = change.name.to_string();
                    let row = row::connection(change, memory);
                    connections.insert(name.as_str(), row.as_slice())?;
                    // So that every backend with any content has a row for its gap.
                    let backend = change.name.backend.as_str();
                    let known = floors.get(backend)?.is_some();
                    if !known {
                        floors.insert(backend, 0)?;
                    }
                }
                Step::Compact(backend, revision) => {
                    log.remove(revision)?;
                    floors.insert(backend.as_str(), revision)?;
                }
                Step::Forget(name) => {
                    connections.remove(name.to_string().as_str())?;
                }
            }
        }
        if let Some(gap) = batch.gap_until {
            // For backends without content here, too: theirs may have been in a file that is lost.
            meta.insert("floor", gap)?;
            log.retain_in(..=gap, |_, _| false)?;
            let mut all = Vec::new();
            for item in floors.iter()? {
                all.push(item?.0.value().to_owned());
            }
            for backend in all {
                floors.insert(backend.as_str(), gap)?;
            }
        }
    }
    write.commit()?;
    Ok(())
}
