//! `[server]` and `[watch]`: where to listen, and the limits of clients.

use crate::config::section::Section;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// The listener and its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address to listen on. Default `127.0.0.1:50051`.
    pub listen: SocketAddr,
    /// Allows other hosts to reach the address. Default no.
    pub allow_non_loopback: bool,
    /// The most concurrent client connections. Default 10,000.
    pub max_connections: u32,
    /// The most concurrent client connections from one address. Default half of `max_connections`.
    pub max_connections_per_address: u32,
    /// The most additional connections whose client has not sent its HTTP/2 preface yet. Default 1,000.
    pub max_opening: u32,
    /// The most concurrent calls and streams on all client connections. Default 100,000.
    pub max_calls: u32,
    /// The most concurrent calls and streams on one client connection. Default 1,000.
    pub max_streams: u32,
    /// The most concurrent calls whose request has not arrived in full. Default 10,000.
    pub max_unfinished: u32,
    /// The most MiB of messages in flight. Default 256.
    pub max_buffered_mib: u32,
    /// The most MiB of messages in flight on one client connection. Default 32, or `max_buffered_mib` if that is less.
    pub max_buffered_mib_per_connection: u32,
    /// How long a client may take to send its HTTP/2 preface. Default 10 s.
    pub preface_timeout: Duration,
    /// How long a message of a request, or its end, may take to arrive. Default 30 s.
    pub request_timeout: Duration,
    /// How long a client may read nothing of an answer. Default twice the sum of `stall` and `heartbeat` of `[watch]`.
    pub answer_timeout: Duration,
    /// How long calls in flight may take to end after the signal to stop. Default 10 s.
    pub drain: Duration,
    /// How long a client connection may stay open, with a jitter of a tenth either way. Default forever.
    pub max_connection_age: Option<Duration>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            allow_non_loopback: false,
            max_connections: 10_000,
            max_connections_per_address: 5_000,
            max_opening: 1_000,
            max_calls: 100_000,
            max_streams: 1_000,
            max_unfinished: 10_000,
            max_buffered_mib: 256,
            max_buffered_mib_per_connection: 32,
            preface_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(150),
            drain: Duration::from_secs(10),
            max_connection_age: None,
        }
    }
}

/// The settings that all watches share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchConfig {
    /// The longest silence on a stream. Default 15 s.
    pub heartbeat: Duration,
    /// How long, beyond one heartbeat, a client may leave a stream unread before the stream ends. Default 60 s.
    pub stall: Duration,
}

impl Default for WatchConfig {
    fn default() -> Self {
        WatchConfig {
            heartbeat: Duration::from_secs(15),
            stall: Duration::from_secs(60),
        }
    }
}

impl WatchConfig {
    /// How long a watch may go unread before it ends.
    pub(super) fn longest_unread(&self) -> Duration {
        self.stall + self.heartbeat
    }
}

/// Reads `[server]`, whose limits depend on those of the watches.
pub(super) fn server(mut section: Section<'_>, watch: &WatchConfig) -> ServerConfig {
    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);
    let default = ServerConfig::default();
    let allow_non_loopback = section.flag("allow_non_loopback");
    let listen = section.address("listen", allow_non_loopback, default.listen.port());
    // A shorter age is a mistake: every stream on the connection has to start again.
    let ages = 10 * SECOND..=365 * 24 * HOUR;
    let max_connection_age = section
        .value("max_connection_age")
        .map(|_| section.duration("max_connection_age", HOUR, ages));
    let max_connections = section.number("max_connections", default.max_connections, 1..=1_000_000);
    // Half of them, rounded up so that one connection leaves one.
    let half = max_connections.div_ceil(2);
    let max_buffered_mib = section.number("max_buffered_mib", default.max_buffered_mib, 8..=65_536);
    let each = default.max_buffered_mib_per_connection;
    let server = ServerConfig {
        listen: listen.unwrap_or(default.listen),
        allow_non_loopback,
        max_connections,
        max_connections_per_address: section.number(
            "max_connections_per_address",
            half,
            1..=max_connections,
        ),
        max_opening: section.number("max_opening", default.max_opening, 1..=1_000_000),
        max_calls: section.number("max_calls", default.max_calls, 1..=10_000_000),
        max_unfinished: section.number("max_unfinished", default.max_unfinished, 1..=1_000_000),
        max_buffered_mib,
        max_buffered_mib_per_connection: section.number(
            "max_buffered_mib_per_connection",
            each.min(max_buffered_mib),
            4..=max_buffered_mib,
        ),
        preface_timeout: section.duration(
            "preface_timeout",
            default.preface_timeout,
            SECOND..=HOUR,
        ),
        request_timeout: section.duration(
            "request_timeout",
            default.request_timeout,
            SECOND..=HOUR,
        ),
        // A watch has to end with its own status first.
        answer_timeout: section.duration(
            "answer_timeout",
            2 * watch.longest_unread(),
            watch.longest_unread() + SECOND..=24 * HOUR,
        ),
        max_streams: section.number("max_streams", default.max_streams, 1..=100_000),
        drain: section.duration(
            "drain",
            default.drain,
            Duration::ZERO..=Duration::from_secs(600),
        ),
        max_connection_age,
    };
    section.finish();
    server
}

/// Reads `[watch]`.
pub(super) fn watch(mut section: Section<'_>) -> WatchConfig {
    let watch = WatchConfig {
        heartbeat: section.duration(
            "heartbeat",
            WatchConfig::default().heartbeat,
            Duration::from_secs(1)..=Duration::from_secs(300),
        ),
        stall: section.duration(
            "stall",
            WatchConfig::default().stall,
            Duration::from_secs(1)..=Duration::from_secs(3600),
        ),
    };
    section.finish();
    watch
}
