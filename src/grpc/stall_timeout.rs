//! Ends streams whose client does not read.
//!
//! ```text
//!   READ ──(not polled within `stall`)──► STALLED ──(polled again)──► UNAVAILABLE / STALLED
//!    └──(the watch ends)──► OVER ──► OK
//! ```
//!
//! hyper does not poll a stream while HTTP/2 has no room. While there is room, hyper polls it at least once each
//! heartbeat, because a heartbeat wakes it. So a stream that was not polled for longer was not read. A client that
//! never reads again would never cause another poll either. Therefore a task inspects all streams from time to time and
//! drops the watch of a stalled one, so that its connection is not polled for it.

use crate::grpc::{frame::Frame, status};
use futures_util::stream::{BoxStream, Stream, StreamExt};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

type Events = BoxStream<'static, Result<Frame, Status>>;

/// All open streams.
#[derive(Debug, Clone)]
pub struct OpenStreams {
    /// How long a stream may go unread.
    stall: Duration,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    streams: Vec<Weak<Mutex<StreamState>>>,
    /// The task that inspects the streams. It runs while there are any.
    task: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug, Clone)]
pub struct GuardedStream(Arc<Mutex<StreamState>>);

#[derive(Debug)]
struct StreamState {
    state: State,
    /// When the stream was last polled.
    asked: Instant,
    stall: Duration,
}

enum State {
    Read(Events),
    Stalled,
    Over,
}

impl OpenStreams {
    /// Creates an empty set. A stream that goes unread for longer than `stall` ends. `stall` must exceed the heartbeat
    /// interval.
    pub fn new(stall: Duration) -> OpenStreams {
        OpenStreams {
            stall,
            open: Arc::default(),
        }
    }

    /// Guards `events`: the stream ends if the client does not read it.
    pub fn stream(&self, events: Events) -> GuardedStream {
        let reading = Arc::new(Mutex::new(StreamState {
            state: State::Read(events),
            asked: Instant::now(),
            stall: self.stall,
        }));
        let mut open = lock(&self.open);
        open.streams.push(Arc::downgrade(&reading));
        if open.streams.len() == 1 {
            let task = tokio::spawn(go_through(Arc::downgrade(&self.open), self.stall / 2));
            open.task = Some(AbortOnDropHandle::new(task));
        }
        GuardedStream(reading)
    }
}

/// Inspects the streams until none is left.
async fn go_through(open: Weak<Mutex<Open>>, pause: Duration) {
    loop {
        sleep(pause).await;
        let Some(open) = open.upgrade() else {
            return;
        };
        let streams = &mut lock(&open).streams;
        streams.retain(|reading| match reading.upgrade() {
            Some(reading) => lock(&reading).is_read(Instant::now()),
            None => false,
        });
        if streams.is_empty() {
            return;
        }
        if streams.capacity() > 4 * streams.len() {
            streams.shrink_to_fit();
        }
    }
}

impl StreamState {
    /// Reports whether the stream is being read. Drops the watch if it is not.
    fn is_read(&mut self, now: Instant) -> bool {
        if let State::Read(events) = &mut self.state
            && now.duration_since(self.asked) > self.stall
        {
            // If its client has got all that there was, it has ended well. A fault in one stream must not keep the
            // others from being gone through.
            let more = catch_unwind(AssertUnwindSafe(|| {
                events.poll_next_unpin(&mut Context::from_waker(Waker::noop()))
            }));
            self.state = match more {
                Ok(Poll::Ready(None)) => State::Over,
                _ => State::Stalled,
            };
        }
        matches!(self.state, State::Read(_))
    }
}

impl Stream for GuardedStream {
    type Item = Result<Frame, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut reading = lock(&self.0);
        let now = Instant::now();
        reading.is_read(now);
        reading.asked = now;
        let stall = reading.stall;
        match &mut reading.state {
            State::Read(events) => events.poll_next_unpin(cx),
            State::Stalled => {
                reading.state = State::Over;
                Poll::Ready(Some(Err(status::stalled(stall))))
            }
            State::Over => Poll::Ready(None),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Read(_) => "Read",
            State::Stalled => "Stalled",
            State::Over => "Over",
        })
    }
}

/// The lock is held while a watch is polled for its next message, and never across an await.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    const STALL: Duration = Duration::from_secs(60);

    fn outcome() -> impl Stream<Item = Result<Frame, Status>> + Send + 'static {
        stream::iter([Ok(Frame::of(&()))])
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_never_asked_again_lets_its_watch_go() {
        let readers = OpenStreams::new(STALL);
        let held = Arc::new(());
        let watch = Arc::clone(&held);
        let endless = stream::pending().map(move |never: Result<Frame, Status>| {
            let _watch = &watch;
            never
        });
        let mut stream = readers.stream(outcome().chain(endless).boxed());
        assert!(stream.next().await.unwrap().is_ok());
        sleep(STALL).await;
        assert_eq!(Arc::strong_count(&held), 2, "not yet");
        sleep(STALL).await;
        assert_eq!(Arc::strong_count(&held), 1);
        let status = stream.next().await.unwrap().unwrap_err();
        assert!(status.message().contains("resume"), "{status:?}");
        assert!(stream.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_with_nothing_left_to_read_ends_well_however_late() {
        let readers = OpenStreams::new(STALL);
        for late in [STALL + Duration::from_millis(1), 3 * STALL] {
            let mut stream = readers.stream(outcome().boxed());
            assert!(stream.next().await.unwrap().is_ok());
            sleep(late).await;
            assert!(stream.next().await.is_none(), "after {late:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn streams_that_ended_are_forgotten_and_later_ones_are_gone_through() {
        let readers = OpenStreams::new(STALL);
        for _ in 0..3 {
            let stream = readers.stream(stream::pending().boxed());
            let other = readers.stream(stream::pending().boxed());
            drop(other);
            sleep(2 * STALL).await;
            assert!(lock(&readers.open).streams.is_empty());
            assert!(matches!(lock(&stream.0).state, State::Stalled));
        }
    }
}
