//! Detects clients that do not read their answers.
//!
//! ```text
//!   call's task ──► hyper ──(room in the window)──► HTTP/2's buffer ──► socket ──► client
//!     Watched: the call is dropped,     Client::is_stuck: the          Writing: the connection
//!     which resets its stream           connection is closed           is closed
//! ```
//!
//! hyper does not poll a body while the window has no room, so a body cannot end itself then. An answer that HTTP/2
//! holds completely, with its end, can only be discarded with the whole connection. Pieces of answers know when they
//! are dropped, so they report progress to the call and to the connection.

use crate::server::{client::Client, counted::Limit, motion::Motion, pool::Taken};
use bytes::{Buf, Bytes};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    task::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

/// A piece of an answer, alive until the socket has taken it.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    call: Arc<Progress>,
    _taken: Taken,
}

impl Piece {
    /// Creates a piece of the answer to `call`.
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
        // An empty piece is dropped next, which counts as progress too.
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

/// Progress of the answer to one call.
#[derive(Debug)]
pub struct Progress {
    /// The client of the call.
    pub client: Arc<Client>,
    motion: Motion,
    /// The bytes of the request, until the request is handled.
    request: Mutex<Option<Taken>>,
}

tokio::task_local! {
    /// The progress of the call that the current task serves.
    static CALL: Arc<Progress>;
}

impl Progress {
    /// Creates the progress of a call that no task watches.
    pub fn new(client: Arc<Client>) -> Arc<Progress> {
        Arc::new(Progress {
            client,
            motion: Motion::new(),
            request: Mutex::default(),
        })
    }

    /// Reserves the bytes for a message, as far as they exceed the largest message before it. Returns false if they are
    /// not available.
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

    /// Releases the reserved bytes.
    pub fn release(&self) {
        self.request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Returns the progress of the call that the current task serves.
    pub fn of_this_call() -> Option<Arc<Progress>> {
        CALL.try_with(Arc::clone).ok()
    }
}

/// Runs the calls of a connection as tasks, and ends those whose client takes too long to read.
#[derive(Debug, Clone)]
pub struct Tasks {
    /// The client of the calls.
    pub client: Arc<Client>,
    /// How long a client may take nothing of an answer.
    pub answer_timeout: Duration,
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let progress = Progress::new(Arc::clone(&self.client));
        let call = CALL.scope(Arc::clone(&progress), call);
        // The task ends with its connection at the latest, because hyper tells it that its stream is gone.
        tokio::spawn(Watched::new(call, progress, self.answer_timeout));
    }
}

pin_project! {
    /// Runs a call until it ends or is stuck. Dropping the call resets its stream.
    ///
    /// An async function would have a place for the call as its argument and another for it once pinned.
    struct Watched<F> {
        #[pin]
        call: F,
        stuck: Stuck,
    }
}

impl<F> Watched<F> {
    /// `longest` is how long the client may take nothing of the answer.
    fn new(call: F, progress: Arc<Progress>, longest: Duration) -> Watched<F> {
        let stuck = Stuck {
            progress,
            longest,
            timer: None,
        };
        Watched { call, stuck }
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match this.call.poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => this.stuck.poll(cx),
        }
    }
}

/// Completes when the client has taken nothing of an answer for too long.
struct Stuck {
    progress: Arc<Progress>,
    longest: Duration,
    /// Set when the first piece waits, and reset only when it fires, because an answer has many pieces.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stuck {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(since) = self.progress.motion.waits_since() {
            let until = since + self.longest;
            if self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed()) {
                // The same task has polled it, so it wakes this task when it elapses.
                return Poll::Pending;
            }
            let timer = self.timer.insert(Box::pin(sleep_until(until)));
            // Whatever the call has used of the task's budget: a timer that is refused its first poll is never set.
            ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
            if until <= Instant::now() {
                Limit::Answer.reached();
                tracing::debug!("the answer of a call was not taken");
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::leaving::Leaving;
    use crate::server::pool::Pool;
    use std::future::poll_fn;
    use tokio::{
        task::consume_budget,
        time::{sleep, timeout},
    };

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

    #[test]
    fn a_task_has_one_place_for_its_call() {
        let call = [0_u8; 500];
        let task = Watched::new(call, Progress::new(client()), LONGEST);
        assert!(size_of_val(&task) < 600, "{}", size_of_val(&task));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_ended_when_nothing_of_its_answer_moves() {
        let client = client();
        let call = Progress::new(Arc::clone(&client));
        let mut piece = piece(&client, &call);
        let begun = Instant::now();
        let run = Watched::new(std::future::pending(), Arc::clone(&call), LONGEST);
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
    async fn a_call_that_has_used_the_budget_of_its_task_is_ended_too() {
        let client = client();
        let call = Progress::new(Arc::clone(&client));
        let _piece = piece(&client, &call);
        let mut has_spent = false;
        let spends = poll_fn(move |cx| {
            while !has_spent {
                has_spent = pin!(consume_budget()).poll(cx).is_pending();
            }
            Poll::Pending
        });
        let run = tokio::spawn(Watched::new(spends, call, LONGEST));
        assert!(timeout(2 * LONGEST, run).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_with_nothing_to_be_taken_goes_on() {
        let client = client();
        let call = Progress::new(Arc::clone(&client));
        let run = Watched::new(std::future::pending(), Arc::clone(&call), LONGEST);
        drop(piece(&client, &call));
        assert!(timeout(10 * LONGEST, run).await.is_err());
        assert!(!client.is_stuck(LONGEST));
    }
}
