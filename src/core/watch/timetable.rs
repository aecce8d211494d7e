//! The queue of due polls of one backend, shared by all who plan polls and the poller that makes them, which it wakes.

use crate::core::watch::{
    due_queue::{DueQueue, Planned, Stake},
    subject::Subject,
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::{sync::Notify, time::Instant};

/// The polls of one backend that are planned.
#[derive(Debug, Default)]
pub struct Timetable {
    /// A std mutex: held for bookkeeping only, never across an await.
    queue: Mutex<DueQueue>,
    /// Has the poller poll what is to be done.
    pub wake: Notify,
}

impl Timetable {
    /// Has a connection polled now. Answers the number of the poll.
    pub fn poll_now(&self, subject: &Subject) -> u64 {
        self.poll_by(subject, Instant::now(), false)
    }

    /// Has a connection polled by `due`; `asked` if a call waits for it. Answers the number of the poll.
    pub fn poll_by(&self, subject: &Subject, due: Instant, asked: bool) -> u64 {
        let (number, stake) = subject.plan(due, asked);
        let from = due.min(Instant::now());
        self.add(subject, Planned { from, due }, stake);
        number
    }

    /// Has a connection polled as its last poll planned the next.
    pub fn add(&self, subject: &Subject, planned: Planned, stake: Stake) {
        let id = &subject.name().id;
        self.queue().no_later_than(id, planned, stake);
        self.wake.notify_one();
    }

    /// The queue itself, to take off. What is added has to wake the poller.
    pub fn queue(&self) -> MutexGuard<'_, DueQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
