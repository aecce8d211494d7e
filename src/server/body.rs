//! The answer of a call on its way to HTTP/2, in pieces whose bytes count against the share of the connection.

use crate::server::{
    counted::Limit,
    pool::Taken,
    progress::{Piece, Progress},
    trailers,
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tonic::Status;

/// Largest piece handed to HTTP/2: one frame. hyper passes on a whole piece as soon as the window has room for a byte.
/// After that, only the end of the connection can discard the piece.
const PIECE: usize = 16 * 1024;

/// An answer in pieces. Holds the call's part of the common pools.
#[derive(Debug)]
pub struct Pieces<B> {
    /// `None` once the answer has ended.
    inner: Option<B>,
    /// Whether a data frame was passed on.
    has_begun: bool,
    /// The part of the last data frame that is still to be passed on.
    rest: Option<(Bytes, Taken)>,
    call: Arc<Progress>,
    /// The call's place among the calls in flight. Dropping the body frees it.
    _place: Option<Taken>,
}

impl<B> Pieces<B> {
    /// Wraps `inner`, the answer to `call`.
    pub fn new(inner: B, call: Arc<Progress>, place: Option<Taken>) -> Pieces<B> {
        Pieces {
            inner: Some(inner),
            has_begun: false,
            rest: None,
            call,
            _place: place,
        }
    }

    /// Passes on the first piece of `data`.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if the answer is large and the client has too many bytes in flight. A small answer always
    /// passes: its call was admitted before the client had that many. A stream that has begun passes too, because the
    /// server asks it for the next message only when the previous one is on its way.
    fn pass_on(&mut self, data: Bytes) -> Result<Frame<Piece>, Status> {
        let share = &self.call.client.bytes;
        let taken = match share.take(data.len()) {
            Some(taken) => taken,
            None if data.len() <= PIECE || self.has_begun => share.take_anyway(data.len()),
            None => {
                let why = format!(
                    "the answer has {} bytes, and {} of other messages are on their way on this connection",
                    data.len(),
                    share.mine()
                );
                return Err(self.call.client.refuse(Limit::Buffered, why));
            }
        };
        self.has_begun = true;
        Ok(self.piece(data, taken))
    }

    /// Returns the first piece of `data` and keeps the rest.
    fn piece(&mut self, mut data: Bytes, mut taken: Taken) -> Frame<Piece> {
        if data.len() <= PIECE {
            return Frame::data(Piece::new(data, taken, &self.call));
        }
        let piece = Piece::new(data.split_to(PIECE), taken.split(PIECE), &self.call);
        self.rest = Some((data, taken));
        Frame::data(piece)
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> Body for Pieces<B> {
    type Data = Piece;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Status>>> {
        if let Some((data, taken)) = self.rest.take() {
            return Poll::Ready(Some(Ok(self.piece(data, taken))));
        }
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let Some(frame) = ready!(Pin::new(inner).poll_frame(cx)?) else {
            self.inner = None;
            return Poll::Ready(None);
        };
        let frame = match frame.into_data() {
            Ok(data) => self.pass_on(data).unwrap_or_else(|status| {
                self.inner = None;
                Frame::trailers(trailers::of(&status))
            }),
            Err(frame) => Frame::trailers(frame.into_trailers().unwrap_or_default()),
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref();
        inner.map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
