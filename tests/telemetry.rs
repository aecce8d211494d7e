//! Spans as a collector gets them, over OTLP. One subscriber serves a whole process, so what is seen in this one is
//! seen by one test; the others start the program.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use http::{Method, StatusCode};
use isthmus::{
    grpc::pb,
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{NsxOptions, NsxSimulator},
    },
    telemetry,
};
use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode as SpanStatus},
};
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use support::{
    clouds::{self, PSK},
    collector::Collector,
    running::{Running, id_of},
};
use tonic::Request;

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

/// The value of an attribute of a span; empty if it has none.
fn said(span: &Span, key: &str) -> String {
    attribute(&span.attributes, key).unwrap_or_default()
}

fn has_failed(span: &Span) -> bool {
    span.status
        .as_ref()
        .is_some_and(|status| status.code() == SpanStatus::Error)
}

/// Clients of spans that have this one as their parent, oldest first.
fn attempts<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    let mut found: Vec<&Span> = spans
        .iter()
        .filter(|span| span.kind() == SpanKind::Client)
        .filter(|span| span.parent_span_id == parent.span_id)
        .inspect(|span| assert_eq!(span.trace_id, parent.trace_id))
        .collect();
    found.sort_by_key(|span| span.start_time_unix_nano);
    found
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_one_span_and_each_attempt_at_the_cloud_is_one_below_it() {
    let collector = Collector::default();
    let address = collector.serve();
    let telemetry = telemetry::begin(&telemetry::Settings {
        filter: Some("off".into()),
        otlp_endpoint: Some(format!("http://{address}")),
        ..telemetry::Settings::default()
    })
    .unwrap();

    let cloud = NsxSimulator::start(NsxOptions::default()).unwrap();
    let mut running = Running::start(vec![clouds::nsx("nsx-a", &cloud)]).await;
    let (made, _) = running
        .create("nsx-a", clouds::nsx_connection("nsx-a"))
        .await
        .unwrap();
    let get = |name: &str| pb::GetConnectionRequest {
        name: name.to_owned(),
    };
    let mut connections = running.connections();

    // Named by its caller; the first attempt breaks, the second reads the session, the third its peer.
    let broken = Rule::on(Method::GET, "/sessions/", Fault::CutBeforeHandling);
    cloud.faults().inject(broken.times(1));
    let mut traced = Request::new(get(&made.name));
    let traceparent = format!("00-{TRACE}-{CALLER}-01").parse().unwrap();
    traced.metadata_mut().insert("traceparent", traceparent);
    connections.get_connection(traced).await.unwrap();

    // Refused before anything is sent.
    connections
        .get_connection(get("nonsense"))
        .await
        .unwrap_err();

    // Answered with a fault of the cloud.
    let refused = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    let refused = Rule::on(Method::GET, "/sessions/", Fault::Answer(refused));
    cloud.faults().inject(refused.times(1));
    connections
        .get_connection(get(&made.name))
        .await
        .unwrap_err();

    running.drain().await;
    running.gateway.shut_down(Duration::from_secs(5)).await;
    // The last spans leave when telemetry ends.
    tokio::task::spawn_blocking(move || drop(telemetry))
        .await
        .unwrap();

    let spans = collector.spans();
    let servers = servers(&spans);
    assert_eq!(servers.len(), 4, "one for each call: {servers:#?}");
    let is_client = |span: &&Span| span.kind() == SpanKind::Client;
    let clients = spans.iter().filter(is_client).count();
    assert_eq!(clients, cloud.all_requests().len(), "one for each attempt");

    the_caller_is_named(&spans, &cloud, &id_of(&made.name));
    a_refusal_and_a_fault_are_told_apart(&spans);
    a_write_is_one_call_and_all_its_attempts(&spans);
    the_gateway_is_named_and_no_secret(&collector);
}

fn servers(spans: &[Span]) -> Vec<&Span> {
    let is_server = |span: &&Span| span.kind() == SpanKind::Server;
    spans.iter().filter(is_server).collect()
}

fn the_caller_is_named(spans: &[Span], cloud: &NsxSimulator, id: &str) {
    let servers = servers(spans);
    let traced: Vec<&&Span> = servers
        .iter()
        .filter(|span| hex(&span.trace_id) == TRACE)
        .collect();
    assert_eq!(traced.len(), 1);
    let call = traced[0];
    assert_eq!(call.name, "isthmus.v1.ConnectionService/GetConnection");
    assert_eq!(hex(&call.parent_span_id), CALLER);
    assert_eq!(said(call, "rpc.system"), "grpc");
    assert_eq!(said(call, "rpc.service"), "isthmus.v1.ConnectionService");
    assert_eq!(said(call, "rpc.method"), "GetConnection");
    assert_eq!(said(call, "rpc.grpc.status_code"), "0");
    assert!(!has_failed(call));

    let below = attempts(spans, call);
    let seen: Vec<(String, String)> = below
        .iter()
        .map(|span| {
            (
                said(span, "http.response.status_code"),
                said(span, "error.type"),
            )
        })
        .collect();
    let pair = |status: &str, error: &str| (status.to_owned(), error.to_owned());
    assert_eq!(seen, [pair("", "Broken"), pair("200", ""), pair("200", "")]);
    assert!(has_failed(below[0]) && !has_failed(below[1]));
    for span in &below {
        assert_eq!(span.name, "GET");
        assert_eq!(said(span, "http.request.method"), "GET");
        assert_eq!(said(span, "server.address"), "127.0.0.1");
        let port = format!(":{}", said(span, "server.port"));
        assert!(cloud.url().ends_with(&port), "{port}");
    }
    assert_eq!(
        said(below[1], "url.path"),
        format!("/api/v1/vpn/ipsec/sessions/{id}")
    );
    assert!(below[2].start_time_unix_nano >= below[1].end_time_unix_nano);
}

fn a_refusal_and_a_fault_are_told_apart(spans: &[Span]) {
    let servers = servers(spans);
    let ended_with = |code: &str| {
        let found = servers
            .iter()
            .find(|span| said(span, "rpc.grpc.status_code") == code);
        *found.unwrap_or_else(|| panic!("no call ended with {code}: {servers:#?}"))
    };
    let invalid = ended_with("3");
    assert!(attempts(spans, invalid).is_empty() && !has_failed(invalid));
    let unavailable = ended_with("14");
    let below = attempts(spans, unavailable);
    assert_eq!(said(below[0], "http.response.status_code"), "500");
    assert!(has_failed(unavailable) && has_failed(below[0]));
}

fn a_write_is_one_call_and_all_its_attempts(spans: &[Span]) {
    let servers = servers(spans);
    let create = servers
        .iter()
        .find(|span| said(span, "rpc.method") == "CreateConnection")
        .unwrap();
    let methods: Vec<String> = attempts(spans, create)
        .iter()
        .map(|span| said(span, "http.request.method"))
        .collect();
    let posts = methods.iter().filter(|method| *method == "POST").count();
    assert!(
        (2..=3).contains(&posts),
        "a peer endpoint, a session, perhaps a login: {methods:?}"
    );
}

fn the_gateway_is_named_and_no_secret(collector: &Collector) {
    let exported = collector.0.lock().unwrap();
    for resource in exported.iter().flat_map(|request| &request.resource_spans) {
        let attributes = &resource.resource.as_ref().unwrap().attributes;
        let said = |key: &str| attribute(attributes, key);
        assert_eq!(said("service.name").as_deref(), Some("isthmus"));
        assert_eq!(
            said("service.version").as_deref(),
            Some(env!("CARGO_PKG_VERSION"))
        );
    }
    let everything = format!("{exported:?}");
    for secret in [PSK, NsxOptions::default().password.as_str()] {
        assert!(!everything.contains(secret), "a secret was exported");
    }
}

/// The program, serving a backend that is not there; killed when dropped.
struct Serving {
    child: Child,
    address: String,
    lines: Option<thread::JoinHandle<Vec<String>>>,
}

impl Serving {
    fn start(name: &str, otlp_endpoint: &str) -> Serving {
        let config = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n\
             [telemetry]\notlp_endpoint = \"{otlp_endpoint}\"\n\
             [[backends]]\nname = \"a\"\ndialect = \"nsx\"\nurl = \"http://127.0.0.1:1\"\n\
             auth = {{ kind = \"basic\", username = \"u\", password = \"p\" }}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(["serve", "--config"])
            .arg(config)
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut first = Vec::new();
        let address = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            first.push(line.clone());
            if let Some((_, rest)) = line.split_once("listen=") {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        let lines = thread::spawn(move || {
            first.extend(lines.map_while(Result::ok));
            first
        });
        Serving {
            child,
            address,
            lines: Some(lines),
        }
    }

    /// Asks it to end and waits: what it wrote, and how long that took.
    fn end(mut self) -> (Vec<String>, Duration) {
        let begun = Instant::now();
        let killed = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(killed.unwrap().success());
        let status = self.child.wait().unwrap();
        let took = begun.elapsed();
        assert!(status.success(), "{status:?}");
        let lines = self.lines.take().expect("nobody ended it before");
        (lines.join().unwrap(), took)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Fails if it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_collector_that_is_gone_or_silent_delays_nothing() {
    // Accepts, since the kernel does, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for (name, endpoint) in [
        ("gone.toml", "http://127.0.0.1:1"),
        ("silent.toml", &silent),
    ] {
        let serving = Serving::start(name, endpoint);
        let url = format!("http://{}", serving.address);
        let begun = Instant::now();
        for _ in 0..20 {
            let asked = Command::new(env!("CARGO_BIN_EXE_isthmus"))
                .args(["backends", "--endpoint", &url])
                .output()
                .unwrap();
            assert!(asked.status.success(), "{asked:?}");
        }
        // Twenty processes come and go meanwhile; a call held up by a collector would be by seconds.
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}");
        let (lines, took) = serving.end();
        // Two seconds for the last spans, and time to drain.
        assert!(
            took < Duration::from_secs(10),
            "{name}: {took:?} {lines:#?}"
        );
        // Standard error is a pipe here.
        assert!(
            lines.iter().all(|line| !line.contains('\x1b')),
            "{lines:#?}"
        );
    }
}
