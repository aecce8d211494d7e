//! One watch over 10,000 connections, against etcd with 100 watches a stream.
//!
//! Three questions:
//! - **steady**: 1,000 changes a second. How long after the poll that saw it does a change arrive, and what does
//!   it cost? (etcd: from when the put was sent.)
//! - **burst**: all connections change at once. How fast do they arrive at ten such watches?
//! - **one change, 10,000 watches**: what etcd is fastest at. Its rate stands beside the burst's.
//!
//! With `--durable` the logs of the gateway and of etcd are on disk, in memory otherwise.
//!
//! A change is raised in a cloud in the gateway's memory, and the connection is asked for at once, as
//! `GetRealization` does: the real poller polls, the step decides, the log numbers, the watch reads. What the
//! server spends includes that. The client decodes every message, as clients do.

mod support;

use isthmus::{core::realizations::PollRequest, grpc::pb, model::ConnectionName};
use prost::Message;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use support::{
    cloud::{self, BACKEND, Cloud},
    etcd::{self, Etcd},
    gateway,
    machine::{Cores, Cpu, Meter, cpu_of, memory_of},
    now,
    process::{self, Commands, Peer},
    report::{self, Table, median, number, percentile},
    streams::{Link, connect_all},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// What is looked at by itself, beside what changes.
const STABLE: Duration = Duration::from_secs(600);
/// Polls at the same time in a burst.
const POLLS: usize = 256;
/// Watches on one stream of etcd, and etcd streams on one connection.
const WATCHES_A_STREAM: usize = 100;
const STREAMS_A_CONNECTION: usize = 10;
/// How often the steady rate is dealt out.
const TICK: Duration = Duration::from_millis(5);
/// The longest that changes may take to arrive.
const LONGEST: Duration = Duration::from_secs(60);
const WATCH_MANY: &str = "/isthmus.v1.RealizationService/WatchRealizations";
/// A key that all etcd watches of the last question are on.
const KEY: &str = "connection";

fn main() {
    match process::role() {
        None => bench(),
        Some((role, text)) => match role.as_str() {
            "gateway" => process::serve(serve_gateway(process::argument(&text))),
            "writer" => process::load(write_etcd(process::argument(&text))),
            "reader" => process::load(read_gateway(process::argument(&text))),
            "etcd-reader" => process::load(read_etcd(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

/// What the source of changes is told; it answers when it is done.
#[derive(Clone, Serialize, Deserialize)]
enum Changes {
    /// So many a second, for so long. Answers how many.
    Steady { rate: f64, seconds: f64 },
    /// Every connection once, as fast as it goes. Answers how many.
    Burst,
    /// The one key that everybody watches.
    One,
}

async fn serve_gateway((connections, durable): (usize, bool)) {
    let cloud = Cloud::new(connections, 1);
    let settings = cloud::settings(STABLE);
    let serving = gateway::serve(settings, cloud.clone(), gateway::NO_HEARTBEAT, durable).await;
    let change = |index: usize| {
        let (cloud, gateway) = (Arc::clone(&cloud), Arc::clone(&serving.gateway));
        async move {
            cloud.change(index);
            let name = ConnectionName::connection(
                &BACKEND.parse().expect("written as a name"),
                &Cloud::id(index),
            );
            let name = name.expect("made of digits");
            let poll = PollRequest {
                name,
                include_tunnel: false,
                write_token: String::new(),
                upstream_request_ids: Vec::new(),
            };
            let polled = gateway.poll_now(&poll, Instant::now() + LONGEST).await;
            polled.expect("the cloud answers");
        }
    };
    // The first sight of a connection is a change as well: before anybody watches.
    for some in (0..connections).collect::<Vec<_>>().chunks(POLLS) {
        futures_util::future::join_all(some.iter().map(|index| change(*index))).await;
    }
    process::answer(&serving.addr);
    let mut commands = Commands::begin();
    while let Some(changes) = commands.next::<Changes>().await {
        let made = match changes {
            Changes::Steady { rate, seconds } => {
                steadily(rate, seconds, |number| {
                    tokio::spawn(change(number % connections));
                })
                .await
            }
            Changes::Burst | Changes::One => {
                let polls = Arc::new(Semaphore::new(POLLS));
                for index in 0..connections {
                    let poll = Arc::clone(&polls).acquire_owned().await;
                    let change = change(index);
                    tokio::spawn(async move {
                        change.await;
                        drop(poll);
                    });
                }
                connections
            }
        };
        process::answer(&made);
    }
}

/// Calls `make` at a rate, dealt out evenly; answers how often.
async fn steadily(rate: f64, seconds: f64, mut make: impl FnMut(usize)) -> usize {
    let total = (rate * seconds) as usize;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = Instant::now();
    let mut made = 0;
    while made < total {
        tick.tick().await;
        let due = (begun.elapsed().as_secs_f64() * rate) as usize;
        while made < due.min(total) {
            make(made);
            made += 1;
        }
    }
    total
}

fn key(index: usize) -> String {
    format!("{KEY}/{}", Cloud::id(index))
}

/// The time, and as many bytes more as a change of the gateway has.
fn value(bytes: usize) -> Vec<u8> {
    let mut value = now().to_be_bytes().to_vec();
    value.resize(bytes, 1);
    value
}

async fn write_etcd((addr, keys, bytes): (SocketAddr, usize, usize)) {
    let (sender, receiver) = mpsc::channel::<String>(POLLS);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let done = Arc::new(AtomicU64::new(0));
    for _ in 0..POLLS {
        let (receiver, done) = (Arc::clone(&receiver), Arc::clone(&done));
        let mut link = Link::connect(addr).await;
        tokio::spawn(async move {
            loop {
                let next = receiver.lock().await.recv().await;
                let Some(key) = next else { break };
                etcd::send_put(&mut link, &etcd::put(&key, value(bytes))).await;
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    process::answer(&());
    let mut commands = Commands::begin();
    while let Some(changes) = commands.next::<Changes>().await {
        let made = match changes {
            Changes::Steady { rate, seconds } => {
                steadily(rate, seconds, |number| {
                    // Full means that etcd does not keep up; then the count tells.
                    let _ = sender.try_send(key(number % keys));
                })
                .await
            }
            Changes::Burst => {
                for index in 0..keys {
                    let sent = sender.send(key(index)).await;
                    sent.expect("the writers wait for keys");
                }
                keys
            }
            Changes::One => {
                let sent = sender.send(KEY.to_owned()).await;
                sent.expect("the writers wait for keys");
                1
            }
        };
        process::answer(&made);
    }
}

/// A change as it arrived: when it was seen upstream, and when it was here.
type Arrival = (u64, u64);

/// What a reader is told: to wait for so many changes, and tell of them.
#[derive(Serialize, Deserialize)]
struct Expect {
    changes: usize,
}

/// Deliveries, how long after it was seen each came (ms), and from the first sight to the last delivery (s).
#[derive(Serialize, Deserialize)]
struct Arrived {
    changes: usize,
    messages: usize,
    p50: f64,
    p99: f64,
    seconds: f64,
}

/// Answers [`Expect`]s from what the streams bring: per message, its changes.
async fn collect(mut arrivals: mpsc::UnboundedReceiver<Vec<Arrival>>) {
    let mut commands = Commands::begin();
    while let Some(expected) = commands.next::<Expect>().await {
        let mut found: Vec<Arrival> = Vec::new();
        let mut messages = 0;
        while found.len() < expected.changes {
            match timeout(LONGEST, arrivals.recv()).await {
                Ok(Some(changes)) => {
                    messages += 1;
                    found.extend(changes);
                }
                Ok(None) | Err(_) => break,
            }
        }
        let first = found.iter().map(|(seen, _)| *seen).min().unwrap_or(0);
        let last = found.iter().map(|(_, here)| *here).max().unwrap_or(0);
        let lag = |(seen, here): &Arrival| here.saturating_sub(*seen) as f64 / 1e6;
        let mut lags: Vec<f64> = found.iter().map(lag).collect();
        process::answer(&Arrived {
            changes: found.len(),
            messages,
            p50: percentile(&mut lags, 0.5),
            p99: percentile(&mut lags, 0.99),
            seconds: last.saturating_sub(first) as f64 / 1e9,
        });
    }
}

async fn read_gateway((addr, watches): (SocketAddr, usize)) {
    let request = pb::WatchRealizationsRequest {
        parent: format!("backends/{BACKEND}"),
        ..Default::default()
    }
    .encode_to_vec();
    let (sender, receiver) = mpsc::unbounded_channel();
    for mut link in connect_all(addr, watches).await {
        let mut messages = link.open(WATCH_MANY, &request, None).await;
        loop {
            let message: pb::WatchRealizationsResponse =
                messages.read().await.expect("the list comes first");
            if message.synced {
                break;
            }
        }
        let sender = sender.clone();
        tokio::spawn(async move {
            let _link = link;
            while let Some(message) = messages.read::<pb::WatchRealizationsResponse>().await {
                let here = now();
                let changes = message.events.iter().filter_map(|event| seen(event, here));
                // Nobody to tell: the bench is over.
                let _ = sender.send(changes.collect());
            }
        });
    }
    process::answer(&());
    collect(receiver).await;
}

fn seen(event: &pb::watch_realizations_response::Event, here: u64) -> Option<Arrival> {
    use pb::watch_realizations_response::event::Event;
    let Some(Event::Change(change)) = &event.event else {
        return None;
    };
    let time = change.observe_time.as_ref()?;
    let seen = time.seconds as u64 * 1_000_000_000 + time.nanos as u64;
    Some((seen, here))
}

/// `same`: every watch is on one key, else each on its own.
async fn read_etcd((addr, keys, same): (SocketAddr, usize, bool)) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let streams = keys.div_ceil(WATCHES_A_STREAM);
    let mut links = connect_all(addr, streams.div_ceil(STREAMS_A_CONNECTION)).await;
    let count = links.len();
    for stream in 0..streams {
        let keys: Vec<String> = (0..WATCHES_A_STREAM)
            .map(|watch| match same {
                true => KEY.to_owned(),
                false => key(stream * WATCHES_A_STREAM + watch),
            })
            .collect();
        let mut messages = etcd::watch_all(&mut links[stream % count], &keys).await;
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(message) = messages.read::<etcd::WatchResponse>().await {
                let here = now();
                let kvs = message.events.iter().filter_map(|event| event.kv.as_ref());
                let changes = kvs.filter_map(|kv| {
                    let sent = kv.value.get(..8)?.try_into().ok()?;
                    Some((u64::from_be_bytes(sent), here))
                });
                // Nobody to tell: the bench is over.
                let _ = sender.send(changes.collect());
            }
        });
    }
    process::answer(&());
    collect(receiver).await;
}

/// One question to one server.
struct Question {
    name: &'static str,
    server: u32,
    changes: Changes,
    watches: usize,
    /// Each with the server's CPU.
    results: Vec<(Arrived, Cpu)>,
}

impl Question {
    fn new(name: &'static str, server: u32, changes: Changes, watches: usize) -> Question {
        Question {
            name,
            server,
            changes,
            watches,
            results: Vec::new(),
        }
    }

    fn ask(&mut self, source: &mut Peer, reader: &mut Peer) {
        let cpu = cpu_of(self.server);
        let made: usize = source.ask(&self.changes);
        let changes = made * self.watches;
        let arrived: Arrived = reader.ask(&Expect { changes });
        assert_eq!(arrived.changes, changes, "{}: each arrives once", self.name);
        self.results.push((arrived, cpu_of(self.server) - cpu));
    }

    fn row(&self, others: &str) -> Vec<String> {
        let each = |value: fn(&(Arrived, Cpu)) -> f64| median(self.results.iter().map(value));
        vec![
            self.name.to_owned(),
            number(self.rate()),
            number(each(|(arrived, _)| arrived.p50)),
            number(self.p99()),
            number(each(|(arrived, _)| {
                arrived.changes as f64 / arrived.messages as f64
            })),
            number(each(|(arrived, cpu)| cpu.each(arrived.changes).user)),
            number(each(|(arrived, cpu)| cpu.each(arrived.changes).kernel)),
            others.to_owned(),
        ]
    }

    fn rate(&self) -> f64 {
        let each = self.results.iter();
        median(each.map(|(arrived, _)| arrived.changes as f64 / arrived.seconds))
    }

    fn p99(&self) -> f64 {
        median(self.results.iter().map(|(arrived, _)| arrived.p99))
    }
}

fn bench() {
    let quick = support::is_quick();
    let (connections, rounds, seconds) = if quick {
        (300, 1, 0.5)
    } else {
        (10_000, 5, 5.0)
    };
    let rate = connections as f64 / 10.0;
    report::begin("many: watches over many connections", quick);
    let cores = Cores::choose();

    let mut source = Peer::start(
        "gateway",
        cores.server,
        &(connections, support::is_durable()),
    );
    let addr: SocketAddr = source.hear();
    let server = source.pid();
    let kib = memory_of(server) / connections as f64;
    println!("isthmus holds {} KiB for a known connection", number(kib));
    let mut one = Peer::start("reader", cores.client, &(addr, 1));
    one.hear::<()>();
    let steady = Changes::Steady { rate, seconds };
    let mut ours = Question::new("isthmus, steady", server, steady.clone(), 1);
    let mut theirs = None;
    let etcd = Etcd::start(cores.server, support::is_durable());
    if let Some(etcd) = &etcd {
        let writer = Peer::start("writer", cores.client, &(etcd.addr, connections, 450));
        writer.hear::<()>();
        let before = memory_of(etcd.pid());
        let reader = Peer::start(
            "etcd-reader",
            cores.client,
            &(etcd.addr, connections, false),
        );
        reader.hear::<()>();
        let kib = (memory_of(etcd.pid()) - before) / connections as f64;
        println!("etcd holds {} KiB for a watch", number(kib));
        let asked = Question::new("etcd, steady", etcd.pid(), steady, 1);
        theirs = Some((writer, reader, asked));
    }
    let mut pids = vec![server, one.pid()];
    if let (Some(etcd), Some((writer, reader, _))) = (&etcd, &theirs) {
        pids.extend([etcd.pid(), writer.pid(), reader.pid()]);
    }

    let mut table = Table::new(&[
        "what",
        "deliveries/s",
        "p50 ms",
        "p99 ms",
        "changes/message",
        "user µs",
        "kernel µs",
        "others",
    ]);
    let meter = Meter::begin(&pids);
    for _ in 0..rounds {
        ours.ask(&mut source, &mut one);
        if let Some((writer, reader, asked)) = &mut theirs {
            asked.ask(writer, reader);
        }
    }
    let others = meter.end().text();
    table.row(ours.row(&others));
    if let Some((_, _, asked)) = &theirs {
        table.row(asked.row(&others));
        report::at_most("steady, p99 against etcd", ours.p99() / asked.p99(), 1.0);
    }
    drop(one);

    let watches = if quick { 2 } else { 10 };
    let before = memory_of(server);
    let mut ten = Peer::start("reader", cores.client, &(addr, watches));
    ten.hear::<()>();
    let kib = (memory_of(server) - before) / (watches * connections) as f64;
    println!(
        "isthmus holds {} KiB more for each watch over a connection",
        number(kib)
    );
    let mut ours = Question::new("isthmus, burst", server, Changes::Burst, watches);
    let mut best = None;
    if let (Some(etcd), Some((writer, reader, _))) = (&etcd, theirs) {
        drop(reader);
        let reader = Peer::start("etcd-reader", cores.client, &(etcd.addr, connections, true));
        reader.hear::<()>();
        let asked = Question::new("etcd, one change", etcd.pid(), Changes::One, connections);
        best = Some((writer, reader, asked));
    }
    let mut pids = vec![server, ten.pid()];
    if let (Some(etcd), Some((writer, reader, _))) = (&etcd, &best) {
        pids.extend([etcd.pid(), writer.pid(), reader.pid()]);
    }
    let meter = Meter::begin(&pids);
    for _ in 0..rounds {
        ours.ask(&mut source, &mut ten);
        if let Some((writer, reader, asked)) = &mut best {
            asked.ask(writer, reader);
        }
    }
    let others = meter.end().text();
    table.row(ours.row(&others));
    if let Some((_, _, asked)) = &best {
        table.row(asked.row(&others));
        let ratio = ours.rate() / asked.rate();
        report::aim("burst, deliveries/s against etcd's one change", ratio, 1.0);
    }
    println!();
    table.print();
}
