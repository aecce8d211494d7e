//! The request budget of one upstream account: a rate and a number of concurrent requests, shared fairly by everything
//! that uses the account. The budget shrinks when the cloud asks the gateway to back off.
//!
//! NSX allows 100 requests a second and 40 concurrent requests per user, and answers 429 (or 503) beyond. A throttled
//! request halves the rate; each answered request restores a little of it.
//!
//! # Order
//! ```text
//!   login     ────────────────► one at a time, ahead of everything: all requests need it
//!   outcome   ──┐ 2
//!   callers   ──┼ 2 ──► rate ─► slots ─► the cloud
//!     a b c     │      (start-time fair queueing)
//!   stable    ──┘ 1
//! ```
//! The classes share the rate by weight, by start-time fair queueing (Goyal, Vin and Cheng, 1996), as in Kubernetes'
//! priority and fairness. The unused share of a class goes to the others, and gives that class no credit later. Clients
//! share the callers' class equally in the same way.
//!
//! A request that hangs cannot be preempted, so a fair order is not enough for concurrency. Some slots are reserved for
//! each class (`queue.rs`); the others are first come, first served. A client that already holds slots gets another of
//! the callers' reserved slots only while two are free and it holds less than twice as many as are free (the dynamic
//! threshold of Choudhury and Hahne, 1998). So the next client always finds a free slot.

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

#[derive(Debug)]
pub struct Budget {
    /// A std mutex, held for arithmetic only and never across an await.
    queue: Mutex<Queue>,
    /// Held by one of the waiting requests, which admits the others as time passes.
    clock: tokio::sync::Mutex<()>,
    /// Signals any change other than the passage of time.
    changed: Notify,
}

/// Permission to send one request. Held until its answer is read.
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

/// A place in the queue. Dropped before it becomes a [`Leave`], it returns the slot it may have been given.
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
        // The queue sends only under its lock, which is held here.
        match self.called.try_recv() {
            Ok(Ok(slot)) => queue.unspent(self.priority, slot),
            Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => return,
            Err(oneshot::error::TryRecvError::Empty) => queue.leave(self.priority, self.number),
        }
        self.budget.let_through(&mut queue);
    }
}

impl Budget {
    /// Creates a full budget.
    pub fn new(limits: Limits) -> Budget {
        Budget {
            queue: Mutex::new(Queue::new(limits)),
            clock: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        }
    }

    /// Waits until the budget admits one more request.
    ///
    /// # Errors
    /// If that takes beyond `deadline`. Fails at once if the account is paused until then.
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

    /// Admits requests as time passes. One waiting request does this for all of them.
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

    /// Halves the rate and pauses the account, at most for [`LONGEST_PAUSE`], because the cloud asked to back off (429,
    /// 503). Requests whose deadline falls within the pause fail at once.
    pub fn throttled(&self, pause: Duration) {
        self.queue().throttled(pause, Instant::now());
        self.changed.notify_one();
    }

    /// Lets the rate recover a little, because the cloud answered.
    pub fn answered(&self) {
        self.queue().answered();
    }

    /// Returns the current usage.
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
