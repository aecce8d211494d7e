//! The deadline of a call, read from `grpc-timeout` and applied to its handler and its answer. The shutdown of the
//! server or of a connection ends an answer too.
//!
//! Every data frame of tonic holds whole messages, so an answer always ends between two messages.

use crate::{
    core::error::{Error, Violation},
    grpc::{
        deadline::{Deadline, timeout},
        leaving::{Leaving, Left},
        status,
    },
    server::trailers,
};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::Status;

/// Reads the deadline from the headers.
///
/// # Errors
/// INVALID_ARGUMENT if it cannot be parsed.
pub fn read(headers: &HeaderMap) -> Result<Deadline, Status> {
    let timeout = timeout(headers).map_err(|malformed| {
        Error::invalid(vec![Violation::new("grpc-timeout", malformed.to_string())])
    })?;
    // A time beyond the range of the clock means no deadline.
    Ok(Deadline(
        timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
    ))
}

/// Runs `work` until the deadline. If both complete at once, the result of `work` counts.
///
/// # Errors
/// DEADLINE_EXCEEDED.
pub async fn enforce<F: Future>(deadline: Deadline, work: F) -> Result<F::Output, Status> {
    match deadline.0 {
        None => Ok(work.await),
        Some(deadline) => timeout_at(deadline, work)
            .await
            .map_err(|_elapsed| status::deadline_exceeded()),
    }
}

/// An answer that may end early with a status.
#[derive(Debug)]
pub struct Ending<B> {
    /// `None` once the answer has ended.
    inner: Option<B>,
    ends: Ends,
    /// Whether a message was passed on.
    has_begun: bool,
    /// The status that replaces the next message.
    why: Option<Status>,
}

impl<B> Ending<B> {
    /// Passes `inner` on until one of `ends` completes.
    pub fn new(inner: B, ends: Ends) -> Ending<B> {
        Ending {
            inner: Some(inner),
            ends,
            has_begun: false,
            why: None,
        }
    }

    fn end<D>(&mut self, status: &Status) -> Poll<Option<Result<Frame<D>, Status>>> {
        // Drops the source of the messages at once, not when the client has read the trailers.
        self.inner = None;
        Poll::Ready(Some(Ok(Frame::trailers(trailers::of(status)))))
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> Body for Ending<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) else {
            let why = match self.why.take() {
                Some(why) => why,
                None => ready!(self.ends.poll(cx)),
            };
            return self.end(&why);
        };
        if let Some(Ok(frame)) = &frame
            && frame.is_data()
        {
            if let Some(why) = self.why.take() {
                return self.end(&why);
            }
            // Never cuts off a unary answer, which is one frame. A stream that always has another message ends after
            // the message in hand.
            if self.has_begun
                && let Poll::Ready(why) = self.ends.poll(cx)
            {
                self.why = Some(why);
            }
            self.has_begun = true;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref();
        inner.map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The events that end an answer early.
pub struct Ends {
    deadline: Option<Pin<Box<Sleep>>>,
    /// `None` if shutdown does not matter.
    left: Option<Left>,
}

impl Ends {
    /// Ends at the deadline, or with the server or the connection.
    pub fn at(deadline: Option<Instant>, leaving: &Leaving) -> Ends {
        Ends {
            deadline: deadline.map(|deadline| Box::pin(sleep_until(deadline))),
            left: Some(leaving.left()),
        }
    }

    /// Never ends, for an answer that is already complete.
    pub fn never() -> Ends {
        Ends {
            deadline: None,
            left: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(status::deadline_exceeded());
        }
        match &mut self.left {
            Some(left) => left.poll(cx),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends")
            .field("deadline", &self.deadline.as_ref().map(|s| s.deadline()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tonic::Code;
    use tonic_types::StatusExt;

    #[test]
    fn a_timeout_that_cannot_be_read_is_refused_by_name() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", "soon".parse().unwrap());
        let status = read(&headers).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "grpc-timeout");
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_what_takes_longer() {
        let deadline = Deadline(Some(Instant::now() + Duration::from_secs(1)));
        let status = enforce(deadline, std::future::pending::<()>())
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(status.get_details_error_info().unwrap().reason, "DEADLINE");
        // The deadline has passed, but the answer is ready.
        assert_eq!(enforce(deadline, async { 7 }).await.unwrap(), 7);
    }
}
