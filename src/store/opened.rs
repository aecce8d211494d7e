//! The file while it is in use. It is reopened after a failure, and recreated when it is gone. Each caller has it
//! exclusively; `mod.rs` says how callers take turns.

use crate::{
    core::store::{Batch, Record, RecordChange, Recovered, StoreError},
    model::BackendName,
    store::{
        file::{self, Identity, Whereabouts},
        records,
        schema::{self, Life},
        unusable::Unusable,
    },
};
use redb::Database;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// The memory for cached pages. What is read at the start is kept elsewhere, so little is enough.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Opens the file: at first, after every failure, and when it is gone.
pub type Opener = dyn Fn() -> Result<Handle, Unusable> + Send + Sync;

/// The file, and what has to be known when another file takes its place.
pub struct Opened {
    open: Box<Opener>,
    /// `None` after a failure.
    handle: Option<Handle>,
    /// What was read to check the file. The next [`Opened::begin`] returns it.
    read: Option<Recovered>,
    /// The current epoch of the log, so that a recreated file continues it.
    life: Option<Life>,
    /// The last record revision that may have been assigned, so that a recreated file assigns none twice.
    revision: u64,
}

pub struct Handle {
    pub database: Database,
    /// The path and the identity of the file; `None` if it has no path.
    pub place: Option<(PathBuf, Identity)>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

impl Handle {
    /// Opens the file at `path`, or creates it.
    ///
    /// # Errors
    /// Fails if the file is broken, or cannot or must not be used.
    pub fn at(path: &Path) -> Result<Handle, Unusable> {
        let refused = |error: io::Error| Unusable::Refused(error.to_string());
        let file = file::open(path).map_err(refused)?;
        let identity = Identity::of(&file.metadata().map_err(refused)?);
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_file(file)
            .map_err(redb::Error::from)?;
        Ok(Handle {
            database,
            place: Some((path.to_owned(), identity)),
        })
    }
}

impl Opened {
    /// Opens a file, migrates it and reads all of its content.
    ///
    /// # Errors
    /// Fails if the file is broken, or cannot or must not be used.
    pub fn with(open: Box<Opener>) -> Result<Opened, Unusable> {
        // redb panics on some broken files.
        let sound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let handle = open()?;
            schema::prepare(&handle.database)?;
            let read = schema::recover(&handle.database)?;
            let revision = records::check(&handle.database)?;
            Ok((handle, read, revision))
        }));
        let (handle, read, revision) =
            sound.unwrap_or_else(|_| Err(Unusable::Corrupt("it cannot be read".into())))?;
        Ok(Opened {
            open,
            handle: Some(handle),
            read: Some(read),
            life: None,
            revision,
        })
    }

    /// Begins an epoch of the log.
    ///
    /// # Errors
    /// Fails if the file cannot be used.
    pub fn begin(&mut self, at_least: u64) -> Result<Recovered, StoreError> {
        self.ready()?;
        let began = self.with_database(|database, _| schema::begin(database, at_least));
        let (epoch, ended) = began?;
        let recovered = match self.read.take() {
            Some(mut recovered) => {
                recovered.epoch = epoch;
                recovered.earlier.extend(ended);
                recovered
            }
            None => schema::recover(self.ready()?)?,
        };
        self.life = Some(Life {
            epoch,
            earlier: recovered.earlier.clone(),
        });
        Ok(recovered)
    }

    /// Reads what is kept of the log of one backend.
    ///
    /// # Errors
    /// Fails if the file cannot be used.
    pub fn recall(&mut self, backend: &BackendName) -> Result<Recovered, StoreError> {
        Ok(schema::recall(self.ready()?, backend)?)
    }

    /// Writes a batch of the log.
    ///
    /// # Errors
    /// Fails if the batch could not be made durable.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.with_database(|database, _| schema::commit(database, batch))
    }

    /// Checks that the file is in place, and recreates it if it was deleted.
    ///
    /// # Errors
    /// Fails if the file is not in place and cannot be recreated.
    pub fn poll(&mut self) -> Result<(), StoreError> {
        self.ready().map(drop)
    }

    /// Reads the records whose keys begin with `prefix`.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn records(&mut self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        self.with_database(|database, _| records::under(database, prefix))
    }

    /// Performs several writes of records in one transaction. Each write is done as a whole, or not at all if its
    /// expectations do not hold. All that are done become durable together. Returns which were done.
    ///
    /// # Errors
    /// Fails for all of them if they could not be made durable.
    pub fn write_records(&mut self, writes: &[Vec<RecordChange>]) -> Result<Vec<bool>, StoreError> {
        self.with_database(|database, revision| records::write(database, writes, revision))
    }

    /// Closes the file, as a failed write does.
    #[cfg(test)]
    pub fn close(&mut self) {
        self.handle = None;
    }

    fn with_database<T>(
        &mut self,
        work: impl FnOnce(&Database, &mut u64) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.ready()?;
        let Some(handle) = &self.handle else {
            return Err(StoreError("its file is not open".to_owned()));
        };
        work(&handle.database, &mut self.revision).map_err(|error| {
            // After a failed write, redb refuses every operation until the file is reopened.
            self.handle = None;
            StoreError(error.to_string())
        })
    }

    /// Returns the database, open and in place.
    fn ready(&mut self) -> Result<&Database, StoreError> {
        let handle = match self.handle.take() {
            Some(handle) => match self.in_place(&handle) {
                Ok(None) => handle,
                Ok(Some(anew)) => anew,
                Err(error) => {
                    self.handle = Some(handle);
                    return Err(error);
                }
            },
            None => self.again()?,
        };
        Ok(&self.handle.insert(handle).database)
    }

    /// Checks that the file is still in place. If it was deleted, its content remains readable while it is open, so it
    /// is copied to a new file, which is returned.
    fn in_place(&self, handle: &Handle) -> Result<Option<Handle>, StoreError> {
        let Some((path, identity)) = &handle.place else {
            return Ok(None);
        };
        let named = path.display();
        let found = file::whereabouts(path, *identity)
            .map_err(|error| StoreError(format!("{named} cannot be looked at: {error}")))?;
        match found {
            Whereabouts::Here => Ok(None),
            Whereabouts::Replaced => Err(StoreError(format!(
                "{named} was replaced by another file while it was in use: move that away, or restart to begin with it"
            ))),
            Whereabouts::Gone => {
                let anew = (self.open)().and_then(|anew| {
                    let copied = schema::copy(&handle.database, &anew.database);
                    copied.map(|()| anew).map_err(|error| {
                        // A partial copy would be taken for another process's file.
                        let _ = fs::remove_file(path);
                        Unusable::from(error)
                    })
                });
                let anew = anew.map_err(|why| {
                    StoreError(format!(
                        "{named} was deleted while it was in use, and cannot be made again: {why}"
                    ))
                })?;
                tracing::warn!(
                    path = %named,
                    "the store was deleted while it was in use; it was made again with everything that was in it"
                );
                Ok(Some(anew))
            }
        }
    }

    /// Reopens the file after a failure. If the file is a new one, the current epoch continues in it, behind a gap and
    /// without the earlier records.
    fn again(&self) -> Result<Handle, StoreError> {
        let handle = (self.open)()?;
        schema::prepare(&handle.database)?;
        let Some(life) = &self.life else {
            return Ok(handle);
        };
        let known = schema::epoch(&handle.database).map_err(Unusable::from)?;
        match known {
            Some(epoch) if epoch == life.epoch => {}
            Some(_) => {
                return Err(StoreError(
                    "its file was replaced by another store: move that away, or restart to begin with it".to_owned(),
                ));
            }
            None => {
                schema::go_on(&handle.database, life).map_err(Unusable::from)?;
                tracing::warn!(
                    "the store was made anew; positions and write tokens from before are out of range after a restart, \
                     and its records are lost: what is kept of writes that are under way, and of answers to request ids"
                );
            }
        }
        Ok(handle)
    }
}
