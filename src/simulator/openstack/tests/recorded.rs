//! Answers recorded from real servers. The simulator's answers must equal them except for ids, times and addresses.

use std::path::Path;

use http::Method;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use serde_json::Value;

use crate::simulator::openstack::OpenstackOptions;
use crate::simulator::openstack::tests::{Bench, got};

#[tokio::test]
async fn every_recorded_pair_is_answered_alike() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let reader = bench.log_in(&bench.inventory.reader, Some("demo")).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/openstack/recorded");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let pair = translate(&bench, &std::fs::read_to_string(&file).unwrap());
        let (request, answer) = (&pair["request"], &pair["answer"]);
        let path = request["path"].as_str().unwrap();
        let keystone = path.starts_with("/v3");
        let host = if keystone {
            bench.cloud.keystone_url()
        } else {
            bench.cloud.neutron_url()
        };
        let method: Method = request["method"].as_str().unwrap().parse().unwrap();
        let mut call = bench.client.request(method, format!("{host}{path}"));
        match request["token"].as_str() {
            Some("demo") => call = call.header("x-auth-token", &bench.token),
            Some("reader") => call = call.header("x-auth-token", &reader),
            Some(other) => panic!("nobody is called {other}"),
            None => {}
        }
        if !request["body"].is_null() {
            call = call.json(&request["body"]);
        }
        let got = got(call).await;
        let title = pair["title"].as_str().unwrap();
        assert_eq!(
            Value::from(got.status),
            answer["status"],
            "{title}: {}",
            got.text
        );
        for (name, member) in [
            (CONTENT_TYPE, "content_type"),
            (WWW_AUTHENTICATE, "www_authenticate"),
        ] {
            let found = got.headers.get(&name).map(|value| value.to_str().unwrap());
            assert_eq!(found, answer[member].as_str(), "{title}");
        }
        match &answer["body"] {
            Value::String(text) => assert_eq!(got.text.trim_end(), text.trim_end(), "{title}"),
            body => assert_eq!(anonymous(got.json()), anonymous(body.clone()), "{title}"),
        }
        assert!(
            got.headers["x-openstack-request-id"]
                .to_str()
                .unwrap()
                .starts_with("req-"),
            "{title}"
        );
        seen += 1;
    }
    assert!(seen > 20, "only {seen} pairs found");
}

/// The pair with the recorded ids and addresses replaced by the simulator's.
fn translate(bench: &Bench, text: &str) -> Value {
    let mut text = text.to_owned();
    let (neutron, keystone) = (bench.cloud.neutron_url(), bench.cloud.keystone_url());
    for (recorded, ours) in seeded(bench).into_iter().chain([
        ("http://127.0.0.1:19696", neutron.as_str()),
        ("http://127.0.0.1:15000", keystone.as_str()),
    ]) {
        text = text.replace(recorded, ours);
    }
    serde_json::from_str(&text).unwrap()
}

/// Ids of the recorded cloud's objects at the start, paired with the simulator's.
pub(super) fn seeded(bench: &Bench) -> [(&'static str, &'static str); 10] {
    let (demo, other) = (&bench.inventory.project, &bench.inventory.other);
    [
        ("fc01997757d140ebb063c7729563fba8", demo.project_id),
        ("07b3b4da876e4e438ecd2867f2ef00c8", other.project_id),
        ("e1e13e12-966b-4c14-9f05-b427062ad50c", demo.router_id),
        ("1e895ab9-9823-44dd-bca7-065ffeba871e", demo.service_id),
        (
            "e134c6a4-72c6-45e9-93e2-97f516ee0314",
            demo.legacy_service_id,
        ),
        ("c573ba64-128f-4fbf-aa90-15471a8dc49a", demo.ike_policy_id),
        ("ed664305-b59f-470f-b045-e8bebe38ce90", demo.ipsec_policy_id),
        ("2dd8e2a4-7bbd-42b8-8763-398a5f487425", demo.local_group_id),
        ("fee1ba84-bf34-46a9-932d-5f5d50758756", demo.peer_group_id),
        ("2001:db8:ffff::3e8", "2001:db8:ffff::166"),
    ]
}

/// Removes what differs every time: ids made by the server, times and audit ids.
fn anonymous(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) => {
            let ours = text.starts_with("d33") || text.starts_with("07e2");
            let id = uuid::Uuid::try_parse(text).is_ok() && !ours;
            let time = text.len() == 27 && text.ends_with("000Z");
            if id || time {
                *text = format!("<{} characters>", text.len());
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = anonymous(item.take())),
        Value::Object(members) => {
            for (name, member) in members {
                *member = match (name.as_str(), member.take()) {
                    ("audit_ids", Value::Array(ids)) => Value::from(ids.len()),
                    // No request asked for a user by id, so no inventory of the recording has that id.
                    ("user", Value::Object(mut user)) => {
                        user.remove("id");
                        Value::Object(user)
                    }
                    (_, member) => anonymous(member),
                };
            }
        }
        _ => {}
    }
    value
}
