//! What the gateway costs when nothing happens, and how long it takes to begin.
//!
//! The `isthmus` command itself, with a configuration file, pinned to a core, over a cloud that answers prepared
//! bytes from the other core:
//! - **start**: from `exec` to the first answer of the health service that says SERVING;
//! - **idle**: 10,000 connections that do not change, each watched by a stream of its own (on 100 HTTP/2
//!   connections), or all by one `WatchRealizations`. Polls and heartbeats go on as configured by default.

mod support;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{self as system, Stdio},
    time::{Duration, Instant},
};
use support::{
    cloud::{BACKEND, Cloud},
    machine::{Cores, Cpu, Meter, cpu_of, memory_of},
    process::{self, Commands, Owned, Peer, pinned},
    report::{self, Table, median, number, percentile},
    streams::connect_all,
    upstream::Upstream,
};
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const CONNECTIONS: usize = 100;
const WATCH: &str = "/isthmus.v1.RealizationService/WatchRealization";
const WATCH_MANY: &str = "/isthmus.v1.RealizationService/WatchRealizations";
/// How long a start may take before something is wrong.
const LONGEST_START: Duration = Duration::from_secs(20);
/// The peer endpoint of every session.
const PEER: &str = "ed664305-b59f-470f-b045-e8bebe38ce90";

fn main() {
    match process::role() {
        None => bench(),
        Some((role, text)) => match role.as_str() {
            "cloud" => process::load(serve_cloud(process::argument(&text))),
            "prober" => process::load(probe()),
            "reader" => process::load(read(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

/// An NSX and a Neutron on one socket: so many connections, all of them in place.
async fn serve_cloud(connections: usize) {
    let state = json!({
        "state": "in_sync",
        "details": [
            {"sub_system_type": "TransportNode", "sub_system_id": "7046e8f4-a680-11e8-9bc3-020020593f59", "state": "in_sync"},
            {"sub_system_type": "TransportNode", "sub_system_id": "7046e8f4-a680-11e8-9bc3-020020593f5a", "state": "in_sync"},
        ],
    })
    .to_string();
    let sessions: Vec<Value> = (0..connections).map(|n| session(&Cloud::id(n))).collect();
    let sessions = json!({"results": sessions, "result_count": connections}).to_string();
    let peer = json!({"id": PEER}).to_string();
    let cloud = Upstream::start(move |path| {
        if path.contains("ipsec-site-connections") {
            neutron(path, connections).into()
        } else if path.ends_with("/state") {
            state.clone().into()
        } else if path.contains("/sessions/") {
            let id = path.rsplit('/').next().unwrap_or_default();
            session(id).to_string().into()
        } else if path.contains("/peer-endpoints/") {
            peer.clone().into()
        } else {
            sessions.clone().into()
        }
    })
    .await;
    process::answer(&cloud.addr);
    let mut commands = Commands::begin();
    while commands.next::<()>().await.is_some() {
        process::answer(&cloud.requests());
    }
}

fn session(id: &str) -> Value {
    json!({
        "resource_type": "PolicyBasedIPSecVPNSession",
        "id": id,
        "display_name": "branch",
        "enabled": true,
        "ipsec_vpn_service_id": "1e895ab9-9823-44dd-bca7-065ffeba871e",
        "local_endpoint_id": "c573ba64-128f-4fbf-aa90-15471a8dc49a",
        "peer_endpoint_id": PEER,
        "_revision": 0,
    })
}

/// The rows that a LIST asks for by id, or one row.
fn neutron(path: &str, connections: usize) -> String {
    let row = |id: &str| json!({"id": id, "status": "ACTIVE", "admin_state_up": true});
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let asked: Vec<&str> = query
        .split('&')
        .filter_map(|part| part.strip_prefix("id="))
        .collect();
    if !path.ends_with("ipsec-site-connections") {
        let id = path.rsplit('/').next().unwrap_or_default();
        json!({"ipsec_site_connection": row(id)}).to_string()
    } else if asked.is_empty() {
        let rows: Vec<Value> = (0..connections.min(1))
            .map(|n| row(&Cloud::id(n)))
            .collect();
        json!({"ipsec_site_connections": rows}).to_string()
    } else {
        let rows: Vec<Value> = asked.into_iter().map(row).collect();
        json!({"ipsec_site_connections": rows}).to_string()
    }
}

/// Waits for the server at each address it is told to say SERVING.
async fn probe() {
    process::answer(&());
    let mut commands = Commands::begin();
    while let Some(addr) = commands.next::<SocketAddr>().await {
        let begun = Instant::now();
        while begun.elapsed() < LONGEST_START {
            let request = HealthCheckRequest::default();
            let endpoint = Endpoint::from_shared(format!("http://{addr}"));
            let channel = endpoint.expect("an address").connect().await;
            if let Ok(channel) = channel
                && let Ok(answer) = HealthClient::new(channel).check(request).await
                && answer.into_inner().status() == ServingStatus::Serving
            {
                break;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        process::answer(&begun.elapsed().as_secs_f64());
    }
}

#[derive(Serialize, Deserialize)]
struct Reading {
    addr: SocketAddr,
    watched: usize,
    whole: bool,
}

/// Opens the watches, and then counts what comes: answers how many messages came since it was asked last.
async fn read(reading: Reading) {
    use prost::Message;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let streams = if reading.whole { 1 } else { reading.watched };
    let mut links = connect_all(reading.addr, CONNECTIONS.min(streams)).await;
    let count = links.len();
    let mut opening = tokio::task::JoinSet::new();
    // A watch begins after its first poll, so they are opened all at once, by one task for each connection.
    for (place, mut link) in links.drain(..).enumerate() {
        let sender = sender.clone();
        opening.spawn(async move {
            let mut waits = Vec::new();
            for number in (place..streams).step_by(count) {
                let (path, request) = match reading.whole {
                    true => (
                        WATCH_MANY,
                        isthmus::grpc::pb::WatchRealizationsRequest {
                            parent: format!("backends/{BACKEND}"),
                            ..Default::default()
                        }
                        .encode_to_vec(),
                    ),
                    false => (
                        WATCH,
                        isthmus::grpc::pb::WatchRealizationRequest {
                            name: Cloud::name(number),
                            ..Default::default()
                        }
                        .encode_to_vec(),
                    ),
                };
                let answer = link.begin(path, &request, None).await;
                let sender = sender.clone();
                waits.push(tokio::spawn(async move {
                    let mut messages = answer.messages().await;
                    messages.next().await.expect("every stream begins");
                    tokio::spawn(async move {
                        while messages.next().await.is_some() {
                            // Nobody to tell: the bench is over.
                            let _ = sender.send(());
                        }
                    });
                }));
            }
            for wait in waits {
                wait.await.expect("every stream begins");
            }
            link
        });
    }
    let _links = opening.join_all().await;
    process::answer(&());
    let mut commands = Commands::begin();
    while commands.next::<()>().await.is_some() {
        let mut messages = 0;
        while receiver.try_recv().is_ok() {
            messages += 1;
        }
        process::answer(&messages);
    }
}

/// The command, serving.
struct Gateway {
    addr: SocketAddr,
    process: Owned,
    file: PathBuf,
}

impl Gateway {
    fn start(core: usize, dialect: &str, upstream: SocketAddr) -> Gateway {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = free.local_addr().expect("a bound socket");
        drop(free);
        let auth = match dialect {
            "nsx" => r#"{ kind = "basic", username = "admin", password = "not-a-secret" }"#,
            _ => r#"{ kind = "none" }"#,
        };
        let file = std::env::temp_dir().join(format!("isthmus-bench-{}.toml", system::id()));
        let text = format!(
            "[server]\nlisten = \"{addr}\"\n\n[[backends]]\nname = \"{BACKEND}\"\ndialect = \"{dialect}\"\n\
             url = \"http://{upstream}\"\nauth = {auth}\n"
        );
        fs::write(&file, text).expect("the folder for temporary files can be written to");
        let mut command = pinned(core, env!("CARGO_BIN_EXE_isthmus"));
        command.arg("serve").arg("--config").arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Owned::start(&mut command);
        Gateway {
            addr,
            process,
            file,
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // In the folder for temporary files; a leftover harms nobody.
        let _ = fs::remove_file(&self.file);
    }
}

fn bench() {
    let quick = support::is_quick();
    report::begin("idle: nothing happens, and the start", quick);
    let cores = Cores::choose();
    let watched = if quick { 200 } else { 10_000 };
    let cloud = Peer::start("cloud", cores.third, &watched);
    let upstream: SocketAddr = cloud.hear();
    start(cores, upstream, if quick { 3 } else { 21 });
    idle(cores, cloud, upstream, watched, quick);
}

fn start(cores: Cores, upstream: SocketAddr, times: usize) {
    let mut prober = Peer::start("prober", cores.client, &());
    prober.hear::<()>();
    let meter = Meter::begin(&[prober.pid()]);
    let mut millis: Vec<f64> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            let gateway = Gateway::start(cores.server, "nsx", upstream);
            prober.ask::<f64>(&gateway.addr);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    // The processes that were started are gone, and with them what they used: they are counted among the others.
    let others = meter.end().text();
    let middle = median(millis.iter().copied());
    let worst = percentile(&mut millis, 1.0);
    println!(
        "start to SERVING: median {} ms, longest {} ms of {times} ({others} others, the starts among them)",
        number(middle),
        number(worst)
    );
    report::at_most("start, ms", middle, 100.0);
}

fn idle(cores: Cores, mut cloud: Peer, upstream: SocketAddr, watched: usize, quick: bool) {
    let (settle, rounds, seconds) = if quick { (1, 1, 1) } else { (45, 3, 20) };
    let mut table = Table::new(&[
        "watched",
        "user, % of a core",
        "kernel, % of a core",
        "MiB before",
        "MiB after",
        "KiB each",
        "requests/s",
        "messages/s",
        "others",
    ]);
    for (name, dialect, whole) in [
        ("NSX, a stream each", "nsx", false),
        ("Neutron, a stream each", "openstack", false),
        ("NSX, one stream for all", "nsx", true),
    ] {
        let gateway = Gateway::start(cores.server, dialect, upstream);
        let mut prober = Peer::start("prober", cores.client, &());
        prober.hear::<()>();
        prober.ask::<f64>(&gateway.addr);
        let pid = gateway.process.pid();
        let before = memory_of(pid);
        let reading = Reading {
            addr: gateway.addr,
            watched,
            whole,
        };
        let mut reader = Peer::start("reader", cores.client, &reading);
        reader.hear::<()>();
        process::pause(Duration::from_secs(settle));
        let meter = Meter::begin(&[pid, reader.pid(), cloud.pid()]);
        let (mut user, mut kernel, mut busy) = (Vec::new(), Vec::new(), Vec::new());
        let mut requests = Vec::new();
        let mut messages = Vec::new();
        for _ in 0..rounds {
            let begun = Instant::now();
            let (cpu, asked): (Cpu, u64) = (cpu_of(pid), cloud.ask(&()));
            reader.ask::<usize>(&());
            process::pause(Duration::from_secs(seconds));
            let heard: usize = reader.ask(&());
            let elapsed = begun.elapsed().as_secs_f64();
            let now: u64 = cloud.ask(&());
            let cpu = cpu_of(pid) - cpu;
            let percent = |seconds: f64| seconds / elapsed * 100.0;
            user.push(percent(cpu.user));
            kernel.push(percent(cpu.kernel));
            busy.push(percent(cpu.sum()));
            requests.push((now - asked) as f64 / elapsed);
            messages.push(heard as f64 / elapsed);
        }
        let others = meter.end().text();
        let after = memory_of(pid);
        let busy = median(busy);
        table.row(vec![
            format!("{} {name}", number(watched as f64)),
            number(median(user)),
            number(median(kernel)),
            number(before / 1024.0),
            number(after / 1024.0),
            number((after - before) / watched as f64),
            number(median(requests)),
            number(median(messages)),
            others,
        ]);
        report::at_most(&format!("{name}: CPU, % of a core"), busy, 5.0);
    }
    println!();
    table.print();
}
