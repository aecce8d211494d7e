//! The observation log in one file, by redb.
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | one batch is one durable transaction; what to do when the file cannot be used |
//! | `schema.rs` | the tables and their version |
//! | `row.rs` | what stands in them |
//! | `file.rs` | the file itself: whose it is, and whether it is still there |
//!
//! redb works in blocking calls, so each runs on a thread of its own and the gateway waits for it without being
//! blocked. A failed write leaves the file closed; the next batch opens it again. A file that was deleted while it is open
//! is made again with everything in it; one that was replaced is not written to, and the store says so.

mod file;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod unusable;

use crate::{
    core::store::{Batch, Recovered, Store, StoreError},
    store::{
        file::{Identity, Whereabouts},
        schema::Life,
    },
};
use async_trait::async_trait;
use redb::Database;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
};
use unusable::Unusable;

/// Memory for pages of the file. What is read at the start is kept elsewhere, so little is enough.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// A store in one file.
#[derive(Debug)]
pub struct RedbStore {
    opened: Arc<Opened>,
    set_aside: Option<PathBuf>,
}

/// The file, as it is opened first, after every failure, and when it is gone.
type Opener = dyn Fn() -> Result<Handle, Unusable> + Send + Sync;

struct Opened {
    open: Box<Opener>,
    /// `None` after a failure. A std mutex: held by blocking threads only.
    handle: Mutex<Option<Handle>>,
    /// What was read to see whether the file is sound, for the life that begins next.
    read: Mutex<Option<Recovered>>,
    /// The life that began, so that a file made anew goes on with it.
    life: Mutex<Option<Life>>,
}

/// An open file.
struct Handle {
    database: Database,
    /// Where it is and which file that is; `None` for one that has no name.
    place: Option<(PathBuf, Identity)>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

impl RedbStore {
    /// Opens the file at `path`, or makes it; readable by its owner only.
    ///
    /// A broken store is renamed to `<path>.broken-<time>` and a new one made: the log starts anew. That is said in
    /// the log, and every position in the broken one is out of range from then on.
    ///
    /// # Errors
    /// If it is in use, is no store, was written by a newer version of the program, or cannot be made.
    pub async fn open(path: &Path) -> Result<RedbStore, StoreError> {
        let path = path.to_owned();
        let named = path.display().to_string();
        let result = tokio::task::spawn_blocking(move || RedbStore::open_file(&path)).await;
        let result = result.unwrap_or_else(|_| Err("it cannot be read".to_owned()));
        result.map_err(|why| {
            StoreError(format!(
                "the store {named} (`path` of [store]) cannot be used: {why}"
            ))
        })
    }

    fn open_file(path: &Path) -> Result<RedbStore, String> {
        let why = match RedbStore::try_file(path) {
            Ok(opened) => {
                return Ok(RedbStore {
                    opened,
                    set_aside: None,
                });
            }
            Err(Unusable::Refused(why)) => return Err(why),
            Err(Unusable::Corrupt(why)) => why,
        };
        let aside = file::set_aside(path)
            .map_err(|error| format!("it is broken ({why}) and cannot be set aside: {error}"))?;
        tracing::error!(
            why,
            kept_as = %aside.display(),
            "the store is broken; the log starts anew, and positions and write tokens from before are out of range"
        );
        match RedbStore::try_file(path) {
            Ok(opened) => Ok(RedbStore {
                opened,
                set_aside: Some(aside),
            }),
            Err(unusable) => Err(unusable.to_string()),
        }
    }

    fn try_file(path: &Path) -> Result<Arc<Opened>, Unusable> {
        let path = path.to_owned();
        RedbStore::try_with(Box::new(move || Handle::at(&path)))
    }

    fn try_with(open: Box<Opener>) -> Result<Arc<Opened>, Unusable> {
        // redb panics on some broken files.
        let sound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let handle = open()?;
            schema::prepare(&handle.database)?;
            let read = schema::recover(&handle.database)?;
            Ok((handle, read))
        }));
        let (handle, read) =
            sound.unwrap_or_else(|_| Err(Unusable::Corrupt("it cannot be read".into())))?;
        Ok(Arc::new(Opened {
            open,
            handle: Mutex::new(Some(handle)),
            read: Mutex::new(Some(read)),
            life: Mutex::default(),
        }))
    }

    /// Where the broken file is kept that this one replaces.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }
}

impl Handle {
    fn at(path: &Path) -> Result<Handle, Unusable> {
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
    fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        let mut slot = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        let database = self.ready(&mut slot)?;
        let (epoch, ended) =
            schema::begin(database, at_least).map_err(|error| StoreError(error.to_string()))?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let recovered = match read.take() {
            Some(mut recovered) => {
                recovered.epoch = epoch;
                recovered.earlier.extend(ended);
                recovered
            }
            None => schema::recover(database)?,
        };
        *self.life() = Some(Life {
            epoch,
            earlier: recovered.earlier.clone(),
        });
        Ok(recovered)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut slot = self.slot()?;
        let database = self.ready(&mut slot)?;
        schema::commit(database, batch).map_err(|error| {
            // After a failed write redb refuses everything until it is opened again.
            *slot = None;
            StoreError(error.to_string())
        })
    }

    fn poll(&self) -> Result<(), StoreError> {
        let mut slot = self.slot()?;
        self.ready(&mut slot).map(drop)
    }

    fn slot(&self) -> Result<MutexGuard<'_, Option<Handle>>, StoreError> {
        match self.handle.try_lock() {
            Ok(slot) => Ok(slot),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError("the batch before has not ended yet".to_owned()))
            }
        }
    }

    /// The file, open and in its place.
    fn ready<'a>(&self, slot: &'a mut Option<Handle>) -> Result<&'a Database, StoreError> {
        let handle = match slot.take() {
            Some(handle) => match self.in_place(&handle) {
                Ok(None) => handle,
                Ok(Some(anew)) => anew,
                Err(error) => {
                    *slot = Some(handle);
                    return Err(error);
                }
            },
            None => self.again()?,
        };
        Ok(&slot.insert(handle).database)
    }

    /// Sees whether the file is still where it was. If it was deleted, what it holds is not lost as long as it is open:
    /// the new file has all of it.
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
                        // Half a copy would be taken for somebody else's file.
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

    /// Opens the file again after a failure. If it is a new one by now, this life goes on in it, behind a gap.
    fn again(&self) -> Result<Handle, StoreError> {
        let handle = (self.open)()?;
        let life = self.life();
        let Some(life) = life.as_ref() else {
            return Ok(handle);
        };
        schema::prepare(&handle.database)?;
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
                    "the store was made anew; positions and write tokens from before are out of range after a restart"
                );
            }
        }
        Ok(handle)
    }

    fn life(&self) -> MutexGuard<'_, Option<Life>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
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

    async fn poll(&self) -> Result<(), StoreError> {
        let opened = Arc::clone(&self.opened);
        blocking(move || opened.poll()).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError("the store broke while it was used".to_owned())))
}
