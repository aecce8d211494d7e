//! The request of a call. Refuses a message that announces more than a limit, and ends a request that does not arrive.

use crate::{
    grpc::status,
    server::{
        counted::Limit,
        newest::{Newest, Ticket},
        progress::Progress,
    },
};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;

/// Limits of requests.
#[derive(Debug)]
pub struct Limits {
    /// Maximum bytes of a message.
    pub message_bytes: usize,
    /// Time for one message to arrive.
    pub timeout: Duration,
    /// All requests that have not arrived completely.
    pub unfinished: Newest,
}

/// The body of a request. Checks the announced length against the limits before it keeps any data.
///
/// tonic would answer a large message with OUT_OF_RANGE and no details. When the error of a body is a [`Status`], tonic
/// sends that status unchanged. tonic itself limits the size after decompression, with RESOURCE_EXHAUSTED.
#[derive(Debug)]
pub struct RequestBody<B> {
    inner: B,
    limits: Arc<Limits>,
    call: Arc<Progress>,
    prefix: Prefix,
    /// Set once the body had to wait for data.
    wait: Option<Wait>,
}

#[derive(Debug)]
struct Wait {
    timer: Pin<Box<Sleep>>,
    ticket: Ticket,
}

impl<B> RequestBody<B> {
    /// Wraps the request of `call`.
    pub fn new(inner: B, limits: &Arc<Limits>, call: &Arc<Progress>) -> RequestBody<B> {
        RequestBody {
            inner,
            limits: Arc::clone(limits),
            call: Arc::clone(call),
            prefix: Prefix::default(),
            wait: None,
        }
    }

    fn read(&mut self, data: &Bytes) -> Result<(), Status> {
        let longest = self.prefix.read(data.clone());
        let limit = self.limits.message_bytes;
        if longest > limit {
            Limit::Message.reached();
            return Err(status::message_too_large(longest, limit));
        }
        if !self.call.hold(longest) {
            let why = "all the bytes are on their way that this connection may have";
            return Err(self.call.client.refuse(Limit::Buffered, why));
        }
        if let Some(wait) = &mut self.wait
            && self.prefix.is_between()
        {
            wait.timer
                .as_mut()
                .reset(Instant::now() + self.limits.timeout);
        }
        Ok(())
    }

    /// Completes when the request takes too long or has to make room for others.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let limits = &self.limits;
        let wait = self.wait.get_or_insert_with(|| Wait {
            timer: Box::pin(sleep(limits.timeout)),
            ticket: limits.unfinished.enter(),
        });
        if wait.timer.as_mut().poll(cx).is_ready() {
            Limit::Request.reached();
            return Poll::Ready(status::not_arrived(limits.timeout));
        }
        let evicted = Pin::new(&mut wait.ticket).poll(cx);
        evicted.map(|()| {
            let why = "too many requests have not arrived in full; this was the oldest";
            self.call.client.refuse(Limit::Unfinished, why)
        })
    }
}

impl<B> Body for RequestBody<B>
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
        let frame = match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                this.wait = None;
                return Poll::Ready(None);
            }
            Poll::Pending => {
                return this.poll_wait(cx).map(|status| Some(Err(status.into())));
            }
        };
        match frame.data_ref().map_or(Ok(()), |data| this.read(data)) {
            Ok(()) => Poll::Ready(Some(Ok(frame))),
            Err(status) => Poll::Ready(Some(Err(status.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Parses the five bytes before each message: a compression flag and the length. HTTP/2 frames may split prefixes and
/// messages anywhere.
#[derive(Debug, Default)]
struct Prefix {
    /// Bytes of the prefix seen so far, below 5.
    seen: usize,
    /// The part of the length seen so far.
    length: u32,
    /// Bytes of the message still to come.
    left: usize,
}

impl Prefix {
    /// Reports whether a message has ended and no other has begun.
    fn is_between(&self) -> bool {
        self.seen == 0 && self.left == 0
    }

    /// Parses `data` and returns the longest length announced in it.
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
    use crate::grpc::leaving::Leaving;
    use crate::server::{client::Client, pool::Pool};
    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};
    use proptest::prelude::*;
    use tonic::Code;

    const TIMEOUT: Duration = Duration::from_secs(30);

    /// Sends bytes one at a time, `pause` apart, without an end. Returns how and when the body fails.
    async fn trickle(bytes: Vec<u8>, pause: Duration) -> (Status, Duration) {
        let pool = || Pool::new(1_000, 1_000, 0);
        let peer = [127, 0, 0, 1].into();
        let client = Client::new(
            peer,
            &pool(),
            &pool(),
            &pool(),
            Leaving::default(),
            &Arc::default(),
        );
        let call = Progress::new(Arc::new(client));
        let limits = Arc::new(Limits {
            message_bytes: 1_000,
            timeout: TIMEOUT,
            unfinished: Newest::new(10),
        });
        let frames = stream::unfold(bytes.into_iter(), async |mut bytes| {
            sleep(pause).await;
            match bytes.next() {
                Some(byte) => {
                    let frame = Frame::data(Bytes::from(vec![byte]));
                    Some((Ok::<_, Status>(frame), bytes))
                }
                None => std::future::pending().await,
            }
        });
        let inner = Box::pin(StreamBody::new(frames));
        let mut body = RequestBody::new(inner, &limits, &call);
        let begun = Instant::now();
        loop {
            if let Err(error) = body.frame().await.expect("an end with a status") {
                return (*error.downcast().expect("a status"), begun.elapsed());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_trickles_in_is_ended() {
        let one = Duration::from_secs(1);
        let (status, after) = trickle(message(100), one).await;
        assert_eq!((status.code(), after), (Code::DeadlineExceeded, TIMEOUT));
        // The next message, or the end, has as much time again.
        let (status, after) = trickle(message(5), one).await;
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(after, 10 * one + TIMEOUT);
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
            prop_assert!(prefix.is_between());
        }
    }
}
