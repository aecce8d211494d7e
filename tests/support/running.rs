//! A gateway on a free port of 127.0.0.1, and clients of it.

use isthmus::{
    core::gateway::Gateway,
    grpc::pb::{
        self, backend_service_client::BackendServiceClient,
        connection_service_client::ConnectionServiceClient,
        realization_service_client::RealizationServiceClient,
    },
    server,
};
#[cfg(feature = "demo")]
use isthmus::{
    core::{dialect::Dialect, error::Violation, settings::BackendSettings},
    dialects::{self, settings::Given},
    rest::{budget::Limits, https::Https},
    store::RedbStore,
};
#[cfg(feature = "demo")]
use std::path::Path;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{
    Request, Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

/// The longest silence on a stream.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// Has TLS where nothing was installed yet. A second installation fails, and is the same provider.
pub fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Binds a dialect whose account may ask an OpenStack as often as it likes. Within the limits of the product, most of the
/// time of a test is spent waiting for its turn.
#[cfg(feature = "demo")]
pub fn unhurried(given: &Given) -> Result<Arc<dyn Dialect>, Vec<Violation>> {
    const LIMITS: Limits = Limits {
        rate: 1e9,
        concurrency: 100,
    };
    if given.dialect != "openstack" {
        return dialects::connect(given);
    }
    let mut keys = given.keys.clone().of(given.core.name.as_str());
    let timeout = given.core.timeout;
    let bound = dialects::openstack::connect_within(&mut keys, timeout, &Https, LIMITS);
    let refused = keys.into_refused();
    bound.filter(|_| refused.is_empty()).ok_or(refused)
}

/// A running gateway; dropped, it stops.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// A channel to it.
    pub channel: Channel,
    /// What it serves.
    pub gateway: Arc<Gateway>,
    /// How long each call of these helpers may take, as the client tells the gateway.
    deadline: Option<Duration>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

impl Running {
    /// Starts one over these backends of simulated clouds, with its log in memory.
    #[cfg(feature = "demo")]
    pub async fn start(backends: Vec<Given>) -> Running {
        let gateway = Gateway::start(Running::bound(backends), HEARTBEAT);
        Running::serve(gateway).await
    }

    /// Starts one that keeps its log in a file.
    #[cfg(feature = "demo")]
    pub async fn start_with_store(backends: Vec<Given>, file: &Path) -> Running {
        let store = Arc::new(RedbStore::open(file).await.unwrap());
        let bound = Running::bound(backends);
        let gateway = Gateway::start_with_store(bound, HEARTBEAT, store).await;
        Running::serve(gateway.unwrap()).await
    }

    #[cfg(feature = "demo")]
    fn bound(backends: Vec<Given>) -> Vec<(BackendSettings, Arc<dyn Dialect>)> {
        install_provider();
        let bound = backends.into_iter().map(|given| {
            let dialect = unhurried(&given).expect("the settings work");
            (given.core, dialect)
        });
        bound.collect()
    }

    /// Serves this one.
    pub async fn serve(gateway: Arc<Gateway>) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            // Dropping the other end stops it, too.
            let _ = stopped.await;
        };
        let settings = server::Settings::default();
        let server = tokio::spawn(server::run(
            listener,
            Arc::clone(&gateway),
            settings,
            shutdown,
        ));
        let channel = Endpoint::from_shared(format!("http://{addr}"))
            .unwrap()
            .connect()
            .await
            .unwrap();
        Running {
            addr,
            channel,
            gateway,
            deadline: None,
            stop: Some(stop),
            server: Some(server),
        }
    }

    /// The same, each of whose calls may take this long.
    pub fn within(self, deadline: Duration) -> Running {
        let deadline = Some(deadline);
        Running { deadline, ..self }
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }

    /// Begins to drain, and waits for its end.
    pub async fn drain(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            server.await.unwrap().unwrap();
        }
    }

    /// A client of ConnectionService.
    pub fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    /// A client of RealizationService.
    pub fn realizations(&self) -> RealizationServiceClient<Channel> {
        RealizationServiceClient::new(self.channel.clone())
    }

    /// A client of BackendService.
    pub fn backends(&self) -> BackendServiceClient<Channel> {
        BackendServiceClient::new(self.channel.clone())
    }

    /// Makes a connection: its name and the write's token.
    pub async fn create(
        &self,
        backend: &str,
        connection: pb::Connection,
    ) -> Result<(pb::Connection, String), Status> {
        let request = pb::CreateConnectionRequest {
            parent: format!("backends/{backend}"),
            connection: Some(connection),
            validate_only: false,
            ..Default::default()
        };
        let answer = self
            .connections()
            .create_connection(self.request(request))
            .await?
            .into_inner();
        Ok((answer.connection.unwrap(), answer.write_token))
    }

    /// Reads a connection.
    pub async fn get(&self, name: &str) -> Result<pb::Connection, Status> {
        let name = name.to_owned();
        let request = pb::GetConnectionRequest { name };
        let answer = self
            .connections()
            .get_connection(self.request(request))
            .await?;
        Ok(answer.into_inner().connection.unwrap())
    }

    /// The first page of the connections of a backend.
    pub async fn list(&self, backend: &str) -> Result<pb::ListConnectionsResponse, Status> {
        let request = pb::ListConnectionsRequest {
            parent: format!("backends/{backend}"),
            ..pb::ListConnectionsRequest::default()
        };
        let answer = self
            .connections()
            .list_connections(self.request(request))
            .await?;
        Ok(answer.into_inner())
    }

    /// Changes these fields of a connection.
    pub async fn update(
        &self,
        connection: pb::Connection,
        paths: &[&str],
    ) -> Result<pb::UpdateConnectionResponse, Status> {
        let request = pb::UpdateConnectionRequest {
            connection: Some(connection),
            update_mask: Some(mask(paths)),
            validate_only: false,
            ..Default::default()
        };
        let answer = self
            .connections()
            .update_connection(self.request(request))
            .await?;
        Ok(answer.into_inner())
    }

    /// Has a connection be as it is described.
    pub async fn apply(
        &self,
        backend: &str,
        connection: pb::Connection,
    ) -> Result<pb::ApplyConnectionResponse, Status> {
        let request = pb::ApplyConnectionRequest {
            parent: format!("backends/{backend}"),
            connection: Some(connection),
            ..Default::default()
        };
        let answer = self
            .connections()
            .apply_connection(self.request(request))
            .await?;
        Ok(answer.into_inner())
    }

    /// Describes a connection.
    pub async fn export(&self, name: &str) -> Result<pb::ExportConnectionResponse, Status> {
        let name = name.to_owned();
        let request = pb::ExportConnectionRequest { name };
        let answer = self
            .connections()
            .export_connection(self.request(request))
            .await?;
        Ok(answer.into_inner())
    }

    /// Where a connection stands, polled now.
    pub async fn poll(&self, name: &str) -> Result<pb::Realization, Status> {
        let request = pb::GetRealizationRequest {
            name: name.to_owned(),
            ..pb::GetRealizationRequest::default()
        };
        let answer = self
            .realizations()
            .get_realization(self.request(request))
            .await?;
        Ok(answer.into_inner().realization.unwrap())
    }

    /// Removes a connection: the write's token.
    pub async fn delete(&self, name: &str) -> Result<String, Status> {
        let request = pb::DeleteConnectionRequest {
            name: name.to_owned(),
            ..pb::DeleteConnectionRequest::default()
        };
        Ok(self
            .connections()
            .delete_connection(self.request(request))
            .await?
            .into_inner()
            .write_token)
    }

    /// Opens a watch.
    pub async fn watch(
        &self,
        name: &str,
        goal: pb::Goal,
        write_token: &str,
    ) -> Result<Watching, Status> {
        let request = pb::WatchRealizationRequest {
            name: name.to_owned(),
            goal: goal.into(),
            write_token: write_token.to_owned(),
            ..pb::WatchRealizationRequest::default()
        };
        let stream = self
            .realizations()
            .watch_realization(request)
            .await?
            .into_inner();
        Ok(Watching { stream })
    }
}

/// The mask of these fields.
pub fn mask(paths: &[&str]) -> prost_types::FieldMask {
    prost_types::FieldMask {
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
    }
}

/// The id at the end of a name.
pub fn id_of(name: &str) -> String {
    name.rsplit('/').next().unwrap().to_owned()
}

/// The reason of an error.
#[track_caller]
pub fn reason(status: &Status) -> String {
    let info = status
        .get_details_error_info()
        .expect("every error has an ErrorInfo");
    assert_eq!(info.domain, "isthmus");
    info.reason
}

/// The fields an error names.
pub fn fields(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request();
    let violations = details.map_or_else(Vec::new, |details| details.field_violations);
    let each = violations.into_iter();
    each.map(|violation| violation.field).collect()
}

/// One watch, as its client sees it.
pub struct Watching {
    pub stream: Streaming<pb::WatchRealizationResponse>,
}

impl Watching {
    /// The next message, heartbeats included; `None` when the stream has ended with OK.
    pub async fn next(&mut self) -> Result<Option<pb::WatchRealizationResponse>, Status> {
        tokio::time::timeout(Duration::from_secs(60), self.stream.message())
            .await
            .expect("a message within a minute")
    }

    /// The next state, with the outcome if it brings one.
    pub async fn next_state(&mut self) -> Result<(pb::Realization, Option<pb::Outcome>), Status> {
        use pb::watch_realization_response::Event;
        loop {
            let message = self.next().await?.expect("the stream goes on");
            match message.event {
                Some(Event::Snapshot(realization) | Event::Change(realization)) => {
                    return Ok((realization, message.outcome));
                }
                Some(Event::Heartbeat(_)) | None => assert_eq!(message.outcome, None),
            }
        }
    }

    /// Reads until a state comes.
    pub async fn until(&mut self, state: pb::RealizationState) -> pb::Realization {
        loop {
            let (realization, outcome) = self.next_state().await.expect("no error");
            if realization.state == i32::from(state) {
                return realization;
            }
            assert_eq!(outcome, None, "ended before {state:?}: {realization:?}");
        }
    }

    /// Reads to the end: every state, and the one outcome.
    pub async fn end(mut self) -> (Vec<pb::Realization>, pb::Outcome) {
        use pb::watch_realization_response::Event;
        let mut states = Vec::new();
        let mut outcomes = Vec::new();
        while let Some(message) = self.next().await.expect("no error") {
            assert!(outcomes.is_empty(), "nothing follows the outcome");
            if let Some(Event::Snapshot(realization) | Event::Change(realization)) = message.event {
                states.push(realization);
            }
            outcomes.extend(message.outcome);
        }
        assert_eq!(outcomes.len(), 1, "exactly one outcome");
        (states, outcomes.remove(0))
    }
}
