//! The peer of the fan-out: HTTP/2 of the same libraries, and nothing else. A message is encoded once and its
//! bytes go to every stream. No gateway on this stack can be faster; the question is by how much it is slower.

use crate::support::streams::framed;
use bytes::Bytes;
use futures_util::StreamExt;
use http::Response;
use http_body_util::StreamBody;
use hyper::{body::Frame, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{convert::Infallible, net::SocketAddr};
use tokio::{net::TcpListener, sync::watch};
use tokio_stream::wrappers::WatchStream;

/// A server of one message.
#[derive(Debug)]
pub struct Bare {
    /// Where it listens.
    pub addr: SocketAddr,
    latest: watch::Sender<Bytes>,
}

impl Bare {
    /// Starts it; every stream begins with `first`.
    pub async fn start(first: &[u8]) -> Bare {
        let latest = watch::Sender::new(framed(first));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound socket");
        let shared = latest.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).expect("a TCP socket");
                let shared = shared.clone();
                let service = service_fn(move |_| {
                    let frames = WatchStream::new(shared.subscribe())
                        .map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
                    let answer = Response::builder()
                        .header("content-type", "application/grpc")
                        .body(StreamBody::new(frames));
                    async move { answer }
                });
                tokio::spawn(async move {
                    let mut builder = auto::Builder::new(TokioExecutor::new()).http2_only();
                    builder.http2().max_concurrent_streams(1_000);
                    // The client ends it.
                    let _ = builder
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Bare { addr, latest }
    }

    /// Sends a message to every stream.
    pub fn send(&self, message: &[u8]) {
        self.latest.send_replace(framed(message));
    }
}
