//! What a cloud that hangs does to those who use another one through the same gateway: throughput and latency of a good
//! backend, beside one that answers and beside one that takes connections and never answers.
//!
//! ```text
//!   client core                        server core
//!   load on `cloud`     ── gRPC ──► gateway ── HTTP ──► cloud (client core)
//!   some on `neighbour` ── gRPC ──►         ── HTTP ──► cloud, or one that hangs
//! ```
//!
//! Both gateways run all the time, each with one client, and are measured in turn in one run. What is asked of the
//! neighbour is the same on both sides and little, so that its own work is not what is measured: so many watches, and
//! calls at a pace, each with a deadline.

mod support;

use isthmus::{
    core::{dialect::Dialect, settings::BackendSettings, table::Keys},
    dialects::openstack,
    grpc::pb::{
        self, connection_service_client::ConnectionServiceClient,
        realization_service_client::RealizationServiceClient,
    },
    rest::{budget::Limits, https::Https},
    telemetry,
};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use support::{
    cloud, gateway,
    machine::{Cores, Meter},
    process::{self, Commands, Peer},
    report::{self, Table, median, number, percentile},
    upstream::Upstream,
};
use tokio::{net::TcpListener, time::interval};
use tonic::{Request, transport::Channel};

/// One connection, as Neutron answers it.
const ROW: &str = r#"{"id": "b0f38f6f-cf87-497a-a997-8e4b0de75f73", "tenant_id": "fc01997757d140ebb063c7729563fba8", "name": "", "description": "", "peer_address": "198.51.100.20", "peer_id": "198.51.100.20", "local_id": "", "route_mode": "static", "mtu": 1500, "auth_mode": "psk", "psk": "not-a-secret", "initiator": "bi-directional", "dpd": {"action": "hold", "interval": 30, "timeout": 120}, "admin_state_up": true, "status": "ACTIVE", "vpnservice_id": "1e895ab9-9823-44dd-bca7-065ffeba871e", "ikepolicy_id": "c573ba64-128f-4fbf-aa90-15471a8dc49a", "ipsecpolicy_id": "ed664305-b59f-470f-b045-e8bebe38ce90", "peer_cidrs": [], "local_ep_group_id": "2dd8e2a4-7bbd-42b8-8763-398a5f487425", "peer_ep_group_id": "fee1ba84-bf34-46a9-932d-5f5d50758756", "project_id": "fc01997757d140ebb063c7729563fba8"}"#;
const ID: &str = "b0f38f6f-cf87-497a-a997-8e4b0de75f73";
const NEIGHBOUR: &str = "neighbour";
/// More than any gateway does: the account's budget is passed, and never short.
const NO_LIMIT: Limits = Limits {
    rate: 1e9,
    concurrency: 10_000,
};
/// Calls on the good backend at the same time.
const IN_FLIGHT: usize = 32;
/// Connections that they share.
const CONNECTIONS: usize = 4;
/// Watches of the neighbour.
const WATCHES: usize = 100;
/// Callers of the neighbour, how often each calls, and how long it waits.
const CALLERS: usize = 16;
const CALLS_EVERY: Duration = Duration::from_millis(200);
const CALLS_WAIT: Duration = Duration::from_secs(5);

fn main() {
    match process::role() {
        None => bench(),
        Some((role, text)) => match role.as_str() {
            "cloud" => process::load(serve_cloud()),
            "hanging" => process::load(hang()),
            "gateway" => process::serve(serve_gateway(process::argument(&text))),
            "client" => process::load(call(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

async fn serve_cloud() {
    let answer = |path: &str| {
        let path = path.split('?').next().unwrap_or_default();
        match path.ends_with(ID) {
            true => format!(r#"{{"ipsec_site_connection": {ROW}}}"#).into(),
            false => format!(r#"{{"ipsec_site_connections": [{ROW}]}}"#).into(),
        }
    };
    let cloud = Upstream::start(answer).await;
    process::answer(&cloud.addr);
    Commands::begin().next::<()>().await;
}

/// Takes every connection, and says nothing on any.
async fn hang() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    process::answer(&listener.local_addr().expect("a bound socket"));
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    Commands::begin().next::<()>().await;
}

/// Serves the good backend and its neighbour.
async fn serve_gateway([good, neighbour]: [SocketAddr; 2]) {
    let every = Duration::from_secs(2);
    let backend = |name: &str, upstream: SocketAddr| {
        let settings = BackendSettings {
            name: name.parse().expect("written as a name"),
            ..cloud::settings(every)
        };
        let mut keys = Keys::default()
            .with("variant", "neutron")
            .with("url", format!("http://{upstream}"));
        let dialect = openstack::connect_within(&mut keys, settings.timeout, &Https, NO_LIMIT);
        let dialect: Arc<dyn Dialect> = dialect.expect("the settings work");
        (settings, dialect)
    };
    let backends = vec![backend(cloud::BACKEND, good), backend(NEIGHBOUR, neighbour)];
    let serving = gateway::serve_over(
        backends,
        gateway::NO_HEARTBEAT,
        false,
        &telemetry::Settings::default(),
    )
    .await;
    process::answer(&serving.addr);
    Commands::begin().next::<()>().await;
}

/// What is done on the good backend.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Work {
    /// `GetConnection`, through to the cloud.
    Calls,
    /// `WatchRealization` until it has said where the connection stands.
    Watches,
}

/// What a client is told.
#[derive(Serialize, Deserialize)]
struct Run {
    work: Work,
    seconds: f64,
}

/// What it found: a second, and latencies in microseconds.
#[derive(Serialize, Deserialize)]
struct Found {
    rate: f64,
    p50: f64,
    p99: f64,
}

/// Uses the neighbour all the time, and the good backend when it is told to.
async fn call(addr: SocketAddr) {
    let mut channels = Vec::new();
    for _ in 0..=CONNECTIONS {
        let endpoint = Channel::from_shared(format!("http://{addr}")).expect("an address");
        channels.push(endpoint.connect().await.expect("the gateway listens"));
    }
    let neighbours = channels.pop().expect("one more than the others");
    for _ in 0..WATCHES {
        tokio::spawn(watch_neighbour(neighbours.clone()));
    }
    for _ in 0..CALLERS {
        tokio::spawn(call_neighbour(neighbours.clone()));
    }
    // Polled, from here on all the time.
    let _polled = watch(channels[0].clone()).await;
    process::answer(&());
    let mut commands = Commands::begin();
    while let Some(run) = commands.next::<Run>().await {
        process::answer(&measure(&channels, &run).await);
    }
}

async fn measure(channels: &[Channel], run: &Run) -> Found {
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(run.seconds);
    let work = run.work;
    let tasks = (0..IN_FLIGHT).map(|number| {
        let channel = channels[number % channels.len()].clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < until {
                let begun = Instant::now();
                match work {
                    Work::Calls => get(channel.clone()).await,
                    Work::Watches => drop(watch(channel.clone()).await),
                }
                latencies.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            latencies
        })
    });
    let mut latencies = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        latencies.extend(task.await.expect("all goes well on the good backend"));
    }
    Found {
        rate: latencies.len() as f64 / begun.elapsed().as_secs_f64(),
        p50: percentile(&mut latencies, 0.5),
        p99: percentile(&mut latencies, 0.99),
    }
}

fn name_on(backend: &str) -> String {
    format!("backends/{backend}/connections/{ID}")
}

async fn get(channel: Channel) {
    let name = name_on(cloud::BACKEND);
    let request = pb::GetConnectionRequest { name };
    let answer = ConnectionServiceClient::new(channel)
        .get_connection(request)
        .await;
    let read = answer.expect("every call succeeds").into_inner().connection;
    assert!(read.is_some_and(|connection| connection.name.ends_with(ID)));
}

type Events = tonic::Streaming<pb::WatchRealizationResponse>;

/// A watch of the good backend that has said where its connection stands.
async fn watch(channel: Channel) -> Events {
    let request = pb::WatchRealizationRequest {
        name: name_on(cloud::BACKEND),
        goal: pb::Goal::Unspecified.into(),
        ..pb::WatchRealizationRequest::default()
    };
    let stream = RealizationServiceClient::new(channel)
        .watch_realization(request)
        .await;
    let mut events = stream.expect("every watch opens").into_inner();
    let first = events.message().await;
    assert!(first.is_ok_and(|event| event.is_some()));
    events
}

/// Follows the neighbour, whatever it says.
async fn watch_neighbour(channel: Channel) {
    let request = pb::WatchRealizationRequest {
        name: name_on(NEIGHBOUR),
        goal: pb::Goal::Unspecified.into(),
        ..pb::WatchRealizationRequest::default()
    };
    let stream = RealizationServiceClient::new(channel)
        .watch_realization(request)
        .await;
    let mut events = stream.expect("every watch opens").into_inner();
    while let Ok(Some(_)) = events.message().await {}
}

/// Calls the neighbour at a pace, whatever comes of it.
async fn call_neighbour(channel: Channel) {
    let mut pace = interval(CALLS_EVERY);
    loop {
        pace.tick().await;
        let mut request = Request::new(pb::GetConnectionRequest {
            name: name_on(NEIGHBOUR),
        });
        request.set_timeout(CALLS_WAIT);
        let mut client = ConnectionServiceClient::new(channel.clone());
        let _answered = client.get_connection(request).await;
    }
}

/// One gateway with its client.
struct Side {
    name: &'static str,
    server: Peer,
    client: Peer,
    found: Vec<Found>,
}

impl Side {
    fn run(&mut self, work: Work, seconds: f64) {
        let found = self.client.ask(&Run { work, seconds });
        self.found.push(found);
    }

    fn median(&self, of: impl Fn(&Found) -> f64) -> f64 {
        median(self.found.iter().map(of))
    }
}

fn bench() {
    let quick = support::is_quick();
    let (rounds, seconds) = if quick { (1, 0.3) } else { (7, 2.0) };
    report::begin("neighbour: a good backend beside one that hangs", quick);
    let cores = Cores::choose();
    let clouds = ["cloud", "cloud", "hanging"].map(|role| Peer::start(role, cores.third, &()));
    let [good, answers, hangs]: [SocketAddr; 3] =
        [clouds[0].hear(), clouds[1].hear(), clouds[2].hear()];
    let start = |name, neighbour| {
        let server = Peer::start("gateway", cores.server, &[good, neighbour]);
        let client = Peer::start("client", cores.client, &server.hear::<SocketAddr>());
        client.hear::<()>();
        Side {
            name,
            server,
            client,
            found: Vec::new(),
        }
    };
    let mut sides = [start("answers", answers), start("hangs", hangs)];
    let pids: Vec<u32> = sides
        .iter()
        .flat_map(|side| [side.server.pid(), side.client.pid()])
        .chain(clouds.iter().map(Peer::pid))
        .collect();
    // Until every call of the neighbour hangs, or is refused.
    process::pause(Duration::from_secs_f64(seconds * 5.0));
    let columns = [
        "work",
        "neighbour",
        "a second",
        "p50 µs",
        "p99 µs",
        "others",
    ];
    let mut table = Table::new(&columns);
    for work in [Work::Calls, Work::Watches] {
        sides
            .iter_mut()
            .for_each(|side| side.run(work, seconds / 4.0));
        sides.iter_mut().for_each(|side| side.found.clear());
        let meter = Meter::begin(&pids);
        for _ in 0..rounds {
            sides.iter_mut().for_each(|side| side.run(work, seconds));
        }
        let others = meter.end();
        for side in &sides {
            table.row(vec![
                format!("{work:?}").to_lowercase(),
                side.name.to_owned(),
                number(side.median(|found| found.rate)),
                number(side.median(|found| found.p50)),
                number(side.median(|found| found.p99)),
                others.text(),
            ]);
        }
        let [answers, hangs] = &sides;
        let ratio = |of: fn(&Found) -> f64| hangs.median(of) / answers.median(of);
        let what = format!("{work:?}").to_lowercase();
        report::aim(
            &format!("{what} a second, beside one that hangs against beside one that answers"),
            ratio(|found| found.rate),
            0.95,
        );
        report::at_most(
            &format!("p99 of {what}, the same"),
            ratio(|found| found.p99),
            1.1,
        );
        sides.iter_mut().for_each(|side| side.found.clear());
    }
    println!();
    table.print();
}
