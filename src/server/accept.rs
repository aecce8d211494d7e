//! Connections: accepted up to a limit, served, and drained within a bound.
//!
//! ```text
//!   ACCEPTING ──shutdown──► DRAINING ──all closed, or grace over──► done
//!                 │            │
//!                 │            └─ no new connections; streams end with UNAVAILABLE; other calls go on
//!                 └─ listener closed, so that a successor may bind
//! ```

use crate::{
    core::client::Client,
    server::{
        Settings,
        call::{self, Guard},
        together::{Copied, Patient},
    },
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// How long to wait when the machine can take no more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from: a TCP listener, or that of a simulated network.
pub trait Listener: Send + Sync {
    /// A connection of it.
    type Connection: Connection;

    /// The next connection, and who has opened it.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Connection, SocketAddr)>> + Send;

    /// Where it listens.
    ///
    /// # Errors
    /// As the network says.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// One accepted connection.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Waits until the client has spoken, and leaves what it said to be read. False if it hung up instead.
    fn spoken(&mut self) -> impl Future<Output = io::Result<bool>> + Send;

    /// Has what is written sent at once.
    ///
    /// # Errors
    /// As the network says.
    fn no_delay(&self) -> io::Result<()>;
}

impl Listener for TcpListener {
    type Connection = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

impl Connection for TcpStream {
    async fn spoken(&mut self) -> io::Result<bool> {
        self.peek(&mut [0]).await.map(|bytes| bytes > 0)
    }

    fn no_delay(&self) -> io::Result<()> {
        self.set_nodelay(true)
    }
}

/// Serves `routes` on `listener` until `shutdown` is ready, then drains; `drain` is cancelled when that
/// begins.
///
/// # Errors
/// A listener on an address that others can reach, unless `settings.allow_non_loopback`.
pub async fn serve(
    listener: impl Listener,
    routes: Routes,
    settings: Settings,
    drain: CancellationToken,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    settings.check(listener.local_addr()?)?;
    let guard = Arc::new(Guard::new(routes, &settings, drain.clone()));
    let slots = Arc::new(Semaphore::new(settings.max_connections));
    // Owns the task of every connection; dropping it ends them all.
    let mut connections = JoinSet::new();
    let mut client = Client::default();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener) => accepted,
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            tracing::warn!(%peer, "refused a connection: there are too many");
            continue;
        };
        client.0 += 1;
        let guard = Arc::clone(&guard);
        let settings = settings.clone();
        let drain = drain.clone();
        connections.spawn(async move {
            let _slot = slot;
            if let Err(error) = serve_connection(stream, client, guard, &settings, &drain).await {
                tracing::debug!(%peer, %error, "a connection ended");
            }
        });
    }

    drop(listener);
    drain.cancel();
    let all_closed = async { while connections.join_next().await.is_some() {} };
    if timeout(settings.drain_grace, all_closed).await.is_err() {
        let left = connections.len();
        tracing::warn!(left, "connections did not close within the grace period");
        connections.shutdown().await;
    }
    Ok(())
}

/// The next connection. Failing to accept one (too many open files, a client already gone) is no reason
/// to stop.
async fn accept<L: Listener>(listener: &L) -> (L::Connection, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(
    mut stream: impl Connection,
    client: Client,
    guard: Arc<Guard>,
    settings: &Settings,
    drain: &CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // A client that never speaks is known to hyper only as a handshake without end.
    tokio::select! {
        biased;
        () = drain.cancelled() => return Ok(()),
        spoken = timeout(settings.first_byte_timeout, stream.spoken()) => {
            if !spoken?? {
                return Ok(());
            }
        }
    }
    stream.no_delay()?;

    let mut builder = auto::Builder::new(TokioExecutor::new()).http2_only();
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .max_concurrent_streams(settings.max_calls_per_connection)
        .max_header_list_size(settings.max_header_bytes);
    // Boxed, because the task of a call keeps the room that this takes for as long as its answer lasts: two KiB for
    // each stream.
    let service = hyper::service::service_fn(move |request| {
        Box::pin(client.serve(call::answer(Arc::clone(&guard), request)))
    });
    let socket = TokioIo::new(Copied(stream));
    let mut connection = pin!(builder.serve_connection(socket, service));
    tokio::select! {
        biased;
        ended = Patient::new(connection.as_mut()) => return ended,
        () = drain.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
