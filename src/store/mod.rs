//! The observation log and the records beside it, in one redb file.
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | operations on the file take turns, and no caller waits longer for a disk than its limit |
//! | `queue.rs` | waiting writes of records share one durable transaction |
//! | `opened.rs` | the file in use, and what to do when it cannot be used |
//! | `tables.rs` | the tables |
//! | `schema.rs` | the version of the tables, and the operations on the log |
//! | `records.rs` | the operations on the records |
//! | `row.rs` | the format of the rows |
//! | `file.rs` | the file itself: its owner, and whether it is still in place |
//!
//! redb's calls block, so each runs on a thread for blocking work, and the gateway awaits it. The calls run one at a
//! time, in the order of arrival. If the disk hangs, one thread hangs with it. All other callers wait for their turn,
//! no longer than [`PATIENCE`].
//!
//! A failed write closes the file, and the next operation opens it again. If the open file was deleted, the store
//! recreates it with its whole content. If it was replaced, the store does not write to it and reports an error. If it
//! is gone when it is to be reopened, the store creates it anew: the log goes on behind a gap, and the records are
//! lost.

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

/// How long an operation may take, including the wait for its turn, so that no caller waits for a disk that hangs.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A store in one file.
#[derive(Debug)]
pub struct RedbStore {
    /// The turn. A blocking thread holds it until it ends, even if its caller has gone.
    opened: Arc<Mutex<Opened>>,
    queue: Arc<Queue>,
    set_aside: Option<PathBuf>,
}

impl RedbStore {
    /// Opens the file at `path`, or creates it, readable by its owner only.
    ///
    /// A broken store is renamed to `<path>.broken-<time>` and replaced by a new one: the log starts anew, without
    /// records. The store logs that as an error, and every position in the broken store is out of range. A store of an
    /// older version of the program is migrated. After that, the older version refuses it.
    ///
    /// # Errors
    /// Fails if the file is in use, is not a store, was written by a newer version of the program, or cannot be
    /// created.
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

    /// Where the broken file is kept that this store replaces.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Waits for the turn, then runs `work` on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Opened) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut opened = Arc::clone(&self.opened).lock_owned().await;
        let done = spawn_blocking(move || work(&mut opened)).await;
        done.unwrap_or_else(|_| Err(StoreError("the store broke while it was used".to_owned())))
    }

    /// Does the same as [`RedbStore::blocking`], within [`PATIENCE`].
    async fn bounded<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Opened) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = timeout(PATIENCE, self.blocking(work)).await;
        done.unwrap_or_else(|_| Err(hangs("")))
    }

    /// Waits for the turn or for the answer. A caller that gets the turn while its write still waits performs all
    /// waiting writes.
    async fn written(&self, ticket: &mut Ticket) -> Result<bool, StoreError> {
        let opened = tokio::select! {
            biased;
            answer = ticket.answer() => return answer,
            opened = Arc::clone(&self.opened).lock_owned() => opened,
        };
        // A write that is not waiting is being performed; its answer will come.
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
    // No time limit: at the start, reading a large file may take long.
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        self.blocking(move |opened| opened.begin(at_least)).await
    }

    // No time limit, as in `begin`.
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
