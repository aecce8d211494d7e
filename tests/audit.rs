//! The records of writes: one for each call that writes, whatever became of it, and none of what is only tried; and one
//! more for what did not end with its call.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use http::{Method, StatusCode};
use isthmus::{
    grpc::pb,
    simulator::{
        faults::{Answer, Fault, Gate, Rule},
        nsx::{NsxOptions, NsxSimulator},
    },
};
use prost_reflect::DescriptorPool;
use serde_json::Value;
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{
    clouds::{self, PSK},
    running::Running,
};
use tokio::time::{Instant, sleep};
use tonic::{Request, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;
use tracing_subscriber::{filter::Targets, fmt::MakeWriter};

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

impl Logs {
    /// The records since the last time, oldest first.
    fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains(PSK), "a secret in a record: {text}");
        let each = text.lines().map(|line| serde_json::from_str(line).unwrap());
        each.collect()
    }

    /// The one record since the last time.
    #[track_caller]
    fn one(&self) -> Value {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// The one record that comes next.
    async fn next(&self) -> Value {
        let begun = Instant::now();
        let mut records = self.take();
        while records.is_empty() && begun.elapsed() < Duration::from_secs(20) {
            sleep(Duration::from_millis(20)).await;
            records = self.take();
        }
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }
}

#[track_caller]
fn check(record: &Value, action: &str, resource: &str, result: &str) {
    for (key, value) in [
        ("target", "isthmus::audit"),
        ("message", "a write"),
        ("action", action),
        ("resource", resource),
        ("result", result),
    ] {
        assert_eq!(record[key], value, "{record:#}");
    }
    assert!(record["duration_ms"].is_u64(), "{record:#}");
    let peer = record["peer"].as_str().unwrap_or_default();
    assert!(peer.starts_with("127.0.0.1:"), "{record:#}");
}

const ID: &str = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11";

const OTHER_ID: &str = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a12";

#[tokio::test(flavor = "multi_thread")]
async fn every_write_has_one_record() {
    let logs = Logs::default();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true);
    let subscriber = subscriber.with_writer(logs.clone()).finish();
    let only = Targets::new().with_target("isthmus::audit", tracing::Level::INFO);
    let subscriber = tracing_subscriber::layer::SubscriberExt::with(subscriber, only);
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let cloud = NsxSimulator::start(NsxOptions::default()).unwrap();
    let mut settings = clouds::nsx("nsx-a", &cloud);
    // A write of unknown outcome is looked for during six of these.
    settings.core.timeout = Duration::from_secs(1);
    let running = Running::start(vec![settings]).await;
    calls_that_are_refused(&running, &logs).await;
    writes_that_are_done(&running, &cloud, &logs).await;
    a_write_whose_caller_went_away(&running, &cloud, &logs).await;
    a_write_whose_end_nobody_knew(&running, &cloud, &logs).await;
}

/// Every call that writes, as the contract has them, with nothing in it.
async fn calls_that_are_refused(running: &Running, logs: &Logs) {
    let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let verbs = ["Create", "Apply", "Update", "Delete"];
    let mut writes = 0;
    for service in pool.services() {
        for method in service.methods() {
            let Some(verb) = verbs.iter().find(|verb| method.name().starts_with(**verb)) else {
                continue;
            };
            let path = format!("/{}/{}", service.full_name(), method.name());
            let path = PathAndQuery::try_from(path).unwrap();
            let mut client = Grpc::new(running.channel.clone());
            client.ready().await.unwrap();
            let codec = ProstCodec::<(), ()>::default();
            client
                .unary(Request::new(()), path, codec)
                .await
                .unwrap_err();
            let record = logs.one();
            assert_eq!(record["action"], verb.to_lowercase(), "{}", method.name());
            assert_eq!(record["result"], "INVALID_FIELD", "{}", method.name());
            writes += 1;
        }
    }
    assert_eq!(writes, 22);
}

async fn writes_that_are_done(running: &Running, cloud: &NsxSimulator, logs: &Logs) {
    let mut connections = running.connections();
    let new = "backends/nsx-a/connections/-";
    let mut create = pb::CreateConnectionRequest {
        parent: "backends/nsx-a".to_owned(),
        connection: Some(clouds::nsx_connection("nsx-a")),
        validate_only: true,
        ..Default::default()
    };
    connections.create_connection(create.clone()).await.unwrap();
    assert_eq!(logs.take(), [] as [Value; 0], "it was only tried");

    create.validate_only = false;
    create.request_id = ID.to_owned();
    let made = connections.create_connection(create.clone()).await.unwrap();
    let name = made.into_inner().connection.unwrap().name;
    let record = logs.one();
    check(&record, "create", &name, "OK");
    assert_eq!(record["request_id"], ID);
    let requests = record["upstream_request_ids"].as_str().unwrap();
    assert!(requests.split(',').count() >= 1, "{record:#}");

    // The same again is answered, and nothing is written.
    connections.create_connection(create.clone()).await.unwrap();
    let record = logs.one();
    check(&record, "create", new, "OK");
    assert_eq!(
        (
            record["repeat"].as_bool(),
            record.get("upstream_request_ids")
        ),
        (Some(true), None)
    );

    // Applied, and there already.
    running
        .apply("nsx-a", clouds::nsx_connection("nsx-a"))
        .await
        .unwrap();
    check(&logs.one(), "apply", &name, "OK");

    // Refused by the cloud.
    let refusal = Answer::status(StatusCode::BAD_REQUEST);
    let refusal = Rule::on(Method::PUT, "/sessions/", Fault::Answer(refusal));
    cloud.faults().inject(refusal);
    let changed = pb::Connection {
        name: name.clone(),
        display_name: "another".to_owned(),
        ..Default::default()
    };
    let refused = running
        .update(changed, &["display_name"])
        .await
        .unwrap_err();
    cloud.faults().clear();
    check(
        &logs.one(),
        "update",
        &name,
        &support::running::reason(&refused),
    );

    running.delete(&name).await.unwrap();
    check(&logs.one(), "delete", &name, "OK");
    // What is no id is in no record, whatever its length.
    let wrong = pb::DeleteConnectionRequest {
        name: name.clone(),
        request_id: "no id".repeat(1000),
        ..Default::default()
    };
    let wrong = connections.delete_connection(wrong).await.unwrap_err();
    let record = logs.one();
    check(&record, "delete", &name, &support::running::reason(&wrong));
    assert_eq!(record.get("request_id"), None);
    let missing = running.delete(&name).await.unwrap_err();
    check(
        &logs.one(),
        "delete",
        &name,
        &support::running::reason(&missing),
    );
    let elsewhere = "backends/nobody/connections/1";
    running.delete(elsewhere).await.unwrap_err();
    check(&logs.one(), "delete", elsewhere, "BACKEND_NOT_FOUND");
}

/// The write goes on, and its record is written when it ends.
async fn a_write_whose_caller_went_away(running: &Running, cloud: &NsxSimulator, logs: &Logs) {
    let gate = Gate::default();
    let held = Rule::on(Method::POST, "/sessions", Fault::HoldAnswer(gate.clone()));
    let hits = cloud.faults().inject(held.times(1));
    let create = running.create("nsx-a", clouds::nsx_connection("nsx-a"));
    tokio::select! {
        made = create => panic!("it is held: {made:?}"),
        () = hits.reach(1) => {}
    }
    gate.open();
    let record = logs.next().await;
    let name = record["resource"].as_str().unwrap().to_owned();
    check(&record, "create", &name, "OK");
    assert_eq!(running.get(&name).await.unwrap().name, name);
    running.delete(&name).await.unwrap();
    logs.one();
}

/// What became of it is in a second record, once somebody knows.
async fn a_write_whose_end_nobody_knew(running: &Running, cloud: &NsxSimulator, logs: &Logs) {
    let lost = Rule::on(Method::POST, "/sessions$", Fault::CutAfterHandling);
    cloud.faults().inject(lost.times(1));
    let refusal = Fault::Answer(Answer::status(StatusCode::INTERNAL_SERVER_ERROR));
    cloud
        .faults()
        .inject(Rule::on(Method::GET, "/sessions$", refusal));
    let create = pb::CreateConnectionRequest {
        parent: "backends/nsx-a".to_owned(),
        connection: Some(clouds::nsx_connection("nsx-a")),
        request_id: OTHER_ID.to_owned(),
        ..Default::default()
    };
    let left = running.connections().create_connection(create).await;
    let left = support::running::reason(&left.unwrap_err());
    let first = logs.one();
    check(
        &first,
        "create",
        first["resource"].as_str().unwrap(),
        "WRITE_AMBIGUOUS",
    );
    assert_eq!(left, "WRITE_AMBIGUOUS");
    assert!(first["write_id"].is_string(), "{first:#}");
    cloud.faults().clear();

    let second = logs.next().await;
    assert_eq!(second["message"], "the end of a write");
    for of_both in ["target", "action", "peer", "request_id", "write_id"] {
        assert_eq!(second[of_both], first[of_both], "{of_both}: {second:#}");
    }
    assert_eq!(second["request_id"], OTHER_ID);
    // What was asked for is there.
    assert_eq!(second["result"], "finished", "{second:#}");
    let name = second["resource"].as_str().unwrap();
    assert_eq!(running.get(name).await.unwrap().name, name);
}
