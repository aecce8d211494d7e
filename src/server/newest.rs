//! A limit of incomplete work, such as connections that have not sent their preface. New work beyond the limit ends the
//! oldest.
//!
//! Honest clients complete within a moment, so their work is hardly ever among the oldest. Refusing new work instead
//! would let clients that never complete anything keep all others out.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// The set of incomplete work.
#[derive(Debug)]
pub struct Newest {
    most: usize,
    /// Oldest first. A closed sender is complete.
    waiting: Mutex<VecDeque<oneshot::Sender<()>>>,
}

/// One piece of incomplete work. Dropping the ticket completes it. The future is ready when the work has to make room.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<()>);

impl Newest {
    pub fn new(most: usize) -> Newest {
        Newest {
            most,
            waiting: Mutex::default(),
        }
    }

    /// Adds one piece of work, and evicts the oldest if there are too many.
    pub fn enter(&self) -> Ticket {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.most {
            waiting.retain(|entry| !entry.is_closed());
            // Evicts several at once, so that not every arrival walks the whole queue.
            let room = (self.most / 8).max(1);
            while waiting.len() + room > self.most {
                let Some(oldest) = waiting.pop_front() else {
                    break;
                };
                // The receiver may be complete already.
                let _ = oldest.send(());
            }
        }
        waiting.push_back(sender);
        Ticket(receiver)
    }
}

impl Future for Ticket {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_oldest_makes_room() {
        let newest = Newest::new(3);
        let mut first = newest.enter();
        let second = newest.enter();
        let mut third = newest.enter();
        assert!((&mut first).now_or_never().is_none());
        drop(second);
        // Completed work makes room first.
        let mut fourth = newest.enter();
        assert!((&mut first).now_or_never().is_none());
        let mut fifth = newest.enter();
        assert!((&mut first).now_or_never().is_some());
        for left in [&mut third, &mut fourth, &mut fifth] {
            assert!(left.now_or_never().is_none());
        }
    }

    #[test]
    fn what_is_complete_is_forgotten() {
        let newest = Newest::new(1_000);
        for _ in 0..10_000 {
            drop(newest.enter());
        }
        assert!(newest.waiting.lock().unwrap().len() <= 1_000);
    }
}
