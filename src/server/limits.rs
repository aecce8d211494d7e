//! How many calls are under way, and how large a message may be.

use crate::grpc::status;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Asked by whoever decides whether this process lives. A gateway with much to do must not be taken for a
/// dead one, so these calls take no place.
const ALWAYS_ADMITTED: &str = "/grpc.health.v1.Health/Check";

/// The places for calls under way.
#[derive(Debug)]
pub struct Calls {
    places: Arc<Semaphore>,
    most: usize,
}

impl Calls {
    /// So many places.
    pub fn new(most: usize) -> Calls {
        let most = most.min(Semaphore::MAX_PERMITS);
        Calls {
            places: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// Takes a place, to be held until the answer has been sent.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if there is none. Nobody is made to wait: a queue would only hide the limit.
    pub fn admit(&self, path: &str) -> Result<Option<OwnedSemaphorePermit>, Status> {
        if path == ALWAYS_ADMITTED {
            return Ok(None);
        }
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Ok(Some(place)),
            Err(_) => Err(status::limit_exceeded(format!(
                "the gateway serves {} calls at the same time and no more",
                self.most
            ))),
        }
    }
}

/// A request's body that is refused when it announces a message above the limit, before any of it is kept.
///
/// tonic would answer OUT_OF_RANGE without details. A body's error that is a [`Status`] is the answer as it
/// is. What a message becomes by decompression is limited by tonic, with RESOURCE_EXHAUSTED.
#[derive(Debug)]
pub struct Sized<B> {
    inner: B,
    limit: usize,
    prefix: Prefix,
}

impl<B> Sized<B> {
    /// Lets messages of at most `limit` bytes pass.
    pub fn new(inner: B, limit: usize) -> Sized<B> {
        Sized {
            inner,
            limit,
            prefix: Prefix::default(),
        }
    }
}

impl<B> Body for Sized<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let longest = frame.data_ref().map(|data| this.prefix.read(data.clone()));
        match longest {
            Some(longest) if longest > this.limit => {
                let status = status::message_too_large(longest, this.limit);
                Poll::Ready(Some(Err(status.into())))
            }
            _ => Poll::Ready(Some(Ok(frame))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads the five bytes before each message: whether it is compressed, and its length. They, like the
/// messages, may be cut anywhere by the frames they come in.
#[derive(Debug, Default)]
struct Prefix {
    /// Bytes of the prefix seen so far, below 5.
    seen: usize,
    /// The length, as far as it has been seen.
    length: u32,
    /// Bytes of the message that are still to come.
    left: usize,
}

impl Prefix {
    /// Follows `data` and answers the longest length it announces.
    fn read(&mut self, mut data: Bytes) -> usize {
        let mut longest = 0;
        while data.has_remaining() {
            if self.left > 0 {
                let step = self.left.min(data.remaining());
                data.advance(step);
                self.left -= step;
                continue;
            }
            let byte = data.get_u8();
            if self.seen > 0 {
                self.length = self.length << 8 | u32::from(byte);
            }
            self.seen += 1;
            if self.seen == 5 {
                self.left = self.length as usize;
                longest = longest.max(self.left);
                self.seen = 0;
                self.length = 0;
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tonic::Code;

    #[test]
    fn a_place_is_given_back_when_it_is_dropped() {
        let calls = Calls::new(1);
        let place = calls.admit("/a/B").unwrap();
        let status = calls.admit("/a/B").unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(calls.admit(ALWAYS_ADMITTED).is_ok());
        drop(place);
        assert!(calls.admit("/a/B").is_ok());
    }

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend((length as u32).to_be_bytes());
        bytes.extend(vec![0xff; length]);
        bytes
    }

    #[test]
    fn the_announcement_is_enough() {
        let mut prefix = Prefix::default();
        let announced = prefix.read(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]));
        assert_eq!(announced, u32::MAX as usize);
    }

    proptest! {
        #[test]
        fn lengths_are_read_however_the_bytes_are_cut(
            lengths in proptest::collection::vec(0..300_usize, 0..6),
            cuts in proptest::collection::vec(1..40_usize, 1..400),
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let mut rest = Bytes::from(bytes);
            let mut prefix = Prefix::default();
            let mut longest = 0;
            for cut in cuts.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let piece = rest.split_to(cut.min(rest.len()));
                longest = longest.max(prefix.read(piece));
            }
            prop_assert_eq!(longest, lengths.into_iter().max().unwrap_or(0));
            prop_assert_eq!((prefix.seen, prefix.left), (0, 0));
        }
    }
}
