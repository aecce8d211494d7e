//! What the gateway holds of memory when much is asked of it, and what it gives back when that is over.
//!
//! The `isthmus` command itself, with a configuration file, pinned to a core, over an NSX that answers prepared bytes
//! from the other core. One after another:
//! - **watches**: 10,000 streams on 100 connections, opened and closed;
//! - **lists**: 400 lists of 1,000 rows (1.3 MB each), 20 at a time, all of them read;
//! - **unread**: 400 more on 20 connections, of which nothing is read, until the connections are closed.
//!
//! After each, and at once and a while after the end: what the kernel counts as resident. Beside it the CPU that the
//! phase took, user and system together, which tells what an allocator costs.
//!
//! `--program FILE` measures another build of the command.

mod support;

use isthmus::grpc::pb;
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{self as system, Stdio},
    time::Duration,
};
use support::{
    cloud::{BACKEND, Cloud},
    machine::{Cores, Meter, cpu_of, memory_of},
    process::{self, Commands, Owned, Peer, pinned},
    report::{self, Table, number},
    streams::{Link, connect_all},
    upstream::Upstream,
};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

const WATCH: &str = "/isthmus.v1.RealizationService/WatchRealization";
const LIST: &str = "/isthmus.v1.ConnectionService/ListConnections";
/// Rows of a list, the most that a page may have.
const ROWS: usize = 1_000;
/// The peer endpoint of every row.
const PEER: &str = "ed664305-b59f-470f-b045-e8bebe38ce90";
/// Connections of the watches.
const LINKS: usize = 100;

fn main() {
    match process::role() {
        None => bench(),
        Some((role, text)) => match role.as_str() {
            "cloud" => process::load(serve_cloud()),
            "client" => process::load(act(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

/// An NSX with so many rows, whatever is watched.
async fn serve_cloud() {
    let state = json!({"state": "in_sync", "details": []}).to_string();
    let peer = json!({"id": PEER, "peer_address": "198.51.100.20", "peer_id": "198.51.100.20"})
        .to_string();
    let rows: Vec<Value> = (0..ROWS).map(|n| session(&Cloud::id(n))).collect();
    let rows = json!({"results": rows, "result_count": ROWS}).to_string();
    let cloud = Upstream::start(move |path| {
        if path.ends_with("/state") {
            state.clone().into()
        } else if path.contains("/sessions/") {
            let id = path.rsplit('/').next().unwrap_or_default();
            session(id).to_string().into()
        } else if path.contains("/peer-endpoints/") {
            peer.clone().into()
        } else {
            rows.clone().into()
        }
    })
    .await;
    process::answer(&cloud.addr);
    Commands::begin().next::<()>().await;
}

fn session(id: &str) -> Value {
    json!({
        "resource_type": "PolicyBasedIPSecVPNSession",
        "id": id,
        "display_name": "branch",
        "description": "d".repeat(1_000),
        "enabled": true,
        "ipsec_vpn_service_id": "1e895ab9-9823-44dd-bca7-065ffeba871e",
        "local_endpoint_id": "c573ba64-128f-4fbf-aa90-15471a8dc49a",
        "peer_endpoint_id": PEER,
        "_revision": 0,
    })
}

/// What the client is told; it answers how much it did once that is done.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Phase {
    /// Opens so many watches.
    Watches(usize),
    /// Reads so many lists.
    Lists(usize),
    /// Asks for so many lists, and reads none.
    Unread(usize),
    /// Closes everything.
    Close,
}

async fn act(addr: SocketAddr) {
    process::answer(&());
    let mut commands = Commands::begin();
    let mut open = JoinSet::new();
    let mut links = Vec::new();
    while let Some(phase) = commands.next::<Phase>().await {
        let done = match phase {
            Phase::Watches(count) => {
                links = connect_all(addr, LINKS).await;
                let mut begun = Vec::new();
                for number in 0..count {
                    let request = pb::WatchRealizationRequest {
                        name: Cloud::name(number),
                        ..Default::default()
                    };
                    let link = &mut links[number % LINKS];
                    begun.push(link.begin(WATCH, &request.encode_to_vec(), None).await);
                }
                for begun in begun {
                    let mut messages = begun.messages().await;
                    messages.next().await.expect("every stream begins");
                    open.spawn(async move { while messages.next().await.is_some() {} });
                }
                count
            }
            Phase::Lists(count) => {
                let mut readers = JoinSet::new();
                for _ in 0..20 {
                    readers.spawn(async move {
                        let mut link = Link::connect(addr).await;
                        for _ in 0..count / 20 {
                            let mut messages = link.open(LIST, &list(), None).await;
                            let message = messages.next().await.expect("a list");
                            assert!(message.len() > ROWS * 1_000, "of so many rows");
                        }
                    });
                }
                while let Some(read) = readers.join_next().await {
                    read.expect("every list is read");
                }
                count
            }
            Phase::Unread(count) => {
                for _ in 0..20 {
                    let mut link = Link::narrow(1, addr).await;
                    for _ in 0..count / 20 {
                        let begun = link.begin(LIST, &list(), None).await;
                        open.spawn(async move {
                            // Refused, or one frame and then nothing: either is what is asked for.
                            let _answer = begun.head().await;
                            std::future::pending::<()>().await;
                        });
                    }
                    links.push(link);
                }
                count
            }
            Phase::Close => {
                open.shutdown().await;
                links.clear();
                0
            }
        };
        process::answer(&done);
    }
}

fn list() -> Vec<u8> {
    let request = pb::ListConnectionsRequest {
        parent: format!("backends/{BACKEND}"),
        page_size: ROWS as i32,
        ..Default::default()
    };
    request.encode_to_vec()
}

/// The command, serving.
struct Gateway {
    addr: SocketAddr,
    process: Owned,
    file: PathBuf,
}

impl Gateway {
    fn start(core: usize, program: &str, upstream: SocketAddr) -> Gateway {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = free.local_addr().expect("a bound socket");
        drop(free);
        let file = env::temp_dir().join(format!("isthmus-memory-{}.toml", system::id()));
        let text = format!(
            "[server]\nlisten = \"{addr}\"\n\n[[backends]]\nname = \"{BACKEND}\"\ndialect = \"nsx\"\n\
             url = \"http://{upstream}\"\ntimeout = \"60s\"\n\
             auth = {{ kind = \"basic\", username = \"admin\", password = \"not-a-secret\" }}\n"
        );
        fs::write(&file, text).expect("the folder for temporary files can be written to");
        let mut command = pinned(core, program);
        command.arg("serve").arg("--config").arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Gateway {
            addr,
            process: Owned::start(&mut command),
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

/// Waits until somebody listens.
async fn listening(addr: SocketAddr) {
    while TcpStream::connect(addr).await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
}

fn bench() {
    let quick = support::is_quick();
    let program = env::args().skip_while(|arg| arg != "--program").nth(1);
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_isthmus").to_owned());
    report::begin("memory: at the peak, and after it", quick);
    println!("Program: `{program}`\n");
    let (watches, lists, later) = if quick {
        (200, 20, 1)
    } else {
        (10_000, 400, 60)
    };
    let cores = Cores::choose();
    let cloud = Peer::start("cloud", cores.third, &());
    let gateway = Gateway::start(cores.server, &program, cloud.hear());
    process::load(listening(gateway.addr));
    let mut client = Peer::start("client", cores.client, &gateway.addr);
    client.hear::<()>();
    let pid = gateway.process.pid();
    process::pause(Duration::from_secs(1));

    let mut table = Table::new(&["after", "MiB", "user s", "kernel s"]);
    let meter = Meter::begin(&[pid, client.pid(), cloud.pid()]);
    let mut peak = 0.0_f64;
    let mut cpu = cpu_of(pid);
    let mut row = |name: String| {
        let (memory, now) = (memory_of(pid) / 1024.0, cpu_of(pid));
        let used = now - cpu;
        table.row(vec![
            name,
            number(memory),
            number(used.user),
            number(used.kernel),
        ]);
        cpu = now;
        peak = peak.max(memory);
        memory
    };
    let start = row("the start".to_owned());
    for (name, phase, settle) in [
        ("watches", Phase::Watches(watches), 2),
        ("watches closed", Phase::Close, 2),
        ("lists", Phase::Lists(lists), 0),
        ("lists unread", Phase::Unread(lists), 20),
        ("all closed", Phase::Close, 2),
    ] {
        client.ask::<usize>(&phase);
        process::pause(Duration::from_secs(if quick { 1 } else { settle }));
        row(name.to_owned());
    }
    process::pause(Duration::from_secs(later));
    let end = row(format!("{later} s of nothing"));
    let others = meter.end().text();
    table.print();
    println!(
        "start {} MiB, peak {} MiB, in the end {} MiB ({others} others)",
        number(start),
        number(peak),
        number(end)
    );
    report::at_most("what stays of the peak", end / peak, 0.5);
}
