//! A change on its way to many streams: what makes it, who reads it, and how a server between them fared.
//!
//! A round is one change, and ends when every stream has it. Time counts from when the change was seen, or sent, to when
//! its frame was read.

use crate::support::{
    self,
    cloud::{self, Cloud},
    gateway,
    machine::{Cores, Cpu, Foreign, Meter, cpu_of, memory_of},
    process::{self, Commands, Peer},
    report::{Table, median, number, percentile},
    streams::{Arrivals, Outgoing, connect_all},
};
use isthmus::{grpc::pb, server};
use prost::Message;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};

/// How often the cloud is polled: what a change waits for before it is seen is not measured.
const POLL_EVERY: Duration = Duration::from_millis(20);
/// The longest a round may take.
const LONGEST_ROUND: Duration = Duration::from_secs(30);
const WATCH: &str = "/isthmus.v1.RealizationService/WatchRealization";

/// What the source of changes is told; it answers when the change was seen, or sent.
#[derive(Serialize, Deserialize)]
pub struct Change;

/// The role `gateway`: a source of changes that serves them itself.
pub async fn serve_gateway(durable: bool, limits: server::Settings) {
    let cloud = Cloud::new(1, 1);
    let settings = cloud::settings(POLL_EVERY);
    let heartbeat = gateway::NO_HEARTBEAT;
    let serving = gateway::serve_within(limits, settings, cloud.clone(), heartbeat, durable).await;
    process::answer(&serving.addr);
    let mut commands = Commands::begin();
    while let Some(Change) = commands.next().await {
        cloud.change(0);
        process::answer(&cloud.seen(0).await);
    }
}

/// What the role `reader` is started with.
#[derive(Serialize, Deserialize)]
pub struct Reading {
    pub addr: SocketAddr,
    pub path: String,
    pub request: Vec<u8>,
    /// The request must not end before the answer does.
    pub held_open: bool,
    pub streams: usize,
    /// HTTP/2 connections that share the streams.
    pub connections: usize,
}

/// What a reader is told: that a change was seen then, and every stream is about to have it.
#[derive(Serialize, Deserialize)]
struct Round {
    seen: u64,
}

/// When a change arrived, in milliseconds after it was seen.
#[derive(Debug, Serialize, Deserialize)]
struct Arrived {
    streams: usize,
    p50: f64,
    p99: f64,
    last: f64,
}

/// The role `reader`. Opens the streams, answers how long the first message of one is, and then one [`Round`] after the
/// other.
pub async fn read(reading: Reading) {
    let arrivals = Arrivals::default();
    let mut links = connect_all(reading.addr, reading.connections.min(reading.streams)).await;
    let count = links.len();
    let mut bytes = 0;
    for number in 0..reading.streams {
        let link = &mut links[number % count];
        let more = reading.held_open.then(Outgoing::silence);
        let mut messages = link.open(&reading.path, &reading.request, more).await;
        let first = messages.next().await.expect("every stream begins");
        bytes = first.len();
        let arrivals = arrivals.clone();
        tokio::spawn(async move {
            while messages.next().await.is_some() {
                arrivals.arrived();
            }
        });
    }
    process::answer(&bytes);
    let mut commands = Commands::begin();
    while let Some(Round { seen }) = commands.next().await {
        let times = arrivals.take(reading.streams, LONGEST_ROUND).await;
        let since = |time: &u64| time.saturating_sub(seen) as f64 / 1e6;
        let mut times: Vec<f64> = times.iter().map(since).collect();
        process::answer(&Arrived {
            streams: times.len(),
            p50: percentile(&mut times, 0.5),
            p99: percentile(&mut times, 0.99),
            last: percentile(&mut times, 1.0),
        });
    }
}

/// One server with its readers, and how its rounds went.
#[derive(Debug)]
pub struct Side {
    name: &'static str,
    server: u32,
    source: Peer,
    reader: Peer,
    streams: usize,
    /// Memory of the server before the streams were opened, in KiB.
    before: f64,
    pub kib_a_stream: f64,
    server_cpu: Cpu,
    client_cpu: Cpu,
    rounds: Vec<Arrived>,
}

impl Side {
    /// Opens the streams. Returns how long a message is, too.
    pub fn begin(
        name: &'static str,
        server: u32,
        source: Peer,
        cores: Cores,
        reading: &Reading,
    ) -> (Side, usize) {
        let before = memory_of(server);
        let reader = Peer::start("reader", cores.client, reading);
        let bytes: usize = reader.hear();
        let side = Side {
            name,
            server,
            source,
            reader,
            streams: reading.streams,
            before,
            kib_a_stream: (memory_of(server) - before) / reading.streams as f64,
            server_cpu: Cpu::default(),
            client_cpu: Cpu::default(),
            rounds: Vec::new(),
        };
        (side, bytes)
    }

    /// A gateway, whose role is [`serve_gateway`], with its streams.
    pub fn gateway(cores: Cores, streams: usize, connections: usize) -> (Side, usize) {
        let source = Peer::start("gateway", cores.server, &support::is_durable());
        let request = pb::WatchRealizationRequest {
            name: Cloud::name(0),
            ..Default::default()
        };
        let reading = Reading {
            addr: source.hear(),
            path: WATCH.to_owned(),
            request: request.encode_to_vec(),
            held_open: false,
            streams,
            connections,
        };
        Side::begin("isthmus", source.pid(), source, cores, &reading)
    }

    fn pids(&self) -> [u32; 3] {
        [self.server, self.source.pid(), self.reader.pid()]
    }

    fn round(&mut self, counts: bool) {
        let (server, client) = (cpu_of(self.server), cpu_of(self.reader.pid()));
        let seen: u64 = self.source.ask(&Change);
        let arrived: Arrived = self.reader.ask(&Round { seen });
        assert_eq!(
            arrived.streams, self.streams,
            "{}: a change reaches every stream once",
            self.name
        );
        if counts {
            self.server_cpu += cpu_of(self.server) - server;
            self.client_cpu += cpu_of(self.reader.pid()) - client;
            self.rounds.push(arrived);
        }
    }

    /// What the server holds more now than before the streams were opened, in KiB.
    pub fn held(&self) -> f64 {
        memory_of(self.server) - self.before
    }

    pub fn rate(&self) -> f64 {
        self.each(|round| self.streams as f64 / round.last * 1e3)
    }

    pub fn p99(&self) -> f64 {
        self.each(|round| round.p99)
    }

    /// Microseconds of the server's CPU for one delivery.
    pub fn server_cost(&self) -> Cpu {
        self.server_cpu.each(self.deliveries())
    }

    fn deliveries(&self) -> usize {
        self.streams * self.rounds.len()
    }

    fn each(&self, value: impl Fn(&Arrived) -> f64) -> f64 {
        median(self.rounds.iter().map(value))
    }

    /// For a table with [`COLUMNS`].
    fn row(&self, others: Foreign) -> Vec<String> {
        let cost = self.server_cost();
        vec![
            number(self.streams as f64),
            self.name.to_owned(),
            number(self.rate()),
            number(self.each(|round| round.p50)),
            number(self.p99()),
            number(self.each(|round| round.last)),
            number(self.kib_a_stream),
            number(cost.user),
            number(cost.kernel),
            number(self.client_cpu.each(self.deliveries()).sum()),
            others.text(),
        ]
    }
}

pub const COLUMNS: [&str; 11] = [
    "streams",
    "server",
    "deliveries/s",
    "p50 ms",
    "p99 ms",
    "last ms",
    "KiB/stream",
    "user µs",
    "kernel µs",
    "client CPU µs",
    "others",
];

/// Has each side deliver a change in turn, so many times. Adds a row of each to the table.
pub fn measure(sides: &mut [Side], rounds: usize, table: &mut Table) {
    let pids: Vec<u32> = sides.iter().flat_map(Side::pids).collect();
    sides.iter_mut().for_each(|side| side.round(false));
    let meter = Meter::begin(&pids);
    for _ in 0..rounds {
        sides.iter_mut().for_each(|side| side.round(true));
    }
    let others = meter.end();
    sides.iter().for_each(|side| table.row(side.row(others)));
}
