//! Replays a recording in its order: policies, endpoint groups, services, connections and quotas.
//!
//! The id from each recorded POST maps to the id that the simulator made. Every later exchange about the object is
//! compared, too.

use std::collections::BTreeMap;

use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::simulator::openstack::tests::recorded::seeded;
use crate::simulator::openstack::tests::{Bench, Got, got};
use crate::simulator::openstack::{Kind, OpenstackOptions, ReportFate};

#[tokio::test]
async fn a_recording_is_answered_alike_from_beginning_to_end() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let inventory = &bench.inventory;
    let (demo, other) = (&inventory.project, &inventory.other);
    let mut ours: BTreeMap<String, String> = seeded(&bench)
        .into_iter()
        .chain([
            ("8e115ac6-483b-4553-b4fc-0d726c8db58a", demo.subnet_id),
            ("c312440f-faff-433f-9fba-0f10be38374e", other.router_id),
            ("8a9a43c6-f2e1-4a73-a7cd-5c84c1c7cad4", other.subnet_id),
            (
                "7f09b48a-3919-42f9-a389-dd2591c808e3",
                inventory.router_without_gateway,
            ),
            ("7a18f8d9-de12-4501-8212-508ac8e70964", other.ike_policy_id),
            ("1fcfd3ba-5ff6-425a-855c-53439dbf5022", other.service_id),
        ])
        .map(|(recorded, ours)| (recorded.to_owned(), ours.to_owned()))
        .collect();
    // The recorded cloud also had two groups of IPv6 endpoints.
    for (recorded, kind, endpoint) in [
        (
            "927562e4-7c9f-4f7a-b01e-836b9cfc3fed",
            "subnet",
            demo.subnet_v6_id,
        ),
        (
            "35d034a5-a67d-4e18-bcf9-43717aea5f97",
            "cidr",
            "2001:db8:77::/64",
        ),
    ] {
        let body = json!({"endpoint_group": {"type": kind, "endpoints": [endpoint]}});
        let path = "/v2.0/vpn/endpoint-groups";
        let made = bench.call(Method::POST, path, Some(body)).await.json();
        ours.insert(recorded.to_owned(), made_id(&made).unwrap());
    }
    // In the recording, two connections used the policies, groups and service before the updates.
    bench.created(json!({})).await;
    let recording = include_str!("../../../../tests/fixtures/openstack/recorded_in_order.json");
    let recording: Vec<Value> = serde_json::from_str(recording).unwrap();
    assert_eq!(recording.len(), 174);
    for pair in recording {
        let title = format!("{}: {}", pair["pair"], pair["title"]);
        between(&bench, &pair, &ours);
        let answer = ask(&bench, &translated(&pair, &ours)).await;
        assert_eq!(answer.status, pair["status"], "{title}: {}", answer.text);
        let content_type = answer.headers.get(&CONTENT_TYPE);
        assert_eq!(
            content_type.map(|value| value.to_str().unwrap()),
            pair["content_type"].as_str(),
            "{title}"
        );
        if pair["answer"].is_null() {
            assert_eq!(answer.text, "", "{title}");
            continue;
        }
        let answer = answer.json();
        if pair["status"] == 201 {
            let (recorded, made) = (made_id(&pair["answer"]), made_id(&answer));
            ours.insert(recorded.unwrap(), made.unwrap());
        }
        let mut answer = answer;
        let expected = translated(&pair, &ours)["answer"].take();
        if pair["cut"] == true {
            // The recording has only the beginning of this answer.
            shorten(&mut answer, &expected);
        }
        assert_eq!(in_no_order(answer), in_no_order(expected), "{title}");
    }
}

/// Repeats what happened in the recorded cloud before this exchange without a request.
fn between(bench: &Bench, pair: &Value, ours: &BTreeMap<String, String>) {
    let state = bench.cloud.state();
    let service = || &ours["34eef685-672c-451c-99c1-d5a9651e6567"];
    let connection = || &ours["b0f38f6f-cf87-497a-a997-8e4b0de75f73"];
    let legacy = || &ours["ae94795d-b2fe-448c-b327-7a1e0a334fce"];
    let reported = |id: &str, status: &str| {
        assert_eq!(state.agent_reports(id, status), ReportFate::Written);
    };
    match pair["pair"].as_u64() {
        Some(100) => {
            let active = Some(json!("ACTIVE"));
            assert!(state.set_attribute(Kind::VpnService, service(), "status", active));
        }
        Some(167) => reported(connection(), "DOWN"),
        Some(168) => reported(connection(), "ACTIVE"),
        Some(187) => reported(legacy(), "ACTIVE"),
        // Stock agents never report these. The lab's own script wrote them.
        Some(189) => assert!(state.set_status(connection(), "ERROR")),
        Some(190) => assert!(state.set_status(connection(), "PENDING_UPDATE")),
        Some(191) => {
            let stale = state.agent_reports_stale(connection(), "DOWN");
            assert_eq!(stale, ReportFate::DroppedPending);
            assert!(state.set_status(connection(), "PENDING_DELETE"));
        }
        _ => {}
    }
}

async fn ask(bench: &Bench, pair: &Value) -> Got {
    let method: Method = pair["method"].as_str().unwrap().parse().unwrap();
    let url = format!(
        "{}{}",
        bench.cloud.neutron_url(),
        pair["path"].as_str().unwrap()
    );
    let mut call = bench
        .client
        .request(method, url)
        .header("x-auth-token", &bench.token);
    match &pair["body"] {
        Value::Null => {}
        Value::String(text) => call = call.body(text.clone()),
        body => call = call.body(body.to_string()),
    }
    for (name, value) in pair["headers"].as_object().into_iter().flatten() {
        call = call.header(name, value.as_str().unwrap());
    }
    got(call).await
}

fn translated(pair: &Value, ours: &BTreeMap<String, String>) -> Value {
    let mut text = pair.to_string();
    for (recorded, ours) in ours {
        text = text.replace(recorded, ours);
    }
    serde_json::from_str(&text).unwrap()
}

fn made_id(answer: &Value) -> Option<String> {
    let object = answer.as_object()?.values().next()?;
    Some(object["id"].as_str()?.to_owned())
}

/// Removes the members of an object that the other one does not have.
fn shorten(answer: &mut Value, to: &Value) {
    for (key, object) in answer.as_object_mut().into_iter().flatten() {
        if let Value::Object(members) = object {
            members.retain(|name, _| to[key].get(name).is_some());
        }
    }
}

/// Rows come in the order of ids, and the simulator's ids differ.
fn in_no_order(mut body: Value) -> Value {
    for rows in body
        .as_object_mut()
        .into_iter()
        .flat_map(|body| body.values_mut())
    {
        if let Value::Array(rows) = rows {
            rows.sort_by_key(Value::to_string);
        }
    }
    body
}
