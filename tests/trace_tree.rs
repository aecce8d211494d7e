//! The whole tree of traces, as a collector received it: what callers, the gateway and the simulated cloud each know of
//! a trace is one thing. The collector is ours, or a real one if `ISTHMUS_COLLECTOR` names its program (`.ci/run
//! collector` builds one). One subscriber serves a whole process, so there is one test.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use http::{Method, StatusCode};
use isthmus::{
    core::ledger::UnfinishedState,
    grpc::pb,
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{NsxOptions, NsxSimulator},
    },
    telemetry,
};
use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use support::{
    clouds::{self, PSK},
    collector::Collector,
    running::{Running, id_of},
    seen_spans::{Received, SeenSpan},
};
use tonic::Request;

/// The program of a real collector.
const PROGRAM: &str = "ISTHMUS_COLLECTOR";
const CALLER: &str = "b7ad6b7169203331";
const STATE: &str = "vendor=canary-state,other=1";

/// The trace of this number.
fn trace(number: u8) -> String {
    format!("0af7651916cd43dd8448eb211c8031{number:02x}")
}

/// A request in the trace of this number, which its caller keeps or not.
fn traced<T>(number: u8, kept: bool, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{}-{CALLER}-{:02x}", trace(number), u8::from(kept));
    let headers = request.metadata_mut();
    headers.insert("traceparent", parent.parse().unwrap());
    headers.insert("tracestate", STATE.parse().unwrap());
    headers.insert("baggage", "user=canary-baggage".parse().unwrap());
    request
}

/// Whoever collects.
enum Collecting {
    Here(Collector, SocketAddr),
    There(Child, SocketAddr, PathBuf),
}

impl Collecting {
    fn start() -> Collecting {
        let Some(program) = std::env::var_os(PROGRAM) else {
            let collector = Collector::default();
            let address = collector.serve();
            return Collecting::Here(collector, address);
        };
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("collector");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("received.jsonl");
        // Whoever takes the port in between makes the test fail, and no worse.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let config = folder.join("collector.yaml");
        std::fs::write(&config, settings(address, &file)).unwrap();
        let mut command = Command::new(program);
        command.arg(format!("--config={}", config.display()));
        let child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the collector does not listen");
            std::thread::yield_now();
        }
        Collecting::There(child, address, file)
    }

    fn endpoint(&self) -> String {
        let (Collecting::Here(_, address) | Collecting::There(_, address, _)) = self;
        format!("http://{address}")
    }

    /// What it has received. Every export was acknowledged by now.
    fn received(&self) -> Received {
        match self {
            Collecting::Here(collector, _) => Received::of(&collector.0.lock().unwrap()),
            Collecting::There(_, _, file) => {
                Received::of_lines(std::fs::read_to_string(file).unwrap())
            }
        }
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        if let Collecting::There(child, ..) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn settings(address: SocketAddr, file: &Path) -> String {
    format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {address}\n\
         exporters:\n  lines:\n    path: {}\n\
         service:\n  telemetry:\n    metrics:\n      level: none\n    logs:\n      level: warn\n\
         \x20 pipelines:\n    traces: {{receivers: [otlp], exporters: [lines]}}\n\
         \x20   metrics: {{receivers: [otlp], exporters: [lines]}}\n",
        file.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_from_the_caller_through_the_gateway_to_the_cloud() {
    let collecting = Collecting::start();
    let telemetry = telemetry::begin(&telemetry::Settings {
        filter: Some("off".into()),
        otlp_endpoint: Some(collecting.endpoint()),
        ..telemetry::Settings::default()
    })
    .unwrap();
    let cloud = NsxSimulator::start(NsxOptions::default()).unwrap();
    let mut backend = clouds::nsx("nsx-a", &cloud);
    // A write whose answer is lost is looked for within its call for a while that goes by this.
    backend.core.timeout = Duration::from_secs(1);
    let mut running = Running::start(vec![backend]).await;

    let name = create_and_watch(&running, &cloud).await;
    soon(read(&running, &cloud, &name)).await;
    soon(undo(&running, &cloud)).await;
    settle(&running, &cloud).await;

    running.drain().await;
    running.gateway.shut_down(Duration::from_secs(5)).await;
    // The last spans leave when telemetry ends.
    tokio::task::spawn_blocking(move || drop(telemetry))
        .await
        .unwrap();

    let received = collecting.received();
    the_cloud_was_told_of_every_request(&received, &cloud);
    a_write_is_below_its_call(&received);
    polls_are_linked_to_the_watch(&received);
    attempts_are_told_apart(&received, &cloud, &id_of(&name));
    a_caller_decides(&received, &cloud);
    a_refusal_and_a_fault_are_told_apart(&received);
    what_is_undone_is_below_its_write(&received);
    what_goes_on_is_linked_to_its_write(&received);
    the_gateway_is_named_and_no_secret(&received);
}

fn creation(display_name: &str) -> pb::CreateConnectionRequest {
    pb::CreateConnectionRequest {
        parent: "backends/nsx-a".to_owned(),
        connection: Some(pb::Connection {
            display_name: display_name.to_owned(),
            ..clouds::nsx_connection("nsx-a")
        }),
        ..pb::CreateConnectionRequest::default()
    }
}

/// Nothing here takes half as long.
async fn soon<F: Future>(work: F) -> F::Output {
    let ended = tokio::time::timeout(Duration::from_secs(30), work).await;
    ended.expect("it ends soon")
}

/// Trace 1 is a write, trace 2 a watch until it is there.
async fn create_and_watch(running: &Running, cloud: &NsxSimulator) -> String {
    let create = traced(1, true, creation("first"));
    let answer = running.connections().create_connection(create).await;
    let answer = answer.unwrap().into_inner();
    let name = answer.connection.unwrap().name;
    let watch = pb::WatchRealizationRequest {
        name: name.clone(),
        goal: pb::Goal::Config.into(),
        write_token: answer.write_token,
        ..pb::WatchRealizationRequest::default()
    };
    let mut realizations = running.realizations();
    let watch = realizations.watch_realization(traced(2, true, watch));
    let mut stream = watch.await.unwrap().into_inner();
    let mut outcome = None;
    cloud.state().finish(&id_of(&name));
    while let Some(message) = soon(stream.message()).await.unwrap() {
        outcome = message.outcome;
    }
    assert!(outcome.is_some());
    name
}

/// Trace 3 is kept and its first attempt breaks, trace 4 is not kept; trace 5 is refused before anything is sent, and
/// trace 6 meets a fault of the cloud.
async fn read(running: &Running, cloud: &NsxSimulator, name: &str) {
    let mut connections = running.connections();
    let get = |name: &str| pb::GetConnectionRequest {
        name: name.to_owned(),
    };
    let broken = Rule::on(Method::GET, "/sessions/*", Fault::CutBeforeHandling);
    cloud.faults().inject(broken.times(1));
    connections
        .get_connection(traced(3, true, get(name)))
        .await
        .unwrap();
    connections
        .get_connection(traced(4, false, get(name)))
        .await
        .unwrap();
    connections
        .get_connection(traced(5, true, get("nonsense")))
        .await
        .unwrap_err();
    let refused = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    let refused = Rule::on(Method::GET, "/sessions/*", Fault::Answer(refused));
    cloud.faults().inject(refused.times(1));
    connections
        .get_connection(traced(6, true, get(name)))
        .await
        .unwrap_err();
}

/// Trace 7 makes the peer endpoint, is refused the session, and takes the peer endpoint back.
async fn undo(running: &Running, cloud: &NsxSimulator) {
    let refused = Answer::status(StatusCode::BAD_REQUEST);
    let refused = Rule::on(Method::POST, "/sessions", Fault::Answer(refused));
    cloud.faults().inject(refused.times(1));
    let create = traced(7, true, creation("second"));
    let answer = running.connections().create_connection(create).await;
    answer.unwrap_err();
}

/// Trace 8 loses the answer of the session, and the gateway finds out afterwards.
async fn settle(running: &Running, cloud: &NsxSimulator) {
    let lost = Rule::on(Method::POST, "/sessions", Fault::CutAfterHandling);
    cloud.faults().inject(lost.times(1));
    // Nobody can look for it while its call lasts.
    let hidden = Rule::on(Method::GET, "/sessions", Fault::CutBeforeHandling);
    let hidden = cloud.faults().inject(hidden);
    let create = traced(8, true, creation("third"));
    let mut connections = running.connections();
    soon(connections.create_connection(create))
        .await
        .unwrap_err();
    assert!(hidden.count() > 0);
    cloud.faults().clear();
    let backend = "nsx-a".parse().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let settling = |backend| {
        let mut all = running.gateway.unfinished(backend).into_iter();
        all.any(|it| it.state == UnfinishedState::Settling)
    };
    while settling(&backend) {
        assert!(Instant::now() < deadline, "the write is not settled");
        tokio::task::yield_now().await;
    }
}

/// Each request that the cloud got names the span that the gateway made of it, in its trace; or, where the caller keeps
/// no trace, the caller's own.
fn the_cloud_was_told_of_every_request(received: &Received, cloud: &NsxSimulator) {
    let mut told: Vec<String> = Vec::new();
    for request in cloud.all_requests() {
        let parent = request.headers.get("traceparent");
        let parent = parent.unwrap_or_else(|| panic!("{request:?} is in no trace"));
        told.push(parent.to_str().unwrap().to_owned());
        assert!(!request.headers.contains_key("baggage"), "{request:?}");
    }
    let spans = received.spans.iter().filter(|span| span.is_upstream());
    let mut made: Vec<String> = spans
        .map(|span| format!("00-{}-{}-01", span.trace, span.id))
        .collect();
    told.retain(|parent| !parent.ends_with("-00"));
    told.sort();
    made.sort();
    assert_eq!(told, made);
}

#[track_caller]
fn call(received: &Received, number: u8) -> &SeenSpan {
    let calls = received.calls(&trace(number));
    assert_eq!(calls.len(), 1, "one for each call: {calls:#?}");
    assert_eq!(calls[0].parent, CALLER);
    assert_eq!(calls[0].state, STATE);
    calls[0]
}

fn methods<'a>(spans: &[&'a SeenSpan]) -> Vec<&'a str> {
    let methods = spans.iter();
    methods
        .map(|span| span.said("http.request.method"))
        .collect()
}

fn a_write_is_below_its_call(received: &Received) {
    let create = call(received, 1);
    assert_eq!(create.name, "isthmus.v1.ConnectionService/CreateConnection");
    assert_eq!(create.said("rpc.system.name"), "grpc");
    assert_eq!(create.said("rpc.method"), create.name);
    assert_eq!(create.said("rpc.response.status_code"), "OK");
    assert!(!create.failed);
    let write = received.one_below(create, "write");
    assert_eq!(write.said("isthmus.backend"), "nsx-a");
    assert_eq!(write.said("isthmus.action"), "create");
    assert!(!write.said("isthmus.write.id").is_empty() && !write.failed);
    let requests = received.requests(write);
    let posts = requests.iter().filter(|span| span.name == "POST");
    assert!(
        posts.count() >= 2,
        "a peer endpoint, a session: {requests:#?}"
    );
    // Whoever came first had to log in.
    let logins: Vec<_> = received.spans.iter().collect();
    let logins = logins.iter().filter(|span| span.name == "login");
    let logged_in = logins.flat_map(|login| received.below(login));
    let paths: Vec<_> = logged_in.map(|span| span.said("url.path")).collect();
    assert_eq!(paths, ["/api/session/create"]);
}

fn polls_are_linked_to_the_watch(received: &Received) {
    let watch = call(received, 2);
    assert_eq!(watch.name, "isthmus.v1.RealizationService/WatchRealization");
    assert_eq!(watch.said("rpc.response.status_code"), "OK");
    assert!(received.requests(watch).is_empty(), "polls are nobody's");
    let polls = received.roots("poll");
    let linked = polls
        .iter()
        .filter(|poll| poll.links == [watch.id.as_str()]);
    let linked: Vec<_> = linked.collect();
    assert!(!linked.is_empty(), "{polls:#?}");
    for poll in linked {
        assert_ne!(poll.trace, watch.trace);
        assert_eq!(poll.said("isthmus.backend"), "nsx-a");
        assert_eq!(poll.said("isthmus.stake"), "high");
        assert_eq!(poll.said("isthmus.poll.connections"), "1");
        assert_eq!(poll.said("isthmus.poll.links_left_out"), "0");
        assert!(watch.begun <= poll.begun, "it serves who is there");
        assert!(!received.requests(poll).is_empty(), "{poll:#?}");
    }
}

fn attempts_are_told_apart(received: &Received, cloud: &NsxSimulator, id: &str) {
    let requests = received.requests(call(received, 3));
    let seen: Vec<_> = requests
        .iter()
        .map(|span| {
            (
                span.said("http.response.status_code"),
                span.said("error.type"),
                span.said("http.request.resend_count"),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("", "broken", ""), ("200", "", "1"), ("200", "", "")]
    );
    assert!(requests[0].failed && !requests[1].failed);
    for span in &requests {
        assert_eq!(span.name, "GET");
        assert_eq!(span.said("isthmus.backend"), "nsx-a");
        assert_eq!(span.said("server.address"), "127.0.0.1");
        let port = format!(":{}", span.said("server.port"));
        assert!(cloud.url().ends_with(&port), "{port}");
    }
    let path = format!("/api/v1/vpn/ipsec/sessions/{id}");
    assert_eq!(requests[1].said("url.path"), path);
    assert!(requests[2].begun >= requests[1].ended);
}

fn a_caller_decides(received: &Received, cloud: &NsxSimulator) {
    let trace = trace(4);
    let spans = received.spans.iter().filter(|span| span.trace == trace);
    assert_eq!(spans.count(), 0, "its caller does not keep it");
    let parent = format!("00-{trace}-{CALLER}-00");
    let requests = cloud.all_requests();
    let passed_on = requests
        .iter()
        .filter(|request| request.headers["traceparent"] == *parent);
    let states: Vec<_> = passed_on
        .map(|request| request.headers["tracestate"].clone())
        .collect();
    assert_eq!(states, [STATE, STATE], "the session and its peer");
}

fn a_refusal_and_a_fault_are_told_apart(received: &Received) {
    let invalid = call(received, 5);
    assert_eq!(invalid.said("rpc.response.status_code"), "INVALID_ARGUMENT");
    assert!(received.requests(invalid).is_empty() && !invalid.failed);
    assert_eq!(invalid.said("error.type"), "");
    let unavailable = call(received, 6);
    assert_eq!(unavailable.said("rpc.response.status_code"), "UNAVAILABLE");
    assert_eq!(unavailable.said("error.type"), "UNAVAILABLE");
    let below = received.requests(unavailable);
    assert_eq!(below[0].said("http.response.status_code"), "500");
    assert!(unavailable.failed && below[0].failed);
}

fn what_is_undone_is_below_its_write(received: &Received) {
    let write = received.one_below(call(received, 7), "write");
    assert!(write.failed);
    let undo = received.one_below(write, "undo");
    let requests = received.requests(undo);
    assert!(methods(&requests).contains(&"DELETE"), "{requests:#?}");
    let before = received.below(write);
    let refused = before.iter().find(|span| span.failed);
    let refused = refused.expect("the session was refused");
    assert_eq!(refused.said("http.response.status_code"), "400");
    assert!(refused.ended <= undo.begun);
}

fn what_goes_on_is_linked_to_its_write(received: &Received) {
    let write = received.one_below(call(received, 8), "write");
    let attempts = received.roots("settle");
    assert!(!attempts.is_empty());
    for (attempt, number) in attempts.iter().zip(1..) {
        assert_eq!(attempt.links, [write.id.as_str()]);
        assert_ne!(attempt.trace, write.trace);
        let id = attempt.said("isthmus.write.id");
        assert_eq!(id, write.said("isthmus.write.id"));
        assert_eq!(attempt.said("isthmus.attempt"), number.to_string());
    }
    let last = attempts.last().unwrap();
    assert!(!last.failed && !received.requests(last).is_empty());
}

fn the_gateway_is_named_and_no_secret(received: &Received) {
    for said in &received.senders {
        assert_eq!(said["service.name"], "isthmus");
        assert_eq!(said["service.version"], env!("CARGO_PKG_VERSION"));
    }
    let password = NsxOptions::default().password;
    for secret in [PSK, password.as_str(), "canary-baggage"] {
        let is_told = received.text.contains(secret);
        assert!(!is_told, "`{secret}` was exported");
    }
}
