//! The deadline of a call, read from `grpc-timeout` and held against its handler and its answer; and the end of the
//! server or of a connection, which ends an answer, too.
//!
//! Every data frame that tonic makes holds whole messages, so the end always falls between two messages.

use crate::{
    core::error::{Error, Violation},
    grpc::{
        deadline::{Deadline, timeout},
        leaving::Leaving,
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
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

/// The deadline that the headers set.
///
/// # Errors
/// INVALID_ARGUMENT if they set one that cannot be read.
pub fn read(headers: &HeaderMap) -> Result<Deadline, Status> {
    let timeout = timeout(headers).map_err(|malformed| {
        Error::invalid(vec![Violation::new("grpc-timeout", malformed.to_string())])
    })?;
    // A time beyond what the clock can tell is none.
    Ok(Deadline(
        timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
    ))
}

/// What `work` answers in time. If both happen at once, the answer counts.
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

/// An answer that is ended early with a status.
#[derive(Debug)]
pub struct Ending<B> {
    /// `None` once it is over.
    inner: Option<B>,
    ends: Ends,
    /// Whether a message was passed on.
    has_begun: bool,
    /// Why the next message is not passed on any more.
    why: Option<Status>,
}

impl<B> Ending<B> {
    /// Passes `inner` on until one of `ends`.
    pub fn new(inner: B, ends: Ends) -> Ending<B> {
        Ending {
            inner: Some(inner),
            ends,
            has_begun: false,
            why: None,
        }
    }

    fn end<D>(&mut self, status: &Status) -> Poll<Option<Result<Frame<D>, Status>>> {
        // What makes the messages is let go now, not when the client has read the trailers.
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
            // A unary answer is one frame and is never cut off. A stream that always has more to say is, after what it
            // has to say to its end.
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

/// What ends an answer early.
pub struct Ends {
    deadline: Option<Pin<Box<Sleep>>>,
    /// `None`: of no interest.
    leaving: Option<Leaving>,
    /// Waited for only once an answer does not come at once.
    told: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Ends {
    /// The deadline, and the end of the server or of the connection.
    pub fn at(deadline: Option<Instant>, leaving: Leaving) -> Ends {
        Ends {
            deadline: deadline.map(|deadline| Box::pin(sleep_until(deadline))),
            leaving: Some(leaving),
            told: None,
        }
    }

    /// Nothing: the answer is already complete.
    pub fn never() -> Ends {
        Ends {
            deadline: None,
            leaving: None,
            told: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(status::deadline_exceeded());
        }
        let Some(leaving) = &self.leaving else {
            return Poll::Pending;
        };
        let told = self
            .told
            .get_or_insert_with(|| Box::pin(leaving.token().clone().cancelled_owned()));
        told.as_mut().poll(cx).map(|()| leaving.why())
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
        // Already over, but the answer is there.
        assert_eq!(enforce(deadline, async { 7 }).await.unwrap(), 7);
    }
}
