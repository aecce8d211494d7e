//! How the server behaves, and on which address it may listen.

use crate::address::is_loopback;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::net::TcpListener;

/// How the server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen. Default `127.0.0.1:50051`.
    pub listen: SocketAddr,
    /// Listen on addresses that others can reach, too. Default no: calls are not authenticated.
    pub allow_non_loopback: bool,
    /// How long calls under way may go on after shutdown began; streams are ended at once. Default 10 s.
    pub drain_grace: Duration,
    /// How long a connection may be open, a tenth less or more: then its streams are ended, and it closes with the last of
    /// its calls. Default for ever, as gRPC's own.
    pub max_connection_age: Option<Duration>,
    /// Connections at the same time; more are closed as they come. Default 10,000.
    pub max_connections: usize,
    /// Of these from one address, or from one /64 of IPv6. Default 5,000: whoever comes from a single address
    /// leaves others half of them.
    pub max_connections_per_address: usize,
    /// Connections, beside `max_connections`, whose client has not yet said its HTTP/2 preface; with one more, the
    /// oldest are closed. Default 1,000.
    pub max_opening: usize,
    /// Calls at the same time, streams included; more are answered RESOURCE_EXHAUSTED. A connection that has calls
    /// already may not have more of them than it leaves free. Default 100,000.
    pub max_calls: usize,
    /// Calls at the same time on one connection. Clients queue what is above it silently. Default 1,000.
    pub max_calls_per_connection: u32,
    /// Of all calls those whose request has not arrived in full; with one more, the oldest are answered
    /// RESOURCE_EXHAUSTED. Default 10,000.
    pub max_unfinished: usize,
    /// The largest message taken, in bytes, before and after decompression. Default 4 MiB.
    pub max_message_bytes: usize,
    /// Bytes of messages that are on their way: requests from when they are announced until they are handled, and
    /// answers until the network has taken them. What would be more is answered RESOURCE_EXHAUSTED. A connection
    /// that has more than 64 KiB already may not have more than it leaves free. Default 256 MiB.
    pub max_buffered_bytes: usize,
    /// Of these on one connection. Default 32 MiB. One message is let through whatever its size.
    pub max_buffered_bytes_per_connection: usize,
    /// The largest header list taken, in bytes. Default 16 KiB.
    pub max_header_bytes: u32,
    /// How long a client may take for its HTTP/2 preface, the SETTINGS that end it included. Default 10 s.
    pub preface_timeout: Duration,
    /// How long a message of a request may take to arrive, and the end of the request, or the next message, after it.
    /// Default 30 s.
    pub request_timeout: Duration,
    /// How long a client may take nothing of an answer that is there for it. Longer than `stall` and a heartbeat, so
    /// that a watch has ended with a status before. Default 150 s.
    pub answer_timeout: Duration,
    /// After so much silence a connection is asked whether it is still there. Default 20 s.
    pub keepalive_interval: Duration,
    /// And closed if it does not answer for so long. Default 20 s.
    pub keepalive_timeout: Duration,
    /// A watch that nobody reads for longer than this and a heartbeat is ended, so that no stream lives on for a client that has forgotten
    /// it. Default 60 s.
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
    /// An address that is not a loopback one, unless `allow_non_loopback`; or as the operating system says.
    pub async fn bind(&self) -> io::Result<TcpListener> {
        self.check(self.listen)?;
        TcpListener::bind(self.listen).await
    }

    /// Whether it may listen there.
    ///
    /// # Errors
    /// An address that is not a loopback one, unless `allow_non_loopback`.
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
