//! The observation log and the records beside it in one file, by redb.
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | what is asked of the file takes turns, and nobody waits for a disk without end |
//! | `queue.rs` | writes of records that wait at the same time are one durable transaction |
//! | `opened.rs` | the file in use, and what to do when it cannot be used |
//! | `tables.rs` | the tables |
//! | `schema.rs` | their version, and the log in them |
//! | `records.rs` | the records in them |
//! | `row.rs` | what the log is written as |
//! | `file.rs` | the file itself: whose it is, and whether it is still there |
//!
//! redb works in blocking calls, so each runs on a thread of its own and the gateway waits for it without being
//! blocked: one at a time, in the order in which they came. Behind a disk that hangs there is one thread, and whoever else
//! wants something waits in front of it, no longer than [`PATIENCE`].
//!
//! A failed write leaves the file closed; the next one opens it again. A file that was deleted while it is open
//! is made again with everything in it; one that was replaced is not written to, and the store says so. One that is gone
//! when it is to be opened again is made anew: the log goes on in it behind a gap, and the records are lost.

mod file;
mod opened;
mod queue;
mod records;
mod row;
mod schema;
mod tables;
#[cfg(test)]
mod tests;
mod unusable;

use crate::{
    core::store::{
        Batch, Record, RecordChange, Recovered, Store, StoreError, records::each_key_once,
    },
    model::BackendName,
    store::{
        opened::{Handle, Opened},
        queue::{Queue, Ticket},
        unusable::Unusable,
    },
};
use async_trait::async_trait;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Mutex, task::spawn_blocking, time::timeout};

/// How long anything may take, with the wait for its turn: whoever is called must not wait for a disk that hangs.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A store in one file.
#[derive(Debug)]
pub struct RedbStore {
    /// The turn: a blocking thread has it until it has ended, also if nobody waits for that any more.
    opened: Arc<Mutex<Opened>>,
    queue: Arc<Queue>,
    set_aside: Option<PathBuf>,
}

impl RedbStore {
    /// Opens the file at `path`, or makes it; readable by its owner only.
    ///
    /// A broken store is renamed to `<path>.broken-<time>` and a new one made: the log starts anew, without any record. That
    /// is said in the log, and every position in the broken one is out of range from then on. A store of an older version of
    /// the program is brought forward, after which the older one refuses it.
    ///
    /// # Errors
    /// If it is in use, is no store, was written by a newer version of the program, or cannot be made.
    pub async fn open(path: &Path) -> Result<RedbStore, StoreError> {
        let path = path.to_owned();
        let named = path.display().to_string();
        let result = spawn_blocking(move || RedbStore::open_file(&path)).await;
        let result = result.unwrap_or_else(|_| Err("it cannot be read".to_owned()));
        result.map_err(|why| {
            StoreError(format!(
                "the store {named} (`path` of [store]) cannot be used: {why}"
            ))
        })
    }

    fn open_file(path: &Path) -> Result<RedbStore, String> {
        let why = match RedbStore::try_file(path) {
            Ok(opened) => return Ok(RedbStore::over(opened)),
            Err(Unusable::Refused(why)) => return Err(why),
            Err(Unusable::Corrupt(why)) => why,
        };
        let aside = file::set_aside(path)
            .map_err(|error| format!("it is broken ({why}) and cannot be set aside: {error}"))?;
        tracing::error!(
            why,
            kept_as = %aside.display(),
            "the store is broken; the log starts anew: positions and write tokens from before are out of range, \
             what was kept of writes that were under way is lost, and so are the answers to request ids"
        );
        match RedbStore::try_file(path) {
            Ok(opened) => Ok(RedbStore {
                set_aside: Some(aside),
                ..RedbStore::over(opened)
            }),
            Err(unusable) => Err(unusable.to_string()),
        }
    }

    fn try_file(path: &Path) -> Result<Opened, Unusable> {
        let path = path.to_owned();
        Opened::with(Box::new(move || Handle::at(&path)))
    }

    fn over(opened: Opened) -> RedbStore {
        RedbStore {
            opened: Arc::new(Mutex::new(opened)),
            queue: Arc::default(),
            set_aside: None,
        }
    }

    /// Where the broken file is kept that this one replaces.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Does something with the file when it is its turn, on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Opened) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut opened = Arc::clone(&self.opened).lock_owned().await;
        let done = spawn_blocking(move || work(&mut opened)).await;
        done.unwrap_or_else(|_| Err(StoreError("the store broke while it was used".to_owned())))
    }

    /// As [`RedbStore::blocking`], within [`PATIENCE`].
    async fn bounded<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Opened) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = timeout(PATIENCE, self.blocking(work)).await;
        done.unwrap_or_else(|_| Err(hangs("")))
    }

    /// Waits until somebody who has the turn has done this write with all others that waited, and be it this caller.
    async fn written(&self, ticket: &mut Ticket) -> Result<bool, StoreError> {
        let opened = tokio::select! {
            biased;
            answer = ticket.answer() => return answer,
            opened = Arc::clone(&self.opened).lock_owned() => opened,
        };
        // If it is not waiting any more, its answer is on its way.
        if ticket.is_waiting() {
            let queue = Arc::clone(&self.queue);
            spawn_blocking(move || queue.write_all(opened));
        } else {
            drop(opened);
        }
        ticket.answer().await
    }
}

fn hangs(what_of_it: &str) -> StoreError {
    let limit = PATIENCE.as_secs();
    StoreError(format!(
        "the disk has not answered for {limit} s{what_of_it}"
    ))
}

#[async_trait]
impl Store for RedbStore {
    // At the start, which may wait for a large file.
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        self.blocking(move |opened| opened.begin(at_least)).await
    }

    // As at the start.
    async fn recall(&self, backend: &BackendName) -> Result<Option<Recovered>, StoreError> {
        let backend = backend.clone();
        let recalled = self.blocking(move |opened| opened.recall(&backend)).await;
        recalled.map(Some)
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.bounded(move |opened| opened.commit(&batch)).await
    }

    async fn poll(&self) -> Result<(), StoreError> {
        self.bounded(Opened::poll).await
    }

    fn keeps_records(&self) -> bool {
        true
    }

    async fn records(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        let prefix = prefix.to_owned();
        self.bounded(move |opened| opened.records(&prefix)).await
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        each_key_once(&changes)?;
        let mut ticket = Ticket::take(&self.queue, changes);
        let written = timeout(PATIENCE, self.written(&mut ticket)).await;
        written.unwrap_or_else(|_| {
            Err(hangs(match ticket.withdraw() {
                true => "; nothing was written",
                false => "; it may yet be written",
            }))
        })
    }
}
