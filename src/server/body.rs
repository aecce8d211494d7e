//! The answer of a call: passed on frame by frame, and ended early with a status when its deadline passes,
//! the server drains, or making the next frame panics.
//!
//! Every data frame that tonic makes holds whole messages, so the end always falls between two messages.

use crate::{grpc::status, server::trace::Record};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

/// The body of an answer, with everything that is held for as long as the call lasts.
#[derive(Debug)]
pub struct CallBody {
    /// `None` once the call is over.
    inner: Option<tonic::body::Body>,
    ends: Ends,
    /// Data frames passed on.
    frames: usize,
    /// Why the next data frame is not passed on any more.
    ending: Option<Status>,
    /// The place among the calls under way; given back when the body is dropped.
    _place: Option<OwnedSemaphorePermit>,
    record: Record,
}

impl CallBody {
    /// Passes `inner` on until one of `ends`.
    pub fn new(
        inner: tonic::body::Body,
        ends: Ends,
        place: Option<OwnedSemaphorePermit>,
        record: Record,
    ) -> CallBody {
        CallBody {
            inner: Some(inner),
            ends,
            frames: 0,
            ending: None,
            _place: place,
            record,
        }
    }

    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        // What makes the messages is let go now, not when the client has read the trailers.
        self.inner = None;
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.insert("grpc-status", i32::from(status.code()).into());
        }
        self.record.trailers(&trailers);
        Frame::trailers(trailers)
    }
}

impl Body for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx))) {
            Ok(Poll::Ready(Some(Ok(frame)))) if frame.is_data() => {
                if let Some(status) = this.ending.take() {
                    return Poll::Ready(Some(Ok(this.end(&status))));
                }
                this.frames += 1;
                // A unary answer is one frame and is never cut off. A stream that always has more to say is,
                // after what it has to say to its end.
                if this.frames > 1
                    && let Poll::Ready(status) = this.ends.poll(cx)
                {
                    this.ending = Some(status);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Ok(Poll::Ready(last)) => {
                if let Some(Ok(frame)) = &last
                    && let Some(trailers) = frame.trailers_ref()
                {
                    this.record.trailers(trailers);
                }
                if last.is_none() {
                    this.inner = None;
                }
                Poll::Ready(last)
            }
            Ok(Poll::Pending) => {
                let status = match this.ending.take() {
                    Some(status) => status,
                    None => ready!(this.ends.poll(cx)),
                };
                Poll::Ready(Some(Ok(this.end(&status))))
            }
            Err(_panic) => {
                let call = this.record.name();
                tracing::error!(parent: &this.record.span(), call, "a stream panicked");
                Poll::Ready(Some(Ok(this.end(&status::panicked()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// What ends an answer early.
pub struct Ends {
    deadline: Option<Pin<Box<Sleep>>>,
    drain: Drain,
}

/// The server's drain; waited for only once an answer does not come at once.
enum Drain {
    /// Not waited for yet.
    Token(CancellationToken),
    /// Waited for.
    Waiting(Pin<Box<WaitForCancellationFutureOwned>>),
    /// Of no interest.
    Ignored,
}

impl Ends {
    /// The deadline, and the server's drain.
    pub fn at(deadline: Option<Instant>, drain: CancellationToken) -> Ends {
        Ends {
            deadline: deadline.map(|deadline| Box::pin(sleep_until(deadline))),
            drain: Drain::Token(drain),
        }
    }

    /// Nothing: the answer is already complete.
    pub fn never() -> Ends {
        Ends {
            deadline: None,
            drain: Drain::Ignored,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(status::deadline_exceeded());
        }
        if let Drain::Token(token) = &self.drain {
            self.drain = Drain::Waiting(Box::pin(token.clone().cancelled_owned()));
        }
        if let Drain::Waiting(drain) = &mut self.drain
            && drain.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(status::draining());
        }
        Poll::Pending
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends")
            .field("deadline", &self.deadline.as_ref().map(|s| s.deadline()))
            .finish_non_exhaustive()
    }
}
