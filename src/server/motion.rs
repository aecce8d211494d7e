//! When something was last taken of what is there for a call, or for a connection.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// How many pieces have not been taken, and when one was last.
#[derive(Debug)]
pub struct Motion {
    begun: Instant,
    pieces: AtomicUsize,
    /// Milliseconds after `begun`.
    moved: AtomicU64,
}

impl Motion {
    /// Nothing is there.
    pub fn new() -> Motion {
        Motion {
            begun: Instant::now(),
            pieces: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
        }
    }

    /// One more piece is there.
    pub fn add(&self) {
        if self.pieces.fetch_add(1, Ordering::Relaxed) == 0 {
            self.moved(Instant::now());
        }
    }

    /// Part of a piece was taken.
    pub fn moved(&self, now: Instant) {
        let since = now.saturating_duration_since(self.begun);
        self.moved
            .store(since.as_millis() as u64, Ordering::Relaxed);
    }

    /// A piece was taken, or is gone.
    pub fn remove(&self, now: Instant) {
        self.moved(now);
        self.pieces.fetch_sub(1, Ordering::Relaxed);
    }

    /// When something was taken last, if anything is there that could be.
    pub fn waits_since(&self) -> Option<Instant> {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        (self.pieces.load(Ordering::Relaxed) > 0).then(|| self.begun + moved)
    }
}
