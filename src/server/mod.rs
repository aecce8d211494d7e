//! The server: accepts connections, guards every call, answers health and reflection, and drains.
//!
//! tonic's own server cannot stop while a stream or a silent connection is open, does not hold streams to
//! their deadline and answers it with CANCELLED, so the loop and what guards a call are here.
//!
//! | file | idea |
//! | --- | --- |
//! | `accept.rs` | connections: accept, limit, serve, drain |
//! | `preface.rs` | what a client says first, before it counts as a connection |
//! | `addresses.rs` | connections of each address |
//! | `client.rs` | one connection, and what it has of what all share |
//! | `pool.rs` | what all share, and how much of it one may take |
//! | `newest.rs` | what is not complete: the newest is kept, the oldest makes room |
//! | `together.rs` | what several streams send at the same time leaves in one write |
//! | `writing.rs` | a socket that is not read is given up |
//! | `form.rs` | what is no gRPC |
//! | `call.rs` | one call, from its headers to its trailers |
//! | `trace.rs` | one span per call |
//! | `limits.rs` | calls under way |
//! | `deadline.rs` | `grpc-timeout`, and the drain |
//! | `panic.rs` | a panic ends its own call |
//! | `request.rs` | the request of a call: its size, and whether it arrives |
//! | `body.rs` | the answer of a call, in pieces |
//! | `trailers.rs` | how a status ends an answer |
//! | `progress.rs`, `motion.rs` | whether an answer is taken |
//! | `warn.rs` | how often to warn |
//! | `health.rs` | `grpc.health.v1` |

mod accept;
mod addresses;
mod body;
mod call;
mod client;
mod deadline;
mod form;
mod health;
mod limits;
mod motion;
mod newest;
mod panic;
mod pool;
mod preface;
mod progress;
mod request;
mod together;
mod trace;
mod trailers;
mod warn;
mod writing;

#[cfg(test)]
mod tests;

pub use accept::{Connection, Listener, serve};
pub use health::HealthService;

use crate::{
    address::is_loopback,
    core::gateway::Gateway,
    grpc::{
        backends::Backends,
        connections::Connections,
        pb::{
            self, backend_service_server::BackendServiceServer,
            connection_service_server::ConnectionServiceServer,
            streaming::realization_service_server::RealizationServiceServer,
        },
        realizations::Realizations,
    },
};
use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{codec::CompressionEncoding, server::NamedService, service::Routes};
use tonic_health::pb::health_server::HealthServer;

/// How the server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen. Default `127.0.0.1:50051`.
    pub listen: SocketAddr,
    /// Listen on addresses that others can reach, too. Default no: calls are not authenticated.
    pub allow_non_loopback: bool,
    /// How long calls under way may go on after shutdown began; streams are ended at once. Default 10 s.
    pub drain_grace: Duration,
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

    fn check(&self, address: SocketAddr) -> io::Result<()> {
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

/// Serves the gateway on `listener` until `shutdown` is ready, then drains.
///
/// Draining takes at most `settings.drain_grace`: streams end at once with UNAVAILABLE and a token to resume
/// from, calls under way may finish, and what is left then is dropped. Writes to clouds are the gateway's
/// own; it waits for them in [`Gateway::shut_down`].
///
/// # Errors
/// A listener on an address that others can reach, unless `settings.allow_non_loopback`.
pub async fn run(
    listener: impl Listener,
    gateway: Arc<Gateway>,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let drain = CancellationToken::new();
    let routes = routes(gateway, &settings, drain.clone());
    serve(listener, routes, settings, drain, shutdown).await
}

/// Every service of the gateway.
fn routes(gateway: Arc<Gateway>, settings: &Settings, drain: CancellationToken) -> Routes {
    type ConnectionServer = ConnectionServiceServer<Connections>;
    type RealizationServer = RealizationServiceServer<Realizations>;
    type BackendServer = BackendServiceServer<Backends>;
    const GZIP: CompressionEncoding = CompressionEncoding::Gzip;

    let limit = settings.max_message_bytes;
    let services = [
        ConnectionServer::NAME,
        RealizationServer::NAME,
        BackendServer::NAME,
    ];
    let health = HealthService::new(
        &services,
        gateway.serving(),
        gateway.keeping(),
        drain.clone(),
    );
    let connections = ConnectionServer::new(Connections::new(Arc::clone(&gateway)))
        .max_decoding_message_size(limit)
        .accept_compressed(GZIP);
    let realizations = Realizations::new(Arc::clone(&gateway), drain.clone(), settings.stall);
    let realizations = RealizationServer::new(realizations)
        .max_decoding_message_size(limit)
        .accept_compressed(GZIP);
    let backends = BackendServer::new(Backends::new(gateway))
        .max_decoding_message_size(limit)
        .accept_compressed(GZIP);
    let health = HealthServer::new(health)
        .max_decoding_message_size(limit)
        .accept_compressed(GZIP);
    reflection(Routes::new(connections))
        .add_service(realizations)
        .add_service(backends)
        .add_service(health)
        .prepare()
}

/// Adds reflection in both versions, as older clients know only `v1alpha`. Each tells of both.
fn reflection(routes: Routes) -> Routes {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .include_reflection_service(false)
            .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(
                tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
            )
    };
    let v1 = builder()
        .build_v1()
        .expect("the descriptors come with the build");
    let v1alpha = builder()
        .build_v1alpha()
        .expect("the descriptors come with the build");
    routes
        .add_service(v1.accept_compressed(CompressionEncoding::Gzip))
        .add_service(v1alpha.accept_compressed(CompressionEncoding::Gzip))
}
