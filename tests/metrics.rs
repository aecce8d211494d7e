//! The page for Prometheus of the program as it runs, held against the table of metrics.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "metrics/page.rs"]
mod page;
#[path = "metrics/serving.rs"]
mod serving;
mod support;

use http::{Method, StatusCode, uri::PathAndQuery};
use isthmus::{
    grpc::pb::{
        self, Goal, connection_service_client::ConnectionServiceClient as Connections,
        realization_service_client::RealizationServiceClient as Realizations,
    },
    metrics::{Kind, Metric, attributes::attribute, table::TABLE},
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{ForcedState, NsxOptions, NsxSimulator},
        openstack::OpenstackSimulator,
    },
};
use page::{Family, Page};
use serving::Serving;
use std::{
    fmt::Write,
    time::{Duration, Instant},
};
use support::{
    clouds::{self, PSK, References},
    running::id_of,
};
use tonic::{Code, Request, Streaming, client::Grpc, transport::Channel};

/// How long what happened may take to be on the page.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls and streams at one time; some of them are watches.
const MAX_CALLS: usize = 8;

const WRONG: &str = "canary-password-that-is-wrong";
const REQUEST_ID: &str = "canary-request-7d3f";

/// Two clouds, and one that the gateway has no good password for.
struct Clouds {
    nsx: NsxSimulator,
    openstack: OpenstackSimulator,
    locked: NsxSimulator,
}

impl Clouds {
    fn start() -> Clouds {
        Clouds {
            nsx: NsxSimulator::start(NsxOptions::default()).unwrap(),
            openstack: OpenstackSimulator::start(Default::default()).unwrap(),
            locked: NsxSimulator::start(NsxOptions::default()).unwrap(),
        }
    }

    fn config(&self, store: &str) -> String {
        let NsxOptions {
            username, password, ..
        } = NsxOptions::default();
        let inventory = self.openstack.inventory();
        let poll = "poll = { fresh = \"200ms\", stable = \"500ms\" }";
        let nsx = |name: &str, cloud: &NsxSimulator, password: &str| {
            format!(
                "[[backends]]\nname = \"{name}\"\ndialect = \"nsx\"\nurl = {:?}\n{poll}\n\
                 auth = {{ kind = \"session\", username = \"{username}\", password = \"{password}\" }}\n",
                cloud.urls()
            )
        };
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nmax_calls = {MAX_CALLS}\n\
             [store]\npath = \"{store}\"\n\
             [telemetry]\nmetrics_listen = \"127.0.0.1:0\"\notlp_endpoint = \"http://127.0.0.1:1\"\n"
        );
        text += &nsx("nsx-a", &self.nsx, &password);
        text += &nsx("locked", &self.locked, WRONG);
        write!(
            text,
            "[[backends]]\nname = \"openstack-a\"\ndialect = \"openstack\"\n{poll}\n\
             [backends.auth]\nkind = \"password\"\nusername = \"{}\"\npassword = \"{}\"\nauth_url = \"{}\"\n\
             project_name = \"{}\"\nuser_domain_id = \"default\"\nproject_domain_id = \"default\"\n",
            inventory.member.name,
            inventory.member.password,
            self.openstack.keystone_url(),
            inventory.project.project_name,
        )
        .unwrap();
        text
    }

    /// What must not be on the page, whatever it is of.
    fn secrets(&self) -> Vec<String> {
        let member = self.openstack.inventory().member;
        let secrets = [PSK, WRONG, REQUEST_ID, member.password];
        let mut secrets: Vec<String> = secrets.iter().map(|it| (*it).to_owned()).collect();
        secrets.push(NsxOptions::default().password);
        secrets
    }
}

/// A client of the program.
struct Client {
    channel: Channel,
}

type Watch = Streaming<pb::WatchRealizationResponse>;

impl Client {
    async fn of(serving: &Serving) -> Client {
        let endpoint = Channel::from_shared(format!("http://{}", serving.address)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Client { channel }
    }

    async fn create(&self, backend: &str, connection: pb::Connection) -> (String, String) {
        let request = pb::CreateConnectionRequest {
            parent: format!("backends/{backend}"),
            connection: Some(connection),
            ..Default::default()
        };
        let mut client = Connections::new(self.channel.clone());
        let answer = client
            .create_connection(request)
            .await
            .unwrap()
            .into_inner();
        (answer.connection.unwrap().name, answer.write_token)
    }

    async fn get(&self, name: &str) -> Code {
        let request = pb::GetConnectionRequest {
            name: name.to_owned(),
        };
        let mut request = Request::new(request);
        let id = REQUEST_ID.parse().unwrap();
        request.metadata_mut().insert("x-request-id", id);
        let mut client = Connections::new(self.channel.clone());
        let answer = client.get_connection(request).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    }

    async fn watch(&self, name: &str, goal: Goal, token: &str) -> Result<Watch, tonic::Status> {
        let request = pb::WatchRealizationRequest {
            name: name.to_owned(),
            goal: goal.into(),
            write_token: token.to_owned(),
            ..Default::default()
        };
        let mut client = Realizations::new(self.channel.clone());
        let answer = client.watch_realization(request).await?;
        Ok(answer.into_inner())
    }

    /// Calls what there is not.
    async fn nonsense(&self) {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = PathAndQuery::from_static("/canary.Service/Method");
        let answer = client.unary(Request::new(()), path, codec).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    }
}

/// Reads until the state is told that has this word of the cloud's.
async fn until(watch: &mut Watch, native: &str) {
    use pb::watch_realization_response::Event::{Change, Snapshot};
    let read = async {
        loop {
            let message = watch.message().await.unwrap().expect("it goes on");
            if let Some(Change(it) | Snapshot(it)) = message.event
                && it.native_state == native
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
}

/// Does enough for every metric to have counted something; what is open has to stay so. Also all ids that came up.
async fn do_enough(clouds: &Clouds, client: &Client) -> (Vec<Watch>, Vec<String>) {
    let state = clouds.nsx.state();
    let (name, token) = client
        .create("nsx-a", clouds::nsx_connection("nsx-a"))
        .await;
    let references = References::of(&clouds.openstack);
    let other = client
        .create("openstack-a", references.connection("openstack-a"))
        .await;
    let id = id_of(&name);

    // A watch that ends with an outcome.
    let mut ends = client.watch(&name, Goal::Config, &token).await.unwrap();
    state.finish(&id);
    while ends.message().await.unwrap().is_some() {}

    // One that goes on, and is told what nobody here knows.
    let mut open = client.watch(&name, Goal::Unspecified, "").await.unwrap();
    until(&mut open, "in_sync").await;
    state.force_state(&id, Some(ForcedState::whole("canary_word")));
    until(&mut open, "canary_word").await;

    // A read that breaks once, and one for which the cloud wants patience.
    let faults = clouds.nsx.faults();
    let cut = Rule::on(Method::GET, "/sessions/", Fault::CutBeforeHandling);
    faults.inject(cut.times(1));
    client.get(&name).await;
    let patience = Answer::status(StatusCode::TOO_MANY_REQUESTS).retry_after(0);
    let throttle = Rule::on(Method::GET, "/sessions/", Fault::Answer(patience));
    faults.inject(throttle.times(1));
    client.get(&name).await;

    // A login that is refused, a call that there is not, and one more than there may be.
    let refused = client.get("backends/locked/connections/canary").await;
    assert_eq!(refused, Code::Internal);
    client.nonsense().await;
    let mut watches = vec![open];
    let full = loop {
        match client.watch(&name, Goal::Unspecified, "").await {
            Ok(watch) => watches.push(watch),
            Err(status) => break status.code(),
        }
        assert!(watches.len() <= MAX_CALLS, "there is a limit");
    };
    assert_eq!(full, Code::ResourceExhausted);
    let ids = vec![id, token, id_of(&other.0), other.1];
    (watches, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_page_is_what_the_table_says() {
    let clouds = Clouds::start();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("log.redb");
    let config = clouds.config(store.to_str().unwrap());
    let serving = Serving::start(folder.path(), &config);
    let client = Client::of(&serving).await;
    let (watches, mut hidden) = do_enough(&clouds, &client).await;
    hidden.extend(clouds.secrets());

    let begun = Instant::now();
    let page = loop {
        let page = Page::read(serving.page).await;
        let missing = missing(&page);
        if missing.is_empty() {
            break page;
        }
        let text = missing.join("\n");
        assert!(begun.elapsed() < PATIENCE, "nowhere on the page:\n{text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    drop(watches);

    let wrong: Vec<String> = page.families().flat_map(wrong_with).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let told: Vec<&String> = hidden.iter().filter(|it| page.text.contains(*it)).collect();
    assert!(told.is_empty(), "on the page: {told:?}");
    what_was_done_is_counted(&page);
    serving.end();
}

/// The metrics of the table that are not on the page.
fn missing(page: &Page) -> Vec<String> {
    let names = TABLE.iter().map(|metric| metric.prometheus_name());
    names.filter(|name| page.family(name).is_none()).collect()
}

/// What is not as the table has it.
fn wrong_with(family: &Family) -> Vec<String> {
    // The resource, which is of the exporter.
    if family.name == "target_info" {
        return Vec::new();
    }
    let name = &family.name;
    let Some(metric) = TABLE.iter().find(|it| it.prometheus_name() == *name) else {
        return vec![format!("{name} is not in the table")];
    };
    let mut wrong = Vec::new();
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::UpDownCounter | Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    if family.kind != kind {
        wrong.push(format!("{name} is a {}", family.kind));
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words(&family.help) != words(metric.help) {
        wrong.push(format!("{name} is said to be: {}", family.help));
    }
    for sample in &family.samples {
        let labels = sample.labels.iter();
        let labels = labels.filter(|(label, _)| !(kind == "histogram" && label == "le"));
        for (label, value) in labels {
            wrong.extend(wrong_label(metric, label, value).map(|why| format!("{name}: {why}")));
        }
    }
    wrong
}

fn wrong_label(metric: &Metric, label: &str, value: &str) -> Option<String> {
    let mut names = metric.attributes.iter();
    let Some(name) = names.find(|name| Metric::label(name) == label) else {
        return Some(format!("{label} is no attribute of it"));
    };
    let values = attribute(metric.name, name).unwrap().values;
    if !values.is_empty() && !values.contains(&value) {
        return Some(format!("{value:?} is no value of {label}"));
    }
    let is_id = is_id(value).then(|| format!("{label} has an id: {value:?}"));
    is_id.or_else(|| value.is_empty().then(|| format!("{label} says nothing")))
}

/// Whether it has what ids are made of: many hexadecimal digits with nothing but hyphens between them.
fn is_id(value: &str) -> bool {
    let pieces = value.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    let mut digits = pieces.map(|piece| piece.replace('-', "").len());
    digits.any(|digits| digits >= 16)
}

fn what_was_done_is_counted(page: &Page) {
    let value = |name: &str, labels: &[(&str, &str)]| page.value(name, labels);
    let calls = "rpc_server_call_duration_seconds_count";
    let created = (
        "rpc_method",
        "isthmus.v1.ConnectionService/CreateConnection",
    );
    assert_eq!(value(calls, &[created]), 2.0);
    let other = ("rpc_method", "_OTHER");
    let unimplemented = ("error_type", "UNIMPLEMENTED");
    assert_eq!(value(calls, &[other, unimplemented]), 1.0);
    let limit = ("isthmus_limit", "max_calls");
    assert_eq!(value("isthmus_server_refused_total", &[limit]), 1.0);
    assert_eq!(value("isthmus_server_connections", &[]), 1.0);
    assert!(value("isthmus_server_calls", &[]) >= 2.0);
    // The collector is not there.
    let metrics = ("isthmus_signal", "metrics");
    assert!(value("isthmus_telemetry_export_failures_total", &[metrics]) >= 1.0);
}

#[test]
fn an_id_is_found_out() {
    for id in [
        "4b5cd6b7-f97f-4f39-9f4e-0a9ed3f9ff3a",
        "0af7651916cd43dd8448",
    ] {
        assert!(is_id(id) && is_id(&format!("sessions/{id}/x")), "{id}");
    }
    for word in [
        "RESOURCE_EXHAUSTED",
        "grpc.health.v1.Health/Check",
        "127.0.0.1",
        "nsx-a",
    ] {
        assert!(!is_id(word), "{word}");
    }
}
