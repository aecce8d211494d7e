//! One change to 100,000 `WatchRealization` streams of one connection: what the gateway holds for them, and how long
//! the last of them waits.
//!
//! ```text
//!   client core                                        server core
//!   200 connections ◄── 100,000 streams ── gateway: server, streams, log, poller ── poll ──► cloud in memory
//! ```
//!
//! With `--durable` the log of the gateway is on disk, in memory otherwise.

mod support;

use isthmus::server;
use support::{
    delivery::{self, COLUMNS, Side},
    machine::Cores,
    process,
    report::{self, Table},
};

const STREAMS: usize = 100_000;
/// HTTP/2 connections that share the streams.
const CONNECTIONS: usize = 200;
/// More than the default, which is the number of streams: a connection with calls may not have more of them than it
/// leaves free.
const MAX_CALLS: usize = STREAMS + STREAMS / CONNECTIONS;
/// What all streams may hold.
const MOST_MB: f64 = 500.0;

fn main() {
    match process::role() {
        None => bench(),
        Some((role, text)) => match role.as_str() {
            "gateway" => process::serve(delivery::serve_gateway(
                process::argument(&text),
                server::Settings {
                    max_calls: MAX_CALLS,
                    ..server::Settings::default()
                },
            )),
            "reader" => process::load(delivery::read(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

fn bench() {
    let quick = support::is_quick();
    let (streams, rounds) = if quick { (2_000, 2) } else { (STREAMS, 10) };
    report::begin("crowd: one change to 100,000 streams", quick);
    let cores = Cores::choose();
    let mut table = Table::new(&COLUMNS);
    let (ours, bytes) = Side::gateway(cores, streams, CONNECTIONS);
    println!("{streams} streams, messages of {bytes} bytes, {rounds} rounds:");
    let opened = megabytes(ours.held());
    let mut sides = [ours];
    delivery::measure(&mut sides, rounds, &mut table);
    let [ours] = sides;
    report::at_most("MB for all streams, once opened", opened, MOST_MB);
    let after = megabytes(ours.held());
    report::at_most("MB for all streams, after the changes", after, MOST_MB);
    println!();
    table.print();
}

fn megabytes(kib: f64) -> f64 {
    kib * 1024.0 / 1e6
}
