//! Canaries: secrets that must be found nowhere. Every log line of every level, every error, every answer,
//! every debug print and the store of a busy, failing gateway is searched for them.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use http::{Method, StatusCode};
use isthmus::{
    core::settings::BackendSettings,
    grpc::pb::{self, Goal},
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{NsxOptions, NsxSimulator},
        openstack::{OpenstackOptions, OpenstackSimulator},
    },
};
use std::{
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{
    clouds::{self, PSK, References},
    running::Running,
};
use tonic::Status;
use tracing_subscriber::{
    filter::Targets,
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// A second key, for updates.
const NEW_PSK: &str = "canary-psk-b7aa";

/// Everything that was logged.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Logs;

    fn make_writer(&self) -> Logs {
        self.clone()
    }
}

/// Everything that came out, as text.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    fn note(&mut self, what: &impl Debug) {
        self.0.push(format!("{what:?}"));
    }

    fn note_result<T: Debug>(&mut self, result: &Result<T, Status>) {
        self.note(result);
        if let Err(status) = result {
            // Details are bytes; as text they show what a client can decode from them.
            self.0
                .push(String::from_utf8_lossy(status.details()).into_owned());
            self.0.push(status.message().to_owned());
        }
    }
}

/// A refusal that quotes a key: by its name, as a cloud may quote any object, and bare, as one may quote
/// what it was just sent.
fn quoting_refusal(status: StatusCode, bare: &str) -> Answer {
    let words = format!("bad request: {{\"psk\": \"{PSK}\"}}, psk='{NEW_PSK}' {bare}");
    Answer::json(
        status,
        &serde_json::json!({
            "httpStatus": "BAD_REQUEST", "error_code": 255, "module_name": "VPN", "error_message": words,
            "NeutronError": {"type": "HTTPBadRequest", "message": words, "detail": ""},
        }),
    )
}

async fn use_everything(running: &Running, backend: &str, wanted: pb::Connection, seen: &mut Seen) {
    let created = running.create(backend, wanted.clone()).await;
    seen.note_result(&created);
    let (connection, token) = created.unwrap();
    let name = connection.name.clone();
    let watched = running
        .watch(&name, Goal::Config, &token)
        .await
        .unwrap()
        .next()
        .await;
    seen.note_result(&watched);
    let request = pb::GetConnectionRequest { name: name.clone() };
    seen.note_result(&running.connections().get_connection(request).await);
    let request = pb::ListConnectionsRequest {
        parent: format!("backends/{backend}"),
        ..pb::ListConnectionsRequest::default()
    };
    seen.note_result(&running.connections().list_connections(request).await);
    let request = pb::UpdateConnectionRequest {
        connection: Some(pb::Connection {
            name: name.clone(),
            peer: Some(pb::Peer {
                authentication: Some(pb::peer::Authentication::Psk(NEW_PSK.into())),
                ..pb::Peer::default()
            }),
            ..pb::Connection::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["peer.psk".into()],
        }),
        validate_only: false,
    };
    seen.note_result(&running.connections().update_connection(request).await);
    seen.note_result(&running.delete(&name).await);
    // A key that no cloud takes, so that the refusal is about the key.
    let mut bad = wanted;
    let peer = bad.peer.as_mut().unwrap();
    peer.authentication = Some(pb::peer::Authentication::Psk(format!(
        "{PSK}{}",
        "x".repeat(4000)
    )));
    seen.note_result(&running.create(backend, bad).await);
}

async fn fail_everything(
    running: &Running,
    backend: &str,
    wanted: &pb::Connection,
    seen: &mut Seen,
) {
    seen.note_result(&running.create(backend, wanted.clone()).await);
    let request = pb::ListConnectionsRequest {
        parent: format!("backends/{backend}"),
        ..pb::ListConnectionsRequest::default()
    };
    seen.note_result(&running.connections().list_connections(request).await);
    seen.note_result(
        &running
            .backends()
            .list_backends(pb::ListBackendsRequest {})
            .await,
    );
}

fn secrets_of(settings: &BackendSettings) -> Vec<String> {
    use secrecy::ExposeSecret;
    settings
        .auth
        .password
        .iter()
        .map(|password| password.expose_secret().to_owned())
        .collect()
}

#[tokio::test]
async fn no_secret_is_ever_told() {
    let logs = Logs::default();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(logs.clone())
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false);
    // Libraries below TLS log the bytes they move at `trace`; nobody runs those so in earnest.
    let filter: Targets = "trace,h2=debug,hyper=debug,hyper_util=debug"
        .parse()
        .unwrap();
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
    let nsx = NsxSimulator::start(NsxOptions::default()).unwrap();
    let openstack = OpenstackSimulator::start(OpenstackOptions::default()).unwrap();
    let settings = vec![
        clouds::nsx("nsx-a", &nsx),
        clouds::openstack("os-a", &openstack),
    ];
    let mut canaries: Vec<String> = settings.iter().flat_map(secrets_of).collect();
    canaries.extend([PSK.to_owned(), NEW_PSK.to_owned()]);
    let mut seen = Seen::default();
    seen.note(&settings);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.redb");
    let mut running = Running::start_with_store(settings, &file).await;
    seen.note(&running.gateway);

    use_everything(
        &running,
        "nsx-a",
        clouds::nsx_connection("nsx-a"),
        &mut seen,
    )
    .await;
    use_everything(
        &running,
        "os-a",
        References::of(&openstack).connection("os-a"),
        &mut seen,
    )
    .await;

    for status in [
        StatusCode::BAD_REQUEST,
        StatusCode::CONFLICT,
        StatusCode::INTERNAL_SERVER_ERROR,
    ] {
        for faults in [nsx.faults(), openstack.faults()] {
            let to_post = quoting_refusal(status, &format!("and also {PSK}"));
            faults.inject(Rule::on(Method::POST, "vpn", Fault::Answer(to_post)));
            let to_get = quoting_refusal(status, "");
            faults.inject(Rule::on(Method::GET, "vpn", Fault::Answer(to_get)));
        }
        fail_everything(
            &running,
            "nsx-a",
            &clouds::nsx_connection("nsx-a"),
            &mut seen,
        )
        .await;
        let wanted = References::of(&openstack).connection("os-a");
        fail_everything(&running, "os-a", &wanted, &mut seen).await;
        nsx.faults().clear();
        openstack.faults().clear();
    }
    // Logins that are refused name the user, never the password.
    nsx.state().set_password("admin", "another");
    nsx.state().expire_sessions();
    openstack.state().expire_all_tokens();
    fail_everything(
        &running,
        "nsx-a",
        &clouds::nsx_connection("nsx-a"),
        &mut seen,
    )
    .await;
    let wanted = References::of(&openstack).connection("os-a");
    fail_everything(&running, "os-a", &wanted, &mut seen).await;

    running.drain().await;
    running.gateway.shut_down(Duration::from_secs(10)).await;
    let stored = std::fs::read(&file).unwrap();
    let stored = String::from_utf8_lossy(&stored).into_owned();
    assert!(
        stored.contains("backends/nsx-a/connections/"),
        "the log was kept"
    );
    let logged = String::from_utf8_lossy(&logs.0.lock().unwrap()).into_owned();
    assert!(
        logged.contains("the cloud accepted a write"),
        "the gateway's own lines are there"
    );
    for canary in &canaries {
        let line = logged.lines().find(|line| line.contains(canary.as_str()));
        assert_eq!(line, None, "`{canary}` was logged");
        let told = seen.0.iter().find(|text| text.contains(canary.as_str()));
        assert_eq!(told, None, "`{canary}` was told");
        assert!(!stored.contains(canary), "`{canary}` was kept");
    }
    for header in ["JSESSIONID=", "gAAAA"] {
        let line = logged.lines().find(|line| line.contains(header));
        assert_eq!(line, None, "a session was logged");
    }
}
