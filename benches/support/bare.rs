//! The peer of the fan-out: HTTP/2 of the same libraries, and nothing else. A message is encoded once and its
//! bytes go to every stream. Its frames are written one by one, or coalesced as the gateway does it; coalesced, no gateway
//! on this stack can be faster, and the question is by how much it is slower.

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
use isthmus::server::write_coalescing::{Coalescing, Copied};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, net::SocketAddr, pin::pin};
use tokio::{net::TcpListener, sync::watch};
use tokio_stream::wrappers::WatchStream;

/// A server of one message.
#[derive(Debug)]
pub struct Bare {
    /// Where it listens.
    pub addr: SocketAddr,
    latest: watch::Sender<Bytes>,
}

/// How frames that several streams send at the same time are written.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Writes {
    /// As the libraries do it by default.
    Each,
    Coalesced,
}

impl Bare {
    /// Starts it; every stream begins with `first`.
    pub async fn start(first: &[u8], writes: Writes) -> Bare {
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
                    let _ = match writes {
                        Writes::Each => {
                            let socket = TokioIo::new(socket);
                            builder.serve_connection(socket, service).await
                        }
                        Writes::Coalesced => {
                            let socket = TokioIo::new(Copied(socket));
                            Coalescing::new(pin!(builder.serve_connection(socket, service))).await
                        }
                    };
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
