//! etcd as a peer, by its gRPC API.
//!
//! The messages are the part that is used of `etcdserverpb` (`api/etcdserverpb/rpc.proto`) and `mvccpb`
//! (`api/mvccpb/kv.proto`) of etcd 3.4, written out as what prost would generate. Field numbers are theirs.

use crate::support::{
    process::{Owned, pause, pinned},
    streams::{Link, Outgoing},
};
use prost::Message;
use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// `etcdserverpb.Watch/Watch`.
pub const WATCH: &str = "/etcdserverpb.Watch/Watch";
const PUT: &str = "/etcdserverpb.KV/Put";
/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// `etcdserverpb.PutRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `etcdserverpb.PutResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct PutResponse {}

/// `etcdserverpb.WatchRequest`, of whose alternatives only the first is used.
#[derive(Clone, PartialEq, Message)]
pub struct WatchRequest {
    #[prost(message, optional, tag = "1")]
    pub create_request: Option<WatchCreateRequest>,
}

/// `etcdserverpb.WatchCreateRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct WatchCreateRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
}

/// `etcdserverpb.WatchResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct WatchResponse {
    #[prost(int64, tag = "2")]
    pub watch_id: i64,
    #[prost(bool, tag = "3")]
    pub created: bool,
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
}

/// `mvccpb.Event`.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(message, optional, tag = "2")]
    pub kv: Option<KeyValue>,
}

/// `mvccpb.KeyValue`.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
}

/// The request that begins to watch one key.
pub fn watch(key: &str) -> Vec<u8> {
    let create = WatchCreateRequest {
        key: key.as_bytes().to_vec(),
    };
    WatchRequest {
        create_request: Some(create),
    }
    .encode_to_vec()
}

/// The request that changes one key.
pub fn put(key: &str, value: Vec<u8>) -> Vec<u8> {
    PutRequest {
        key: key.as_bytes().to_vec(),
        value,
    }
    .encode_to_vec()
}

/// Changes one key, and waits until that is done.
pub async fn send_put(link: &mut Link, request: &[u8]) {
    let mut answer = link.open(PUT, request, None).await;
    answer.read::<PutResponse>().await.expect("etcd took it");
}

/// Watches many keys on one stream, from when all of them are watched.
pub async fn watch_all(link: &mut Link, keys: &[String]) -> crate::support::streams::Messages {
    let (first, more) = keys.split_first().expect("at least one key");
    let more = more.iter().map(|key| watch(key)).collect();
    let mut messages = link
        .open(WATCH, &watch(first), Some(Outgoing::of(more)))
        .await;
    for _ in keys {
        let answer: WatchResponse = messages.read().await.expect("etcd takes the watch");
        assert!(answer.created, "a watch begins by being created");
    }
    messages
}

/// A server with its own empty folder.
#[derive(Debug)]
pub struct Etcd {
    /// Where it listens.
    pub addr: SocketAddr,
    process: Owned,
    folder: PathBuf,
}

impl Etcd {
    /// Starts one on a core; `None`, with the reason printed, if it is not installed.
    ///
    /// Its log is in memory (`/dev/shm`) unless `durable`: then it is beside the bench's own, on disk.
    pub fn start(core: usize, durable: bool) -> Option<Etcd> {
        let is_there = Command::new("etcd")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if is_there.is_err() {
            println!(
                "etcd is not installed, so there is no such peer: apt-get install etcd-server"
            );
            return None;
        }
        let folder = match durable {
            true => env::temp_dir(),
            false => PathBuf::from("/dev/shm"),
        };
        let folder = folder.join(format!("isthmus-bench-etcd-{}", std::process::id()));
        // Of a bench that was killed; it may not be there.
        let _ = fs::remove_dir_all(&folder);
        let (addr, peers) = (free_port(), free_port());
        let (clients, peers) = (format!("http://{addr}"), format!("http://{peers}"));
        let mut command = pinned(core, "etcd");
        command.arg("--data-dir").arg(&folder);
        command.args(["--listen-client-urls", &clients]);
        command.args(["--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers]);
        command.args(["--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("default={peers}")]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Owned::start(&mut command);
        let begun = Instant::now();
        while std::net::TcpStream::connect(addr).is_err() {
            assert!(begun.elapsed() < PATIENCE, "etcd does not begin to listen");
            pause(Duration::from_millis(20));
        }
        // It listens before it has a leader; the first write waits for that.
        pause(Duration::from_secs(1));
        Some(Etcd {
            addr,
            process,
            folder,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // The process ends right after; what it still writes meanwhile is cleared by the next bench.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("a bound socket")
}
