//! Settings of the server, and the check of its address.

use crate::address::is_loopback;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::net::TcpListener;

/// Settings of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Listen address. Default `127.0.0.1:50051`.
    pub listen: SocketAddr,
    /// Allows listening on addresses that other machines can reach. Default false, because calls are not authenticated.
    pub allow_non_loopback: bool,
    /// How long calls in flight may go on after shutdown began. Streams end at once. Default 10 s.
    pub drain_grace: Duration,
    /// Maximum age of a connection, ±10 %. Then its streams end, and it closes after its last call. Default none, as in
    /// gRPC.
    pub max_connection_age: Option<Duration>,
    /// Maximum number of connections. Further ones are closed at once. Default 10,000.
    pub max_connections: usize,
    /// Maximum number of connections from one address, or from one /64 of IPv6. Default 5,000, so that a single address
    /// leaves half to others.
    pub max_connections_per_address: usize,
    /// Maximum number of connections, in addition to `max_connections`, whose client has not sent its HTTP/2 preface.
    /// Beyond it, the oldest are closed. Default 1,000.
    pub max_opening: usize,
    /// Maximum number of concurrent calls, streams included. Further ones are answered RESOURCE_EXHAUSTED. A connection
    /// that already has calls may not have more of them than it leaves free. Default 100,000.
    pub max_calls: usize,
    /// Maximum number of concurrent calls on one connection. Clients silently queue the rest. Default 1,000.
    pub max_calls_per_connection: u32,
    /// Maximum number of calls whose request has not arrived completely. Beyond it, the oldest are answered
    /// RESOURCE_EXHAUSTED. Default 10,000.
    pub max_unfinished: usize,
    /// Largest message accepted, in bytes, before and after decompression. Default 4 MiB.
    pub max_message_bytes: usize,
    /// Maximum bytes of messages in flight: requests from their announcement until they are handled, and answers until
    /// the network has taken them. Messages beyond it are answered RESOURCE_EXHAUSTED. A connection that already has
    /// more than 64 KiB may not have more than it leaves free. Default 256 MiB.
    pub max_buffered_bytes: usize,
    /// Maximum bytes of messages in flight on one connection. Default 32 MiB. A single message passes whatever its
    /// size.
    pub max_buffered_bytes_per_connection: usize,
    /// Largest header list accepted, in bytes. Default 16 KiB.
    pub max_header_bytes: u32,
    /// Timeout for the client's HTTP/2 preface, including its SETTINGS. Default 10 s.
    pub preface_timeout: Duration,
    /// Timeout for one message of a request to arrive, and for the end of the request or the next message after it.
    /// Default 30 s.
    pub request_timeout: Duration,
    /// How long a client may take nothing of a pending answer. Longer than `stall` and a heartbeat, so that a watch has
    /// already ended with a status. Default 150 s.
    pub answer_timeout: Duration,
    /// Idle time after which the server pings a connection. Default 20 s.
    pub keepalive_interval: Duration,
    /// Time to answer the ping before the connection is closed. Default 20 s.
    pub keepalive_timeout: Duration,
    /// How long a watch may go unread, in addition to a heartbeat, before it ends. It prevents streams that outlive the
    /// interest of their client. Default 60 s.
    pub stall: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            allow_non_loopback: false,
            drain_grace: Duration::from_secs(10),
            max_connection_age: None,
            max_connections: 10_000,
            max_connections_per_address: 5_000,
            max_opening: 1_000,
            max_calls: 100_000,
            max_calls_per_connection: 1_000,
            max_unfinished: 10_000,
            max_message_bytes: 4 * 1024 * 1024,
            max_buffered_bytes: 256 * 1024 * 1024,
            max_buffered_bytes_per_connection: 32 * 1024 * 1024,
            max_header_bytes: 16 * 1024,
            preface_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(150),
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(20),
            stall: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// Opens the listener.
    ///
    /// # Errors
    /// If the address is not a loopback one and `allow_non_loopback` is off, or if the operating system fails.
    pub async fn bind(&self) -> io::Result<TcpListener> {
        self.check(self.listen)?;
        TcpListener::bind(self.listen).await
    }

    /// Checks whether the server may listen on this address.
    ///
    /// # Errors
    /// If the address is not a loopback one and `allow_non_loopback` is off.
    pub(super) fn check(&self, address: SocketAddr) -> io::Result<()> {
        if self.allow_non_loopback || is_loopback(address.ip()) {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "`{address}` can be reached from other machines and calls are not authenticated: \
                 listen on a loopback address, or set `allow_non_loopback`"
            ),
        ))
    }
}
