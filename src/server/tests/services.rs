//! Reflection, health, and the listen address.

use crate::{
    core::{
        backend::Serving,
        error::{Error, ErrorKind, ErrorReason, Violation},
        gateway::Gateway,
        roster::{Member, Roster},
    },
    grpc::pb::{
        self, backend_service_client::BackendServiceClient,
        connection_service_client::ConnectionServiceClient,
    },
    server::{
        HealthService, Settings, run,
        tests::{
            gateway::Cloud,
            support::{Server, soon},
        },
    },
};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming, service::Routes, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient, health_server::HealthServer,
};
use tonic_reflection::pb::{v1, v1alpha};

const SERVICES: [&str; 8] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "isthmus.v1.BackendService",
    "isthmus.v1.ConnectionService",
    "isthmus.v1.PolicyService",
    "isthmus.v1.RealizationService",
    "isthmus.v1.TopologyService",
];

/// Starts the whole server, without backends.
async fn start() -> Server {
    let settings = Settings::default();
    let drain = CancellationToken::new();
    let gateway = Gateway::start(Vec::new(), Duration::from_secs(15));
    let routes = crate::server::routes(gateway, &settings, drain.clone());
    Server::start_with(settings, routes, drain).await
}

#[tokio::test]
async fn reflection_tells_of_every_service_in_both_versions() {
    let server = start().await;

    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = soon(answers.message()).await.unwrap().unwrap();
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("a list");
    };
    let mut names: Vec<String> = list.service.into_iter().map(|s| s.name).collect();
    names.sort();
    assert_eq!(names, SERVICES);

    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = soon(answers.message()).await.unwrap().unwrap();
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("a list");
    };
    let mut names: Vec<String> = list.service.into_iter().map(|s| s.name).collect();
    names.sort();
    assert_eq!(names, SERVICES);
    server.stop().await;
}

#[tokio::test]
async fn reflection_describes_everything_a_message_refers_to() {
    let server = start().await;
    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let files = [
        "isthmus/v1/connection.proto",
        "google/protobuf/struct.proto",
        "google/protobuf/timestamp.proto",
        "google/protobuf/field_mask.proto",
        "google/api/field_behavior.proto",
        "google/api/resource.proto",
    ];
    let requests = files.map(|file| v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1::server_reflection_request::MessageRequest::FileByFilename(file.to_owned()),
        ),
    });
    let mut answers = client
        .server_reflection_info(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    for file in files {
        let answer = soon(answers.message()).await.unwrap().unwrap();
        assert!(
            matches!(
                answer.message_response,
                Some(v1::server_reflection_response::MessageResponse::FileDescriptorResponse(_))
            ),
            "{file}: {answer:?}"
        );
    }
}

/// Returns what reflection serves for a symbol: its file and all imports.
async fn described(channel: Channel, symbol: &str) -> DescriptorPool {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let mut wanted = vec![MessageRequest::FileContainingSymbol(symbol.to_owned())];
    let mut files = BTreeMap::new();
    while let Some(message_request) = wanted.pop() {
        let asked = format!("{message_request:?}");
        let request = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(message_request),
        };
        let answers = client.server_reflection_info(tokio_stream::iter([request]));
        let mut answers = answers.await.unwrap().into_inner();
        let answer = soon(answers.message()).await.unwrap().unwrap();
        let Some(MessageResponse::FileDescriptorResponse(found)) = answer.message_response else {
            panic!("{asked}: {answer:?}");
        };
        for bytes in found.file_descriptor_proto {
            let file = FileDescriptorProto::decode(bytes.as_slice()).unwrap();
            wanted.extend(
                file.dependency
                    .iter()
                    .filter(|name| !files.contains_key(*name))
                    .cloned()
                    .map(MessageRequest::FileByFilename),
            );
            files.insert(file.name().to_owned(), file);
        }
    }
    let file = files.into_values().collect();
    DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file }).unwrap()
}

#[tokio::test]
async fn reflection_describes_every_detail_of_an_error() {
    let server = start().await;
    let mut client = ConnectionServiceClient::new(server.channel().await);
    let request = pb::GetConnectionRequest {
        name: "backends/none/connections/x".to_owned(),
    };
    let over_the_wire = client.get_connection(request).await.unwrap_err();
    // No single error carries every kind of detail.
    let violation = Violation::new("peer.psk", "a key is needed");
    let refused = Error::new(ErrorKind::FailedPrecondition, ErrorReason::InUse, "not now")
        .resource("backends/a/connections/x")
        .retry_after(Duration::from_secs(3));
    let statuses = [
        over_the_wire,
        Error::invalid(vec![violation]).into(),
        Status::from(refused),
    ];

    let mut told = BTreeSet::new();
    for status in &statuses {
        let details = tonic_types::Status::decode(status.details())
            .unwrap()
            .details;
        for detail in details {
            let (_, symbol) = detail.type_url.rsplit_once('/').unwrap();
            let pool = described(server.channel().await, symbol).await;
            let message = pool.get_message_by_name(symbol).expect("it was asked for");
            let file = message.parent_file();
            assert_eq!(file.name(), "google/rpc/error_details.proto");
            let message = DynamicMessage::decode(message, detail.value.as_slice()).unwrap();
            assert_eq!(message.unknown_fields().count(), 0, "{message}");
            told.insert(format!("{symbol} {message}"));
        }
    }
    let told: Vec<String> = told.into_iter().collect();
    let expected = [
        r#"google.rpc.BadRequest field_violations:[{field:"peer.psk",description:"a key is needed"}]"#,
        r#"google.rpc.ErrorInfo reason:"BACKEND_NOT_FOUND",domain:"isthmus""#,
        r#"google.rpc.ErrorInfo reason:"INVALID_FIELD",domain:"isthmus""#,
        r#"google.rpc.ErrorInfo reason:"IN_USE",domain:"isthmus""#,
        r#"google.rpc.PreconditionFailure violations:[{type:"IN_USE",subject:"backends/a/connections/x",description:"not now"}]"#,
        r#"google.rpc.ResourceInfo resource_type:"isthmus.v1/Backend",resource_name:"backends/none""#,
        r#"google.rpc.ResourceInfo resource_type:"isthmus.v1/Connection",resource_name:"backends/a/connections/x""#,
        "google.rpc.RetryInfo retry_delay{seconds:3}",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn the_whole_server_answers_and_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let gateway = Gateway::start(Vec::new(), Duration::from_secs(15));
    let running = tokio::spawn(run(
        listener,
        gateway,
        Settings::default(),
        stop.clone().cancelled_owned(),
    ));
    let mut client = BackendServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let list = client
        .list_backends(pb::ListBackendsRequest::default())
        .await
        .unwrap();
    assert!(list.into_inner().backends.is_empty());
    let status = client
        .get_backend(pb::GetBackendRequest {
            name: "backends/none".to_owned(),
        })
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    stop.cancel();
    soon(running).await.unwrap().unwrap();
}

fn asked(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

/// Handles to a server with the health of one service, the backends in `roster` and the store.
struct Health {
    roster: watch::Sender<Arc<Roster>>,
    member: Arc<Member>,
    keeping: watch::Sender<Serving>,
}

/// Starts a server with the health of one service, one backend and the store.
async fn health() -> (Health, Server, HealthClient<Channel>) {
    let (keeping, receiver) = watch::channel(Serving::NotAsked);
    let member = Member::idle("a", Cloud::new());
    let roster: Roster = [Arc::clone(&member)].into_iter().collect();
    let roster = watch::Sender::new(Arc::new(roster));
    let drain = CancellationToken::new();
    let service = HealthService::new(
        &["isthmus.v1.BackendService"],
        roster.subscribe(),
        Some(receiver),
        drain.clone(),
    );
    let routes = Routes::new(HealthServer::new(service));
    let server = Server::start_with(Settings::default(), routes, drain).await;
    let client = HealthClient::new(server.channel().await);
    let health = Health {
        roster,
        member,
        keeping,
    };
    (health, server, client)
}

/// Records the result of a call to the backend of this member.
fn went(member: &Member, serving: Serving) {
    let result = match serving {
        Serving::NotAsked => return,
        Serving::Yes => Ok(()),
        Serving::No => Err(Error::new(
            ErrorKind::Unavailable,
            ErrorReason::UpstreamUnreachable,
            "it is switched off",
        )),
    };
    let _ = member.poller().backend().record_result(result);
}

#[tokio::test]
async fn health_is_told_of_the_server_its_services_each_backend_and_the_store() {
    let (health, _server, mut client) = health().await;
    for (given, expected) in [
        (Serving::NotAsked, ServingStatus::Unknown),
        (Serving::No, ServingStatus::NotServing),
        (Serving::Yes, ServingStatus::Serving),
    ] {
        health.keeping.send_replace(given);
        went(&health.member, given);
        for (service, expected) in [
            ("", ServingStatus::Serving),
            ("isthmus.v1.BackendService", ServingStatus::Serving),
            ("backends/a", expected),
            ("store", expected),
        ] {
            let answer = client.check(asked(service)).await.unwrap().into_inner();
            assert_eq!(answer.status(), expected, "{service} {given:?}");
        }
    }
    let status = client.check(asked("backends/b")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn the_health_of_a_backend_is_known_for_as_long_as_it_is_there() {
    let (health, _server, mut client) = health().await;
    let mut streams = Vec::new();
    for name in ["backends/a", "backends/b"] {
        let stream = client.watch(asked(name)).await.unwrap();
        streams.push(stream.into_inner());
    }
    let [a, b] = &mut streams[..] else {
        unreachable!("there are two");
    };
    let next = async |stream: &mut Streaming<HealthCheckResponse>| {
        let told = soon(stream.message()).await;
        told.unwrap().unwrap().status()
    };
    assert_eq!(next(a).await, ServingStatus::Unknown);
    assert_eq!(next(b).await, ServingStatus::ServiceUnknown);

    let other = Member::idle("b", Cloud::new());
    went(&other, Serving::Yes);
    let there = Roster::default().with(&[], &[Arc::clone(&other)]);
    health.roster.send_replace(Arc::new(there));
    assert_eq!(next(a).await, ServingStatus::ServiceUnknown);
    assert_eq!(next(b).await, ServingStatus::Serving);
    let gone = client.check(asked("backends/a")).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);

    went(&other, Serving::No);
    assert_eq!(next(b).await, ServingStatus::NotServing);
    let back = Member::idle("a", Cloud::new());
    went(&back, Serving::Yes);
    let there = Roster::default().with(&[], &[other, back]);
    health.roster.send_replace(Arc::new(there));
    assert_eq!(next(a).await, ServingStatus::Serving);
}

#[tokio::test]
async fn a_health_watch_tells_of_changes_and_does_not_hold_up_the_end() {
    let (health, server, mut client) = health().await;
    let mut backend = client
        .watch(asked("backends/a"))
        .await
        .unwrap()
        .into_inner();
    let mut unknown = client.watch(asked("nobody")).await.unwrap().into_inner();
    assert_eq!(
        soon(unknown.message()).await.unwrap().unwrap().status(),
        ServingStatus::ServiceUnknown
    );
    assert_eq!(
        soon(backend.message()).await.unwrap().unwrap().status(),
        ServingStatus::Unknown
    );
    for (given, expected) in [
        (Serving::Yes, ServingStatus::Serving),
        (Serving::No, ServingStatus::NotServing),
        (Serving::Yes, ServingStatus::Serving),
    ] {
        went(&health.member, given);
        let told = soon(backend.message()).await.unwrap().unwrap();
        assert_eq!(told.status(), expected);
    }

    let stopping = tokio::spawn(server.stop());
    let last = soon(backend.message()).await.unwrap().unwrap();
    assert_eq!(last.status(), ServingStatus::NotServing);
    for stream in [&mut backend, &mut unknown] {
        let status = soon(stream.message()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn others_can_reach_the_server_only_if_the_settings_say_so() {
    let everywhere = Settings {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..Settings::default()
    };
    let refused = everywhere.bind().await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("allow_non_loopback"));

    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let drain = CancellationToken::new();
    let served = crate::server::serve(
        listener,
        Routes::default(),
        everywhere.clone(),
        drain,
        async { 0 },
    );
    assert_eq!(
        served.await.unwrap_err().kind(),
        io::ErrorKind::PermissionDenied
    );

    let allowed = Settings {
        allow_non_loopback: true,
        ..everywhere
    };
    assert!(allowed.bind().await.is_ok());
    for loopback in [
        "127.0.0.1:0",
        "127.8.8.8:0",
        "[::ffff:127.0.0.1]:0",
        "[::1]:0",
    ] {
        assert!(
            Settings::default().check(loopback.parse().unwrap()).is_ok(),
            "{loopback}"
        );
    }
}
