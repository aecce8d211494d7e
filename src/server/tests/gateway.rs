//! The services through real clients, over a cloud in memory.

use crate::{
    core::{
        dialect::{
            Action, Call, Capabilities, Dialect, Done, Mark, Page, PageRequest, Plan, Proof,
            Single, Step, Target, Usage, Warning, Written,
        },
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
        gateway::Gateway,
        settings::{BackendSettings, PollSettings},
    },
    grpc::pb::{
        self, backend_service_client::BackendServiceClient,
        connection_service_client::ConnectionServiceClient,
    },
    model::{
        Assurance, Connection, ConnectionChange, Field, NewConnection, Peer, RealizationState,
        Sighting,
    },
    server::{
        Settings, routes,
        tests::{
            drain::expect_draining,
            support::{Server, get, soon},
        },
    },
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, transport::Channel};
use tonic_types::StatusExt;

const NAME: &str = "backends/a/connections/made";

/// A cloud with at most one connection, `made`.
#[derive(Debug)]
pub(super) struct Cloud {
    capabilities: Capabilities,
    /// State of the connection. `None` if it does not exist.
    state: Mutex<Option<RealizationState>>,
    /// An error that every call returns instead of its answer.
    trouble: Mutex<Option<Error>>,
    /// The last change.
    changed: Mutex<Option<ConnectionChange>>,
}

impl Cloud {
    pub(super) fn new() -> Arc<Cloud> {
        Arc::new(Cloud {
            capabilities: Capabilities {
                dialect: "memory",
                variant: "",
                route_based: true,
                inline_policy_rules: true,
                endpoint_groups: true,
                certificates: true,
                inline_dpd: true,
                dpd_policies: true,
                mtu: false,
                tcp_mss_clamping: true,
                on_demand_initiation: true,
                admin_disable: true,
                atomic_etag: true,
                nodes: true,
                write_tracking: true,
                look_batch: 1,
                resources: &[],
                tunnel_statistics: false,
                connection_marks: true,
                availability_zones: false,
            },
            state: Mutex::default(),
            trouble: Mutex::default(),
            changed: Mutex::default(),
        })
    }

    fn set(&self, state: RealizationState) {
        *self.state.lock().unwrap() = Some(state);
    }

    fn fail(&self, error: Error) {
        *self.trouble.lock().unwrap() = Some(error);
    }

    fn answer(&self) -> Result<Option<RealizationState>> {
        match &*self.trouble.lock().unwrap() {
            Some(error) => Err(error.clone()),
            None => Ok(*self.state.lock().unwrap()),
        }
    }

    fn connection(&self) -> Result<Connection> {
        self.answer()?.map(|_| made()).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                ErrorReason::ConnectionNotFound,
                "no such connection",
            )
        })
    }

    fn written(connection: Option<Connection>) -> Written {
        Written {
            id: "made".to_owned(),
            connection,
            proof: Proof::AnyStatus,
            warnings: vec![Warning {
                field: "dpd".to_owned(),
                message: "rounded".to_owned(),
            }],
        }
    }
}

fn made() -> Connection {
    Connection {
        id: "made".to_owned(),
        admin_enabled: Some(true),
        peer: Peer {
            address: "192.0.2.1".to_owned(),
            psk_set: true,
            ..Peer::default()
        },
        ..Connection::default()
    }
}

/// A plan of one step.
fn single<'a>(
    action: Action,
    write: impl FnOnce() -> Result<Written> + Send + 'a,
) -> Box<dyn Plan<Written> + 'a> {
    Single::new(Step::new(action, "connections", None), move |_, _| {
        Box::pin(async move {
            let written = write()?;
            let done = Done {
                id: written.id.clone(),
                request_id: None,
            };
            Ok((done, written))
        })
    })
}

#[async_trait::async_trait]
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
        self.answer().map(|_| ())
    }

    async fn get(&self, _: &str, call: &Call) -> Result<Connection> {
        let left = call.deadline.duration_since(tokio::time::Instant::now());
        assert!(left <= Duration::from_secs(30), "every call has a deadline");
        self.connection()
    }

    async fn list(&self, _: &PageRequest, _: &Call) -> Result<Page<Connection>> {
        let connections = self.answer()?.map(|_| made()).into_iter().collect();
        Ok(Page {
            items: connections,
            next: None,
        })
    }

    async fn plan_create<'a>(
        &'a self,
        _: NewConnection,
        _: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Ok(single(Action::Create, move || {
            self.answer()?;
            self.set(RealizationState::InProgress);
            Ok(Cloud::written(Some(made())))
        }))
    }

    async fn plan_update<'a>(
        &'a self,
        _: &'a str,
        change: ConnectionChange,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Ok(single(Action::Update, move || {
            *self.changed.lock().unwrap() = Some(change);
            Ok(Cloud::written(Some(self.connection()?)))
        }))
    }

    async fn plan_delete<'a>(
        &'a self,
        _: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Ok(single(Action::Delete, move || {
            self.connection()?;
            *self.state.lock().unwrap() = None;
            Ok(Cloud::written(None))
        }))
    }

    async fn poll(&self, targets: &[Target], _: &Call) -> Vec<Result<Sighting>> {
        let sighting = || {
            Ok(match self.answer()? {
                Some(state) => Sighting {
                    state,
                    assurance: Assurance::ControlPlane,
                    native_state: format!("{state:?}"),
                    ..Sighting::default()
                },
                None => Sighting {
                    state: RealizationState::Deleted,
                    assurance: Assurance::ControlPlane,
                    ..Sighting::default()
                },
            })
        };
        targets.iter().map(|_| sighting()).collect()
    }
}

fn backend(name: &str, cloud: &Arc<Cloud>) -> (BackendSettings, Arc<dyn Dialect>) {
    let settings = BackendSettings {
        poll: PollSettings {
            fresh: Duration::from_millis(10),
            stable: Duration::from_millis(10),
            ..PollSettings::default()
        },
        ..BackendSettings::new(name.parse().unwrap())
    };
    (settings, Arc::<Cloud>::clone(cloud))
}

/// The whole server over two clouds, `a` and `b`.
struct World {
    a: Arc<Cloud>,
    b: Arc<Cloud>,
    server: Server,
    channel: Channel,
}

impl World {
    async fn start() -> World {
        let (a, b) = (Cloud::new(), Cloud::new());
        let backends = vec![backend("a", &a), backend("b", &b)];
        let gateway = Gateway::start(backends, Duration::from_secs(15));
        let drain = CancellationToken::new();
        let settings = Settings::default();
        let routes = routes(gateway, &settings, drain.clone());
        let server = Server::start_with(settings, routes, drain).await;
        let channel = server.channel().await;
        World {
            a,
            b,
            server,
            channel,
        }
    }

    fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    fn realizations(&self) -> pb::realization_service_client::RealizationServiceClient<Channel> {
        pb::realization_service_client::RealizationServiceClient::new(self.channel.clone())
    }

    async fn create(&self) -> pb::CreateConnectionResponse {
        let answer = self.connections().create_connection(wanted()).await;
        answer.unwrap().into_inner()
    }
}

fn wanted() -> pb::CreateConnectionRequest {
    pb::CreateConnectionRequest {
        parent: "backends/a".to_owned(),
        connection: Some(pb::Connection {
            peer: Some(pb::Peer {
                address: "192.0.2.1".to_owned(),
                authentication: Some(pb::peer::Authentication::Psk("canary".to_owned())),
                ..Default::default()
            }),
            selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
                rules: vec![pb::PolicyRule::default()],
                ..Default::default()
            })),
            ..Default::default()
        }),
        validate_only: false,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_write_is_watched_to_its_outcome() {
    let world = World::start().await;
    let created = world.create().await;
    let connection = created.connection.unwrap();
    assert_eq!(connection.name, NAME);
    assert!(connection.peer.unwrap().psk_set);
    assert_eq!(created.warnings[0].field, "dpd");

    let mut stream = world
        .realizations()
        .watch_realization(pb::WatchRealizationRequest {
            name: NAME.to_owned(),
            write_token: created.write_token,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let first = soon(stream.message()).await.unwrap().unwrap();
    let Some(pb::watch_realization_response::Event::Snapshot(snapshot)) = first.event else {
        panic!("a snapshot first");
    };
    assert_eq!(snapshot.name, NAME);
    assert!(!first.resume_token.is_empty());

    world.a.set(RealizationState::Realized);
    let last = loop {
        let message = soon(stream.message()).await.unwrap().expect("an outcome");
        if message.outcome.is_some() {
            break message;
        }
    };
    assert_eq!(
        last.outcome.unwrap().result(),
        pb::outcome::Result::Succeeded
    );
    let Some(pb::watch_realization_response::Event::Change(change)) = last.event else {
        panic!("the evidence");
    };
    assert_eq!(change.state(), pb::RealizationState::Realized);
    assert!(soon(stream.message()).await.unwrap().is_none(), "then OK");
}

#[tokio::test]
async fn watches_and_waits_end_with_the_gateway_and_say_why() {
    let world = World::start().await;
    let created = world.create().await;
    let mut stream = world
        .realizations()
        .watch_realization(pb::WatchRealizationRequest {
            name: NAME.to_owned(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    soon(stream.message()).await.unwrap().unwrap();
    let mut many = world
        .realizations()
        .watch_realizations(pb::WatchRealizationsRequest {
            parent: "backends/-".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert!(soon(many.message()).await.unwrap().unwrap().synced);
    let mut client = world.realizations();
    let waiting = tokio::spawn(async move {
        let mut request = Request::new(pb::WaitRealizationRequest {
            name: NAME.to_owned(),
            write_token: created.write_token,
            ..Default::default()
        });
        request.set_timeout(Duration::from_secs(600));
        client.wait_realization(request).await
    });
    // Calls of one connection are handled in order, so this answer shows that the wait has begun.
    world
        .realizations()
        .get_realization(get(NAME))
        .await
        .unwrap();

    let stopping = tokio::spawn(world.server.stop());
    expect_draining(&mut stream).await;
    expect_draining(&mut many).await;
    let status = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "DRAINING");
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn a_wait_answers_where_it_stands_before_its_deadline() {
    let world = World::start().await;
    let created = world.create().await;
    let mut request = Request::new(pb::WaitRealizationRequest {
        name: NAME.to_owned(),
        write_token: created.write_token.clone(),
        ..Default::default()
    });
    request.set_timeout(Duration::from_millis(700));
    let answer = world.realizations().wait_realization(request).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.outcome, None);
    assert_eq!(answer.realization.unwrap().name, NAME);

    world.a.set(RealizationState::Realized);
    let answer = world
        .realizations()
        .wait_realization(pb::WaitRealizationRequest {
            name: NAME.to_owned(),
            write_token: created.write_token,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answer.outcome.unwrap().result(),
        pb::outcome::Result::Succeeded
    );
}

#[tokio::test]
async fn a_connection_is_read_changed_listed_and_removed() {
    let world = World::start().await;
    world.create().await;
    let mut client = world.connections();
    let read = client
        .get_connection(pb::GetConnectionRequest {
            name: NAME.to_owned(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(read.connection.unwrap().name, NAME);

    let updated = client
        .update_connection(pb::UpdateConnectionRequest {
            connection: Some(pb::Connection {
                name: NAME.to_owned(),
                description: "new".to_owned(),
                display_name: "ignored".to_owned(),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["description".to_owned()],
            }),
            validate_only: false,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert!(!updated.write_token.is_empty());
    let change = world.a.changed.lock().unwrap().take().unwrap();
    assert_eq!(Vec::from_iter(change.fields), [Field::Description]);
    assert_eq!(change.values.display_name, "");

    world.b.fail(Error::new(
        ErrorKind::Unavailable,
        ErrorReason::UpstreamUnreachable,
        "nobody there",
    ));
    let list = client
        .list_connections(pb::ListConnectionsRequest {
            parent: "backends/-".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list.connections.len(), 1);
    assert_eq!(list.unreachable, ["backends/b"]);

    let delete = |allow_missing| pb::DeleteConnectionRequest {
        name: NAME.to_owned(),
        allow_missing,
        ..Default::default()
    };
    let deleted = client.delete_connection(delete(false)).await.unwrap();
    assert!(!deleted.into_inner().write_token.is_empty());
    let status = client.delete_connection(delete(false)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(
        status.get_details_resource_info().unwrap().resource_name,
        NAME
    );
    let deleted = client.delete_connection(delete(true)).await.unwrap();
    assert!(deleted.into_inner().write_token.is_empty());
}

#[tokio::test]
async fn what_is_only_validated_has_no_name_and_no_token() {
    let world = World::start().await;
    let answer = world
        .connections()
        .create_connection(pb::CreateConnectionRequest {
            validate_only: true,
            ..wanted()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.connection.unwrap().name, "");
    assert_eq!(answer.write_token, "");
    assert_eq!(*world.a.state.lock().unwrap(), None);
}

#[tokio::test]
async fn errors_tell_whose_fault_it_is() {
    let world = World::start().await;
    let mut request = wanted();
    if let Some(connection) = &mut request.connection {
        connection.mtu = Some(1400);
    }
    let status = world
        .connections()
        .create_connection(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "connection.mtu");

    world.a.fail(Error::new(
        ErrorKind::BackendAuth,
        ErrorReason::UpstreamAuth,
        "the login was refused",
    ));
    let status = world
        .connections()
        .get_connection(pb::GetConnectionRequest {
            name: NAME.to_owned(),
        })
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "UPSTREAM_AUTH");
    assert_eq!(info.metadata["backend"], "backends/a");

    let list = BackendServiceClient::new(world.channel.clone())
        .list_backends(pb::ListBackendsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let a = &list.backends[0];
    assert_eq!(
        (a.name.as_str(), a.dialect.as_str()),
        ("backends/a", "memory")
    );
    let health = a.health.clone().unwrap();
    assert_eq!(health.state(), pb::health::State::Unhealthy);
    assert_eq!(health.reason, "UPSTREAM_AUTH");
    assert!(!a.capabilities.clone().unwrap().mtu);
}
