//! What it costs to be seen: the gateway with traces and metrics sent to a collector, against the same gateway with
//! neither, in one run and by turns.
//!
//! ```text
//!   client core                                      server core
//!   load ── gRPC ──► gateway, on ── HTTP ──► cloud    the two gateways, one working at a time
//!   load ── gRPC ──► gateway, off ── HTTP ──► cloud
//!   100 connections ◄── N streams ── gateway, on ── poll ──► cloud in memory
//!   100 connections ◄── N streams ── gateway, off ── poll ──► cloud in memory
//!   collector ◄── OTLP ── what is on
//! ```
//!
//! One trace of a hundred is kept (`trace_sample = 0.01`), as a gateway with much to do would have it; callers say
//! nothing of traces. Metrics are counted for the collector. The collector takes everything and keeps counts: it is on
//! the client's core, if there is none for itself, and on the other side of a socket as a real one is.
//!
//! The ratio of each turn is that of the one with to the one without right after it; the figure is the median of the
//! turns, so that what a machine does in between strikes both.

mod support;

use isthmus::{
    core::{dialect::Dialect, table::Keys},
    dialects::openstack,
    grpc::pb::{self, connection_service_client::ConnectionServiceClient},
    rest::{budget::Limits, https::Https},
    telemetry,
};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use support::{
    cloud::{self, Cloud},
    gateway,
    machine::{Cores, Cpu, Meter, cpu_of},
    process::{self, Commands, Peer},
    report::{self, Table, median, number, percentile},
    streams::{Arrivals, connect_all},
    upstream::{ID, RECORDED, Upstream},
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// How many of the traces are kept.
const SAMPLE: f64 = 0.01;
/// More than any gateway does: the account's budget is passed, and never short.
const NO_LIMIT: Limits = Limits {
    rate: 1e9,
    concurrency: 10_000,
};
/// Calls under way at the same time, each of a task of its own.
const IN_FLIGHT: usize = 32;
/// HTTP/2 connections that share the calls.
const CALLERS: usize = 4;
/// HTTP/2 connections that share the streams.
const CONNECTIONS: usize = 100;
/// How often the cloud is polled: what a change waits for before it is seen is not measured.
const POLL_EVERY: Duration = Duration::from_millis(20);
/// The longest a round may take.
const LONGEST_ROUND: Duration = Duration::from_secs(30);
const WATCH: &str = "/isthmus.v1.RealizationService/WatchRealization";

fn main() {
    match process::role() {
        None => bench(),
        Some((role, text)) => match role.as_str() {
            "cloud" => process::load(serve_cloud()),
            "collector" => process::load(collect()),
            "calls" => process::serve(serve_calls(process::argument(&text))),
            "streams" => process::serve(serve_streams(process::argument(&text))),
            "caller" => process::load(call(process::argument(&text))),
            "reader" => process::load(read(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

async fn serve_cloud() {
    let cloud = Upstream::start(|_| RECORDED.into()).await;
    process::answer(&cloud.addr);
    Commands::begin().next::<()>().await;
}

/// What a collector has received so far.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct Received {
    spans: usize,
    metrics: usize,
}

#[derive(Debug, Default, Clone)]
struct Collector(Arc<(AtomicUsize, AtomicUsize)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.get_ref().resource_spans.iter();
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        let spans = scopes.map(|scope| scope.spans.len()).sum();
        self.0.0.fetch_add(spans, Relaxed);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.get_ref().resource_metrics.iter();
        let scopes = resources.flat_map(|resource| &resource.scope_metrics);
        let metrics = scopes.map(|scope| scope.metrics.len()).sum();
        self.0.1.fetch_add(metrics, Relaxed);
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// Answers with what it has [`Received`], whenever it is asked.
async fn collect() {
    let collector = Collector::default();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let incoming = TcpIncoming::bind(any).expect("a free port");
    process::answer(&incoming.local_addr().expect("a bound socket"));
    tokio::spawn(
        Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(incoming),
    );
    let mut commands = Commands::begin();
    while let Some(()) = commands.next().await {
        process::answer(&Received {
            spans: collector.0.0.load(Relaxed),
            metrics: collector.0.1.load(Relaxed),
        });
    }
}

/// What a gateway tells of itself, and to whom.
fn told(collector: Option<SocketAddr>) -> telemetry::Settings {
    telemetry::Settings {
        otlp_endpoint: collector.map(|addr| format!("http://{addr}")),
        trace_sample: Some(SAMPLE),
        ..telemetry::Settings::default()
    }
}

async fn serve_calls((upstream, collector): (SocketAddr, Option<SocketAddr>)) {
    let settings = cloud::settings(Duration::from_secs(30));
    let mut keys = Keys::default()
        .with("variant", "neutron")
        .with("url", format!("http://{upstream}"));
    let dialect = openstack::connect_within(&mut keys, settings.timeout, &Https, NO_LIMIT);
    let dialect: Arc<dyn Dialect> = dialect.expect("the settings work");
    let serving = gateway::serve_telling(settings, dialect, &told(collector)).await;
    process::answer(&serving.addr);
    Commands::begin().next::<()>().await;
}

/// What the source of changes is told; it answers when the change was seen.
#[derive(Serialize, Deserialize)]
struct Change;

async fn serve_streams(collector: Option<SocketAddr>) {
    let cloud = Cloud::new(1, 1);
    let settings = cloud::settings(POLL_EVERY);
    let serving = gateway::serve_telling(settings, cloud.clone(), &told(collector)).await;
    process::answer(&serving.addr);
    let mut commands = Commands::begin();
    while let Some(Change) = commands.next().await {
        cloud.change(0);
        process::answer(&cloud.seen(0).await);
    }
}

/// How a turn went: how many calls, or deliveries, and how many of them a second.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Turn {
    count: usize,
    rate: f64,
}

/// Calls, [`IN_FLIGHT`] at a time, for as many seconds as it is told.
async fn call(addr: SocketAddr) {
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let caller = ConnectionServiceClient::connect(format!("http://{addr}")).await;
        callers.push(caller.expect("the server listens"));
    }
    process::answer(&());
    let mut commands = Commands::begin();
    while let Some(seconds) = commands.next::<f64>().await {
        let begun = Instant::now();
        let until = begun + Duration::from_secs_f64(seconds);
        let tasks = (0..IN_FLIGHT).map(|number| {
            let mut caller = callers[number % CALLERS].clone();
            tokio::spawn(async move {
                let mut count = 0;
                while Instant::now() < until {
                    let name = format!("backends/{}/connections/{ID}", cloud::BACKEND);
                    let request = pb::GetConnectionRequest { name };
                    let answer = caller.get_connection(request).await;
                    let read = answer.expect("every call succeeds").into_inner();
                    assert!(read.connection.is_some());
                    count += 1;
                }
                count
            })
        });
        let mut count = 0;
        for task in tasks.collect::<Vec<_>>() {
            count += task.await.expect("every call is answered");
        }
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        process::answer(&Turn { count, rate });
    }
}

/// Opens the streams, and then reads one change of each, seen at the time that it is told.
async fn read((addr, streams): (SocketAddr, usize)) {
    let request = pb::WatchRealizationRequest {
        name: Cloud::name(0),
        ..pb::WatchRealizationRequest::default()
    };
    let request = prost::Message::encode_to_vec(&request);
    let arrivals = Arrivals::default();
    let mut links = connect_all(addr, CONNECTIONS.min(streams)).await;
    let count = links.len();
    for number in 0..streams {
        let mut messages = links[number % count].open(WATCH, &request, None).await;
        messages.next().await.expect("every stream begins");
        let arrivals = arrivals.clone();
        tokio::spawn(async move {
            while messages.next().await.is_some() {
                arrivals.arrived();
            }
        });
    }
    process::answer(&());
    let mut commands = Commands::begin();
    while let Some(seen) = commands.next::<u64>().await {
        let times = arrivals.take(streams, LONGEST_ROUND).await;
        assert_eq!(times.len(), streams, "a change reaches every stream once");
        let took = |time: &u64| time.saturating_sub(seen) as f64 / 1e9;
        let mut times: Vec<f64> = times.iter().map(took).collect();
        let rate = streams as f64 / percentile(&mut times, 1.0);
        process::answer(&Turn {
            count: streams,
            rate,
        });
    }
}

/// A gateway and who loads it.
struct Side {
    server: Peer,
    client: Peer,
    /// Each with the microseconds of the server's CPU for one call or delivery.
    turns: Vec<(Turn, Cpu)>,
}

impl Side {
    /// Has a turn.
    fn turn(&mut self, work: &impl Fn(&mut Peer, &mut Peer) -> Turn) {
        let before = cpu_of(self.server.pid());
        let turn = work(&mut self.server, &mut self.client);
        let cpu = (cpu_of(self.server.pid()) - before).each(turn.count);
        self.turns.push((turn, cpu));
    }

    fn median(&self, of: impl Fn(&(Turn, Cpu)) -> f64) -> f64 {
        median(self.turns.iter().map(of))
    }

    fn mean(&self, of: impl Fn(&(Turn, Cpu)) -> f64) -> f64 {
        self.turns.iter().map(of).sum::<f64>() / self.turns.len() as f64
    }
}

/// Has both work by turns, and reports.
fn compare(
    what: &str,
    [on, off]: &mut [Side; 2],
    turns: usize,
    work: impl Fn(&mut Peer, &mut Peer) -> Turn,
    others: &[u32],
    table: &mut Table,
) {
    // The first is for whatever is set up with the first call.
    for side in [&mut *on, &mut *off] {
        side.turn(&work);
        side.turns.clear();
    }
    let ours = [&*on, &*off].map(|side| [side.server.pid(), side.client.pid()]);
    let pids: Vec<u32> = ours.as_flattened().iter().chain(others).copied().collect();
    let meter = Meter::begin(&pids);
    for number in 0..turns {
        // Neither is always the first.
        let order = match number % 2 {
            0 => [&mut *on, &mut *off],
            _ => [&mut *off, &mut *on],
        };
        order.into_iter().for_each(|side| side.turn(&work));
    }
    let foreign = meter.end();
    for (name, side) in [("on", &*on), ("off", &*off)] {
        table.row(vec![
            what.to_owned(),
            name.to_owned(),
            number(side.median(|turn| turn.0.rate)),
            number(side.mean(|turn| turn.1.user)),
            number(side.mean(|turn| turn.1.kernel)),
            foreign.text(),
        ]);
    }
    let pairs = on.turns.iter().zip(&off.turns);
    let ratio = median(pairs.map(|(on, off)| on.0.rate / off.0.rate));
    report::aim(&format!("{what}, on against off"), ratio, 0.95);
    let cpu = |side: &Side| side.mean(|turn| turn.1.sum());
    println!("  (by CPU of the server: {})", number(cpu(off) / cpu(on)));
}

fn bench() {
    let quick = support::is_quick();
    let (turns, seconds, streams, rounds) = match quick {
        true => (2, 0.3, 200, 2),
        false => (20, 1.0, 1_000, 60),
    };
    report::begin("telemetry: traces and metrics on, against all off", quick);
    let cores = Cores::choose();
    let mut collector = Peer::start("collector", cores.third, &());
    let collecting: SocketAddr = collector.hear();
    let behind = Peer::start("cloud", cores.third, &());
    let upstream: SocketAddr = behind.hear();
    let others = [collector.pid(), behind.pid()];
    let mut table = Table::new(&[
        "what",
        "telemetry",
        "a second",
        "user µs",
        "kernel µs",
        "others",
    ]);

    let mut sides = [Some(collecting), None].map(|to| {
        let server = Peer::start("calls", cores.server, &(upstream, to));
        let addr: SocketAddr = server.hear();
        side(server, Peer::start("caller", cores.client, &addr))
    });
    let work = |_: &mut Peer, client: &mut Peer| client.ask(&seconds);
    compare("unary calls", &mut sides, turns, work, &others, &mut table);
    drop(sides);
    let of_calls: Received = collector.ask(&());

    let mut sides = [Some(collecting), None].map(|to| {
        let server = Peer::start("streams", cores.server, &to);
        let addr: SocketAddr = server.hear();
        side(
            server,
            Peer::start("reader", cores.client, &(addr, streams)),
        )
    });
    let work = |server: &mut Peer, client: &mut Peer| {
        let seen: u64 = server.ask(&Change);
        client.ask(&seen)
    };
    let what = format!("fan-out to {streams} streams");
    compare(&what, &mut sides, rounds, work, &others, &mut table);
    drop(sides);
    let of_all: Received = collector.ask(&());
    println!(
        "- received by the collector: {} spans of calls, {} of streams and polls, {} metrics",
        of_calls.spans,
        of_all.spans - of_calls.spans,
        of_all.metrics
    );
    println!();
    table.print();
}

fn side(server: Peer, client: Peer) -> Side {
    client.hear::<()>();
    Side {
        server,
        client,
        turns: Vec::new(),
    }
}
