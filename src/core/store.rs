//! What outlives the process: the observation log, what is known of each write, and records beside the log; and the
//! store that keeps it.
//!
//! The core decides what is worth keeping and in which order; a store only keeps it. Nothing here is secret: the log
//! never sees a connection's key.

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
/// - One gateway uses a store at a time. One task calls `commit`, never concurrently with itself, but concurrently with
///   any number of calls about records. Neither makes the other fail.
/// - What was committed survives a kill of the process or the machine. A batch is kept whole or not at all, and batches
///   are kept in the order in which they came.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Begins a new epoch of the log, at least `at_least` and higher than all before. Returns everything that was kept.
    ///
    /// # Errors
    /// If the store cannot be used at all. Content that is merely unreadable is set aside, and the log starts anew.
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError>;

    /// Returns what is kept of the log of a backend that is added while the gateway runs: its changes, its connections,
    /// and up to which revision changes are missing. Nothing is committed for the backend during the call. `None`, the
    /// default, means that nothing is known of it.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn recall(&self, _backend: &BackendName) -> Result<Option<Recovered>, StoreError> {
        Ok(None)
    }

    /// Keeps a batch.
    ///
    /// # Errors
    /// If the batch could not be made durable. It may still have been; committing its steps again changes nothing.
    async fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Checks that what was committed is still there, and repairs the store if it can. Called every
    /// [`Store::check_interval`] while there is nothing to commit.
    ///
    /// # Errors
    /// If it is not there, so that nothing can be kept.
    async fn poll(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// How often to call [`Store::poll`]. The default is 10 s; `None` means never.
    fn check_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(10))
    }

    /// Reports whether this is a real store, the default. A stand-in that keeps nothing returns `false`, and its
    /// commits are not measured.
    fn is_there(&self) -> bool {
        true
    }

    /// Reports whether records outlive the process. By default they do not.
    fn keeps_records(&self) -> bool {
        false
    }

    /// Returns the records whose key starts with `prefix`, ordered by key. The default returns none.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn records(&self, _prefix: &str) -> Result<Vec<Record>, StoreError> {
        Ok(Vec::new())
    }

    /// Writes all of the changes or none; they are durable when it returns. Returns whether everything expected held;
    /// if not, nothing was written. Many calls may run concurrently, also with `commit`. A call that is dropped has
    /// written everything or nothing. The default keeps nothing.
    ///
    /// A store may lose its records while it is in use, for example when its file breaks and is made anew. It logs that
    /// and goes on without them: they are then absent, no earlier revision is given again, and what is written with
    /// [`Expect::Anything`] is kept.
    ///
    /// # Errors
    /// If the changes could not be made durable. They may still have been; writing them again changes nothing. If
    /// `changes` has a key twice, which is a mistake of the caller, nothing was written.
    async fn write_records(&self, _changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        Ok(true)
    }
}

/// A value stored under a key beside the log: the ledger of writes, and the answers to request ids. A revisioned
/// key-value store shared by several gateways could keep records as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key, whose parts are joined by `/`.
    pub key: String,
    /// The value; opaque to the store, and not secret.
    pub value: Vec<u8>,
    /// Grows with every write of the key, also when it is removed and written again.
    pub revision: u64,
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    pub key: String,
    /// What must hold for the whole write to happen.
    pub expect: Expect,
    /// The new value; `None` removes the record.
    pub value: Option<Vec<u8>>,
}

/// A precondition on a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No precondition.
    Anything,
    /// The record does not exist.
    Absent,
    /// The record has this revision.
    Revision(u64),
}

impl Expect {
    /// Reports whether the precondition holds for a record of revision `found`, or for an absent record.
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

/// Why a store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// What a store kept.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// The epoch that begins.
    pub epoch: u64,
    /// The earlier epochs, with the last revision of each. Revisions continue from one epoch to the next.
    pub earlier: BTreeMap<u64, u64>,
    /// The last revision that was given out.
    pub last: u64,
    /// The compacted revision of every backend without a higher one in `floors`: the highest revision that is not in
    /// `log`.
    pub floor: u64,
    /// Higher compacted revisions of single backends.
    pub floors: BTreeMap<BackendName, u64>,
    /// The changes of all connections, ordered by revision.
    pub log: Vec<Arc<Observation>>,
    /// The connections, each with its newest change.
    pub connections: Vec<(Arc<Observation>, Memory)>,
}

/// What happened since the last batch.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The last revision that was given out.
    pub last: u64,
    /// Changes of every backend up to this revision are missing, because they could not be kept when they happened.
    pub gap_until: Option<u64>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One thing to keep or to forget.
#[derive(Debug, Clone)]
pub enum Step {
    /// A connection changed.
    Change(Arc<Observation>, Arc<Memory>),
    /// The change of this revision left the window of its backend.
    Compact(BackendName, u64),
    /// No client has asked for the connection for a long time.
    Forget(ConnectionName),
}
