//! One cloud with one gateway, for one cell of the table.

use crate::{
    columns::Dialect,
    support::{
        cloud::{self, Cloud},
        clouds,
        running::Running,
    },
};
use http::Method;
use isthmus::{
    core::settings::PollSettings,
    dialects::settings::Given,
    grpc::pb,
    simulator::{
        http::Server,
        nsx::{self, NsxSimulator},
        openstack::{OpenstackOptions, OpenstackSimulator, Variant},
        requests::Seen,
    },
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// The backend under test.
pub const BACKEND: &str = "sick";
/// The one that must notice nothing.
pub const BYSTANDER: &str = "sound";

/// A healthy cloud with one connection, shared by all cells.
pub struct Bystander {
    /// The cloud.
    pub cloud: NsxSimulator,
    /// The name of its connection.
    pub name: String,
}

impl Bystander {
    /// Starts it.
    pub fn start() -> Arc<Bystander> {
        let cloud = cloud::nsx();
        let session = serde_json::json!({
            "resource_type": "PolicyBasedIPSecVPNSession", "display_name": "bystander",
        });
        let id = cloud.state().plant(nsx::Kind::Session, session);
        let name = format!("backends/{BYSTANDER}/connections/{id}");
        Arc::new(Bystander { cloud, name })
    }
}

/// How a cell begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Which variant of OpenStack.
    pub variant: Variant,
    /// Whether the account may only read: it is shown nothing.
    pub reader: bool,
    /// How many connections there are, made by somebody else's call with the gateway's mark.
    pub connections: usize,
    /// Whether to wait until the gateway has asked the backend for the first time.
    pub settled: bool,
}

/// A cloud, a gateway, and the connections that were there before.
pub struct Bench {
    /// The cloud.
    pub cloud: Box<dyn Cloud>,
    /// The gateway.
    pub running: Running,
    /// The ids of the connections that were there before.
    pub ids: Vec<String>,
    /// The ids of the peer endpoints that were there before, on NSX.
    pub peers: Vec<String>,
    /// The etag of the first connection, if it was read.
    pub etag: String,
}

impl Bench {
    /// The cloud alone, with its connections; the gateway is not there yet.
    pub async fn cloud(dialect: Dialect, start: Start) -> (Box<dyn Cloud>, Given, Vec<String>) {
        let options = OpenstackOptions {
            variant: start.variant,
            ..OpenstackOptions::default()
        };
        let mut reader = None;
        let cloud: Box<dyn Cloud> = match dialect {
            Dialect::Nsx => Box::new(cloud::nsx()),
            Dialect::Openstack => {
                let cloud = OpenstackSimulator::start(options).unwrap();
                reader = start.reader.then(|| cloud.inventory().reader);
                Box::new(cloud)
            }
        };
        let mut settings = settings(&*cloud, start.variant);
        let mut ids = Vec::new();
        if start.connections > 0 {
            let other = Running::start(vec![settings.clone()]).await;
            for _ in 0..start.connections {
                let made = other.create(BACKEND, cloud.wanted(BACKEND)).await;
                let (made, _) = made.unwrap();
                let id = made.name.rsplit('/').next().unwrap().to_owned();
                cloud.settle(&id);
                ids.push(id);
            }
        }
        if let Some(login) = reader {
            settings.keys.set("auth.username", login.name);
            settings.keys.set("auth.password", login.password);
        }
        (cloud, settings, ids)
    }

    /// A gateway over that cloud and the bystander.
    pub async fn start(
        cloud: Box<dyn Cloud>,
        settings: Given,
        ids: Vec<String>,
        bystander: &Bystander,
        settled: bool,
    ) -> Bench {
        let mut sound = clouds::nsx(BYSTANDER, &bystander.cloud);
        sound.keys.set("auth.kind", "basic");
        let running = Running::start(vec![settings, sound]).await;
        let peers = cloud.peers();
        let bench = Bench {
            cloud,
            running,
            ids,
            peers,
            etag: String::new(),
        };
        if settled {
            bench.health().await;
        }
        bench.forget_requests();
        bench
    }

    /// Reads the etag of the first connection.
    pub async fn read_etag(&mut self) {
        self.etag = self.running.get(&self.name()).await.unwrap().etag;
        self.forget_requests();
    }

    fn forget_requests(&self) {
        for server in self.cloud.servers() {
            server.requests().clear();
        }
    }

    /// How the backend is doing, once it has been asked.
    pub async fn health(&self) -> pb::Health {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let request = pb::GetBackendRequest {
                name: format!("backends/{BACKEND}"),
            };
            let answer = self.running.backends().get_backend(request).await.unwrap();
            let health = answer.into_inner().backend.unwrap().health.unwrap();
            if health.state() != pb::health::State::Unspecified {
                return health;
            }
            assert!(Instant::now() < deadline, "nobody asks the backend");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The writes that did not end with their call.
    pub async fn unfinished(&self) -> Vec<pb::UnfinishedWrite> {
        let request = pb::GetBackendRequest {
            name: format!("backends/{BACKEND}"),
        };
        let answer = self.running.backends().get_backend(request).await.unwrap();
        answer.into_inner().backend.unwrap().unfinished
    }

    /// The name of the first connection.
    pub fn name(&self) -> String {
        format!("backends/{BACKEND}/connections/{}", self.ids[0])
    }
}

/// Polls in quick succession and short patience: these cells run in real time.
fn settings(cloud: &dyn Cloud, variant: Variant) -> Given {
    let mut settings = cloud.settings(BACKEND);
    if variant == Variant::Otc {
        settings.keys.set("variant", "otc");
    }
    settings.core.timeout = Duration::from_millis(1500);
    settings.core.poll = PollSettings {
        fresh: Duration::from_millis(50),
        stable: Duration::from_millis(100),
        ..clouds::quick_poll()
    };
    settings
}

/// The server that is asked for this path.
pub fn server_of<'a>(cloud: &'a dyn Cloud, path: &str) -> &'a Server {
    let servers = cloud.servers();
    match path.contains("/auth/tokens") {
        true => servers[servers.len() - 1],
        false => servers[0],
    }
}

/// Each write that was sent to a cloud, in order, with all that is known of each time.
pub fn writes(cloud: &dyn Cloud) -> BTreeMap<String, Vec<Seen>> {
    let servers = cloud.servers();
    let all = servers.iter().flat_map(|server| server.requests().all());
    let mut writes: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    for seen in all.filter(|seen| seen.method != Method::GET) {
        let write = format!("{} {}", seen.method, seen.path);
        writes.entry(write).or_default().push(seen);
    }
    writes
}
