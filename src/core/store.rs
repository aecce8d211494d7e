//! What outlives the process: the observation log, what is known of each write, and records beside them; and who keeps it.
//!
//! The core decides what is worth keeping and in which order; a store only keeps it. Nothing here is a secret: a
//! connection's key is not known to the log at all.

#[cfg(test)]
pub mod memory;
#[cfg(test)]
pub mod promises;
pub mod records;

use crate::{
    core::watch::{knowledge::Memory, log::observation::Observation},
    model::{BackendName, ConnectionName},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// Keeps the observation log, and records beside it.
///
/// # Behavior
/// - Used by one gateway at a time; `commit` is called by one task, never twice at the same time, and beside any number of
///   calls about records. Neither makes the other fail.
/// - What was committed is there after the process, or the machine, was killed. A batch is kept whole or not
///   at all, and batches in the order in which they came.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Begins a new life of the log, numbered `at_least` or higher and higher than all before, and answers with
    /// everything that was kept.
    ///
    /// # Errors
    /// If the store cannot be used at all. What is only unreadable is set aside, and the log starts anew.
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError>;

    /// What is kept of the log of one backend that comes while the gateway runs: its changes, its connections and up to where
    /// changes are missing; nothing is committed for it meanwhile. `None`, as by default, if nothing is known of what there was.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn recall(&self, _backend: &BackendName) -> Result<Option<Recovered>, StoreError> {
        Ok(None)
    }

    /// Keeps a batch.
    ///
    /// # Errors
    /// If it could not be made durable. It may still have been; committing its steps again changes nothing.
    async fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Looks whether what was committed is still there, and puts that right if it can; asked every
    /// [`Store::check_interval`] in which there is nothing to commit.
    ///
    /// # Errors
    /// If it is not, so that nothing can be kept.
    async fn poll(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// How often to [`Store::poll`]. Default 10 s; `None` is never.
    fn check_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(10))
    }

    /// Whether it is one at all. By default it is; what only stands in for one is not told of.
    fn is_there(&self) -> bool {
        true
    }

    /// Whether records outlive the process. By default they do not.
    fn keeps_records(&self) -> bool {
        false
    }

    /// Reads the records whose key begins so, by key. By default there are none.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn records(&self, _prefix: &str) -> Result<Vec<Record>, StoreError> {
        Ok(Vec::new())
    }

    /// Writes records: all of them or none, and durable when it returns. Answers whether everything that was expected held;
    /// if it did not, nothing was written. May be called by many at the same time, and beside `commit`; of a call that is
    /// dropped, everything is written or nothing. By default nothing is kept.
    ///
    /// A store may lose its records while it is in use, as when its file breaks and is made anew. It says so in the log,
    /// and goes on without them: they are absent then, no revision of before is given again, and what is written with
    /// [`Expect::Anything`] is kept.
    ///
    /// # Errors
    /// If they could not be made durable. They may still have been; writing them again changes nothing. If a key stands
    /// in it twice, which is its caller's mistake: nothing was written.
    async fn write_records(&self, _changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        Ok(true)
    }
}

/// A value that is kept under a key, beside the log: the ledger of writes, and the answers to request ids. Nothing here that
/// a revisioned key-value store shared by several gateways could not keep as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key, of parts joined by `/`.
    pub key: String,
    /// What is kept. Opaque to the store; no secret.
    pub value: Vec<u8>,
    /// Grows with every write of the key, also if it is removed and written again.
    pub revision: u64,
}

/// One change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// Which.
    pub key: String,
    /// What must hold for the whole write to happen.
    pub expect: Expect,
    /// The new value; `None` removes it.
    pub value: Option<Vec<u8>>,
}

/// What is expected of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// That there is none.
    Absent,
    /// That this is its revision.
    Revision(u64),
}

impl Expect {
    /// Whether this is so of a record of that revision, or of none.
    pub fn holds(self, found: Option<u64>) -> bool {
        match self {
            Expect::Anything => true,
            Expect::Absent => found.is_none(),
            Expect::Revision(expected) => found == Some(expected),
        }
    }
}

/// Keeps nothing: the log ends with the process.
#[derive(Debug, Clone, Copy)]
pub struct Volatile;

#[async_trait]
impl Store for Volatile {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        Ok(Recovered {
            epoch: at_least,
            ..Recovered::default()
        })
    }

    async fn commit(&self, _: Batch) -> Result<(), StoreError> {
        Ok(())
    }

    fn check_interval(&self) -> Option<Duration> {
        None
    }

    fn is_there(&self) -> bool {
        false
    }
}

/// Why a store does not keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// What a store kept.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// The life that begins.
    pub epoch: u64,
    /// Lives before it, with the last revision of each. Sequences go on from one to the next.
    pub earlier: BTreeMap<u64, u64>,
    /// The last revision that was given.
    pub last: u64,
    /// The highest revision of every backend that is no longer in `log`, also of those that are not in `floors`.
    pub floor: u64,
    /// The same of single backends, if it is higher.
    pub floors: BTreeMap<BackendName, u64>,
    /// The changes of all connections, in the order of their revision.
    pub log: Vec<Arc<Observation>>,
    /// The connections, each with its newest change.
    pub connections: Vec<(Arc<Observation>, Memory)>,
}

/// What happened since the last batch.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The last revision that was given.
    pub last: u64,
    /// Changes up to here are missing, because they could not be kept when they happened: of every backend,
    /// nothing up to this revision is remembered any more.
    pub gap_until: Option<u64>,
    /// In order.
    pub steps: Vec<Step>,
}

/// One thing to keep, or to forget.
#[derive(Debug, Clone)]
pub enum Step {
    /// A connection changed.
    Change(Arc<Observation>, Arc<Memory>),
    /// The change of this revision left the window of its backend.
    Compact(BackendName, u64),
    /// Nobody has asked for the connection for long.
    Forget(ConnectionName),
}
