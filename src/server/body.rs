//! The answer of a call on its way to HTTP/2: in pieces, which take their bytes from what its connection may have.

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

/// What is given to HTTP/2 at once: a frame of it. hyper gives all of a piece as soon as there is room for a byte, and
/// then it is kept where nobody can end it but with the connection.
const PIECE: usize = 16 * 1024;

/// An answer in pieces, with what its call has of what all share.
#[derive(Debug)]
pub struct Pieces<B> {
    /// `None` once it is over.
    inner: Option<B>,
    /// Whether a data frame was passed on.
    has_begun: bool,
    /// Of the last data frame, what has not been passed on.
    rest: Option<(Bytes, Taken)>,
    call: Arc<Progress>,
    /// The place among the calls under way; given back when the body is dropped.
    _place: Option<Taken>,
}

impl<B> Pieces<B> {
    /// Passes `inner` on, the answer of `call`.
    pub fn new(inner: B, call: Arc<Progress>, place: Option<Taken>) -> Pieces<B> {
        Pieces {
            inner: Some(inner),
            has_begun: false,
            rest: None,
            call,
            _place: place,
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

    /// The first piece of `data`; what is left comes later.
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
