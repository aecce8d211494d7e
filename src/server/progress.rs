//! Whether a client takes what is there for it.
//!
//! ```text
//!   call's task ──► hyper ──(room in the window)──► HTTP/2's buffer ──► socket ──► client
//!     Watched: the call is dropped,     Client::is_stuck: the          Writing: the connection
//!     which resets its stream           connection is closed           is closed
//! ```
//!
//! hyper does not ask a body for more while there is no room in the window, so a body cannot end itself then; and
//! what HTTP/2 has got in full, with its end, nobody could end any more but with the whole connection. So pieces of
//! answers, which know when they are gone, tell the call and the connection that something moves.

use crate::server::{client::Client, counted::Limit, motion::Motion, pool::Taken};
use bytes::{Buf, Bytes};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// A part of an answer, until it is in the socket.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    call: Arc<Progress>,
    _taken: Taken,
}

impl Piece {
    /// Part of the answer of a call.
    pub fn new(bytes: Bytes, taken: Taken, call: &Arc<Progress>) -> Piece {
        call.motion.add();
        call.client.motion.add();
        Piece {
            bytes,
            call: Arc::clone(call),
            _taken: taken,
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        // Else it is dropped next.
        if !self.bytes.is_empty() {
            let now = Instant::now();
            self.call.motion.moved(now);
            self.call.client.motion.moved(now);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let now = Instant::now();
        self.call.motion.remove(now);
        self.call.client.motion.remove(now);
    }
}

/// How far the answer of a call has come.
#[derive(Debug)]
pub struct Progress {
    /// Whose call it is.
    pub client: Arc<Client>,
    motion: Motion,
    /// The bytes of its request, until it is handled.
    request: Mutex<Option<Taken>>,
}

tokio::task_local! {
    /// Of the call whose task this is.
    static CALL: Arc<Progress>;
}

impl Progress {
    /// A call of its own, which nobody watches over.
    pub fn new(client: Arc<Client>) -> Arc<Progress> {
        Arc::new(Progress {
            client,
            motion: Motion::new(),
            request: Mutex::default(),
        })
    }

    /// Takes what a message of so many bytes needs, if the largest before it needed less. False if it is not there.
    pub fn hold(&self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let mut held = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        let had = held.as_ref().map_or(0, Taken::amount);
        if bytes <= had {
            return true;
        }
        let more = self.client.bytes.take(bytes - had);
        let is_there = more.is_some();
        match (&mut *held, more) {
            (Some(held), Some(more)) => held.add(more),
            (None, more) => *held = more,
            (Some(_), None) => {}
        }
        is_there
    }

    /// Gives it back.
    pub fn release(&self) {
        self.request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Of the call whose task this is.
    pub fn of_this_call() -> Option<Arc<Progress>> {
        CALL.try_with(Arc::clone).ok()
    }
}

/// Runs the calls of a connection as tasks, and ends those whose client takes nothing of their answer for too long.
#[derive(Debug, Clone)]
pub struct Tasks {
    /// Whose calls they are.
    pub client: Arc<Client>,
    /// What is too long.
    pub answer_timeout: Duration,
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let progress = Progress::new(Arc::clone(&self.client));
        let call = CALL.scope(Arc::clone(&progress), call);
        // Ends with its connection, at the latest: hyper tells it then that its stream is gone.
        tokio::spawn(watched(call, progress, self.answer_timeout));
    }
}

/// `call`, until it ends or is stuck. Dropped, it has its stream reset.
async fn watched(call: impl Future<Output = ()>, progress: Arc<Progress>, longest: Duration) {
    let mut call = pin!(call);
    let mut stuck = Stuck {
        progress,
        longest,
        timer: None,
    };
    poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => stuck.poll(cx),
    })
    .await;
}

/// Ready when nothing of an answer has been taken for too long.
struct Stuck {
    progress: Arc<Progress>,
    longest: Duration,
    /// Set when something was there first, and set again only when it has rung: an answer has many pieces.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stuck {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(since) = self.progress.motion.waits_since() {
            let until = since + self.longest;
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            ready!(timer.as_mut().poll(cx));
            if until <= Instant::now() {
                Limit::Answer.reached();
                tracing::debug!("the answer of a call was not taken");
                return Poll::Ready(());
            }
            self.timer = None;
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::leaving::Leaving;
    use crate::server::pool::Pool;
    use tokio::time::{sleep, timeout};

    const LONGEST: Duration = Duration::from_secs(100);

    fn piece(client: &Arc<Client>, call: &Arc<Progress>) -> Piece {
        let bytes = Bytes::from_static(b"abc");
        Piece::new(bytes, client.bytes.take(3).unwrap(), call)
    }

    fn client() -> Arc<Client> {
        let pool = || Pool::new(1_000, 1_000, 0);
        Arc::new(Client::new(
            [127, 0, 0, 1].into(),
            &pool(),
            &pool(),
            &pool(),
            Leaving::default(),
            &Arc::default(),
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_ended_when_nothing_of_its_answer_moves() {
        let client = client();
        let call = Progress::new(Arc::clone(&client));
        let mut piece = piece(&client, &call);
        let begun = Instant::now();
        let run = watched(std::future::pending(), Arc::clone(&call), LONGEST);
        let move_on = async {
            for _ in 0..2 {
                sleep(LONGEST / 2).await;
                piece.advance(1);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = run => {}
            () = move_on => {}
        }
        assert_eq!(begun.elapsed(), 2 * LONGEST);
        assert!(client.is_stuck(LONGEST));
        drop(piece);
        assert!(!client.is_stuck(LONGEST));
        assert_eq!(client.bytes.mine(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_with_nothing_to_be_taken_goes_on() {
        let client = client();
        let call = Progress::new(Arc::clone(&client));
        let run = watched(std::future::pending(), Arc::clone(&call), LONGEST);
        drop(piece(&client, &call));
        assert!(timeout(10 * LONGEST, run).await.is_err());
        assert!(!client.is_stuck(LONGEST));
    }
}
