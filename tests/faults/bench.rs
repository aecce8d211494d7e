//! One cloud with one gateway, for one cell of the table.

use crate::support::{
    clouds::{self, References},
    running::Running,
};
use http::Method;
use isthmus::{
    core::settings::{BackendSettings, PollSettings},
    grpc::pb,
    simulator::{
        faults::Faults,
        http::Server,
        nsx::{self, NsxOptions, NsxSimulator},
        openstack::{self, OpenstackOptions, OpenstackSimulator, Variant},
        requests::Seen,
    },
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// The backend under test.
pub const BACKEND: &str = "sick";
/// The one that must notice nothing.
pub const BYSTANDER: &str = "sound";

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The NSX Manager API.
    Nsx,
    /// Neutron, or a cloud that descends from it.
    Openstack,
}

/// A simulated cloud.
pub enum Cloud {
    /// NSX.
    Nsx(NsxSimulator),
    /// OpenStack.
    Openstack(OpenstackSimulator),
}

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
        let cloud = NsxSimulator::start(NsxOptions::default()).unwrap();
        cloud.state().tune(|levers| levers.limits = None);
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
    pub cloud: Cloud,
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
    pub async fn cloud(dialect: Dialect, start: Start) -> (Cloud, BackendSettings, Vec<String>) {
        let cloud = match dialect {
            Dialect::Nsx => {
                let cloud = NsxSimulator::start(NsxOptions::default()).unwrap();
                cloud.state().tune(|levers| {
                    levers.limits = None;
                    levers.delete_lingers = false;
                });
                Cloud::Nsx(cloud)
            }
            Dialect::Openstack => {
                let options = OpenstackOptions {
                    variant: start.variant,
                    ..OpenstackOptions::default()
                };
                Cloud::Openstack(OpenstackSimulator::start(options).unwrap())
            }
        };
        let mut settings = cloud.settings(start.variant);
        let mut ids = Vec::new();
        if start.connections > 0 {
            let other = Running::start(vec![settings.clone()]).await;
            for _ in 0..start.connections {
                let (made, _) = other.create(BACKEND, cloud.wanted()).await.unwrap();
                let id = made.name.rsplit('/').next().unwrap().to_owned();
                cloud.settle(&id);
                ids.push(id);
            }
        }
        if let (Cloud::Openstack(cloud), true) = (&cloud, start.reader) {
            let login = cloud.inventory().reader;
            settings.auth.username = Some(login.name.to_owned());
            settings.auth.password = Some(login.password.to_owned().into());
        }
        (cloud, settings, ids)
    }

    /// A gateway over that cloud and the bystander.
    pub async fn start(
        cloud: Cloud,
        settings: BackendSettings,
        ids: Vec<String>,
        bystander: &Bystander,
        settled: bool,
    ) -> Bench {
        let mut sound = clouds::nsx(BYSTANDER, &bystander.cloud);
        sound.auth.kind = isthmus::core::settings::AuthKind::Basic;
        sound.insecure_skip_verify = true;
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
        let request = pb::GetConnectionRequest { name: self.name() };
        let answer = self.running.connections().get_connection(request).await;
        self.etag = answer.unwrap().into_inner().connection.unwrap().etag;
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

    /// The name of the first connection.
    pub fn name(&self) -> String {
        format!("backends/{BACKEND}/connections/{}", self.ids[0])
    }
}

impl Cloud {
    /// Looks in quick succession and short patience: these cells run in real time.
    fn settings(&self, variant: Variant) -> BackendSettings {
        let mut settings = match self {
            Cloud::Nsx(cloud) => clouds::nsx(BACKEND, cloud),
            Cloud::Openstack(cloud) => clouds::openstack(BACKEND, cloud),
        };
        if matches!(self, Cloud::Openstack(_)) && variant == Variant::Otc {
            settings.variant = Some("otc".to_owned());
        }
        settings.timeout = Duration::from_millis(1500);
        // There is no TLS here, and reading the system's authorities two thousand times takes half a minute.
        settings.insecure_skip_verify = true;
        settings.poll = PollSettings {
            fresh: Duration::from_millis(50),
            stable: Duration::from_millis(100),
            ..clouds::quick_poll()
        };
        settings
    }

    /// A connection that it takes.
    pub fn wanted(&self) -> pb::Connection {
        match self {
            Cloud::Nsx(_) => clouds::nsx_connection(BACKEND),
            Cloud::Openstack(cloud) => References::of(cloud).connection(BACKEND),
        }
    }

    /// Makes a connection real.
    pub fn settle(&self, id: &str) {
        match self {
            Cloud::Nsx(cloud) => cloud.state().finish(id),
            Cloud::Openstack(cloud) => {
                cloud.state().agent_reports(id, "DOWN");
                cloud.state().agent_reports(id, "ACTIVE");
            }
        }
    }

    /// Removes a connection behind everybody's back.
    pub fn vanish(&self, id: &str) {
        match self {
            Cloud::Nsx(cloud) => assert!(cloud.state().vanish(nsx::Kind::Session, id)),
            Cloud::Openstack(cloud) => {
                assert!(cloud.state().vanish(openstack::Kind::Connection, id));
            }
        }
    }

    /// Lets every login that was made be over.
    pub fn expire_login(&self) {
        match self {
            Cloud::Nsx(cloud) => cloud.state().expire_sessions(),
            Cloud::Openstack(cloud) => cloud.state().expire_all_tokens(),
        }
    }

    /// Every server of the cloud.
    pub fn servers(&self) -> Vec<&Server> {
        match self {
            Cloud::Nsx(cloud) => vec![cloud.manager(0)],
            Cloud::Openstack(cloud) => vec![cloud.neutron(), cloud.keystone()],
        }
    }

    /// The server that is asked for this path.
    pub fn server_of(&self, path: &str) -> &Server {
        match self {
            Cloud::Nsx(cloud) => cloud.manager(0),
            Cloud::Openstack(cloud) if path.contains("/auth/tokens") => cloud.keystone(),
            Cloud::Openstack(cloud) => cloud.neutron(),
        }
    }

    /// What that server does wrong.
    pub fn faults_of(&self, path: &str) -> &Faults {
        self.server_of(path).faults()
    }

    /// The ids of its connections.
    pub fn connections(&self) -> Vec<String> {
        match self {
            Cloud::Nsx(cloud) => ids(&cloud.state().objects(nsx::Kind::Session)),
            Cloud::Openstack(cloud) => cloud.state().ids(openstack::Kind::Connection),
        }
    }

    /// The ids of its peer endpoints; on OpenStack there are none.
    pub fn peers(&self) -> Vec<String> {
        match self {
            Cloud::Nsx(cloud) => ids(&cloud.state().objects(nsx::Kind::PeerEndpoint)),
            Cloud::Openstack(_) => Vec::new(),
        }
    }

    /// The key that a connection has.
    pub fn key(&self, id: &str) -> String {
        match self {
            Cloud::Nsx(cloud) => {
                let session = cloud.state().object(nsx::Kind::Session, id).unwrap();
                let peer = session["peer_endpoint_id"].as_str().unwrap();
                cloud.state().psk(peer).unwrap()
            }
            Cloud::Openstack(cloud) => {
                let row = cloud.state().row(openstack::Kind::Connection, id).unwrap();
                row["psk"].as_str().unwrap().to_owned()
            }
        }
    }

    /// Somebody else changes a field of every object of a connection that no call of the table changes.
    pub fn edit(&self, id: &str, peers: &[String]) {
        let words = serde_json::Value::from("changed elsewhere");
        match self {
            Cloud::Nsx(cloud) => {
                let sessions = std::iter::once((nsx::Kind::Session, id));
                let peers = peers
                    .iter()
                    .map(|peer| (nsx::Kind::PeerEndpoint, &peer[..]));
                for (kind, id) in sessions.chain(peers) {
                    let fields = serde_json::json!({ "description": words });
                    cloud.state().alter(kind, id, fields);
                }
            }
            Cloud::Openstack(cloud) => {
                let kind = openstack::Kind::Connection;
                let state = cloud.state();
                assert!(state.set_attribute(kind, id, "description", Some(words)));
            }
        }
    }

    /// An object as text, whatever it is; empty if it is not there.
    pub fn object(&self, id: &str) -> String {
        let found = match self {
            Cloud::Nsx(cloud) => cloud
                .state()
                .object(nsx::Kind::Session, id)
                .or_else(|| cloud.state().object(nsx::Kind::PeerEndpoint, id)),
            Cloud::Openstack(cloud) => cloud.state().row(openstack::Kind::Connection, id),
        };
        found.map(|it| it.to_string()).unwrap_or_default()
    }

    /// How often each write was sent.
    pub fn writes(&self) -> BTreeMap<String, usize> {
        let mut writes = BTreeMap::new();
        let all: Vec<Seen> = self
            .servers()
            .into_iter()
            .flat_map(|server| server.requests().all())
            .collect();
        for seen in all.into_iter().filter(|seen| seen.method != Method::GET) {
            *writes
                .entry(format!("{} {}", seen.method, seen.path))
                .or_default() += 1;
        }
        writes
    }
}

fn ids(objects: &[serde_json::Value]) -> Vec<String> {
    let id = |object: &serde_json::Value| object["id"].as_str().unwrap().to_owned();
    objects.iter().map(id).collect()
}
