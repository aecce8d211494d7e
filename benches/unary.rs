//! `GetConnection` through the gateway to a cloud, against the thinnest handler that could do it, and against
//! asking the cloud directly.
//!
//! ```text
//!   client core                             server core
//!   load ── gRPC ──► gateway (server, tracing, dialect `openstack`, budget) ── HTTP ──► cloud (client core)
//!   load ── gRPC ──► thin (tonic; one GET, parse, map)                      ── HTTP ──► cloud (client core)
//!   load ── HTTP ──► cloud (server core)
//! ```
//!
//! The cloud answers one recorded connection from memory. With two cores it shares the client's, for the gateway
//! and for the thin handler alike: what is measured has its core for itself. Asked directly, the cloud takes
//! the gateway's place.

mod support;

use isthmus::{
    core::{dialect::Dialect, table::Keys},
    dialects::openstack,
    grpc::pb::{
        self,
        connection_service_client::ConnectionServiceClient,
        connection_service_server::{ConnectionService, ConnectionServiceServer},
    },
    rest::{budget::Limits, https::Https},
};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use support::{
    cloud, gateway,
    machine::{Cores, Cpu, Foreign, Meter, cpu_of},
    process::{self, Commands, Peer},
    report::{self, Table, median, number, percentile},
    upstream::{ID, RECORDED, Upstream},
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::Channel};

/// More than any gateway does: the account's budget is passed, and never short.
const NO_LIMIT: Limits = Limits {
    rate: 1e9,
    concurrency: 10_000,
};
/// Calls that share one HTTP/2 connection of the client.
const CALLS_A_CONNECTION: usize = 8;
/// The most connections of the client.
const MOST_CONNECTIONS: usize = 8;

fn main() {
    match process::role() {
        None => bench(),
        Some((role, text)) => match role.as_str() {
            "cloud" => process::load(serve_cloud()),
            "gateway" => process::serve(serve_gateway(process::argument(&text))),
            "thin" => process::serve(serve_thin(process::argument(&text))),
            "client" => process::load(call(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

async fn serve_cloud() {
    let cloud = Upstream::start(|_| RECORDED.into()).await;
    process::answer(&cloud.addr);
    Commands::begin().next::<()>().await;
}

async fn serve_gateway(upstream: SocketAddr) {
    let settings = cloud::settings(Duration::from_secs(30));
    let mut keys = Keys::default()
        .with("variant", "neutron")
        .with("url", format!("http://{upstream}"));
    let dialect = openstack::connect_within(&mut keys, settings.timeout, &Https, NO_LIMIT);
    let dialect: Arc<dyn Dialect> = dialect.expect("the settings work");
    let serving = gateway::serve(settings, dialect, gateway::NO_HEARTBEAT, false).await;
    process::answer(&serving.addr);
    Commands::begin().next::<()>().await;
}

async fn serve_thin(upstream: SocketAddr) {
    // Only says that somebody has chosen one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let thin = Thin {
        http: reqwest::Client::new(),
        url: format!("http://{upstream}/v2.0/vpn/ipsec-site-connections"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    process::answer(&listener.local_addr().expect("a bound socket"));
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(ConnectionServiceServer::new(thin))
            .serve_with_incoming(incoming),
    );
    Commands::begin().next::<()>().await;
}

/// One GET, parse, map, answer: no checks, no budget, no spans, no errors worth the name.
struct Thin {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Show {
    ipsec_site_connection: Row,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    name: String,
    description: String,
    peer_address: String,
    peer_id: String,
    mtu: u32,
    admin_state_up: bool,
    initiator: String,
    dpd: Dpd,
    vpnservice_id: String,
    ikepolicy_id: String,
    ipsecpolicy_id: String,
    local_ep_group_id: String,
    peer_ep_group_id: String,
}

#[derive(Deserialize)]
struct Dpd {
    action: String,
    interval: i64,
    timeout: i64,
}

#[tonic::async_trait]
impl ConnectionService for Thin {
    async fn get_connection(
        &self,
        request: Request<pb::GetConnectionRequest>,
    ) -> Result<Response<pb::GetConnectionResponse>, Status> {
        let name = request.into_inner().name;
        let id = name.rsplit('/').next().unwrap_or_default();
        let failed = |error: reqwest::Error| Status::unavailable(error.to_string());
        let answer = self.http.get(format!("{}/{id}", self.url)).send().await;
        let bytes = answer.map_err(failed)?.bytes().await.map_err(failed)?;
        let show: Show = serde_json::from_slice(&bytes)
            .map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(pb::GetConnectionResponse {
            connection: Some(map(show.ipsec_site_connection)),
        }))
    }

    async fn list_connections(
        &self,
        _: Request<pb::ListConnectionsRequest>,
    ) -> Result<Response<pb::ListConnectionsResponse>, Status> {
        Err(Status::unimplemented("thin"))
    }

    async fn create_connection(
        &self,
        _: Request<pb::CreateConnectionRequest>,
    ) -> Result<Response<pb::CreateConnectionResponse>, Status> {
        Err(Status::unimplemented("thin"))
    }

    async fn apply_connection(
        &self,
        _: Request<pb::ApplyConnectionRequest>,
    ) -> Result<Response<pb::ApplyConnectionResponse>, Status> {
        Err(Status::unimplemented("thin"))
    }

    async fn export_connection(
        &self,
        _: Request<pb::ExportConnectionRequest>,
    ) -> Result<Response<pb::ExportConnectionResponse>, Status> {
        Err(Status::unimplemented("thin"))
    }

    async fn update_connection(
        &self,
        _: Request<pb::UpdateConnectionRequest>,
    ) -> Result<Response<pb::UpdateConnectionResponse>, Status> {
        Err(Status::unimplemented("thin"))
    }

    async fn delete_connection(
        &self,
        _: Request<pb::DeleteConnectionRequest>,
    ) -> Result<Response<pb::DeleteConnectionResponse>, Status> {
        Err(Status::unimplemented("thin"))
    }
}

fn map(row: Row) -> pb::Connection {
    let named =
        |collection: &str, id: &str| format!("backends/{}/{collection}/{id}", cloud::BACKEND);
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    pb::Connection {
        name: named("connections", &row.id),
        display_name: row.name,
        description: row.description,
        admin_enabled: Some(row.admin_state_up),
        vpn_service: named("vpnServices", &row.vpnservice_id),
        ike_policy: named("ikePolicies", &row.ikepolicy_id),
        ipsec_policy: named("ipsecPolicies", &row.ipsecpolicy_id),
        peer: Some(pb::Peer {
            address: row.peer_address,
            id: row.peer_id,
            psk_set: true,
            ..pb::Peer::default()
        }),
        dpd: Some(pb::DeadPeerDetection {
            action: i32::from(row.dpd.action == "hold") * 2,
            interval: seconds(row.dpd.interval),
            timeout: seconds(row.dpd.timeout),
        }),
        initiation: i32::from(row.initiator == "bi-directional"),
        selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
            local_endpoint_group: named("endpointGroups", &row.local_ep_group_id),
            peer_endpoint_group: named("endpointGroups", &row.peer_ep_group_id),
            ..pb::PolicyBased::default()
        })),
        mtu: Some(row.mtu),
        ..pb::Connection::default()
    }
}

/// Whom a client calls.
#[derive(Clone, Serialize, Deserialize)]
enum Target {
    Grpc(SocketAddr),
    Http(SocketAddr),
}

/// What a client is told.
#[derive(Serialize, Deserialize)]
struct Run {
    in_flight: usize,
    seconds: f64,
}

/// What it found: requests a second, and latencies in microseconds.
#[derive(Serialize, Deserialize)]
struct Found {
    calls: usize,
    rate: f64,
    p50: f64,
    p99: f64,
}

/// Calls, so many at a time, for so long; one [`Run`] after the other.
async fn call(target: Target) {
    // Only says that somebody has chosen one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let caller = Caller::connect(&target).await;
    process::answer(&());
    let mut commands = Commands::begin();
    while let Some(run) = commands.next::<Run>().await {
        let begun = Instant::now();
        let until = begun + Duration::from_secs_f64(run.seconds);
        let connections = run
            .in_flight
            .div_ceil(CALLS_A_CONNECTION)
            .min(MOST_CONNECTIONS);
        let tasks = (0..run.in_flight).map(|number| {
            let mut caller = caller.on(number % connections);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while Instant::now() < until {
                    let begun = Instant::now();
                    caller.call().await;
                    latencies.push(begun.elapsed().as_secs_f64() * 1e6);
                }
                latencies
            })
        });
        let mut latencies = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            latencies.extend(task.await.expect("every call is answered"));
        }
        process::answer(&Found {
            calls: latencies.len(),
            rate: latencies.len() as f64 / begun.elapsed().as_secs_f64(),
            p50: percentile(&mut latencies, 0.5),
            p99: percentile(&mut latencies, 0.99),
        });
    }
}

enum Caller {
    Grpc(Vec<ConnectionServiceClient<Channel>>),
    Http(reqwest::Client, String),
}

impl Caller {
    async fn connect(target: &Target) -> Caller {
        match target {
            Target::Http(addr) => Caller::Http(
                reqwest::Client::new(),
                format!("http://{addr}/v2.0/vpn/ipsec-site-connections/{ID}"),
            ),
            Target::Grpc(addr) => {
                let mut clients = Vec::new();
                for _ in 0..MOST_CONNECTIONS {
                    let client = ConnectionServiceClient::connect(format!("http://{addr}")).await;
                    clients.push(client.expect("the server listens"));
                }
                Caller::Grpc(clients)
            }
        }
    }

    fn on(&self, connection: usize) -> Caller {
        match self {
            Caller::Grpc(clients) => Caller::Grpc(vec![clients[connection].clone()]),
            Caller::Http(http, url) => Caller::Http(http.clone(), url.clone()),
        }
    }

    async fn call(&mut self) {
        match self {
            Caller::Grpc(clients) => {
                let request = pb::GetConnectionRequest {
                    name: format!("backends/{}/connections/{ID}", cloud::BACKEND),
                };
                let answer = clients[0].get_connection(request).await;
                let read = answer.expect("every call succeeds").into_inner().connection;
                assert!(read.is_some_and(|connection| connection.name.ends_with(ID)));
            }
            Caller::Http(http, url) => {
                let answer = http.get(url.as_str()).send().await;
                let answer = answer.expect("every call succeeds");
                assert!(!answer.bytes().await.expect("a body").is_empty());
            }
        }
    }
}

/// One server with its client.
struct Side {
    name: &'static str,
    server: Peer,
    client: Peer,
    found: Vec<Found>,
    /// Microseconds of the server's CPU for one call; what others do on the machine disturbs it less than the rate.
    cpu: Vec<Cpu>,
}

impl Side {
    fn new(name: &'static str, server: Peer, client: Peer) -> Side {
        client.hear::<()>();
        Side {
            name,
            server,
            client,
            found: Vec::new(),
            cpu: Vec::new(),
        }
    }

    fn run(&mut self, in_flight: usize, seconds: f64) {
        let cpu = cpu_of(self.server.pid());
        let found: Found = self.client.ask(&Run { in_flight, seconds });
        let cpu = cpu_of(self.server.pid()) - cpu;
        self.cpu.push(cpu.each(found.calls));
        self.found.push(found);
    }

    fn rate(&self) -> f64 {
        median(self.found.iter().map(|found| found.rate))
    }

    fn cpu(&self, of: impl Fn(&Cpu) -> f64) -> f64 {
        median(self.cpu.iter().map(of))
    }
}

fn bench() {
    let quick = support::is_quick();
    let (rounds, seconds) = if quick { (1, 0.3) } else { (5, 2.0) };
    report::begin("unary: GetConnection through to a cloud", quick);
    let cores = Cores::choose();
    let behind = Peer::start("cloud", cores.third, &());
    let upstream: SocketAddr = behind.hear();
    let start = |name, role: &str, as_http: bool| {
        let server = Peer::start(role, cores.server, &upstream);
        let addr = server.hear();
        let target = match as_http {
            true => Target::Http(addr),
            false => Target::Grpc(addr),
        };
        let client = Peer::start("client", cores.client, &target);
        Side::new(name, server, client)
    };
    let mut sides = [
        start("isthmus", "gateway", false),
        start("thin handler", "thin", false),
        start("the cloud itself", "cloud", true),
    ];
    let pids: Vec<u32> = sides
        .iter()
        .flat_map(|side| [side.server.pid(), side.client.pid()])
        .chain([behind.pid()])
        .collect();

    let mut table = Table::new(&[
        "in flight",
        "server",
        "req/s",
        "p50 µs",
        "p99 µs",
        "user µs",
        "kernel µs",
        "others",
    ]);
    for in_flight in [1, 32, 256] {
        for side in &mut sides {
            side.run(in_flight, seconds / 4.0);
            side.found.clear();
            side.cpu.clear();
        }
        let meter = Meter::begin(&pids);
        for _ in 0..rounds {
            sides
                .iter_mut()
                .for_each(|side| side.run(in_flight, seconds));
        }
        report_on(&mut table, in_flight, &sides, meter.end());
        for side in &mut sides {
            side.found.clear();
            side.cpu.clear();
        }
    }
    println!();
    table.print();
}

fn report_on(table: &mut Table, in_flight: usize, sides: &[Side; 3], others: Foreign) {
    for side in sides {
        table.row(vec![
            in_flight.to_string(),
            side.name.to_owned(),
            number(side.rate()),
            number(median(side.found.iter().map(|found| found.p50))),
            number(median(side.found.iter().map(|found| found.p99))),
            number(side.cpu(|cpu| cpu.user)),
            number(side.cpu(|cpu| cpu.kernel)),
            others.text(),
        ]);
    }
    let [ours, thin, direct] = sides;
    let against = |peer: &Side| ours.rate() / peer.rate();
    report::aim(
        &format!("{in_flight} in flight, against the thinnest handler"),
        against(thin),
        0.9,
    );
    let cpu = |side: &Side| side.cpu(|cpu| cpu.sum());
    println!(
        "  (by CPU of the server: {}; against the cloud itself: {})",
        number(cpu(thin) / cpu(ours)),
        number(against(direct))
    );
}
