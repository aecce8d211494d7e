//! gRPC in, the cloud's own HTTP out: a real client, the real server, simulated clouds on real sockets.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use http::{Method, StatusCode};
use isthmus::{
    grpc::pb::{self, Goal, RealizationState as State},
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{ForcedState, Kind, NsxOptions, NsxSimulator, inventory},
        openstack::{OpenstackOptions, OpenstackSimulator},
    },
};
use std::time::Duration;
use support::{
    clouds::{self, PSK, References},
    running::{Running, Watching, id_of, reason},
};
use tonic::{Code, Request};
use tonic_types::StatusExt;

struct Nsx {
    cloud: NsxSimulator,
    running: Running,
}

async fn nsx() -> Nsx {
    let cloud = NsxSimulator::start(NsxOptions::default()).unwrap();
    let running = Running::start(vec![clouds::nsx("nsx-a", &cloud)]).await;
    Nsx { cloud, running }
}

impl Nsx {
    async fn create(&self) -> (String, String) {
        let (connection, token) = self
            .running
            .create("nsx-a", clouds::nsx_connection("nsx-a"))
            .await
            .unwrap();
        (connection.name, token)
    }

    async fn watch_new(&self) -> (String, Watching) {
        let (name, token) = self.create().await;
        let watch = self
            .running
            .watch(&name, Goal::Config, &token)
            .await
            .unwrap();
        (id_of(&name), watch)
    }
}

#[tokio::test]
async fn a_fresh_nsx_session_shows_its_nodes_and_ends_realized() {
    let nsx = nsx().await;
    let (id, mut watch) = nsx.watch_new().await;
    nsx.cloud.state().advance(&id);
    let progress = watch.until(State::InProgress).await;
    assert_eq!(progress.nodes.len(), 2);
    assert_eq!(progress.intent(), pb::Intent::Enabled);
    assert!(!progress.upstream_request_ids.is_empty());
    nsx.cloud.state().finish(&id);
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance()),
        (State::Realized, pb::Assurance::ControlPlane)
    );
    assert_eq!(last.native_state, "in_sync");
    assert!(last.nodes.iter().all(|node| node.native_state == "in_sync"));
    assert!(last.observe_time.is_some());
}

/// Writes to an object as anybody else with an account would, past the gateway: the id of the request.
async fn write_elsewhere(cloud: &NsxSimulator, kind: Kind, id: &str) -> String {
    let options = NsxOptions::default();
    let collection = format!("{}/api/v1/vpn/ipsec/{}", cloud.urls()[0], kind.collection());
    let url = format!("{collection}/{id}");
    let client = reqwest::Client::new();
    let ask = |request: reqwest::RequestBuilder| {
        request
            .basic_auth(&options.username, Some(&options.password))
            .send()
    };
    let read = ask(client.get(&url)).await.unwrap();
    let mut object: serde_json::Value = read.json().await.unwrap();
    object["description"] = "changed elsewhere".into();
    if kind == Kind::PeerEndpoint {
        object["psk"] = PSK.into();
    }
    let written = ask(client.put(&url).json(&object)).await.unwrap();
    let (status, headers) = (written.status(), written.headers().clone());
    assert_eq!(status, 200, "{kind:?}: {}", written.text().await.unwrap());
    headers["x-nsx-requestid"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_somebody_else_wrote_to_nsx_is_watched_by_its_request_id() {
    let nsx = nsx().await;
    let (name, token) = nsx.create().await;
    nsx.cloud.state().finish(&id_of(&name));
    let created = nsx.running.watch(&name, Goal::Config, &token).await;
    created.unwrap().end().await;
    let state = nsx.cloud.state();
    let default = inventory::DEFAULT_IKE_PROFILE_ID;
    let mut profile = state.object(Kind::IkeProfile, default).unwrap();
    profile["id"] = "6c9a3f0e-6d9e-4d8b-9c54-0c1e6a8f5d11".into();
    profile["_system_owned"] = false.into();
    let profile = state.plant(Kind::IkeProfile, profile);
    let session = state.object(Kind::Session, &id_of(&name)).unwrap();
    let referred = |field: &str| session[field].as_str().unwrap().to_owned();
    let refers = serde_json::json!({ "ike_profile_id": profile });
    state.alter(Kind::PeerEndpoint, &referred("peer_endpoint_id"), refers);
    for (kind, object) in [
        (Kind::Session, id_of(&name)),
        (Kind::PeerEndpoint, referred("peer_endpoint_id")),
        (Kind::LocalEndpoint, referred("local_endpoint_id")),
        (Kind::Service, referred("ipsec_vpn_service_id")),
        (Kind::IkeProfile, profile),
    ] {
        let request_id = write_elsewhere(&nsx.cloud, kind, &object).await;
        let request = pb::WatchRealizationRequest {
            name: name.clone(),
            upstream_request_ids: vec![request_id.clone()],
            ..Default::default()
        };
        let mut client = nsx.running.realizations();
        let mut stream = client
            .watch_realization(request)
            .await
            .unwrap()
            .into_inner();
        nsx.cloud.state().advance(&id_of(&name));
        let seen = client
            .get_realization(pb::GetRealizationRequest {
                name: name.clone(),
                upstream_request_ids: vec![request_id.clone()],
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
            .realization
            .unwrap();
        assert_eq!(seen.state(), State::InProgress, "{kind:?}");
        assert_eq!(seen.upstream_request_ids, [request_id], "{kind:?}");
        nsx.cloud.state().finish(&id_of(&name));
        let mut outcome = None;
        while let Some(message) = stream.message().await.unwrap() {
            outcome = message.outcome.or(outcome);
        }
        let outcome = outcome.expect("the watch ends by itself");
        assert_eq!(outcome.result(), pb::outcome::Result::Succeeded, "{kind:?}");
    }
}

#[tokio::test]
async fn ids_of_writes_are_refused_by_name_where_the_cloud_has_none() {
    let cloud = OpenstackSimulator::start(OpenstackOptions::default()).unwrap();
    let running = Running::start(vec![clouds::openstack("os-a", &cloud)]).await;
    let wanted = References::of(&cloud).connection("os-a");
    let (connection, _) = running.create("os-a", wanted).await.unwrap();
    let mut client = running.realizations();
    let request = pb::WatchRealizationRequest {
        name: connection.name.clone(),
        upstream_request_ids: vec!["theirs".into()],
        ..Default::default()
    };
    let refused = client.watch_realization(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "NOT_EXPRESSIBLE");
    assert!(
        refused.message().contains("upstream_request_ids"),
        "{refused}"
    );

    let malformed = pb::WaitRealizationRequest {
        name: connection.name,
        upstream_request_ids: vec![String::new(); 5],
        ..Default::default()
    };
    let refused = client.wait_realization(malformed).await.unwrap_err();
    let bad = refused.get_details_bad_request().unwrap();
    let fields: Vec<_> = bad
        .field_violations
        .iter()
        .map(|it| &it.field[..])
        .collect();
    assert_eq!(fields, ["upstream_request_ids", "goal"]);
}

#[tokio::test]
async fn an_openstack_connection_comes_up_and_goes() {
    let cloud = OpenstackSimulator::start(OpenstackOptions::default()).unwrap();
    let running = Running::start(vec![clouds::openstack("os-a", &cloud)]).await;
    let wanted = References::of(&cloud).connection("os-a");
    let (connection, token) = running.create("os-a", wanted).await.unwrap();
    assert_eq!(connection.description, "");
    let name = connection.name;
    let id = id_of(&name);
    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    watch.until(State::Pending).await;
    cloud.state().agent_reports(&id, "DOWN");
    let down = watch.until(State::Down).await;
    assert_eq!(down.assurance(), pb::Assurance::ControlPlane);
    cloud.state().agent_reports(&id, "ACTIVE");
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert_eq!(states.last().unwrap().assurance(), pb::Assurance::TunnelUp);

    let token = running.delete(&name).await.unwrap();
    let (states, outcome) = running
        .watch(&name, Goal::Unspecified, &token)
        .await
        .unwrap()
        .end()
        .await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance()),
        (State::Deleted, pb::Assurance::IntentStored)
    );
}

#[tokio::test]
async fn an_update_of_neutron_is_assumed_after_a_quiet_time() {
    let cloud = OpenstackSimulator::start(OpenstackOptions::default()).unwrap();
    let running = Running::start(vec![clouds::openstack("os-a", &cloud)]).await;
    let wanted = References::of(&cloud).connection("os-a");
    let (connection, _) = running.create("os-a", wanted).await.unwrap();
    let id = id_of(&connection.name);
    cloud.state().agent_reports(&id, "DOWN");
    cloud.state().agent_reports(&id, "ACTIVE");
    let change = pb::UpdateConnectionRequest {
        connection: Some(pb::Connection {
            name: connection.name.clone(),
            mtu: Some(1400),
            ..pb::Connection::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["mtu".into()],
        }),
        validate_only: false,
        ..Default::default()
    };
    let answer = running
        .connections()
        .update_connection(change)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.connection.unwrap().mtu, Some(1400));
    let watch = running
        .watch(&connection.name, Goal::Config, &answer.write_token)
        .await
        .unwrap();
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert_eq!(outcome.reason.unwrap().code, "ASSUMED_AFTER_QUIET_TIME");
    assert!(
        states[..states.len() - 1]
            .iter()
            .all(|realization| realization.state() == State::Accepted)
    );
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance()),
        (State::Active, pb::Assurance::IntentStored)
    );
}

#[tokio::test]
async fn a_failure_of_the_cloud_is_an_outcome_and_the_stream_ends_with_ok() {
    let nsx = nsx().await;
    let (id, watch) = nsx.watch_new().await;
    let failing = ForcedState::whole("error").failing(42, "no room on the node");
    nsx.cloud.state().force_state(&id, Some(failing));
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Failed);
    assert!(
        outcome
            .reason
            .unwrap()
            .message
            .contains("no room on the node")
    );
    let failed: Vec<_> = states
        .iter()
        .filter(|seen| seen.state() == State::Failed)
        .collect();
    assert!(
        failed.len() >= 2,
        "shown at once, an outcome after a second look: {states:?}"
    );
}

#[tokio::test]
async fn two_hundred_watchers_cost_the_cloud_no_more_than_one() {
    let nsx = nsx().await;
    let (name, token) = nsx.create().await;
    let quiet = || async {
        nsx.cloud.requests().clear();
        // Long enough for a good many polls at the pace of these tests.
        tokio::time::sleep(Duration::from_millis(600)).await;
        nsx.cloud.requests().total()
    };
    let mut watches = vec![
        nsx.running
            .watch(&name, Goal::Config, &token)
            .await
            .unwrap(),
    ];
    let one = quiet().await;
    let others = (1..200).map(|index| {
        let token = if index % 2 == 0 { token.as_str() } else { "" };
        nsx.running.watch(&name, Goal::Config, token)
    });
    for watch in futures_util::future::join_all(others).await {
        watches.push(watch.unwrap());
    }
    let many = quiet().await;
    assert!(one >= 10, "{one} requests for one watcher");
    assert!(
        many <= one + one / 3,
        "{many} requests for 200 watchers, {one} for one"
    );
    nsx.cloud.state().finish(&id_of(&name));
    for watch in watches {
        let (_, outcome) = watch.end().await;
        assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    }
}

#[tokio::test]
async fn a_cloud_that_goes_away_is_no_outcome_and_coming_back_continues_the_watch() {
    let nsx = nsx().await;
    let (id, mut watch) = nsx.watch_new().await;
    nsx.cloud.state().advance(&id);
    watch.until(State::InProgress).await;
    nsx.cloud.stop().await.unwrap();
    let silence = tokio::time::timeout(Duration::from_secs(1), watch.next()).await;
    assert!(silence.is_err(), "an outage says nothing: {silence:?}");
    nsx.cloud.state().finish(&id);
    nsx.cloud.restart().await.unwrap();
    let (_, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
}

#[tokio::test]
async fn an_expired_login_is_renewed_under_a_watch() {
    let nsx = nsx().await;
    let (id, mut watch) = nsx.watch_new().await;
    nsx.cloud.state().advance(&id);
    watch.until(State::InProgress).await;
    let logins = nsx.cloud.state().logins();
    nsx.cloud.state().expire_sessions();
    nsx.cloud.state().finish(&id);
    let (states, _) = watch.end().await;
    assert!(
        states
            .iter()
            .all(|realization| realization.state() != State::Unknown)
    );
    assert_eq!(nsx.cloud.state().logins(), logins + 1);
}

#[tokio::test]
async fn a_watch_ends_by_its_deadline_with_that_code() {
    let nsx = nsx().await;
    let (name, _) = nsx.create().await;
    let mut request = Request::new(pb::WatchRealizationRequest {
        name,
        ..Default::default()
    });
    request.set_timeout(Duration::from_millis(300));
    let mut stream = nsx
        .running
        .realizations()
        .watch_realization(request)
        .await
        .unwrap()
        .into_inner();
    let ended = loop {
        match stream.message().await {
            Ok(message) => assert!(message.expect("no end without a reason").outcome.is_none()),
            Err(status) => break status,
        }
    };
    // tonic's own client gives up at the same time, and then calls it CANCELLED.
    assert!(
        matches!(ended.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_draining_gateway_ends_its_watches_with_a_reason() {
    let mut nsx = nsx().await;
    let (_, mut watch) = nsx.watch_new().await;
    watch.next().await.unwrap();
    nsx.running.drain().await;
    let ended = loop {
        match watch.next().await {
            Ok(message) => assert!(message.expect("no end without a reason").outcome.is_none()),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (ended.code(), reason(&ended).as_str()),
        (Code::Unavailable, "DRAINING")
    );
    assert!(ended.get_details_retry_info().is_some());
}

#[tokio::test]
async fn what_cannot_be_expressed_is_refused_by_field_before_anything_is_sent() {
    let nsx = nsx().await;
    let wrong = pb::Connection {
        mtu: Some(1400),
        // It becomes a profile, whose range is told by what was written.
        dpd: Some(pb::DeadPeerDetection {
            interval: Some(prost_types::Duration {
                seconds: 2,
                nanos: 0,
            }),
            ..pb::DeadPeerDetection::default()
        }),
        ..clouds::nsx_connection("nsx-a")
    };
    nsx.cloud.requests().clear();
    let status = nsx.running.create("nsx-a", wrong).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "NOT_EXPRESSIBLE")
    );
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<&str> = violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(fields, ["connection.mtu", "connection.dpd.interval"]);
    assert_eq!(nsx.cloud.requests().count(&Method::POST, "/api/v1"), 0);
}

#[tokio::test]
async fn malformed_values_are_all_named_at_once() {
    let nsx = nsx().await;
    let rule = pb::PolicyRule {
        sources: vec!["2.1.4..0/24".into()],
        ..pb::PolicyRule::default()
    };
    let wrong = pb::Connection {
        local_endpoint: "backends/other/localEndpoints/x".into(),
        initiation: 99,
        selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
            rules: vec![rule],
            ..pb::PolicyBased::default()
        })),
        ..clouds::nsx_connection("nsx-a")
    };
    let status = nsx.running.create("nsx-a", wrong).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "INVALID_FIELD")
    );
    assert_eq!(
        status
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .len(),
        3
    );
}

#[tokio::test]
async fn what_a_failed_create_left_behind_is_named() {
    let nsx = nsx().await;
    let refuse = Answer::json(
        StatusCode::BAD_REQUEST,
        &serde_json::json!({"httpStatus": "BAD_REQUEST", "error_code": 255, "error_message": "no"}),
    );
    nsx.cloud
        .faults()
        .inject(Rule::on(Method::POST, "/sessions$", Fault::Answer(refuse)));
    let stuck = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    nsx.cloud.faults().inject(Rule::on(
        Method::DELETE,
        "/peer-endpoints/",
        Fault::Answer(stuck),
    ));
    let status = nsx
        .running
        .create("nsx-a", clouds::nsx_connection("nsx-a"))
        .await
        .unwrap_err();
    let left = nsx.cloud.state().objects(Kind::PeerEndpoint);
    assert_eq!(left.len(), 1);
    let named = status
        .get_details_resource_info()
        .expect("what was left behind");
    let id = left[0]["id"].as_str().unwrap();
    let name = format!("backends/nsx-a/peerEndpoints/{id}");
    assert_eq!(named.resource_name, name);
}

#[tokio::test]
async fn another_backend_notices_nothing_of_one_that_is_down() {
    let down = NsxSimulator::start(NsxOptions::default()).unwrap();
    let up = NsxSimulator::start(NsxOptions::default()).unwrap();
    let backends = vec![clouds::nsx("nsx-a", &down), clouds::nsx("nsx-b", &up)];
    let running = Running::start(backends).await;
    running
        .create("nsx-b", clouds::nsx_connection("nsx-b"))
        .await
        .unwrap();
    down.stop().await.unwrap();
    let request = pb::ListConnectionsRequest {
        parent: "backends/-".into(),
        ..pb::ListConnectionsRequest::default()
    };
    let listed = running
        .connections()
        .list_connections(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (listed.connections.len(), listed.unreachable),
        (1, vec!["backends/nsx-a".to_owned()])
    );
    let status = running
        .create("nsx-a", clouds::nsx_connection("nsx-a"))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "UPSTREAM_UNREACHABLE")
    );

    let request = pb::WatchRealizationsRequest {
        parent: "backends/-".into(),
        ..Default::default()
    };
    let mut stream = running
        .realizations()
        .watch_realizations(request)
        .await
        .unwrap()
        .into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert!(first.synced);
    assert_eq!(first.unreachable, ["backends/nsx-a"]);
    assert_eq!(first.events.len(), 1);
}

#[tokio::test]
async fn no_answer_has_the_key_though_the_cloud_tells_it() {
    let cloud = OpenstackSimulator::start(OpenstackOptions::default()).unwrap();
    let running = Running::start(vec![clouds::openstack("os-a", &cloud)]).await;
    let wanted = References::of(&cloud).connection("os-a");
    let (connection, _) = running.create("os-a", wanted).await.unwrap();
    assert!(!format!("{connection:?}").contains(PSK));
    let request = pb::GetConnectionRequest {
        name: connection.name,
    };
    let read = running
        .connections()
        .get_connection(request)
        .await
        .unwrap()
        .into_inner();
    let read = read.connection.unwrap();
    let peer = read.peer.clone().unwrap();
    assert!(peer.psk_set && peer.authentication.is_none());
    let mut bytes = Vec::new();
    prost::Message::encode(&read, &mut bytes).unwrap();
    assert!(
        !bytes
            .windows(PSK.len())
            .any(|window| window == PSK.as_bytes())
    );
}
