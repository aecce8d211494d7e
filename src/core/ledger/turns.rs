//! Serializes the writes of an object. Each write waits in a fair queue until those before it have ended, in their call
//! or with the settler.

use crate::core::error::{Error, ErrorKind, ErrorReason, Result};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// When a caller whose wait timed out may retry.
const RETRY: Duration = Duration::from_secs(5);
/// Above this many queues, each insertion drops the queues that nothing uses.
const MANY: usize = 64;

/// The queues, by the objects' collections and ids.
#[derive(Debug, Default)]
pub struct Turns {
    /// A std mutex: held for bookkeeping only, never across an await.
    queues: Mutex<HashMap<String, Weak<Semaphore>>>,
    ended: Arc<AtomicU64>,
}

/// Keeps other writes of the object waiting until dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    ended: Arc<AtomicU64>,
}

impl Drop for Turn {
    /// Counts the end before the next write gets the turn.
    fn drop(&mut self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Turns {
    /// Waits for the turn to write this object.
    ///
    /// # Errors
    /// `Unavailable` / `WriteUnderWay` if the turn does not come by `until`.
    pub async fn take(&self, object: &str, until: Instant) -> Result<Turn> {
        let queue = self.queue(object);
        match timeout_at(until, queue.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(self.turn(permit)),
            // The semaphores are never closed.
            Ok(Err(_)) | Err(_) => Err(under_way(
                "an earlier write of the same object has not ended",
            )),
        }
    }

    /// Takes the turn if no write holds it or waits for it.
    pub fn try_take(&self, object: &str) -> Option<Turn> {
        let permit = self.queue(object).try_acquire_owned().ok()?;
        Some(self.turn(permit))
    }

    /// Returns the number of turns that have ended. If a caller reads an object, then takes its turn without waiting,
    /// and this number has not changed since before the read, no write of the object ended in between.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    fn turn(&self, permit: OwnedSemaphorePermit) -> Turn {
        Turn {
            _permit: permit,
            ended: Arc::clone(&self.ended),
        }
    }

    fn queue(&self, object: &str) -> Arc<Semaphore> {
        let mut queues = self.lock();
        if let Some(queue) = queues.get(object).and_then(Weak::upgrade) {
            return queue;
        }
        if queues.len() >= MANY {
            queues.retain(|_, queue| queue.strong_count() > 0);
        }
        let queue = Arc::new(Semaphore::new(1));
        queues.insert(object.to_owned(), Arc::downgrade(&queue));
        queue
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Semaphore>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the error for an object that another write holds.
pub fn under_way(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, ErrorReason::WriteUnderWay, why).retry_after(RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn writes_of_one_object_take_turns_and_others_do_not_wait() {
        let turns = Turns::default();
        let soon = || Instant::now() + Duration::from_secs(1);
        let first = turns.take("connections/a", soon()).await.unwrap();
        let _other = turns.take("connections/b", soon()).await.unwrap();
        assert!(turns.try_take("connections/a").is_none());
        let late = turns.take("connections/a", soon()).await.unwrap_err();
        assert_eq!(late.reason, ErrorReason::WriteUnderWay);
        assert_eq!(late.context.retry_after, Some(RETRY));
        drop(first);
        assert!(turns.try_take("connections/a").is_some());
    }

    #[tokio::test]
    async fn names_that_nobody_uses_are_dropped() {
        let turns = Turns::default();
        let kept = turns.try_take("kept");
        for n in 0..10 * MANY {
            drop(turns.try_take(&n.to_string()));
        }
        assert_eq!(turns.ended(), 10 * MANY as u64);
        assert!(turns.lock().len() <= MANY);
        assert!(kept.is_some() && turns.try_take("kept").is_none());
    }
}
