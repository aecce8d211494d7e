//! What has begun and is not complete, up to a limit: whatever comes beyond it ends the oldest.
//!
//! Who means well is complete within a moment and hardly ever among the oldest. To refuse what is new instead would
//! let those who never complete anything keep everybody out.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// All that is not complete.
#[derive(Debug)]
pub struct Newest {
    most: usize,
    /// The oldest first; closed if it is complete.
    waiting: Mutex<VecDeque<oneshot::Sender<()>>>,
}

/// One of it. It is complete when this is dropped; ready when it has to make room.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<()>);

impl Newest {
    /// At most so many.
    pub fn new(most: usize) -> Newest {
        Newest {
            most,
            waiting: Mutex::default(),
        }
    }

    /// One more.
    pub fn enter(&self) -> Ticket {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.most {
            waiting.retain(|entry| !entry.is_closed());
            // Several at once, so that not everybody who comes goes through all of them.
            let room = (self.most / 8).max(1);
            while waiting.len() + room > self.most {
                let Some(oldest) = waiting.pop_front() else {
                    break;
                };
                // Complete by now, perhaps.
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
        // What is complete makes room first.
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
