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

use crate::rest::budget::queue::{Queue, Waiter};
use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

/// What an account may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests a second, at most.
    pub rate: f64,
    /// Requests at the same time. A login is one more.
    pub concurrency: u32,
}

/// How much of it is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    /// Requests a second allowed now.
    pub rate_limit: f64,
    /// Requests a second over the last ten seconds, logins among them.
    pub rate_used: f64,
    /// Requests allowed at the same time.
    pub concurrency_limit: u32,
    /// Requests under way, logins among them.
    pub in_flight: u32,
    /// How long nothing will be sent yet.
    pub paused_for: Option<Duration>,
    /// What [`Class::Outcome`] has of it.
    pub outcome: Share,
    /// What [`Class::Caller`] and [`Class::Asked`] have of it, all clients together.
    pub callers: Share,
    /// What [`Class::Stable`] has of it.
    pub stable: Share,
}

/// What one class has of a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Requests a second that it gets now if it wants them, whatever the others want.
    pub rate: f64,
    /// Requests a second that it had over the last ten seconds.
    pub rate_used: f64,
    /// Requests at the same time that nobody else can keep it from.
    pub slots: u32,
    /// Its requests under way.
    pub in_flight: u32,
    /// Its requests that wait to be sent.
    pub waiting: u32,
}

/// For whom a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// For everybody: without it nothing else can be sent. Never made twice at the same time.
    Login,
    /// For somebody who waits for what becomes of a write.
    Outcome,
    /// For a client who waits for its answer. The number tells clients apart.
    Caller(u64),
    /// For several clients together: as if it were for one more.
    Asked,
    /// For nobody in particular; it can wait.
    Stable,
}

/// The deadline passes before the budget allows the request. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Whether the cloud asked for patience; else the gateway itself has more to ask than it may.
    pub is_paused: bool,
    /// When to try again at the earliest.
    pub wait: Duration,
}

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

/// The pause after a refusal that names none.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause a cloud may ask for; longer ones count as this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Leave to send one request. Held until its answer is read.
#[derive(Debug)]
pub struct Leave<'a> {
    budget: &'a Budget,
    class: Class,
    slot: Slot,
}

/// What a request holds while it is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// One of those for whoever comes first.
    Common,
    /// One of those kept for its class.
    Kept,
    /// One beside all of them.
    Extra,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut queue = self.budget.queue();
        queue.ended(self.class, self.slot);
        self.budget.let_through(&mut queue);
    }
}

/// A place among those who wait. Dropped before it led to anything, it gives back what it was handed.
struct Place<'a> {
    budget: &'a Budget,
    class: Class,
    number: u64,
    called: oneshot::Receiver<Result<Slot, Exhausted>>,
}

impl<'a> Place<'a> {
    fn taken(budget: &'a Budget, class: Class, deadline: Instant) -> Place<'a> {
        let (call, called) = oneshot::channel();
        let mut queue = budget.queue();
        let number = queue.wait(class, Waiter { deadline, call });
        budget.let_through(&mut queue);
        drop(queue);
        Place {
            budget,
            class,
            number,
            called,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queue = self.budget.queue();
        // Whoever is called is so under the lock.
        match self.called.try_recv() {
            Ok(Ok(slot)) => queue.unspent(self.class, slot),
            Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => return,
            Err(oneshot::error::TryRecvError::Empty) => queue.leave(self.class, self.number),
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
    pub async fn acquire(&self, class: Class, deadline: Instant) -> Result<Leave<'_>, Exhausted> {
        let mut place = Place::taken(self, class, deadline);
        let called = tokio::select! {
            biased;
            called = &mut place.called => called,
            () = sleep_until(deadline) => return Err(self.queue().exhausted(Instant::now())),
            never = self.keep_time() => match never {},
        };
        called
            .expect("a place is called before it is given up")
            .map(|slot| Leave {
                budget: self,
                class,
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
    pub fn used(&self) -> Used {
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
