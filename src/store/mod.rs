//! The observation log in one file, by redb.
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | one batch is one durable transaction; what to do when the file cannot be used |
//! | `schema.rs` | the tables and their version |
//! | `row.rs` | what stands in them |
//!
//! redb works in blocking calls, so each runs on a thread of its own and the gateway waits for it without being
//! blocked. A failed write leaves the file closed; the next batch opens it again.

mod row;
mod schema;
#[cfg(test)]
mod tests;

use crate::core::store::{Batch, Recovered, Store, StoreError};
use async_trait::async_trait;
use redb::{Database, DatabaseError};
use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, TryLockError},
};

/// Memory for pages of the file. What is read at the start is kept elsewhere, so little is enough.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// A store in one file.
#[derive(Debug)]
pub struct RedbStore {
    opened: Arc<Opened>,
    set_aside: Option<PathBuf>,
}

/// The file, as it is opened first and after every failure.
type Opener = dyn Fn() -> Result<Database, DatabaseError> + Send + Sync;

struct Opened {
    open: Box<Opener>,
    /// `None` after a failure. A std mutex: held by blocking threads only.
    database: Mutex<Option<Database>>,
    /// What was read to see whether the file is sound, for the life that begins next.
    read: Mutex<Option<Recovered>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

/// Why a file cannot be used.
#[derive(Debug)]
enum Unusable {
    /// It holds what is no store, or a broken one.
    Corrupt(String),
    /// It may well hold a sound store, which must not be touched.
    Refused(String),
}

impl From<redb::Error> for Unusable {
    fn from(error: redb::Error) -> Unusable {
        match error {
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_) => Unusable::Corrupt(error.to_string()),
            redb::Error::Io(ref inner)
                if matches!(
                    inner.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Unusable::Corrupt(error.to_string())
            }
            redb::Error::DatabaseAlreadyOpen => {
                Unusable::Refused("another process is using it".to_owned())
            }
            other => Unusable::Refused(other.to_string()),
        }
    }
}

impl RedbStore {
    /// Opens the file at `path`, or makes it; readable by its owner only.
    ///
    /// One that is broken is renamed to `<path>.broken` and a new one made: the log starts anew. That is said in
    /// the log, and every position in the broken one is out of range from then on.
    ///
    /// # Errors
    /// If it is in use, was written by a newer version of the program, or cannot be made.
    pub async fn open(path: &Path) -> Result<RedbStore, StoreError> {
        let path = path.to_owned();
        let named = path.display().to_string();
        let result = tokio::task::spawn_blocking(move || RedbStore::open_file(&path)).await;
        let result = result.unwrap_or_else(|_| Err("it cannot be read".to_owned()));
        result.map_err(|why| StoreError(format!("the store {named} cannot be used: {why}")))
    }

    fn open_file(path: &Path) -> Result<RedbStore, String> {
        let refused = match RedbStore::try_file(path) {
            Ok(opened) => {
                return Ok(RedbStore {
                    opened,
                    set_aside: None,
                });
            }
            Err(Unusable::Refused(why)) => return Err(why),
            Err(Unusable::Corrupt(why)) => why,
        };
        let mut aside = path.as_os_str().to_owned();
        aside.push(".broken");
        std::fs::rename(path, &aside).map_err(|error| {
            format!("it is broken ({refused}) and cannot be set aside: {error}")
        })?;
        let aside = PathBuf::from(aside);
        tracing::error!(
            why = refused,
            kept_as = %aside.display(),
            "the store is broken; the log starts anew, and positions and write tokens from before are out of range"
        );
        match RedbStore::try_file(path) {
            Ok(opened) => Ok(RedbStore {
                opened,
                set_aside: Some(aside),
            }),
            Err(Unusable::Refused(why) | Unusable::Corrupt(why)) => Err(why),
        }
    }

    fn try_file(path: &Path) -> Result<Arc<Opened>, Unusable> {
        private(path).map_err(|error| Unusable::Refused(error.to_string()))?;
        let path = path.to_owned();
        let open = move || {
            Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create(&path)
        };
        RedbStore::try_with(Box::new(open))
    }

    fn try_with(open: Box<Opener>) -> Result<Arc<Opened>, Unusable> {
        // redb panics on some files that are none of its own.
        let sound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let database = open().map_err(|error| Unusable::from(redb::Error::from(error)))?;
            schema::prepare(&database)?;
            let read = schema::recover(&database)?;
            Ok((database, read))
        }));
        let (database, read) =
            sound.unwrap_or_else(|_| Err(Unusable::Corrupt("it cannot be read".into())))?;
        Ok(Arc::new(Opened {
            open,
            database: Mutex::new(Some(database)),
            read: Mutex::new(Some(read)),
        }))
    }

    /// Where the broken file is kept that this one replaces.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }
}

impl Opened {
    fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = self.ready(&mut slot)?;
        let (epoch, ended) =
            schema::begin(database, at_least).map_err(|error| StoreError(error.to_string()))?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match read.take() {
            Some(mut recovered) => {
                recovered.epoch = epoch;
                recovered.earlier.extend(ended);
                Ok(recovered)
            }
            None => schema::recover(database).map_err(|error| match error {
                Unusable::Corrupt(why) | Unusable::Refused(why) => StoreError(why),
            }),
        }
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut slot = match self.database.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError("the batch before has not ended yet".to_owned()));
            }
        };
        let database = self.ready(&mut slot)?;
        schema::commit(database, batch).map_err(|error| {
            // After a failed write redb refuses everything until it is opened again.
            *slot = None;
            StoreError(error.to_string())
        })
    }

    fn ready<'a>(&self, slot: &'a mut Option<Database>) -> Result<&'a Database, StoreError> {
        match slot {
            Some(database) => Ok(database),
            None => {
                let database = (self.open)().map_err(|error| StoreError(error.to_string()))?;
                Ok(slot.insert(database))
            }
        }
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        let opened = Arc::clone(&self.opened);
        blocking(move || opened.begin(at_least)).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let opened = Arc::clone(&self.opened);
        blocking(move || opened.commit(&batch)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError("the store broke while it was used".to_owned())))
}

/// Makes the file if it is not there, for its owner alone: names of connections are nobody else's business.
fn private(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
