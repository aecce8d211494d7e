//! A cloud in the gateway's own process, so that what is measured is the gateway: as many connections as
//! wanted, each at a version that the bench raises. The poller that polls it is the real one.

use crate::support::now;
use async_trait::async_trait;
use isthmus::{
    core::{
        dialect::{
            Action, Call, Capabilities, Dialect, Done, Mark, Page, PageRequest, Plan, Proof,
            Single, Step, Target, Usage, Written,
        },
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
        settings::{BackendSettings, PollSettings},
    },
    model::{
        Assurance, Collection, Connection, ConnectionChange, NewConnection, Node, RealizationState,
        Sighting,
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// The backend's name.
pub const BACKEND: &str = "cloud";

/// The cloud.
#[derive(Debug)]
pub struct Cloud {
    capabilities: Capabilities,
    connections: Vec<Version>,
    seen: Notify,
}

#[derive(Debug, Default)]
struct Version {
    now: AtomicU64,
    /// The last version that a poll saw, and when the first poll that did so began.
    seen: AtomicU64,
    seen_at: AtomicU64,
}

impl Cloud {
    /// One with so many connections, polled so many at a time.
    pub fn new(connections: usize, look_batch: usize) -> Arc<Cloud> {
        Arc::new(Cloud {
            capabilities: capabilities(look_batch),
            connections: (0..connections).map(|_| Version::default()).collect(),
            seen: Notify::new(),
        })
    }

    /// The id of a connection.
    pub fn id(index: usize) -> String {
        // As long as the ids that clouds give.
        format!("00000000-0000-4000-8000-{index:012}")
    }

    /// The name of a connection.
    pub fn name(index: usize) -> String {
        format!("backends/{BACKEND}/connections/{}", Cloud::id(index))
    }

    /// Raises the version of a connection.
    pub fn change(&self, index: usize) {
        self.connections[index].now.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until a poll has seen the newest version of a connection: when that poll began.
    pub async fn seen(&self, index: usize) -> u64 {
        let version = &self.connections[index];
        loop {
            let seen = self.seen.notified();
            if version.seen.load(Ordering::SeqCst) == version.now.load(Ordering::SeqCst) {
                return version.seen_at.load(Ordering::SeqCst);
            }
            seen.await;
        }
    }

    fn at(&self, id: &str) -> Option<&Version> {
        let index: usize = id.rsplit('-').next()?.parse().ok()?;
        self.connections.get(index)
    }

    fn sighting(&self, id: &str) -> Result<Sighting> {
        let version = self.at(id).ok_or_else(not_found)?;
        let number = version.now.load(Ordering::SeqCst);
        if version.seen.load(Ordering::SeqCst) != number || number == 0 {
            version.seen_at.store(now(), Ordering::SeqCst);
            version.seen.store(number, Ordering::SeqCst);
            self.seen.notify_waiters();
        }
        Ok(sighting(number))
    }
}

/// What a poll sees: half a kilobyte once it is encoded, as it is with two nodes that have something to say.
pub fn sighting(version: u64) -> Sighting {
    let node = |number: u64| Node {
        id: format!("7d7d39c6-8c6a-4f5c-9f5b-{number:012}"),
        kind: "TransportNode".to_owned(),
        display_name: format!("edge-{number:02}"),
        state: RealizationState::Realized,
        native_state: "in_sync".to_owned(),
        message: format!("configuration {version} is in place"),
    };
    Sighting {
        state: RealizationState::Realized,
        assurance: Assurance::ControlPlane,
        native_state: "in_sync".to_owned(),
        nodes: vec![node(1), node(2)].into(),
        ..Sighting::default()
    }
}

/// Settings of a backend that is polled this often.
pub fn settings(every: Duration) -> BackendSettings {
    BackendSettings {
        poll: PollSettings {
            fresh: every,
            stable: every,
            ..PollSettings::default()
        },
        ..BackendSettings::new(BACKEND.parse().expect("written as a name"))
    }
}

/// Everything, and so many connections in one poll.
pub fn capabilities(look_batch: usize) -> Capabilities {
    Capabilities {
        dialect: "bench",
        variant: "",
        route_based: true,
        inline_policy_rules: true,
        endpoint_groups: true,
        certificates: true,
        inline_dpd: true,
        dpd_policies: true,
        mtu: true,
        tcp_mss_clamping: true,
        on_demand_initiation: true,
        admin_disable: true,
        atomic_etag: true,
        nodes: true,
        write_tracking: true,
        look_batch,
        resources: &[],
        tunnel_statistics: false,
        connection_marks: true,
        availability_zones: false,
    }
}

/// A connection of which nothing matters but its id.
pub fn connection(id: &str) -> Connection {
    Connection {
        id: id.to_owned(),
        admin_enabled: Some(true),
        ..Connection::default()
    }
}

/// There is none.
pub fn not_found() -> Error {
    Error::new(
        ErrorKind::NotFound,
        ErrorReason::ConnectionNotFound,
        "no such connection",
    )
}

/// One write of a connection.
pub fn plan<'a>(
    action: Action,
    id: Option<String>,
    write: impl Future<Output = Result<Written>> + Send + 'a,
) -> Box<dyn Plan<Written> + 'a> {
    let collection = Collection::Connections.segment();
    Single::new(Step::new(action, collection, id), |_, _| {
        Box::pin(async {
            let written = write.await?;
            let done = Done {
                id: written.id.clone(),
                request_id: None,
            };
            Ok((done, written))
        })
    })
}

fn written(id: &str) -> Written {
    Written {
        id: id.to_owned(),
        connection: Some(connection(id)),
        proof: Proof::AnyStatus,
        warnings: Vec::new(),
    }
}

#[async_trait]
impl Dialect for Cloud {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn refuse_create(&self, _: &NewConnection) -> Vec<Violation> {
        Vec::new()
    }

    fn refuse_update(&self, _: &ConnectionChange) -> Vec<Violation> {
        Vec::new()
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    async fn probe(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn get(&self, id: &str, _: &Call) -> Result<Connection> {
        self.at(id).map(|_| connection(id)).ok_or_else(not_found)
    }

    async fn list(&self, _: &PageRequest, _: &Call) -> Result<Page<Connection>> {
        let ids = (0..self.connections.len()).map(Cloud::id);
        Ok(Page {
            items: ids.map(|id| connection(&id)).collect(),
            next: None,
        })
    }

    async fn plan_create<'a>(
        &'a self,
        _: NewConnection,
        _: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let id = Cloud::id(0);
        Ok(plan(Action::Create, None, async move { Ok(written(&id)) }))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        _: ConnectionChange,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let id = id.to_owned();
        let known = Some(id.clone());
        Ok(plan(Action::Update, known, async move { Ok(written(&id)) }))
    }

    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let id = id.to_owned();
        let known = Some(id.clone());
        Ok(plan(Action::Delete, known, async move { Ok(written(&id)) }))
    }

    async fn poll(&self, targets: &[Target], _: &Call) -> Vec<Result<Sighting>> {
        let polls = targets.iter().map(|target| self.sighting(&target.id));
        polls.collect()
    }
}
