//! A gateway over a scripted cloud, and what is read from its watches.

use crate::support::scripted::{Scripted, watch_request};
use isthmus::{
    core::{
        dialect::Dialect,
        error::Error,
        gateway::{Accepted, Gateway},
        realizations::{CurrentStatus, PollRequest, WatchManyRequest, WatchRequest},
        request_id::How,
        settings::BackendSettings,
        store::Store,
        watch::{
            many::{ManyEvent, WatchMany},
            stream::{EventKind, Outcome, Watch, WatchEvent},
        },
    },
    model::{
        BackendName, ConnectionChange, ConnectionName, Goal, NewConnection, Parent,
        RealizationState as State,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

pub const SECOND: Duration = Duration::from_secs(1);

pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// When a caller goes away.
pub fn soon() -> Instant {
    Instant::now() + 30 * SECOND
}

pub struct Setup {
    pub cloud: Arc<Scripted>,
    pub gateway: Arc<Gateway>,
    pub backend: BackendName,
}

impl Setup {
    /// Over a cloud that knows no connection, under the name `a`.
    pub fn new() -> Setup {
        Setup::with(Scripted::settings("a"))
    }

    /// The same, but with these settings.
    pub fn with(settings: BackendSettings) -> Setup {
        Setup::of(Scripted::new(), settings)
    }

    /// Over this cloud.
    pub fn over(cloud: Arc<Scripted>) -> Setup {
        Setup::of(cloud, Scripted::settings("a"))
    }

    fn of(cloud: Arc<Scripted>, settings: BackendSettings) -> Setup {
        let backend = settings.name.clone();
        let dialect: Arc<dyn Dialect> = cloud.clone();
        let gateway = Gateway::start(vec![(settings, dialect)], HEARTBEAT);
        Setup {
            cloud,
            gateway,
            backend,
        }
    }

    /// Over this cloud, with a log that is kept.
    pub async fn kept(cloud: Arc<Scripted>, store: Arc<dyn Store>) -> Setup {
        let settings = Scripted::settings("a");
        let backend = settings.name.clone();
        let dialect: Arc<dyn Dialect> = cloud.clone();
        let backends = vec![(settings, dialect)];
        let gateway = Gateway::start_with_store(backends, HEARTBEAT, store).await;
        Setup {
            cloud,
            gateway: gateway.unwrap(),
            backend,
        }
    }

    pub fn name(&self, id: &str) -> ConnectionName {
        ConnectionName::connection(&self.backend, id).unwrap()
    }

    pub fn request(&self, id: &str) -> WatchRequest {
        watch_request(self.name(id))
    }

    pub async fn open(&self, request: WatchRequest) -> Result<Watch, Error> {
        self.gateway.watch(request).await
    }

    pub async fn watch(&self, id: &str, goal: Option<Goal>) -> Watch {
        let request = WatchRequest {
            goal,
            ..self.request(id)
        };
        self.open(request).await.unwrap()
    }

    pub async fn watch_write(&self, id: &str, write_token: String) -> Watch {
        let request = WatchRequest {
            write_token,
            ..self.request(id)
        };
        self.open(request).await.unwrap()
    }

    pub async fn resume(&self, id: &str, resume_token: impl Into<String>) -> Result<Watch, Error> {
        let request = WatchRequest {
            resume_token: resume_token.into(),
            ..self.request(id)
        };
        self.open(request).await
    }

    pub async fn poll(
        &self,
        id: &str,
        tunnel: bool,
        elsewhere: &[String],
    ) -> Result<CurrentStatus, Error> {
        let request = PollRequest {
            name: self.name(id),
            include_tunnel: tunnel,
            write_token: String::new(),
            upstream_request_ids: elsewhere.to_vec(),
        };
        self.gateway
            .poll_now(&request, Instant::now() + 5 * SECOND)
            .await
    }

    pub async fn try_create(&self) -> Result<Accepted, Error> {
        let (wanted, how) = (NewConnection::default(), How::default());
        self.gateway
            .create(&self.backend, wanted, how, soon())
            .await
    }

    pub async fn create(&self) -> (String, String) {
        let accepted = self.try_create().await.unwrap();
        (accepted.name.unwrap().id.to_string(), accepted.write_token)
    }

    pub async fn update(&self, id: &str) -> String {
        let change = ConnectionChange::default();
        self.gateway
            .update(&self.name(id), change, How::default(), soon())
            .await
            .unwrap()
            .write_token
    }

    pub async fn delete(&self, id: &str) -> String {
        self.gateway
            .delete(&self.name(id), None, false, How::default(), soon())
            .await
            .unwrap()
            .write_token
    }
}

pub async fn next(watch: &mut Watch) -> WatchEvent {
    watch
        .next()
        .await
        .expect("the stream goes on")
        .expect("no error")
}

/// The next message that is not a heartbeat.
pub async fn next_state(watch: &mut Watch) -> WatchEvent {
    loop {
        let event = next(watch).await;
        if !matches!(event.kind, EventKind::Heartbeat(_)) || event.outcome.is_some() {
            return event;
        }
    }
}

pub fn state(event: &WatchEvent) -> State {
    match &event.kind {
        EventKind::Snapshot(entry, _) | EventKind::Change(entry) => entry.status.state,
        EventKind::Heartbeat(_) => panic!("a heartbeat has no state"),
    }
}

pub fn is_snapshot(event: &WatchEvent) -> bool {
    matches!(event.kind, EventKind::Snapshot(..))
}

pub fn is_success(event: &WatchEvent) -> bool {
    matches!(event.outcome, Some(Outcome::Succeeded(_)))
}

pub async fn next_many(watch: &mut WatchMany) -> ManyEvent {
    watch
        .next()
        .await
        .expect("the stream goes on")
        .expect("no error")
}

pub fn many_request() -> WatchManyRequest {
    WatchManyRequest {
        parent: Parent::Every,
        resume_token: String::new(),
        include_tunnel: false,
        snapshot_if_compacted: false,
        deadline: None,
    }
}
