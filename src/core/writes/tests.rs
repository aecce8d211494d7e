//! Writes over an in-memory cloud and disk that outlive every gateway. The gateway is killed at every point, refused at
//! every step, and repeated.

mod amended;
mod applied;
mod calls;
mod cloud;
mod kills;
mod parts;
mod told;

use crate::{
    core::{
        dialect::Dialect,
        error::Result,
        gateway::{Accepted, Gateway},
        request_id::{How, Request},
        settings::BackendSettings,
        store::{Batch, Record, RecordChange, Recovered, Store, StoreError},
    },
    model::{
        BackendName, ConnectionChange, ConnectionName, ConnectionSpec, Field, NewConnection,
        ResourceKind, ResourceSpec, Reuse, Settings,
    },
};
use async_trait::async_trait;
use cloud::Cloud;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Kills the gateway at the nth point.
#[derive(Debug)]
struct Doom {
    left: AtomicI64,
    struck: Notify,
}

impl Default for Doom {
    fn default() -> Doom {
        Doom {
            left: AtomicI64::new(i64::MAX),
            struck: Notify::new(),
        }
    }
}

impl Doom {
    fn at(&self, point: i64) {
        self.left.store(point, Ordering::SeqCst);
    }

    /// A point at which the gateway may be killed. If it is, this never returns.
    async fn point(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.struck.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug, Default)]
struct Disk {
    records: Mutex<BTreeMap<String, Vec<u8>>>,
    writes: AtomicI64,
    is_full: AtomicBool,
    doom: Arc<Doom>,
}

impl Disk {
    fn keys(&self, prefix: &str) -> Vec<String> {
        let records = self.records.lock().unwrap();
        let keys = records.keys().filter(|key| key.starts_with(prefix));
        keys.cloned().collect()
    }
}

#[async_trait]
impl Store for Disk {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        Ok(Recovered {
            epoch: at_least,
            ..Recovered::default()
        })
    }

    async fn commit(&self, _: Batch) -> Result<(), StoreError> {
        Ok(())
    }

    fn keeps_records(&self) -> bool {
        true
    }

    async fn records(&self, prefix: &str) -> Result<Vec<Record>, StoreError> {
        let records = self.records.lock().unwrap();
        let found = records.iter().filter(|(key, _)| key.starts_with(prefix));
        let found = found.map(|(key, value)| Record {
            key: key.clone(),
            value: value.clone(),
            revision: 1,
        });
        Ok(found.collect())
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<bool, StoreError> {
        self.doom.point().await;
        if self.is_full.load(Ordering::SeqCst) {
            return Err(StoreError("no space left on device".to_owned()));
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        for change in changes {
            let mut records = self.records.lock().unwrap();
            match change.value {
                Some(value) => records.insert(change.key, value),
                None => records.remove(&change.key),
            };
        }
        self.doom.point().await;
        Ok(true)
    }
}

/// What outlives every gateway.
#[derive(Debug)]
struct Site {
    doom: Arc<Doom>,
    disk: Arc<Disk>,
    cloud: Arc<Cloud>,
}

impl Site {
    fn new() -> Site {
        let doom = Arc::<Doom>::default();
        Site {
            disk: Arc::new(Disk {
                doom: Arc::clone(&doom),
                ..Disk::default()
            }),
            cloud: Arc::new(Cloud::new(Arc::clone(&doom))),
            doom,
        }
    }

    /// Runs one life of a gateway; returns `None` if it was killed.
    fn life<T>(&self, live: impl AsyncFnOnce(&Gateway) -> T) -> Option<T> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let settings = BackendSettings::new(backend());
            let dialect: Arc<dyn Dialect> = Arc::<Cloud>::clone(&self.cloud);
            let store: Arc<dyn Store> = Arc::<Disk>::clone(&self.disk);
            let lived = async {
                let heartbeat = Duration::from_secs(15);
                let backends = vec![(settings, dialect)];
                let gateway = Gateway::start_with_store(backends, heartbeat, store).await;
                live(&gateway.unwrap()).await
            };
            tokio::select! {
                biased;
                () = self.doom.struck.notified() => None,
                lived = lived => Some(lived),
            }
        })
    }

    /// Runs a life that nothing kills, until every write has ended.
    fn settled<T>(&self, live: impl AsyncFnOnce(&Gateway) -> T) -> T {
        self.doom.at(i64::MAX);
        let lived = self.life(async |gateway: &Gateway| {
            settle().await;
            let lived = live(gateway).await;
            settle().await;
            lived
        });
        assert_eq!(self.disk.keys("writes/"), Vec::<String>::new());
        lived.unwrap()
    }
}

async fn settle() {
    tokio::time::sleep(Duration::from_secs(600)).await;
}

fn backend() -> BackendName {
    "b".parse().unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn request(id: &str, body: &str) -> How {
    How {
        validate_only: false,
        request: Some(Request {
            id: id.to_owned(),
            method: "CreateConnection",
            body: body.as_bytes().to_vec(),
        }),
    }
}

fn part(kind: ResourceKind, display_name: &str) -> ResourceSpec {
    ResourceSpec {
        display_name: display_name.to_owned(),
        settings: Settings::none(kind),
        ..ResourceSpec::none(kind)
    }
}

fn whole() -> NewConnection {
    let kinds = [
        ResourceKind::IkePolicy,
        ResourceKind::VpnService,
        ResourceKind::LocalEndpoint,
    ];
    NewConnection {
        spec: ConnectionSpec {
            display_name: "old".to_owned(),
            ..ConnectionSpec::default()
        },
        parts: kinds
            .into_iter()
            .map(|kind| (kind, part(kind, "p")))
            .collect(),
        reuse: Reuse::Never,
    }
}

/// The collections of everything created for it.
const WHOLE: [&str; 6] = [
    "connections",
    "endpointGroups",
    "ikePolicies",
    "localEndpoints",
    "peerEndpoints",
    "vpnServices",
];

async fn create(gateway: &Gateway, how: How) -> Result<Accepted> {
    gateway.create(&backend(), whole(), how, soon()).await
}

async fn rename(gateway: &Gateway, name: &ConnectionName, how: How) -> Result<Accepted> {
    let change = ConnectionChange {
        fields: [Field::DisplayName].into(),
        values: ConnectionSpec {
            display_name: "new".to_owned(),
            ..ConnectionSpec::default()
        },
        ..ConnectionChange::default()
    };
    gateway.update(name, change, how, soon()).await
}

async fn delete(gateway: &Gateway, name: &ConnectionName, how: How) -> Result<Accepted> {
    gateway.delete(name, None, true, how, soon()).await
}
