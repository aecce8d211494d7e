//! How many requests one upstream account may have: a rate and a number at the same time, shared fairly by everybody
//! who uses the account, shrinking when the cloud asks for patience.
//!
//! NSX allows 100 requests a second and 40 at the same time per user, and answers 429 (or 503) beyond.
//! A refused request halves the rate; every answered one lets it recover by a little.
//!
//! # Who goes first
//! ```text
//!   login     ────────────────► one at a time, before everybody: they all wait for it
//!   outcome   ──┐ 2
//!   callers   ──┼ 2 ──► rate ─► slots ─► the cloud
//!     a b c     │      (start-time fair queueing)
//!   stable    ──┘ 1
//! ```
//! The rate is shared by weight, by start-time fair queueing (Goyal, Vin and Cheng, 1996), as in Kubernetes' priority
//! and fairness: what one class does not want goes to the others, and what it did not want then gives it no credit
//! now. Among callers, each client has an equal share in the same way.
//!
//! A request that hangs cannot be taken back, so that a fair order is not enough for what is under way at the same
//! time: some slots are kept for each class (`queue.rs`), and whoever comes first has the rest. Of those kept for
//! callers, a client that holds slots already gets another only while two are free, and it holds less than twice as
//! many as are free (the dynamic threshold of Choudhury and Hahne, 1998): so whoever comes next finds one.

mod pace;
mod queue;
mod recent;

pub use pace::{DEFAULT_PAUSE, LONGEST_PAUSE};
pub use queue::{Exhausted, Limits};

use crate::account::{Priority, Usage};
use queue::{Queue, Slot, Waiter};
use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

/// The shared budget of one account.
#[derive(Debug)]
pub struct Budget {
    /// A std mutex: held for arithmetic only, never across an await.
    queue: Mutex<Queue>,
    /// Held by one of those who wait: it lets the others through as time passes.
    clock: tokio::sync::Mutex<()>,
    /// Something other than time has changed.
    changed: Notify,
}

/// Leave to send one request. Held until its answer is read.
#[derive(Debug)]
pub struct Leave<'a> {
    budget: &'a Budget,
    priority: Priority,
    slot: Slot,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut queue = self.budget.queue();
        queue.ended(self.priority, self.slot);
        self.budget.let_through(&mut queue);
    }
}

/// A place among those who wait. Dropped before it led to anything, it gives back what it was handed.
struct Queued<'a> {
    budget: &'a Budget,
    priority: Priority,
    number: u64,
    called: oneshot::Receiver<Result<Slot, Exhausted>>,
}

impl<'a> Queued<'a> {
    fn new(budget: &'a Budget, priority: Priority, deadline: Instant) -> Queued<'a> {
        let (call, called) = oneshot::channel();
        let mut queue = budget.queue();
        let number = queue.wait(priority, Waiter { deadline, call });
        budget.let_through(&mut queue);
        drop(queue);
        Queued {
            budget,
            priority,
            number,
            called,
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut queue = self.budget.queue();
        // Whoever is called is so under the lock.
        match self.called.try_recv() {
            Ok(Ok(slot)) => queue.unspent(self.priority, slot),
            Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => return,
            Err(oneshot::error::TryRecvError::Empty) => queue.leave(self.priority, self.number),
        }
        self.budget.let_through(&mut queue);
    }
}

impl Budget {
    /// A budget that is full.
    pub fn new(limits: Limits) -> Budget {
        Budget {
            queue: Mutex::new(Queue::new(limits)),
            clock: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        }
    }

    /// Waits until one more request may be sent.
    ///
    /// # Errors
    /// If that is not before `deadline`; at once, if the account is paused until then.
    pub async fn acquire(
        &self,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Leave<'_>, Exhausted> {
        let mut queued = Queued::new(self, priority, deadline);
        let called = tokio::select! {
            biased;
            called = &mut queued.called => called,
            () = sleep_until(deadline) => return Err(self.queue().exhausted(Instant::now())),
            never = self.keep_time() => match never {},
        };
        called
            .expect("a place is called before it is given up")
            .map(|slot| Leave {
                budget: self,
                priority,
                slot,
            })
    }

    /// Lets through whoever may go as time passes. One of those who wait does it for all.
    async fn keep_time(&self) -> Infallible {
        let _clock = self.clock.lock().await;
        loop {
            let next = self.queue().let_through(Instant::now());
            let changed = self.changed.notified();
            match next {
                Some(next) => tokio::select! {
                    biased;
                    () = sleep_until(next) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// The cloud asked for patience (429, 503): halves the rate and pauses, at most [`LONGEST_PAUSE`]. Whoever would
    /// wait longer than it can is told at once.
    pub fn throttled(&self, pause: Duration) {
        self.queue().throttled(pause, Instant::now());
        self.changed.notify_one();
    }

    /// The cloud answered: lets the rate recover.
    pub fn answered(&self) {
        self.queue().answered();
    }

    /// How much is used now.
    pub fn used(&self) -> Usage {
        self.queue().used(Instant::now())
    }

    fn let_through(&self, queue: &mut Queue) {
        if queue.let_through(Instant::now()).is_some() {
            self.changed.notify_one();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
