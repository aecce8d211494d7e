//! Counts of the watches and polls of one backend, for the metrics.
//!
//! Frequent events are counted here and read when metrics are collected, because a counter of the provider looks its
//! attributes up each time, at ten times the cost. The process keeps the counts of a backend by its name even after the
//! backend is removed: a counter never goes back.

use crate::{
    core::error::ErrorReason,
    metrics::table::{
        BACKEND, POLLS, UNRECOGNIZED, WATCH_COALESCED, WATCH_EVENTS, WATCH_LAG, WATCH_OPEN,
        WATCH_OUTCOMES,
    },
    model::{BackendName, Reason, codes},
};
use opentelemetry::KeyValue;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The counts of every backend that this process ever had.
static ALL: Mutex<BTreeMap<BackendName, Arc<Counts>>> = Mutex::new(BTreeMap::new());
static REGISTERED: Once = Once::new();

/// The result of a poll that the cloud answered.
const OK: &str = "ok";

/// The counts of one backend.
#[derive(Debug)]
pub struct Counts {
    /// Created once, because each event needs them.
    backend: [KeyValue; 1],
    /// By [`Kind`].
    kinds: [[KeyValue; 2]; 3],
    events: AtomicU64,
    coalesced: AtomicU64,
    polls: AtomicU64,
    /// By [`ErrorReason`].
    failed_polls: [AtomicU64; ErrorReason::ALL.len()],
}

/// What a watch is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One connection; waits count as such watches.
    Connection,
    /// All connections. A watch over several backends counts once at each.
    Many,
    /// A write to a part, on the connections that use it.
    Part,
}

/// Counts a watch as open for as long as it is held.
#[derive(Debug)]
pub struct Open {
    counts: Arc<Counts>,
    kind: Kind,
}

impl Drop for Open {
    fn drop(&mut self) {
        WATCH_OPEN.add(-1, &self.counts.kinds[self.kind as usize]);
    }
}

impl Counts {
    /// Returns the counts of a backend.
    pub fn of(backend: &BackendName) -> Arc<Counts> {
        REGISTERED.call_once(register);
        let mut all = all();
        let counts = all.entry(backend.clone());
        Arc::clone(counts.or_insert_with(|| Arc::new(Counts::new(backend))))
    }

    fn new(backend: &BackendName) -> Counts {
        let backend = KeyValue::new(BACKEND, backend.as_str().to_owned());
        let kind =
            |kind: &'static str| [backend.clone(), KeyValue::new("isthmus.watch.kind", kind)];
        Counts {
            kinds: [kind("connection"), kind("many"), kind("part")],
            backend: [backend],
            events: AtomicU64::new(0),
            coalesced: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            failed_polls: [const { AtomicU64::new(0) }; ErrorReason::ALL.len()],
        }
    }

    /// Counts a watch as open until the returned guard is dropped.
    pub fn open(self: &Arc<Self>, kind: Kind) -> Open {
        WATCH_OPEN.add(1, &self.kinds[kind as usize]);
        Open {
            counts: Arc::clone(self),
            kind,
        }
    }

    /// Counts a delivered change: `lag` is the time since the poll that found it ended, if a poll did, and `coalesced`
    /// the number of earlier changes that it replaces.
    pub fn delivered(&self, lag: Option<Duration>, coalesced: u64) {
        self.events.fetch_add(1, Ordering::Relaxed);
        if coalesced > 0 {
            self.coalesced.fetch_add(coalesced, Ordering::Relaxed);
        }
        if let Some(lag) = lag {
            WATCH_LAG.record(lag.as_secs_f64(), &self.backend);
        }
    }

    /// Counts a watch that ended by its own terms. A reason that is the cloud's own word counts as `OTHER`.
    pub fn ended(&self, how: &'static str, reason: Option<&Reason>) {
        let code = reason.map_or("NONE", |reason| {
            let mut known = codes::ALL.iter().copied();
            known.find(|code| *code == reason.code).unwrap_or("OTHER")
        });
        let [backend] = self.backend.clone();
        let state = KeyValue::new("isthmus.state", how);
        WATCH_OUTCOMES.add(1, &[backend, state, KeyValue::new("isthmus.reason", code)]);
    }

    /// Counts a poll of one connection: its result, and the fields in which the cloud used a value unknown here.
    pub fn polled(&self, result: Result<&[&'static str], ErrorReason>) {
        let count = match result {
            Ok(_) => &self.polls,
            Err(reason) => &self.failed_polls[reason as usize],
        };
        count.fetch_add(1, Ordering::Relaxed);
        for field in result.unwrap_or_default() {
            let [backend] = self.backend.clone();
            UNRECOGNIZED.add(1, &[backend, KeyValue::new("isthmus.field", *field)]);
        }
    }

    /// Returns the number of polls by result, without zeros.
    fn polls(&self) -> impl Iterator<Item = (u64, &'static str)> {
        let failed = self.failed_polls.iter().zip(ErrorReason::ALL);
        let failed = failed.map(|(count, reason)| (count, reason.as_str()));
        let all = std::iter::once((&self.polls, OK)).chain(failed);
        all.map(|(count, result)| (count.load(Ordering::Relaxed), result))
            .filter(|(count, _)| *count > 0)
    }
}

fn register() {
    WATCH_EVENTS.observe(|read| {
        for counts in all().values() {
            read.observe(counts.events.load(Ordering::Relaxed), &counts.backend);
        }
    });
    WATCH_COALESCED.observe(|read| {
        for counts in all().values() {
            read.observe(counts.coalesced.load(Ordering::Relaxed), &counts.backend);
        }
    });
    POLLS.observe(|read| {
        for counts in all().values() {
            for (count, result) in counts.polls() {
                let [backend] = counts.backend.clone();
                read.observe(count, &[backend, KeyValue::new("isthmus.result", result)]);
            }
        }
    });
}

fn all() -> MutexGuard<'static, BTreeMap<BackendName, Arc<Counts>>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}
