//! The queue of due polls of one backend, shared by the tasks that plan polls and the poller, which it wakes.

use crate::core::watch::{
    due_queue::{DueQueue, Planned, Stake},
    subject::Subject,
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::{sync::Notify, time::Instant};

/// The planned polls of one backend.
#[derive(Debug, Default)]
pub struct Timetable {
    /// A std mutex: held for bookkeeping only, never across an await.
    queue: Mutex<DueQueue>,
    /// Wakes the poller.
    pub wake: Notify,
}

impl Timetable {
    /// Has a connection polled now. Returns the poll's number.
    pub fn poll_now(&self, subject: &Subject) -> u64 {
        self.poll_by(subject, Instant::now(), false)
    }

    /// Has a connection polled by `due`; `asked` if a call waits for it. Returns the poll's number.
    pub fn poll_by(&self, subject: &Subject, due: Instant, asked: bool) -> u64 {
        let (number, stake) = subject.plan(due, asked);
        let from = due.min(Instant::now());
        self.add(subject, Planned { from, due }, stake);
        number
    }

    /// Queues the poll that the last one planned.
    pub fn add(&self, subject: &Subject, planned: Planned, stake: Stake) {
        let id = &subject.name().id;
        self.queue().no_later_than(id, planned, stake);
        self.wake.notify_one();
    }

    /// Locks the queue. A caller that adds to it must wake the poller.
    pub fn queue(&self) -> MutexGuard<'_, DueQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
