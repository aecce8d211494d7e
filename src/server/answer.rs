//! The answer of a call as its handler makes it: by tonic, or frame by frame by a watch.

use crate::{grpc::stall_timeout::GuardedStream, server::trailers};
use bytes::Bytes;
use futures_util::StreamExt;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::Status;

/// The answer of a call. Each data frame of a watch is one whole message.
#[derive(Debug)]
pub enum Answer {
    /// The body as tonic encodes it.
    Tonic(tonic::body::Body),
    /// A watch that has not ended: its frames, then its status.
    Watch(GuardedStream),
    /// A watch that has ended and whose status has been sent on.
    Over,
}

impl Answer {
    /// Takes the frames of a watch from the extensions of its response, if there are any.
    pub fn of(mut response: Response<tonic::body::Body>) -> Response<Answer> {
        match response.extensions_mut().remove() {
            Some(frames) => response.map(|_| Answer::Watch(frames)),
            None => response.map(Answer::Tonic),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frames = match &mut *self {
            Answer::Tonic(body) => return Pin::new(body).poll_frame(cx),
            Answer::Watch(frames) => frames,
            Answer::Over => return Poll::Ready(None),
        };
        let status = match ready!(frames.poll_next_unpin(cx)) {
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(Frame::data(frame.into_bytes())))),
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        *self = Answer::Over;
        Poll::Ready(Some(Ok(Frame::trailers(trailers::of(&status)))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Tonic(body) => body.is_end_stream(),
            Answer::Watch(_) => false,
            Answer::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Tonic(body) => body.size_hint(),
            Answer::Watch(_) => SizeHint::default(),
            Answer::Over => SizeHint::with_exact(0),
        }
    }
}
