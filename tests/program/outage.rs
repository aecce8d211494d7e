//! The story of an outage, as the program tells it: two clouds, one of which is cut off, comes back, asks for patience and
//! refuses the login, until the gateway is told to end. Each of these is one line of the log, however often the cloud is
//! asked meanwhile; metrics and traces tell the same; and the other cloud has no part in it.

use crate::{
    served::{Configured, Served},
    support::{clouds, collector::Collector, running::install_provider},
};
use http::StatusCode;
use isthmus::{
    grpc::pb::{
        self, connection_service_client::ConnectionServiceClient,
        realization_service_client::RealizationServiceClient,
    },
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{NsxOptions, NsxSimulator},
        openstack::{OpenstackOptions, OpenstackSimulator},
    },
};
use opentelemetry_proto::tonic::trace::v1::{
    Span, span::SpanKind, status::StatusCode as SpanStatus,
};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::{Code, Streaming, transport::Channel};

/// How long each act may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// The file with the password of the account on NSX.
const PASSWORD: &str = "outage.password";
/// How many watch the connection.
const WATCHES: usize = 20;

/// Waits until there is what `look` finds.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// The program with its log.
struct Gateway {
    configured: Configured,
    served: Served,
}

impl Gateway {
    fn start(config: &str) -> Gateway {
        let configured = Configured::new(config);
        configured.write(PASSWORD, &NsxOptions::default().password);
        let served = Served::start(configured.command());
        Gateway { configured, served }
    }

    fn all(&self) -> Vec<Value> {
        let read = |line: &str| serde_json::from_str(line);
        let json = |line| read(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        self.served.logged().lines().map(json).collect()
    }

    /// Waits for the line with this message, of this backend if one is named.
    async fn line(&self, backend: Option<&str>, message: &str) -> Value {
        let what = format!("{message} ({backend:?}) in {:#?}", self.all());
        until(&what, async || {
            let mut all = self.all().into_iter();
            all.find(|line| {
                line["message"] == message
                    && backend.is_none_or(|backend| line["backend"] == backend)
            })
        })
        .await
    }

    /// The messages of the lines about this backend, or about none.
    fn story(&self, backend: Option<&str>) -> Vec<String> {
        let is_told = |line: &&Value| {
            let target = line["target"].as_str().unwrap();
            target.starts_with("isthmus") && target != "isthmus::audit"
        };
        let all = self.all();
        let of_it = all.iter().filter(is_told);
        let of_it = of_it.filter(|line| line["backend"].as_str() == backend);
        let text = |line: &Value| line["message"].as_str().unwrap().to_owned();
        of_it.map(text).collect()
    }
}

/// What is on the page for Prometheus.
struct Page(String);

impl Page {
    async fn of(address: &str) -> Page {
        let answer = reqwest::get(format!("http://{address}/metrics")).await;
        Page(answer.unwrap().text().await.unwrap())
    }

    /// The value of a metric with these labels; the sum if there are several.
    fn value(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let is_it = |line: &&str| {
            let named = line.split(['{', ' ']).next().unwrap_or_default();
            named == name && labels.iter().all(|label| line.contains(label))
        };
        let values: Vec<f64> = self
            .0
            .lines()
            .filter(is_it)
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Whether a backend is up.
    fn is_up(&self, backend: &str) -> Option<f64> {
        let label = format!("isthmus_backend=\"{backend}\"");
        let names = ["isthmus_backend_up", "isthmus_backend_up_ratio"];
        names.iter().find_map(|name| self.value(name, &[&label]))
    }
}

async fn until_up(metrics: &str, backend: &str, wanted: f64) {
    until(&format!("{backend} is {wanted}"), async || {
        let page = Page::of(metrics).await;
        page.is_up(backend).filter(|up| *up == wanted)
    })
    .await;
}

fn config(nsx: &NsxSimulator, openstack: &OpenstackSimulator, collector: &str) -> String {
    let (options, inventory) = (NsxOptions::default(), openstack.inventory());
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndrain = \"5s\"\n\
         [telemetry]\nlog = \"json\"\nlog_filter = \"info\"\notlp_endpoint = \"http://{collector}\"\n\
         metrics_listen = \"127.0.0.1:0\"\n\
         [[backends]]\nname = \"nsx-a\"\ndialect = \"nsx\"\nurl = \"{}\"\ntimeout = \"2s\"\n\
         auth = {{ kind = \"session\", username = \"{}\", password_file = \"{PASSWORD}\" }}\n\
         poll = {{ fresh = \"500ms\", stable = \"1s\" }}\n\
         [[backends]]\nname = \"openstack-b\"\ndialect = \"openstack\"\ntimeout = \"2s\"\n\
         poll = {{ fresh = \"500ms\", stable = \"1s\" }}\n\
         [backends.auth]\nkind = \"password\"\nauth_url = \"{}\"\nusername = \"{}\"\npassword = \"{}\"\n\
         project_name = \"{}\"\n",
        nsx.url(),
        options.username,
        openstack.keystone_url(),
        inventory.member.name,
        inventory.member.password,
        inventory.project.project_name,
    )
}

type Watch = Streaming<pb::WatchRealizationResponse>;

/// Has a connection made, and watched by many.
async fn watched(channel: &Channel) -> (String, Vec<Watch>) {
    let request = pb::CreateConnectionRequest {
        parent: "backends/nsx-a".to_owned(),
        connection: Some(clouds::nsx_connection("nsx-a")),
        ..Default::default()
    };
    let mut connections = ConnectionServiceClient::new(channel.clone());
    let made = connections.create_connection(request).await.unwrap();
    let name = made.into_inner().connection.unwrap().name;
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        let request = pb::WatchRealizationRequest {
            name: name.clone(),
            ..Default::default()
        };
        let mut realizations = RealizationServiceClient::new(channel.clone());
        let watch = realizations.watch_realization(request).await.unwrap();
        let mut watch = watch.into_inner();
        watch.message().await.unwrap().expect("a snapshot");
        watches.push(watch);
    }
    (name, watches)
}

/// Reads a watch to its end: why it ended, and whether a token came with what was told.
async fn end_of(mut watch: Watch) -> (Code, bool) {
    let mut has_token = false;
    loop {
        match watch.message().await {
            Ok(Some(message)) => has_token = !message.resume_token.is_empty(),
            Ok(None) => return (Code::Ok, has_token),
            Err(status) => return (status.code(), has_token),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_in_the_log_by_metrics_and_by_traces() {
    install_provider();
    let nsx = NsxSimulator::start(NsxOptions::default()).unwrap();
    let openstack = OpenstackSimulator::start(OpenstackOptions::default()).unwrap();
    let collector = Collector::default();
    let collected = collector.serve().to_string();
    let mut gateway = Gateway::start(&config(&nsx, &openstack, &collected));
    let serving = gateway.line(None, "serving").await;
    let at = |key: &str| serving[key].as_str().unwrap().to_owned();
    let (listen, metrics) = (at("listen"), at("metrics"));
    assert_eq!(serving["backends"], 2);
    let channel = Channel::from_shared(format!("http://{listen}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let (name, watches) = watched(&channel).await;
    for backend in ["nsx-a", "openstack-b"] {
        gateway.line(Some(backend), "a backend answers").await;
        until_up(&metrics, backend, 1.0).await;
    }
    let introduced = gateway.line(Some("nsx-a"), "a backend").await;
    assert_eq!(introduced["dialect"], "nsx");
    assert_eq!(introduced["at"], nsx.url());
    assert_eq!(introduced["read_only"], false);

    // Cut off.
    let label = "isthmus_backend=\"nsx-a\"";
    nsx.faults().inject(Rule::any(Fault::CutBeforeHandling));
    let away = gateway
        .line(Some("nsx-a"), "a backend does not answer")
        .await;
    assert_eq!(
        (away["level"].as_str(), away["watched"].as_u64()),
        (Some("WARN"), Some(1))
    );
    assert_eq!(away["reason"], "UPSTREAM_UNREACHABLE");
    assert!(
        away["since"].is_string() && away["why"].is_string(),
        "{away}"
    );
    until_up(&metrics, "nsx-a", 0.0).await;
    assert_eq!(Page::of(&metrics).await.is_up("openstack-b"), Some(1.0));

    // Back.
    nsx.faults().clear();
    let back = gateway.line(Some("nsx-a"), "a backend answers again").await;
    assert_eq!(
        (back["level"].as_str(), back["reason"].as_str()),
        (Some("INFO"), Some("UPSTREAM_UNREACHABLE"))
    );
    assert!((5..60).contains(&back["for_s"].as_u64().unwrap()), "{back}");
    until_up(&metrics, "nsx-a", 1.0).await;
    let unreachable = ["isthmus_result=\"UPSTREAM_UNREACHABLE\"", label];
    let failed = Page::of(&metrics)
        .await
        .value("isthmus_polls_total", &unreachable);
    assert!(failed.is_some_and(|failed| failed >= 2.0), "{failed:?}");

    // Asks for patience, once.
    let busy = Answer::status(StatusCode::TOO_MANY_REQUESTS).retry_after(1);
    nsx.faults().inject(Rule::any(Fault::Answer(busy)).times(1));
    let used_up = gateway
        .line(Some("nsx-a"), "the budget of a backend is used up")
        .await;
    assert_eq!(used_up["by_cloud"], true);
    let suffices = gateway
        .line(Some("nsx-a"), "the budget of a backend suffices again")
        .await;
    assert!(suffices["for_s"].as_u64().unwrap() >= 10, "{suffices}");
    let throttled = Page::of(&metrics)
        .await
        .value("isthmus_upstream_throttled_total", &[label]);
    assert_eq!(throttled, Some(1.0));

    // Refuses the login.
    nsx.state()
        .set_password(&NsxOptions::default().username, "another");
    nsx.state().expire_sessions();
    let rests = gateway
        .line(
            Some("nsx-a"),
            "a backend refuses the gateway's login, which rests",
        )
        .await;
    assert!(
        (290..=300).contains(&rests["rest_s"].as_u64().unwrap()),
        "{rests}"
    );
    assert!(rests["until"].is_string(), "{rests}");
    assert_eq!(nsx.state().failed_logins(), 2);
    let page = Page::of(&metrics).await;
    let refused = page.value(
        "isthmus_logins_total",
        &["isthmus_result=\"refused\"", label],
    );
    assert_eq!(refused, Some(2.0));
    let rest = page.value("isthmus_login_rest_seconds", &[label]).unwrap();
    assert!((200.0..=300.0).contains(&rest), "{rest}");
    until_up(&metrics, "nsx-a", 0.0).await;

    // Takes the new password, which somebody writes into the gateway's file.
    gateway.configured.write(PASSWORD, "another");
    gateway.line(Some("nsx-a"), "credentials read again").await;
    until_up(&metrics, "nsx-a", 1.0).await;
    assert_eq!(nsx.state().failed_logins(), 2);

    // Told to end.
    gateway.served.signal("TERM");
    let draining = "draining: streams end with a token to resume, calls may finish";
    let draining = gateway.line(None, draining).await;
    assert_eq!(draining["connections"], 1);
    assert_eq!(draining["calls"], WATCHES);
    assert_eq!(draining["watched"], 1);
    for watch in watches {
        assert_eq!(end_of(watch).await, (Code::Unavailable, true));
    }
    drop(channel);
    gateway.line(None, "ended").await;
    assert!(gateway.served.end(|_| {}).success());

    the_log_is_these_lines_and_no_others(&gateway, &name);
    the_polls_that_failed_are_in_the_traces(&collector, &nsx);
    the_line_leads_to_the_poll(&collector, &away);
}

fn the_log_is_these_lines_and_no_others(gateway: &Gateway, name: &str) {
    let of_cloud = [
        "a backend",
        "a backend answers",
        "a backend does not answer",
        "a backend answers again",
        "the budget of a backend is used up",
        "the budget of a backend suffices again",
        "a backend refuses the gateway's login, which rests",
        "credentials read again",
        "a backend answers again",
    ];
    let mut told = gateway.story(Some("nsx-a"));
    // A login may read the file before the look at it that tells so.
    if let Some(last) = told.len().checked_sub(2) {
        told[last..].sort_by_key(|line| *line != "credentials read again");
    }
    assert_eq!(told, of_cloud, "{:#?}", gateway.all());
    assert_eq!(
        gateway.story(Some("openstack-b")),
        ["a backend", "a backend answers"]
    );
    let of_gateway = [
        "no [store]: positions and write tokens of watches end with this process",
        "serving",
        "draining: streams end with a token to resume, calls may finish",
        "drained",
        "ended",
    ];
    assert_eq!(gateway.story(None), of_gateway, "{:#?}", gateway.all());
    let all = gateway.all();
    let mut audit = all.iter().filter(|line| line["target"] == "isthmus::audit");
    let written = audit.next().expect("the create");
    assert_eq!(audit.next(), None);
    assert_eq!(written["resource"], name);
    assert_eq!(
        (written["action"].as_str(), written["result"].as_str()),
        (Some("create"), Some("OK"))
    );
    let everything = format!("{all:?}");
    for secret in [clouds::PSK, &NsxOptions::default().password, "another"] {
        assert!(!everything.contains(secret), "a secret in the log");
    }
}

/// The trace that a line names is of the poll that failed.
fn the_line_leads_to_the_poll(collector: &Collector, line: &Value) {
    let named = line["trace_id"].as_str().expect("the line has a trace");
    let hex = |id: &[u8]| {
        id.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let spans = collector.spans();
    let mut of_trace = spans.iter().filter(|span| hex(&span.trace_id) == named);
    let poll = of_trace.find(|span| span.name == "poll");
    let poll = poll.unwrap_or_else(|| panic!("no poll in {named}"));
    let status = poll.status.as_ref().map(|status| status.code());
    assert_eq!(status, Some(SpanStatus::Error), "{poll:#?}");
}

fn the_polls_that_failed_are_in_the_traces(collector: &Collector, nsx: &NsxSimulator) {
    let failed = |span: &&Span| {
        let status = span.status.as_ref();
        span.kind() == SpanKind::Client
            && status.is_some_and(|status| status.code() == SpanStatus::Error)
    };
    let url = nsx.url();
    let port = url.rsplit(':').next().unwrap();
    let to_it = |span: &&Span| {
        let mut attributes = span.attributes.iter();
        let of_port = attributes.find(|attribute| attribute.key == "server.port");
        // A number as text, or as it is.
        of_port.is_some_and(|attribute| format!("{:?}", attribute.value).contains(port))
    };
    let spans = collector.spans();
    let failed: Vec<&Span> = spans.iter().filter(failed).filter(to_it).collect();
    assert!(failed.len() >= 3, "{} of {}", failed.len(), spans.len());
    for (key, value) in [("error.type", "429"), ("url.path", "/api/session/create")] {
        let has = |span: &&&Span| {
            let text = format!("{:?}", span.attributes);
            text.contains(key) && text.contains(value)
        };
        assert!(
            failed.iter().any(|span| has(&span)),
            "{key} {value}: {failed:#?}"
        );
    }
}
