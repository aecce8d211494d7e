//! The server: accepts connections, guards every call, serves health and reflection, and drains.
//!
//! tonic's own server cannot stop while a stream or a silent connection is open. It also does not apply deadlines to
//! streams, and reports a passed deadline as CANCELLED. So this module has its own accept loop and its own guards.
//!
//! | file | purpose |
//! | --- | --- |
//! | `accept.rs` | connections: accept, limit, serve, drain |
//! | `preface.rs` | the HTTP/2 preface, before a client counts as a connection |
//! | `addresses.rs` | connections of each address |
//! | `age.rs` | maximum age of a connection |
//! | `client.rs` | one connection and its share of common resources |
//! | `pool.rs` | common resources and how much of them one connection may take |
//! | `newest.rs` | limit of incomplete work: beyond it, the oldest is ended |
//! | `write_coalescing.rs` | write coalescing: concurrent streams share one write |
//! | `writing.rs` | closes a socket whose client does not read |
//! | `form.rs` | requests that are not gRPC |
//! | `call.rs` | one call, from its headers to its trailers |
//! | `trace.rs` | one span per call |
//! | `limits.rs` | limit of calls in flight |
//! | `counted.rs` | metrics of calls and connections |
//! | `deadline.rs` | `grpc-timeout`, and the drain |
//! | `panic.rs` | a panic ends its own call |
//! | `request.rs` | the request of a call: its size, and whether it arrives |
//! | `answer.rs` | the answer of a call, as tonic or a watch makes it |
//! | `body.rs` | the answer of a call, in pieces |
//! | `trailers.rs` | the status that ends an answer |
//! | `progress.rs`, `motion.rs` | whether the client reads an answer |
//! | `warn.rs` | rate limit of warnings |
//! | `settings.rs` | limits, timeouts and the address |
//! | `health.rs` | `grpc.health.v1` |

mod accept;
mod addresses;
mod age;
mod answer;
mod body;
mod call;
mod client;
mod counted;
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
mod settings;
mod trace;
mod trailers;
mod warn;
pub mod write_coalescing;
mod writing;

#[cfg(test)]
mod tests;

pub use accept::{Connection, Listener, serve};
pub use health::HealthService;
pub use settings::Settings;

use crate::{
    core::gateway::Gateway,
    grpc::{
        backends::Backends,
        connections::Connections,
        pb::{
            self, backend_service_server::BackendServiceServer,
            connection_service_server::ConnectionServiceServer,
            policy_service_server::PolicyServiceServer,
            realization_service_server::RealizationServiceServer,
            topology_service_server::TopologyServiceServer,
        },
        policies::Policies,
        realizations::Realizations,
        topology::Topology,
    },
};
use std::{future::Future, io, sync::Arc};
use tokio_util::sync::CancellationToken;
use tonic::{codec::CompressionEncoding, server::NamedService, service::Routes};
use tonic_health::pb::health_server::HealthServer;

/// Serves the gateway on `listener` until `shutdown` is ready, then drains.
///
/// The drain takes at most `settings.drain_grace`. Streams end at once with UNAVAILABLE and a resume token. Calls in
/// flight may finish; those left at the end of the grace period are dropped. The gateway finishes its writes to clouds
/// on its own and waits for them in [`Gateway::shut_down`].
///
/// # Errors
/// If the listener's address is reachable from other machines and `settings.allow_non_loopback` is off.
pub async fn run(
    listener: impl Listener,
    gateway: Arc<Gateway>,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let drain = CancellationToken::new();
    let watched = Arc::clone(&gateway);
    let shutdown = async move {
        shutdown.await;
        watched.watched()
    };
    let routes = routes(gateway, &settings, drain.clone());
    serve(listener, routes, settings, drain, shutdown).await
}

/// Builds the routes of every service.
fn routes(gateway: Arc<Gateway>, settings: &Settings, drain: CancellationToken) -> Routes {
    type ConnectionServer = ConnectionServiceServer<Connections>;
    type RealizationServer = RealizationServiceServer<Realizations>;
    type PolicyServer = PolicyServiceServer<Policies>;
    type TopologyServer = TopologyServiceServer<Topology>;
    type BackendServer = BackendServiceServer<Backends>;
    const GZIP: CompressionEncoding = CompressionEncoding::Gzip;

    let limit = settings.max_message_bytes;
    let services = [
        ConnectionServer::NAME,
        RealizationServer::NAME,
        PolicyServer::NAME,
        TopologyServer::NAME,
        BackendServer::NAME,
    ];
    let health = HealthService::new(
        &services,
        gateway.follow_present(),
        gateway.keeping(),
        drain,
    );
    let connections = ConnectionServer::new(Connections::new(Arc::clone(&gateway)))
        .max_decoding_message_size(limit)
        .accept_compressed(GZIP);
    let realizations = Realizations::new(Arc::clone(&gateway), settings.stall);
    let realizations = RealizationServer::new(realizations)
        .max_decoding_message_size(limit)
        .accept_compressed(GZIP);
    let policies = PolicyServer::new(Policies::new(Arc::clone(&gateway)))
        .max_decoding_message_size(limit)
        .accept_compressed(GZIP);
    let topology = TopologyServer::new(Topology::new(Arc::clone(&gateway)))
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
        .add_service(policies)
        .add_service(topology)
        .add_service(backends)
        .add_service(health)
        .prepare()
}

/// Adds reflection in both versions, because older clients know only `v1alpha`. Each version describes both.
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
