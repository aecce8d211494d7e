//! Canaries: secrets that must be found nowhere. Every log line of every level, every error, every answer,
//! every debug print and the store of a busy, failing gateway is searched for them.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "../support/mod.rs"]
mod support;
mod writes;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use isthmus::{
    dialects::settings::Given,
    grpc::pb::{self, Goal},
    model::ResourceKind,
    rest::redact::WITHHELD,
    simulator::{
        faults::{Answer, Fault, Faults, Rule},
        nsx::{NsxOptions, NsxSimulator},
        openstack::OpenstackSimulator,
    },
};
use std::{
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{
    api::{Api, words},
    cloud::{self, Cloud},
    clouds::PSK,
    running::Running,
};
use tonic::{Request, Status};
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

/// What a cloud may make of a secret that it gives back, whole or in part: nobody needs more than a decoder to read it.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let each = |form: &dyn Fn(&u8) -> String, between: &str| -> String {
        let all: Vec<String> = bytes.iter().map(form).collect();
        all.join(between)
    };
    let mut forms = vec![
        secret[..8].to_owned(),
        secret[secret.len() - 6..].to_owned(),
        each(&|byte| format!("%{byte:02X}"), ""),
        each(&|byte| format!("{byte:02x}"), ""),
        each(&|byte| format!("{byte:02X}"), ":"),
        each(&|byte| format!("0x{byte:02x}"), ", "),
        each(&|byte| format!("\\u{byte:04x}"), ""),
        each(&|byte| format!("\\x{byte:02x}"), ""),
        BASE64_STANDARD_NO_PAD.encode(&secret[3..9]),
    ];
    for before in ["", "a", "b:"] {
        let more = format!("{before}{secret}\u{ff}\u{fe}");
        forms.push(BASE64_STANDARD.encode(&more));
        forms.push(BASE64_URL_SAFE_NO_PAD.encode(&more));
    }
    forms
}

/// Lets every kind of write be refused in words that quote its key, in every form and in every kind of answer. The
/// outcome of each is known at once, or the quotation is lost in a write in doubt.
async fn quote_everything(
    running: &Running,
    backend: &str,
    faults: &Faults,
    wanted: &pb::Connection,
    seen: &mut Seen,
) {
    let created = running.create(backend, wanted.clone()).await;
    let (connection, _) = created.expect("the cloud is well");
    let paths = vec!["peer.psk".to_owned()];
    let keyed = pb::Connection {
        name: connection.name,
        peer: wanted.peer.clone(),
        ..pb::Connection::default()
    };
    let apply = pb::ApplyConnectionRequest {
        parent: format!("backends/{backend}"),
        connection: Some(keyed.clone()),
        write_key: true,
        ..Default::default()
    };
    let update = pb::UpdateConnectionRequest {
        connection: Some(keyed),
        update_mask: Some(prost_types::FieldMask { paths }),
        validate_only: false,
        ..Default::default()
    };
    let statuses = [
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
        StatusCode::UNPROCESSABLE_ENTITY,
        StatusCode::INTERNAL_SERVER_ERROR,
    ];
    for (form, status) in forms(PSK).iter().zip(statuses.into_iter().cycle()) {
        let plain = Answer::text(status, "text/plain", format!("what is {form}?"));
        let answers = [quoting_refusal(status, form), plain];
        // Whether a write happened that something else than the cloud refuses with 500 would be looked for.
        let known = 1 + usize::from(status.is_client_error());
        for answer in &answers[..known] {
            for method in [Method::POST, Method::PUT] {
                faults.inject(Rule::on(method, "vpn", Fault::Answer(answer.clone())));
            }
            let created = running.create(backend, wanted.clone()).await;
            let update = update.clone();
            let updated = running.connections().update_connection(update).await;
            assert!(created.is_err() && updated.is_err(), "{status}: {form}");
            let applied = running.connections().apply_connection(apply.clone()).await;
            assert!(applied.is_err(), "{status}: {form}");
            seen.note_result(&created);
            seen.note_result(&updated);
            seen.note_result(&applied);
            faults.clear();
        }
    }
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
        ..Default::default()
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

/// `patience`: how long a caller waits for what cannot be found out about.
async fn fail_everything(
    running: &Running,
    backend: &str,
    wanted: &pb::Connection,
    patience: Duration,
    seen: &mut Seen,
) {
    let mut create = Request::new(pb::CreateConnectionRequest {
        parent: format!("backends/{backend}"),
        connection: Some(wanted.clone()),
        ..Default::default()
    });
    create.set_timeout(patience);
    seen.note_result(&running.connections().create_connection(create).await);
    let mut apply = Request::new(pb::ApplyConnectionRequest {
        parent: format!("backends/{backend}"),
        connection: Some(pb::Connection {
            display_name: "not there yet".to_owned(),
            ..wanted.clone()
        }),
        ..Default::default()
    });
    apply.set_timeout(patience);
    seen.note_result(&running.connections().apply_connection(apply).await);
    let request = pb::ListConnectionsRequest {
        parent: format!("backends/{backend}"),
        ..pb::ListConnectionsRequest::default()
    };
    seen.note_result(&running.connections().list_connections(request).await);
    seen.note_result(
        &running
            .backends()
            .list_backends(pb::ListBackendsRequest::default())
            .await,
    );
}

/// Lets both clouds show objects with keys in them, under names that no document has.
async fn show_everything(
    running: &Running,
    nsx: &NsxSimulator,
    openstack: &OpenstackSimulator,
    seen: &mut Seen,
) {
    let keys = serde_json::json!({
        "preSharedKey": PSK, "ike": [{"shared_secret": {"clear": PSK}}],
        "options": [{"key": "psk", "value": PSK}, {"name": "passphrase", "value": [PSK]}],
    });
    let shown = |object: serde_json::Value| {
        let mut object = object;
        let fields = object.as_object_mut().unwrap();
        fields.extend(keys.as_object().unwrap().clone());
        object
    };
    let session = shown(serde_json::json!({
        "id": "shown", "display_name": "x", "resource_type": "PolicyBasedIPSecVPNSession", "peer_endpoint_id": "shown",
        "policy_rules": [shown(serde_json::json!({"id": "1"}))],
    }));
    let row = shown(serde_json::json!({"id": "shown", "name": "x", "project_id": "p"}));
    let row = serde_json::json!({ "ipsec_site_connection": row });
    for (backend, faults, object) in [
        ("nsx-a", nsx.faults(), session),
        ("os-a", openstack.faults(), row),
    ] {
        let answer = Answer::json(StatusCode::OK, &object);
        faults.inject(Rule::on(Method::GET, "/shown$", Fault::Answer(answer)));
        let name = format!("backends/{backend}/connections/shown");
        let request = pb::GetConnectionRequest { name };
        let answer = running.connections().get_connection(request).await;
        assert!(format!("{answer:?}").contains("options"), "{answer:?}");
        seen.note_result(&answer);
        faults.clear();
    }
}

/// The same of resources beside connections, which hold no keys; and what becomes of them where a cloud quotes one.
async fn try_resources(
    running: &Running,
    backend: &str,
    kinds: &[ResourceKind],
    cloud: &dyn Cloud,
    seen: &mut Seen,
) {
    let api = Api::new(running.channel.clone());
    for kind in kinds {
        let object = serde_json::json!({
            "id": "shown", "name": "x", "display_name": "x", "psk": PSK, "admin_password": PSK,
            "options": [{"key": "psk", "value": PSK}],
        });
        // NSX answers objects as they are, Neutron each under the name of its kind.
        let name = words(*kind)
            .field
            .replace("_policy", "policy")
            .replace("_service", "service");
        let mut answer = object.clone();
        answer[name] = object;
        let answer = Answer::json(StatusCode::OK, &answer);
        cloud
            .faults()
            .inject(Rule::on(Method::GET, "/shown$", Fault::Answer(answer)));
        let name = format!("backends/{backend}/{}/shown", kind.collection().segment());
        let read = api.get(*kind, &name).await;
        assert!(format!("{read:?}").contains("options"), "{read:?}");
        seen.note_result(&read);

        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let refusal = Fault::Answer(quoting_refusal(StatusCode::BAD_REQUEST, ""));
            cloud.faults().inject(Rule::on(method, "vpn", refusal));
        }
        let body = match kind {
            ResourceKind::VpnService => serde_json::json!({
                "router": "d3300000-0000-4000-8000-000000000010",
            }),
            _ => serde_json::json!({ "display_name": "x" }),
        };
        let renamed = serde_json::json!({ "name": name, "display_name": "y" });
        for refused in [
            api.create(*kind, backend, &body, false).await,
            api.update(*kind, &renamed, None, false).await,
            api.delete(*kind, &name, &serde_json::json!({})).await,
        ] {
            assert!(refused.is_err(), "{refused:?}");
            seen.note_result(&refused);
        }
        cloud.faults().clear();
    }
}

fn secrets_of(settings: &Given) -> Vec<String> {
    let password = settings.keys.get("auth.password");
    password.into_iter().map(str::to_owned).collect()
}

/// Keeps every line of every level.
fn keep_logs() -> Logs {
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
    logs
}

/// Lets a cloud refuse everything in words that quote keys.
async fn refuse_everything(running: &Running, backend: &str, cloud: &dyn Cloud, seen: &mut Seen) {
    for status in [
        StatusCode::BAD_REQUEST,
        StatusCode::CONFLICT,
        StatusCode::INTERNAL_SERVER_ERROR,
    ] {
        let to_post = quoting_refusal(status, &format!("and also {PSK}"));
        let to_get = quoting_refusal(status, "");
        for (method, answer) in [(Method::POST, to_post), (Method::GET, to_get)] {
            let rule = Rule::on(method, "vpn", Fault::Answer(answer));
            cloud.faults().inject(rule);
        }
        let wanted = cloud.wanted(backend);
        fail_everything(running, backend, &wanted, writes::PATIENCE, seen).await;
        cloud.faults().clear();
    }
}

/// Passwords as clouds may quote them. Refusals of logins name the user, never the password.
fn quoted(passwords: &[String]) -> Vec<String> {
    // Pieces of these passwords are words that stand elsewhere, too.
    let all = passwords.iter().flat_map(|it| forms(it).split_off(2));
    all.collect()
}

/// Lets a cloud refuse every login in these words.
async fn refuse_logins(
    running: &Running,
    backend: &str,
    cloud: &dyn Cloud,
    words: &str,
    seen: &mut Seen,
) {
    for (path, status) in [
        ("session/create", StatusCode::FORBIDDEN),
        ("auth/tokens", StatusCode::UNAUTHORIZED),
    ] {
        let refusal = quoting_refusal(status, words);
        let rule = Rule::on(Method::POST, path, Fault::Answer(refusal));
        cloud.servers().pop().unwrap().faults().inject(rule);
    }
    cloud.expire_logins();
    // A login is tried once more after some seconds.
    let patience = Duration::from_secs(30);
    fail_everything(running, backend, &cloud.wanted(backend), patience, seen).await;
}

/// Has a cloud do everything there is, well and badly, but refuse logins; what it showed.
async fn try_everything(running: &Running, backend: &str, cloud: &dyn Cloud) -> Seen {
    let mut seen = Seen::default();
    use_everything(running, backend, cloud.wanted(backend), &mut seen).await;
    refuse_everything(running, backend, cloud, &mut seen).await;
    let wanted = cloud.wanted(backend);
    quote_everything(running, backend, cloud.faults(), &wanted, &mut seen).await;
    let withheld = seen.0.iter().filter(|text| text.contains(WITHHELD)).count();
    assert!(
        withheld > 40,
        "the quotations came as far as they can: {withheld}"
    );
    println!("{backend}: {withheld} quotations were withheld");
    let kinds = [
        ResourceKind::IkePolicy,
        ResourceKind::IpsecPolicy,
        ResourceKind::VpnService,
    ];
    try_resources(running, backend, &kinds, cloud, &mut seen).await;
    writes::repeat_everything(running, backend, cloud, &mut seen).await;
    seen
}

#[tokio::test]
async fn no_secret_is_ever_told() {
    let logs = keep_logs();
    let nsx = NsxSimulator::start(NsxOptions::default()).unwrap();
    let openstack = cloud::openstack();
    let clouds: [(&str, &dyn Cloud); 2] = [("nsx-a", &nsx), ("os-a", &openstack)];
    let settings: Vec<Given> = clouds.iter().map(|(b, it)| it.settings(b)).collect();
    let passwords: Vec<String> = settings.iter().flat_map(secrets_of).collect();
    let mut canaries = passwords.clone();
    canaries.extend([PSK.to_owned(), NEW_PSK.to_owned()]);
    let mut seen = Seen::default();
    seen.note(&settings);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.redb");
    let mut running = Running::start_with_store(settings, &file).await;
    seen.note(&running.gateway);

    let tried = clouds.map(|(backend, cloud)| try_everything(&running, backend, cloud));
    for more in join_all(tried).await {
        seen.0.extend(more.0);
    }
    canaries.extend(forms(PSK));
    show_everything(&running, &nsx, &openstack, &mut seen).await;
    let quoted = quoted(&passwords);
    let words = quoted.join(" and ");
    let (running_now, words) = (&running, &words);
    let refused = clouds.map(|(backend, cloud)| async move {
        let mut seen = Seen::default();
        refuse_logins(running_now, backend, cloud, words, &mut seen).await;
        seen
    });
    for more in join_all(refused).await {
        seen.0.extend(more.0);
    }
    canaries.extend(quoted);

    running.drain().await;
    running.gateway.shut_down(Duration::from_secs(10)).await;
    let stored = std::fs::read(&file).unwrap();
    for (backend, cloud) in clouds {
        for digest in writes::digests(backend, &cloud.wanted(backend)) {
            let kept = stored.windows(digest.len()).any(|bytes| bytes == digest);
            assert!(!kept, "a plain hash was kept: {digest:?}");
        }
    }
    let stored = String::from_utf8_lossy(&stored).into_owned();
    assert!(
        stored.contains(writes::REQUEST_ID),
        "answers were kept under their ids"
    );
    let logged = String::from_utf8_lossy(&logs.0.lock().unwrap()).into_owned();
    nothing_came_out(&canaries, &logged, &seen, &stored);
}

fn nothing_came_out(canaries: &[String], logged: &str, seen: &Seen, stored: &str) {
    assert!(
        stored.contains("backends/nsx-a/connections/"),
        "the log was kept"
    );
    assert!(
        logged.contains("the cloud accepted a write"),
        "the gateway's own lines are there"
    );
    for canary in canaries {
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
