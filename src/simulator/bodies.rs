//! Response bodies, among them two that no honest handler sends: one that breaks off and one that never ends.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::simulator::requests::InFlight;

/// A body whose request counts as in flight until the body is sent or its client has hung up.
pub(crate) struct Held {
    pub(crate) body: axum::body::Body,
    #[expect(dead_code, reason = "is dropped with the body, which is all it is for")]
    pub(crate) in_flight: InFlight,
}

impl Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The first half of a body, followed by an error. hyper closes the connection on that error.
pub(crate) enum Half {
    Unsent(Bytes),
    /// One pending poll, so that hyper flushes the half before it sees the error.
    Sent,
    Flushed,
}

impl Body for Half {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match std::mem::replace(&mut *self, Half::Flushed) {
            Half::Unsent(bytes) => {
                *self = Half::Sent;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Half::Sent => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Half::Flushed => {
                Poll::Ready(Some(Err(io::Error::other("the body was to be cut here"))))
            }
        }
    }
}

/// A JSON array of zeros that never ends.
#[derive(Default)]
pub(crate) struct Endless {
    begun: bool,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = if std::mem::replace(&mut self.begun, true) {
            ENDLESS
        } else {
            b"[0"
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(frame)))))
    }
}

/// 64 KiB of repeated `,0`.
static ENDLESS: &[u8] = &{
    let mut bytes = [b','; 65_536];
    let mut at = 1;
    while at < bytes.len() {
        bytes[at] = b'0';
        at += 2;
    }
    bytes
};
