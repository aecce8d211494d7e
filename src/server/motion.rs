//! When a client last took something of a call's or a connection's pending answers.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// Pending pieces, and when the client last took part of one.
#[derive(Debug)]
pub struct Motion {
    begun: Instant,
    pieces: AtomicUsize,
    /// Milliseconds after `begun`.
    moved: AtomicU64,
}

impl Motion {
    pub fn new() -> Motion {
        Motion {
            begun: Instant::now(),
            pieces: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
        }
    }

    /// Counts one more pending piece.
    pub fn add(&self) {
        if self.pieces.fetch_add(1, Ordering::Relaxed) == 0 {
            self.moved(Instant::now());
        }
    }

    /// Records that the client took part of a piece.
    pub fn moved(&self, now: Instant) {
        let since = now.saturating_duration_since(self.begun);
        self.moved
            .store(since.as_millis() as u64, Ordering::Relaxed);
    }

    /// Records that a piece was taken or dropped.
    pub fn remove(&self, now: Instant) {
        self.moved(now);
        self.pieces.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns when the client last took something, if any piece is pending.
    pub fn waits_since(&self) -> Option<Instant> {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        (self.pieces.load(Ordering::Relaxed) > 0).then(|| self.begun + moved)
    }
}
