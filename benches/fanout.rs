//! One change to many `WatchRealization` streams of one connection, against the same HTTP/2 libraries with
//! nothing around them, and against etcd with a stream for each watch.
//!
//! ```text
//!   client core                                     server core
//!   100 connections ◄── N streams ── gateway: server, streams, log, poller ── poll ──► cloud in memory
//!   100 connections ◄── N streams ── bare: one message, encoded once
//!   100 connections ◄── N streams ── bare, with the gateway's write coalescing
//!   100 connections ◄── N streams ── etcd ◄── put ── writer (client core)
//! ```
//!
//! With `--durable` the logs of the gateway and of etcd are on disk, in memory otherwise.
//!
//! Time counts from when the poll that saw the change began (for bare, from when it was sent; for etcd, from when the
//! put was sent) to when the frame was read.

mod support;

use isthmus::server;
use std::net::SocketAddr;
use support::{
    bare::{Bare, Writes},
    delivery::{self, COLUMNS, Change, Reading, Side},
    etcd::{self, Etcd},
    machine::Cores,
    now,
    process::{self, Commands, Peer},
    report::{self, Table, number},
    streams::Link,
};

/// HTTP/2 connections that share the streams.
const CONNECTIONS: usize = 100;
/// Deliveries of each server for each number of streams. One takes a few microseconds, and the kernel counts CPU in ticks
/// of 10 ms: so many take more than a hundred ticks.
const DELIVERIES: usize = 500_000;
/// From so many streams on, what the connections hold hardly counts in the memory of a stream.
const MANY: usize = 10_000;
/// How far ahead of etcd the gateway is to be.
const AHEAD: f64 = 1.5;
const KEY: &str = "connection";

fn main() {
    match process::role() {
        None => bench(),
        Some((role, text)) => match role.as_str() {
            "gateway" => process::serve(delivery::serve_gateway(
                process::argument(&text),
                server::Settings::default(),
            )),
            "bare" => process::serve(serve_bare(process::argument(&text))),
            "writer" => process::load(write_etcd(process::argument(&text))),
            "reader" => process::load(delivery::read(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

/// `bytes`: as long as a message of the gateway.
async fn serve_bare((bytes, writes): (usize, Writes)) {
    let bare = Bare::start(&vec![1; bytes], writes).await;
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

fn bare(name: &'static str, writes: Writes, cores: Cores, streams: usize, bytes: usize) -> Side {
    let source = Peer::start("bare", cores.server, &(bytes, writes));
    let reading = Reading {
        addr: source.hear(),
        path: "/bare/Watch".to_owned(),
        request: Vec::new(),
        held_open: false,
        streams,
        connections: CONNECTIONS,
    };
    Side::begin(name, source.pid(), source, cores, &reading).0
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
        connections: CONNECTIONS,
    };
    let name = "etcd, a stream a watch";
    Side::begin(name, etcd.pid(), source, cores, &reading).0
}

fn bench() {
    let quick = support::is_quick();
    let (sizes, deliveries): (&[usize], usize) = match quick {
        true => (&[200], 400),
        false => (&[1_000, MANY], DELIVERIES),
    };
    report::begin("fanout: one change to many streams", quick);
    let cores = Cores::choose();
    let mut table = Table::new(&COLUMNS);
    for &streams in sizes {
        let rounds = deliveries / streams;
        let server = Etcd::start(cores.server, support::is_durable());
        let (ours, bytes) = Side::gateway(cores, streams, CONNECTIONS);
        let mut sides = vec![
            ours,
            bare("bare", Writes::Each, cores, streams, bytes),
            bare("bare, coalesced", Writes::Coalesced, cores, streams, bytes),
        ];
        if let Some(server) = &server {
            sides.push(etcd(server, cores, streams, bytes));
        }
        delivery::measure(&mut sides, rounds, &mut table);
        println!("{streams} streams, messages of {bytes} bytes, {rounds} rounds:");
        compare(&sides);
        if streams >= MANY {
            report::at_most("KiB a stream", sides[0].kib_a_stream, 4.0);
        }
    }
    println!();
    table.print();
}

fn compare(sides: &[Side]) {
    let [ours, bare, coalesced, rest @ ..] = sides else {
        return;
    };
    let rate = |peer: &Side| ours.rate() / peer.rate();
    let user = |peer: &Side| ours.server_cost().user / peer.server_cost().user;
    let kernel = |peer: &Side| ours.server_cost().kernel / peer.server_cost().kernel;
    report::at_most("user time against bare", user(bare), 1.8);
    report::at_most("kernel time against bare", kernel(bare), 0.5);
    report::aim("deliveries/s against bare", rate(bare), 1.3);
    println!(
        "  (against bare, coalesced: user time {}, kernel time {}, deliveries/s {})",
        number(user(coalesced)),
        number(kernel(coalesced)),
        number(rate(coalesced))
    );
    if let [etcd] = rest {
        let p99 = ours.p99() / etcd.p99();
        let memory = ours.kib_a_stream / etcd.kib_a_stream;
        report::aim("deliveries/s against etcd", rate(etcd), AHEAD);
        report::at_most("p99 against etcd", p99, 1.0 / AHEAD);
        report::at_most("memory against etcd", memory, 1.0 / AHEAD);
    }
}
