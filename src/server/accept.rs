//! Connections: accepted up to a limit, served, and drained within a bound.
//!
//! ```text
//!   ACCEPTING ──shutdown──► DRAINING ──all closed, or grace over──► done
//!                 │            │
//!                 │            └─ no new connections; streams end with UNAVAILABLE; other calls go on
//!                 └─ listener closed, so that a successor may bind
//! ```

use crate::{
    core,
    metrics::table::SERVER_CONNECTIONS,
    server::{
        addresses::{self, Addresses},
        age,
        call::{self, Guard},
        client::Client,
        counted::{self, Limit, One},
        newest::{Newest, Ticket},
        preface::{self, Again},
        progress::Tasks,
        settings::Settings,
        warn::{Kind, Warnings},
        write_coalescing::{Coalescing, Copied},
        writing::Writing,
    },
};
use bytes::Bytes;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    future::{Future, pending},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinSet, yield_now},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Address for log lines that concern no client.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Pause when the machine cannot take more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// HTTP/2 window of a connection and of each call, in bytes. A client may send this much before the server asks for it,
/// and the server buffers what a call does not read.
const WINDOW: u32 = 256 * 1024;

/// A source of connections: a TCP listener, or that of a simulated network.
pub trait Listener: Send + Sync {
    type Connection: Connection;

    /// Returns the next connection and its peer.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Connection, SocketAddr)>> + Send;

    /// Returns the address of the listener.
    ///
    /// # Errors
    /// The network's error.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Disables Nagle's algorithm.
    ///
    /// # Errors
    /// The network's error.
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
    fn no_delay(&self) -> io::Result<()> {
        self.set_nodelay(true)
    }
}

/// Serves `routes` on `listener` until `shutdown` is ready, then cancels `drain` and drains. `shutdown` returns how
/// many connections of clouds are watched, for the log.
///
/// # Errors
/// If the listener's address is reachable from other machines and `settings.allow_non_loopback` is off.
pub async fn serve(
    listener: impl Listener,
    routes: Routes,
    settings: Settings,
    drain: CancellationToken,
    shutdown: impl Future<Output = usize>,
) -> io::Result<()> {
    settings.check(listener.local_addr()?)?;
    counted::begin();
    let warnings = Arc::<Warnings>::default();
    let serving = Arc::new(Serving {
        guard: Arc::new(Guard::new(routes, &settings, &warnings, drain.clone())),
        opening: Newest::new(settings.max_opening),
        seats: Seats {
            all: Arc::new(Semaphore::new(settings.max_connections)),
            addresses: Addresses::new(settings.max_connections_per_address),
        },
        warnings,
        drain,
        settings,
    });
    // Owns the task of every connection. Dropping it ends them all.
    let mut connections = JoinSet::new();
    let mut number = 0;
    let mut shutdown = pin!(shutdown);
    let watched = loop {
        let (stream, peer) = tokio::select! {
            biased;
            watched = &mut shutdown => break watched,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &serving.warnings) => accepted,
        };
        // Refuses before reading the preface.
        if let Some(limit) = serving.seats.full_for(peer.ip()) {
            serving.refused(peer, limit);
            continue;
        }
        let client = core::client::Client {
            number: number + 1,
            peer: Some(peer),
        };
        number = client.number;
        let ticket = serving.opening.enter();
        let serving = Arc::clone(&serving);
        connections.spawn(async move {
            if let Err(error) = serving.connection(stream, peer, client, ticket).await {
                tracing::debug!(%peer, %error, "a connection ended");
            }
        });
    };

    drop(listener);
    counted::drained();
    let begun = Instant::now();
    let grace_s = serving.settings.drain_grace.as_secs();
    tracing::info!(
        connections = connections.len(),
        calls = serving.guard.calls(),
        watched,
        grace_s,
        "draining: streams end with a token to resume, calls may finish"
    );
    serving.drain.cancel();
    let all_closed = async { while connections.join_next().await.is_some() {} };
    if timeout(serving.settings.drain_grace, all_closed)
        .await
        .is_err()
    {
        let left = connections.len();
        tracing::warn!(left, "connections did not close within the grace period");
        connections.shutdown().await;
    }
    let took_ms = begun.elapsed().as_millis() as u64;
    tracing::info!(took_ms, "drained");
    Ok(())
}

/// State shared by all connections.
struct Serving {
    settings: Settings,
    guard: Arc<Guard>,
    /// Connections whose client has not sent its preface.
    opening: Newest,
    seats: Seats,
    warnings: Arc<Warnings>,
    drain: CancellationToken,
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// The limits of open connections.
struct Seats {
    all: Arc<Semaphore>,
    addresses: Arc<Addresses>,
}

type Seat = (OwnedSemaphorePermit, addresses::Seat);

impl Seats {
    /// Returns the limit that leaves no room for a connection from `peer`, if any.
    fn full_for(&self, peer: IpAddr) -> Option<Limit> {
        if self.all.available_permits() == 0 {
            return Some(Limit::Connections);
        }
        let is_full = self.addresses.is_full(peer);
        is_full.then_some(Limit::ConnectionsPerAddress)
    }

    fn take(&self, peer: IpAddr) -> Result<Seat, Limit> {
        let all = Arc::clone(&self.all).try_acquire_owned();
        let all = all.map_err(|_| Limit::Connections)?;
        let own = self.addresses.seat(peer);
        Ok((all, own.ok_or(Limit::ConnectionsPerAddress)?))
    }
}

/// Returns the next connection. Errors of `accept` (too many open files, a client that is gone) do not stop the server.
async fn accept<L: Listener>(listener: &L, warnings: &Warnings) -> (L::Connection, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                if let Some(suppressed) = warnings.due(Kind::Accept, NOBODY) {
                    tracing::warn!(%error, suppressed, "cannot accept a connection");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Serving {
    fn refused(&self, peer: SocketAddr, limit: Limit) {
        limit.reached();
        let why = match limit {
            Limit::ConnectionsPerAddress => "there are too many from its address",
            _ => "there are too many",
        };
        if let Some(suppressed) = self.warnings.due(Kind::Refused, peer.ip()) {
            tracing::warn!(%peer, why, suppressed, "refused a connection");
        }
    }

    /// Serves one connection from its preface to its end.
    async fn connection(
        &self,
        mut stream: impl Connection,
        peer: SocketAddr,
        number: core::client::Client,
        ticket: Ticket,
    ) -> Result<(), Broken> {
        let Some(read) = self.open(&mut stream, ticket).await? else {
            return Ok(());
        };
        match self.seats.take(peer.ip()) {
            Ok(_seat) => self.serve(Again::new(read, stream), peer, number).await,
            Err(limit) => {
                self.refused(peer, limit);
                Ok(())
            }
        }
    }

    /// Reads the preface. Returns `None` if the client hangs up first, if the drain begins, or if newer connections
    /// need the place.
    async fn open(
        &self,
        stream: &mut impl Connection,
        ticket: Ticket,
    ) -> io::Result<Option<Bytes>> {
        tokio::select! {
            biased;
            () = self.drain.cancelled() => Ok(None),
            read = timeout(self.settings.preface_timeout, preface::read(stream)) => {
                read.inspect_err(|_| Limit::Preface.reached())?
            }
            () = ticket => {
                Limit::Opening.reached();
                Ok(None)
            }
        }
    }

    async fn serve(
        &self,
        stream: Again<impl Connection>,
        peer: SocketAddr,
        number: core::client::Client,
    ) -> Result<(), Broken> {
        let settings = &self.settings;
        let _one = One::more(&SERVER_CONNECTIONS);
        stream.get_ref().no_delay()?;
        let client = self.guard.client(peer.ip());
        let tasks = Tasks {
            client: Arc::clone(&client),
            answer_timeout: settings.answer_timeout,
        };
        let mut builder = auto::Builder::new(tasks).http2_only();
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(settings.keepalive_interval)
            .keep_alive_timeout(settings.keepalive_timeout)
            .max_concurrent_streams(settings.max_calls_per_connection)
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(WINDOW)
            .max_header_list_size(settings.max_header_bytes);
        // Boxed, because the task of a call keeps this much space for as long as its answer lasts: 2 KiB for each
        // stream.
        let (guard, caller) = (Arc::clone(&self.guard), Arc::clone(&client));
        let service = hyper::service::service_fn(move |request| {
            let answer = call::answer(Arc::clone(&guard), Arc::clone(&caller), request);
            Box::pin(number.serve(answer))
        });
        let socket = TokioIo::new(Copied(Writing::new(stream, settings.answer_timeout)));
        let mut connection = pin!(builder.serve_connection(socket, service));
        let mut stuck = pin!(stuck(&client, settings.answer_timeout));
        let ended = {
            let served = pin!(async {
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => Some(ended),
                    () = stuck.as_mut() => Some(Err(not_read())),
                    () = self.drain.cancelled() => None,
                    () = age::over(settings.max_connection_age) => None,
                }
            });
            Coalescing::new(served).await
        };
        if let Some(ended) = ended {
            return ended;
        }
        connection.as_mut().graceful_shutdown();
        let leave = async {
            // The client hears of the GOAWAY first, so that its retries use another connection.
            yield_now().await;
            client.leaving.leave();
            // Does not end the connection. A client that does not read cannot get the message yet; each call has its
            // own timeout, and the grace period bounds a drain.
            pending().await
        };
        tokio::select! {
            biased;
            ended = connection => ended,
            () = stuck => Err(not_read()),
            () = leave => Ok(()),
        }
    }
}

fn not_read() -> Broken {
    Limit::Answer.reached();
    "the client takes no answer".into()
}

/// Completes when data waits on a connection and nothing moves. An answer that HTTP/2 holds completely no longer
/// belongs to a call that could be ended for it.
async fn stuck(client: &Client, longest: Duration) {
    let mut tick = interval(longest / 2);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // Gives the calls time to end first.
        if client.is_stuck(longest + longest / 4) {
            return;
        }
    }
}
