//! One change to many `WatchRealization` streams of one connection, against the same HTTP/2 libraries with
//! nothing around them, and against etcd with a stream for each watch.
//!
//! ```text
//!   client core                                     server core
//!   100 connections ◄── N streams ── gateway: server, streams, log, poller ── poll ──► cloud in memory
//!   100 connections ◄── N streams ── bare: one message, encoded once
//!   100 connections ◄── N streams ── etcd ◄── put ── writer (client core)
//! ```
//!
//! With `--durable` the logs of the gateway and of etcd are on disk, in memory otherwise.
//!
//! A round is one change, and ends when every stream has it. Time counts from when the poll that saw the change
//! began (for bare, from when it was sent; for etcd, from when the put was sent) to when the frame was read.

mod support;

use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};
use support::{
    bare::Bare,
    cloud::{self, Cloud},
    etcd::{self, Etcd},
    gateway,
    machine::{Cores, Cpu, Meter, cpu_of, memory_of},
    now,
    process::{self, Commands, Peer},
    report::{self, Table, median, number, percentile},
    streams::{Arrivals, Link, Outgoing, connect_all},
};

/// HTTP/2 connections that share the streams.
const CONNECTIONS: usize = 100;
/// How often the cloud is polled: what a change waits for before it is seen is not measured.
const POLL_EVERY: Duration = Duration::from_millis(20);
/// The longest a round may take.
const LONGEST_ROUND: Duration = Duration::from_secs(30);
const WATCH: &str = "/isthmus.v1.RealizationService/WatchRealization";
const KEY: &str = "connection";

fn main() {
    match process::role() {
        None => bench(),
        Some((role, text)) => match role.as_str() {
            "gateway" => process::serve(serve_gateway(process::argument(&text))),
            "bare" => process::serve(serve_bare(process::argument(&text))),
            "writer" => process::load(write_etcd(process::argument(&text))),
            "reader" => process::load(read(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

/// What the source of changes is told; it answers when the change was seen, or sent.
#[derive(Serialize, Deserialize)]
struct Change;

async fn serve_gateway(durable: bool) {
    let cloud = Cloud::new(1, 1);
    let settings = cloud::settings(POLL_EVERY);
    let serving = gateway::serve(settings, cloud.clone(), gateway::NO_HEARTBEAT, durable).await;
    process::answer(&serving.addr);
    let mut commands = Commands::begin();
    while let Some(Change) = commands.next().await {
        cloud.change(0);
        process::answer(&cloud.seen(0).await);
    }
}

/// `bytes`: as long as a message of the gateway.
async fn serve_bare(bytes: usize) {
    let bare = Bare::start(&vec![1; bytes]).await;
    process::answer(&bare.addr);
    let mut commands = Commands::begin();
    while let Some(Change) = commands.next().await {
        let sent = now();
        bare.send(&vec![1; bytes]);
        process::answer(&sent);
    }
}

async fn write_etcd((addr, bytes): (SocketAddr, usize)) {
    let mut link = Link::connect(addr).await;
    let put = etcd::put(KEY, vec![1; bytes]);
    etcd::send_put(&mut link, &put).await;
    process::answer(&());
    let mut commands = Commands::begin();
    while let Some(Change) = commands.next().await {
        let sent = now();
        etcd::send_put(&mut link, &put).await;
        process::answer(&sent);
    }
}

#[derive(Serialize, Deserialize)]
struct Reading {
    addr: SocketAddr,
    path: String,
    request: Vec<u8>,
    /// The request must not end before the answer does.
    held_open: bool,
    streams: usize,
}

/// What a reader is told: that a change was seen then, and every stream is about to have it.
#[derive(Serialize, Deserialize)]
struct Round {
    seen: u64,
}

/// When a change arrived, in milliseconds after it was seen.
#[derive(Serialize, Deserialize)]
struct Arrived {
    streams: usize,
    p50: f64,
    p99: f64,
    last: f64,
}

/// Opens the streams, answers how long the first message of one is, and then one [`Round`] after the other.
async fn read(reading: Reading) {
    let arrivals = Arrivals::default();
    let mut links = connect_all(reading.addr, CONNECTIONS.min(reading.streams)).await;
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
struct Side {
    name: &'static str,
    server: u32,
    source: Peer,
    reader: Peer,
    streams: usize,
    kib_a_stream: f64,
    server_cpu: Cpu,
    client_cpu: Cpu,
    rounds: Vec<Arrived>,
}

impl Side {
    fn begin(
        name: &'static str,
        server: u32,
        source: Peer,
        cores: Cores,
        reading: &Reading,
    ) -> (Side, usize) {
        let before = memory_of(server);
        let reader = Peer::start("reader", cores.client, reading);
        let bytes: usize = reader.hear();
        let kib_a_stream = (memory_of(server) - before) / reading.streams as f64;
        let side = Side {
            name,
            server,
            source,
            reader,
            streams: reading.streams,
            kib_a_stream,
            server_cpu: Cpu::default(),
            client_cpu: Cpu::default(),
            rounds: Vec::new(),
        };
        (side, bytes)
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

    fn rate(&self) -> f64 {
        median(self.each(|round| self.streams as f64 / round.last * 1e3))
    }

    fn p50(&self) -> f64 {
        median(self.each(|round| round.p50))
    }

    fn p99(&self) -> f64 {
        median(self.each(|round| round.p99))
    }

    /// Microseconds of CPU for one delivery.
    fn cost(&self, cpu: Cpu) -> Cpu {
        cpu.each(self.streams * self.rounds.len())
    }

    fn each(&self, value: impl Fn(&Arrived) -> f64) -> impl Iterator<Item = f64> {
        self.rounds
            .iter()
            .map(value)
            .collect::<Vec<_>>()
            .into_iter()
    }
}

fn gateway(cores: Cores, streams: usize) -> (Side, usize) {
    let source = Peer::start("gateway", cores.server, &support::is_durable());
    let request = isthmus::grpc::pb::WatchRealizationRequest {
        name: Cloud::name(0),
        ..Default::default()
    };
    let reading = Reading {
        addr: source.hear(),
        path: WATCH.to_owned(),
        request: prost::Message::encode_to_vec(&request),
        held_open: false,
        streams,
    };
    Side::begin("isthmus", source.pid(), source, cores, &reading)
}

fn bare(cores: Cores, streams: usize, bytes: usize) -> Side {
    let source = Peer::start("bare", cores.server, &bytes);
    let reading = Reading {
        addr: source.hear(),
        path: "/bare/Watch".to_owned(),
        request: Vec::new(),
        held_open: false,
        streams,
    };
    Side::begin("bare, encoded once", source.pid(), source, cores, &reading).0
}

fn etcd(etcd: &Etcd, cores: Cores, streams: usize, bytes: usize) -> Side {
    let source = Peer::start("writer", cores.client, &(etcd.addr, bytes));
    source.hear::<()>();
    let reading = Reading {
        addr: etcd.addr,
        path: etcd::WATCH.to_owned(),
        request: etcd::watch(KEY),
        held_open: true,
        streams,
    };
    Side::begin(
        "etcd, a stream a watch",
        etcd.pid(),
        source,
        cores,
        &reading,
    )
    .0
}

fn bench() {
    let quick = support::is_quick();
    let (sizes, rounds): (&[usize], usize) = match quick {
        true => (&[200], 2),
        false => (&[1_000, 10_000], 15),
    };
    report::begin("fanout: one change to many streams", quick);
    let cores = Cores::choose();
    let mut table = Table::new(&[
        "streams",
        "server",
        "deliveries/s",
        "p50 ms",
        "p99 ms",
        "KiB/stream",
        "user µs",
        "kernel µs",
        "client CPU µs",
        "others",
    ]);
    for &streams in sizes {
        let server = Etcd::start(cores.server, support::is_durable());
        let (ours, bytes) = gateway(cores, streams);
        let mut sides = vec![ours, bare(cores, streams, bytes)];
        if let Some(server) = &server {
            sides.push(etcd(server, cores, streams, bytes));
        }
        let pids: Vec<u32> = sides.iter().flat_map(Side::pids).collect();
        sides.iter_mut().for_each(|side| side.round(false));
        let meter = Meter::begin(&pids);
        for _ in 0..rounds {
            sides.iter_mut().for_each(|side| side.round(true));
        }
        let others = meter.end();
        for side in &sides {
            table.row(vec![
                number(streams as f64),
                side.name.to_owned(),
                number(side.rate()),
                number(side.p50()),
                number(side.p99()),
                number(side.kib_a_stream),
                number(side.cost(side.server_cpu).user),
                number(side.cost(side.server_cpu).kernel),
                number(side.cost(side.client_cpu).sum()),
                others.text(),
            ]);
        }
        println!("{streams} streams, messages of {bytes} bytes, {rounds} rounds:");
        compare(&sides);
    }
    println!();
    table.print();
}

fn compare(sides: &[Side]) {
    let [ours, bare, rest @ ..] = sides else {
        return;
    };
    report::aim("deliveries/s against bare", ours.rate() / bare.rate(), 0.9);
    let cpu = bare.server_cpu.sum() / ours.server_cpu.sum();
    println!("  (by CPU of the server: {})", number(cpu));
    report::at_most("KiB a stream", ours.kib_a_stream, 4.0);
    if let [etcd] = rest {
        report::aim("deliveries/s against etcd", ours.rate() / etcd.rate(), 1.0);
        report::at_most("p99 against etcd", ours.p99() / etcd.p99(), 1.0);
        let memory = ours.kib_a_stream / etcd.kib_a_stream;
        report::at_most("memory against etcd", memory, 1.0);
    }
}
