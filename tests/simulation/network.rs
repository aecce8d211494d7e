//! The simulated network under each of the three places where the product meets a real one: what the gateway
//! listens on, what it reaches clouds over, and what clients reach the gateway over.

use crate::record::{Exchange, Record, now};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection as Pooled},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use isthmus::{
    rest::{
        answer::{Answer, Carried, Failure, FailureKind, Sent},
        request::Request,
        transport::{Network, Options, Transport},
    },
    server,
};
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};
use turmoil::net::{TcpListener, TcpStream};

/// The gateway's listener.
pub struct Listener(pub TcpListener);

/// One connection to the gateway.
pub struct Connection(TcpStream);

impl server::Listener for Listener {
    type Connection = Connection;

    async fn accept(&self) -> io::Result<(Connection, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((Connection(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl server::Connection for Connection {
    fn no_delay(&self) -> io::Result<()> {
        self.0.set_nodelay(true)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A channel to the gateway that finds out within seconds when nobody is at its other end any more. A narrow one
/// has so little room that a reader who pauses stalls the stream and not a buffer in between.
pub fn channel(narrow: bool) -> Channel {
    let mut endpoint = Endpoint::from_static("http://gateway:50051")
        .connect_timeout(Duration::from_secs(3))
        .http2_keep_alive_interval(Duration::from_secs(8))
        .keep_alive_timeout(Duration::from_secs(4))
        .keep_alive_while_idle(true);
    if narrow {
        endpoint = endpoint.initial_stream_window_size(256);
    }
    endpoint.connect_with_connector_lazy(tower::service_fn(async |_| {
        TcpStream::connect("gateway:50051").await.map(TokioIo::new)
    }))
}

/// What the gateway reaches clouds over. Everything that travels is recorded.
#[derive(Debug, Clone)]
pub struct Wire {
    pub record: Record,
}

impl Network for Wire {
    fn open(&self, options: &Options) -> Result<Arc<dyn Transport>, String> {
        let connector = Dial {
            patience: options.timeout / 2,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector);
        Ok(Arc::new(Way {
            client,
            record: self.record.clone(),
        }))
    }
}

#[derive(Debug)]
struct Way {
    client: Client<Dial, Full<Bytes>>,
    record: Record,
}

impl Way {
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let mut built = http::Request::new(Full::new(request.body.clone().unwrap_or_default()));
        *built.method_mut() = request.method.clone();
        *built.uri_mut() = request.url.as_str().parse().expect("a URL is a URI");
        *built.headers_mut() = request.headers.clone();
        let broken = |what: &dyn std::fmt::Display| Failure {
            kind: FailureKind::Broken,
            sent: Sent::Maybe,
            message: format!("the connection broke: {what}"),
        };
        let response = self.client.request(built).await.map_err(|error| {
            if error.is_connect() {
                Failure {
                    kind: FailureKind::Connect,
                    sent: Sent::No,
                    message: "cannot connect".to_owned(),
                }
            } else {
                broken(&error)
            }
        })?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| broken(&error))?;
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.to_bytes(),
            carried: Carried::default(),
        })
    }
}

#[async_trait]
impl Transport for Way {
    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        // Noted when it is dropped, so that a request that was given up is noted too.
        let mut exchange = Exchange::begun(self.record.clone(), request);
        let result = self.send(request).await;
        exchange.ended(&result);
        result
    }
}

/// Opens connections to clouds.
#[derive(Debug, Clone)]
struct Dial {
    patience: Duration,
}

impl tower::Service<http::Uri> for Dial {
    type Response = Line;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Line>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: http::Uri) -> Self::Future {
        let patience = self.patience;
        Box::pin(async move {
            let host = to.host().unwrap_or_default().to_owned();
            let dialled = TcpStream::connect((host, to.port_u16().unwrap_or(80)));
            let stream = timeout(patience, dialled).await??;
            Ok(Line(TokioIo::new(stream)))
        })
    }
}

/// A connection to a cloud that hyper may keep.
struct Line(TokioIo<TcpStream>);

impl Pooled for Line {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Serves a site at a port of the host this is called on, for ever.
pub async fn serve(site: isthmus::simulator::http::Site, port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let site = site.clone();
        tokio::spawn(async move { site.serve(stream).await });
    }
}

/// So long after the simulation began.
pub async fn until(time: Duration) {
    tokio::time::sleep(time.saturating_sub(now())).await;
}
