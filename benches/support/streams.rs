//! gRPC streams over bare HTTP/2, for load that should cost the client as little as possible: the frames are
//! taken apart and what is in them is left as it is, unless a bench wants to know.

use crate::support::now;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, future::BoxFuture, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpStream, sync::Notify, time::timeout};

/// The most calls a client may have on its way before the server has said how many it takes.
const FIRST_CALLS: usize = 100;

/// One HTTP/2 connection.
#[derive(Debug)]
pub struct Link {
    sender: SendRequest<UnsyncBoxBody<Bytes, Infallible>>,
    addr: SocketAddr,
}

impl Link {
    /// Connects.
    pub async fn connect(addr: SocketAddr) -> Link {
        Link::with(&Builder::new(TokioExecutor::new()), addr).await
    }

    /// Connects, and lets the server send so many bytes on each stream that is not read.
    pub async fn narrow(window: u32, addr: SocketAddr) -> Link {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window);
        Link::with(&builder, addr).await
    }

    async fn with(builder: &Builder<TokioExecutor>, addr: SocketAddr) -> Link {
        let socket = TcpStream::connect(addr).await.expect("the server listens");
        socket.set_nodelay(true).expect("a TCP socket");
        let (sender, connection) = builder
            .handshake(TokioIo::new(socket))
            .await
            .expect("the server speaks HTTP/2");
        tokio::spawn(async move {
            // Ends with the server or with the last stream; whoever reads a stream notices.
            let _ = connection.await;
        });
        Link { sender, addr }
    }

    /// Opens a call and waits for its answer to begin. `more` are further messages of the request; without any,
    /// its end is sent along.
    pub async fn open(&mut self, path: &str, first: &[u8], more: Option<Outgoing>) -> Messages {
        self.begin(path, first, more).await.messages().await
    }

    /// Sends a call.
    pub async fn begin(&mut self, path: &str, first: &[u8], more: Option<Outgoing>) -> Begun {
        let first = stream::iter([Ok(Frame::data(framed(first)))]);
        let body = match more {
            None => StreamBody::new(first).boxed_unsync(),
            Some(more) => StreamBody::new(first.chain(more.0)).boxed_unsync(),
        };
        let request = Request::post(format!("http://{}{path}", self.addr))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)
            .expect("a path is a path");
        self.sender.ready().await.expect("the connection is open");
        Begun(Box::pin(self.sender.send_request(request)))
    }
}

/// A call whose answer has not begun.
pub struct Begun(BoxFuture<'static, hyper::Result<Response<Incoming>>>);

impl Begun {
    /// Waits for the answer to begin.
    pub async fn messages(self) -> Messages {
        Messages::of(self.0.await.expect("the server answers"))
    }

    /// Waits for the answer to begin, and leaves it at that. `None` if the call or its connection was ended.
    pub async fn head(self) -> Option<Response<Incoming>> {
        self.0.await.ok()
    }
}

/// Further messages of a request.
pub struct Outgoing(stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>);

impl Outgoing {
    /// None, and no end either: some servers end the answer when the request ends.
    pub fn silence() -> Outgoing {
        Outgoing(stream::pending().boxed())
    }

    /// These, and then silence.
    pub fn of(messages: Vec<Vec<u8>>) -> Outgoing {
        let frames = messages.into_iter().map(|m| Ok(Frame::data(framed(&m))));
        Outgoing(stream::iter(frames).chain(stream::pending()).boxed())
    }
}

// There is nothing to show of a stream that was not read.
impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outgoing")
    }
}

/// A message with gRPC's prefix: not compressed, and its length.
pub fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.freeze()
}

/// The messages of an answer.
#[derive(Debug)]
pub struct Messages {
    body: Incoming,
    buffer: BytesMut,
}

impl Messages {
    fn of(answer: Response<Incoming>) -> Messages {
        let status = answer.headers().get("grpc-status");
        assert!(
            status.is_none(),
            "refused: {:?}",
            answer.headers().get("grpc-message")
        );
        Messages {
            body: answer.into_body(),
            buffer: BytesMut::new(),
        }
    }

    /// The next; `None` at the end, whatever it is.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = self.take() {
                return Some(message);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.put(data);
            }
        }
    }

    /// The next, read.
    pub async fn read<T: Message + Default>(&mut self) -> Option<T> {
        let message = self.next().await?;
        Some(T::decode(message).expect("the server sends what it should"))
    }

    fn take(&mut self) -> Option<Bytes> {
        let length = self.buffer.get(1..5)?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        if self.buffer.len() < 5 + length {
            return None;
        }
        self.buffer.advance(5);
        Some(self.buffer.split_to(length).freeze())
    }
}

/// Connects so many times, at most [`FIRST_CALLS`] at once.
pub async fn connect_all(addr: SocketAddr, count: usize) -> Vec<Link> {
    let links = stream::iter(0..count).map(|_| Link::connect(addr));
    links.buffered(FIRST_CALLS).collect().await
}

/// What arrived, and when, since it was asked last.
#[derive(Debug, Default, Clone)]
pub struct Arrivals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    times: Mutex<(Vec<u64>, usize)>,
    complete: Notify,
}

impl Arrivals {
    /// Something arrived now.
    pub fn arrived(&self) {
        let mut times = self.lock();
        times.0.push(now());
        if times.0.len() == times.1 {
            self.0.complete.notify_one();
        }
    }

    /// Waits until so many have arrived, or for so long, and takes them.
    pub async fn take(&self, count: usize, longest: Duration) -> Vec<u64> {
        self.lock().1 = count;
        if self.lock().0.len() < count {
            // A permit left over from before only makes the loop turn once more.
            let complete = async {
                while self.lock().0.len() < count {
                    self.0.complete.notified().await;
                }
            };
            let _ = timeout(longest, complete).await;
        }
        std::mem::take(&mut self.lock().0)
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<u64>, usize)> {
        self.0.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
