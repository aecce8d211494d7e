//! The gateway as a process: started, killed, and started again on the same store.

use crate::{cloud::Cloud, support::running::install_provider};
use isthmus::grpc::pb::{
    self, backend_service_client::BackendServiceClient,
    connection_service_client::ConnectionServiceClient,
    realization_service_client::RealizationServiceClient,
};
use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};

/// Longer than any machine takes: what is not there by then does not come.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The name of the one backend.
pub const BACKEND: &str = "cloud";

/// Where a gateway keeps its store and its logs, and where it listens; what its lives have in common.
pub struct Place {
    folder: TempDir,
    address: SocketAddr,
    lives: usize,
}

impl Place {
    /// A folder and an address of its own, for a gateway over this cloud.
    pub fn new(cloud: &Cloud) -> Place {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let address = address();
        let configuration = format!(
            "[server]\nlisten = \"{address}\"\n[store]\npath = \"{}\"\n{}",
            folder.path().join("log.redb").display(),
            cloud.backend(BACKEND),
        );
        std::fs::write(folder.path().join("isthmus.toml"), configuration).unwrap();
        Place {
            folder,
            address,
            lives: 0,
        }
    }

    /// Starts the gateway, and waits until it listens.
    pub async fn start(&mut self) -> Gateway {
        self.lives += 1;
        let log = self.path(&format!("{}.log", self.lives));
        let child = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(["serve", "--config"])
            .arg(self.path("isthmus.toml"))
            .env("RUST_LOG", "info,isthmus=trace")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut process = Process(child);
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            let ended = process.0.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "the gateway does not listen ({ended:?}): {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            sleep(Duration::from_millis(10)).await;
        }
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        Gateway {
            process,
            channel: endpoint.connect_lazy(),
            endpoint,
        }
    }

    /// Everything that it wrote: its store, and what it logged in each life. What it was told is not among it.
    pub fn written(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_none_or(|it| it != "toml"))
            .map(|path| {
                let bytes = std::fs::read(&path).unwrap();
                (path, bytes)
            })
            .collect()
    }

    /// What it logged, for a person.
    pub fn logs(&self) -> String {
        let lives = 1..=self.lives;
        let logs = lives.map(|life| self.path(&format!("{life}.log")));
        let logs = logs.map(|path| std::fs::read_to_string(path).unwrap_or_default());
        logs.collect::<Vec<_>>().join("--- killed ---\n")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// An address of loopback that no other gateway of this process has: its port is taken again by the second life, when
/// somebody else might have got it meanwhile.
fn address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let host = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id().to_le_bytes();
    let host = Ipv4Addr::new(127, process[0].max(1), process[1], host);
    let free = TcpListener::bind((host, 0)).unwrap();
    free.local_addr().unwrap()
}

/// Killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: nothing is drained, nothing is flushed.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// One life of the gateway; it ends by SIGKILL, when this is dropped.
pub struct Gateway {
    process: Process,
    endpoint: Endpoint,
    channel: Channel,
}

impl Gateway {
    /// Kills it.
    pub fn kill(self) {
        drop(self.process);
    }

    /// How it ended, if it has by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.0.try_wait().unwrap()
    }

    /// A client of ConnectionService, which outlives the gateway.
    pub fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    /// The same on a connection that nobody else has.
    pub fn connections_on_a_socket_of_their_own(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.endpoint.connect_lazy())
    }

    /// The writes that did not end with their calls.
    pub async fn unfinished(&self) -> Vec<pb::UnfinishedWrite> {
        let request = pb::GetBackendRequest {
            name: format!("backends/{BACKEND}"),
        };
        let mut client = BackendServiceClient::new(self.channel.clone());
        let answer = client.get_backend(limited(request)).await.unwrap();
        let backend = answer.into_inner().backend.unwrap();
        assert!(backend.durable_writes, "it has a store");
        backend.unfinished
    }

    /// How a watch ends that is bound to a write.
    pub async fn outcome(
        &self,
        name: &str,
        goal: pb::Goal,
        token: &str,
    ) -> Result<pb::Outcome, Status> {
        let request = pb::WatchRealizationRequest {
            name: name.to_owned(),
            goal: goal.into(),
            write_token: token.to_owned(),
            accept_assumed: true,
            ..pb::WatchRealizationRequest::default()
        };
        let mut client = RealizationServiceClient::new(self.channel.clone());
        let mut stream = client
            .watch_realization(limited(request))
            .await?
            .into_inner();
        while let Some(message) = stream.message().await? {
            if let Some(outcome) = message.outcome {
                return Ok(outcome);
            }
        }
        Err(Status::internal("the watch ended without an outcome"))
    }
}

/// A request that is given up after so long.
pub fn limited<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}
