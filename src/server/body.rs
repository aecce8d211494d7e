//! The answer of a call: passed on frame by frame, and ended early with a status when its deadline passes,
//! the server drains, or making the next frame panics.
//!
//! Every data frame that tonic makes holds whole messages, so the end always falls between two messages.

use crate::{
    grpc::status,
    server::{
        pool::Taken,
        progress::{Piece, Progress},
        trace::Record,
    },
};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

/// What is given to HTTP/2 at once: a frame of it. hyper gives all of a piece as soon as there is room for a byte, and
/// then it is kept where nobody can end it but with the connection.
const PIECE: usize = 16 * 1024;

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
    /// Of the last data frame, what has not been passed on.
    rest: Option<(Bytes, Taken)>,
    call: Arc<Progress>,
    /// The place among the calls under way; given back when the body is dropped.
    _place: Option<Taken>,
    record: Record,
}

impl CallBody {
    /// Passes `inner` on until one of `ends`.
    pub fn new(
        inner: tonic::body::Body,
        ends: Ends,
        call: Arc<Progress>,
        place: Option<Taken>,
        record: Record,
    ) -> CallBody {
        CallBody {
            inner: Some(inner),
            ends,
            frames: 0,
            ending: None,
            rest: None,
            call,
            _place: place,
            record,
        }
    }

    /// Passes `data` on, as far as it is a piece.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if it is large and the client has too much already. What is small was let in before the
    /// client had; and a stream is asked for more only when what it said before is on its way.
    fn pass_on(&mut self, data: Bytes) -> Result<Frame<Piece>, Status> {
        let share = &self.call.client.bytes;
        let taken = match share.take(data.len()) {
            Some(taken) => taken,
            None if data.len() <= PIECE || self.frames > 1 => share.take_anyway(data.len()),
            None => {
                let status = status::limit_exceeded(format!(
                    "the answer has {} bytes, and {} of other messages are on their way on this connection",
                    data.len(),
                    share.mine()
                ));
                self.call.client.refused(status.message());
                return Err(status);
            }
        };
        Ok(self.piece(data, taken))
    }

    /// The first piece of `data`; what is left comes later.
    fn piece(&mut self, mut data: Bytes, mut taken: Taken) -> Frame<Piece> {
        if data.len() <= PIECE {
            return Frame::data(Piece::new(data, taken, &self.call));
        }
        let piece = Piece::new(data.split_to(PIECE), taken.split(PIECE), &self.call);
        self.rest = Some((data, taken));
        Frame::data(piece)
    }

    fn last(&mut self, trailers: HeaderMap) -> Frame<Piece> {
        self.record.trailers(&trailers);
        Frame::trailers(trailers)
    }

    fn end(&mut self, status: &Status) -> Frame<Piece> {
        // What makes the messages is let go now, not when the client has read the trailers.
        self.inner = None;
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.insert("grpc-status", i32::from(status.code()).into());
        }
        self.last(trailers)
    }
}

impl Body for CallBody {
    type Data = Piece;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Status>>> {
        let this = self.get_mut();
        if let Some((data, taken)) = this.rest.take() {
            return Poll::Ready(Some(Ok(this.piece(data, taken))));
        }
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx))) {
            Ok(Poll::Ready(Some(Ok(frame)))) => match frame.into_data() {
                Ok(data) => {
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
                    let frame = this.pass_on(data);
                    let frame = frame.unwrap_or_else(|status| this.end(&status));
                    Poll::Ready(Some(Ok(frame)))
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    Poll::Ready(Some(Ok(this.last(trailers))))
                }
            },
            Ok(Poll::Ready(Some(Err(status)))) => Poll::Ready(Some(Err(status))),
            Ok(Poll::Ready(None)) => {
                this.inner = None;
                Poll::Ready(None)
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
        self.rest.is_none() && self.inner.as_ref().is_none_or(Body::is_end_stream)
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
