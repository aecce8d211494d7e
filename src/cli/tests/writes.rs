//! How writes are sent: with which parts, under which id, and how often.

use super::{resources::stored, *};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tonic::Code;
use tonic_types::{ErrorDetail, ErrorInfo, RetryInfo, StatusExt};

const ID: &str = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11";

/// Returns a refusal of the gateway, with or without a retry delay.
fn refusal(code: Code, retry: Option<Duration>) -> Status {
    let info = ErrorInfo::new(
        "WRITE_UNDER_WAY",
        "isthmus",
        std::collections::HashMap::new(),
    );
    let mut details: Vec<ErrorDetail> = vec![info.into()];
    details.extend(retry.map(|delay| RetryInfo::new(Some(delay)).into()));
    Status::with_error_details_vec(code, "not now", details)
}

fn ids(asked: &[(String, Value)]) -> Vec<&str> {
    let ids = asked.iter().map(|(_, it)| it["requestId"].as_str());
    ids.map(Option::unwrap_or_default).collect()
}

#[tokio::test]
async fn a_connection_is_made_with_its_parts_and_a_plan_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\
connection:
  display_name: branch
  peer: {address: 192.0.2.1, psk: Canary}
parts:
  ike_policy: {dh_groups: [DH_GROUP_MODP_2048]}
  vpn_service: {router: r}
reuse: REUSE_MANAGED
";
    let file = stored(&folder, "branch.yaml", text);
    let script = Script::default();
    let step = |action: &str, collection: &str, name: &str| json!({"action": action, "collection": collection, "name": name});
    let plan = json!({"connection": {}, "plan": [
        step("ACTION_REUSE", "ikePolicies", "backends/a/ikePolicies/1"),
        step("ACTION_CREATE", "vpnServices", ""),
    ]});
    script.fake.answer("CreateConnection", plan);
    let line = format!("create a {} --dry-run", file.display());
    let (exit, printed) = run(&script, &line).await;
    assert_eq!(exit, Exit::Done);
    assert_eq!(
        printed,
        "\
it would be accepted; nothing was changed
ACTION  COLLECTION   NAME             FIELDS
REUSE   ikePolicies  a/ikePolicies/1
CREATE  vpnServices
"
    );
    let asked = script.fake.asked_json().remove(0).1;
    assert_eq!(
        asked,
        json!({
            "parent": "backends/a",
            "connection": {"displayName": "branch", "peer": {"address": "192.0.2.1", "psk": "Canary"}},
            "parts": {"ikePolicy": {"dhGroups": ["DH_GROUP_MODP_2048"]}, "vpnService": {"router": "r"}},
            "reuse": "REUSE_MANAGED",
            "validateOnly": true,
        })
    );
    let (_, printed) = run(&script, &format!("{line} -o json")).await;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["plan"][0]["name"], "backends/a/ikePolicies/1");
}

#[tokio::test]
async fn what_would_be_removed_is_shown() {
    let script = Script::default();
    let step = json!({"action": "ACTION_DELETE", "collection": "connections", "name": "backends/a/connections/1"});
    script
        .fake
        .answer("DeleteConnection", json!({"plan": [step]}));
    let (_, printed) = run(&script, "delete a/1 --dry-run").await;
    assert_eq!(
        printed,
        "it would be removed; nothing was changed\n\
         ACTION  COLLECTION   NAME  FIELDS\n\
         DELETE  connections  a/1\n"
    );
    let asked = script.fake.asked_json().remove(0).1;
    let meant = json!({"name": "backends/a/connections/1", "validateOnly": true});
    assert_eq!(asked, meant);
}

#[tokio::test]
async fn a_write_in_doubt_is_asked_for_once_more_under_its_own_id() {
    let soon = Some(Duration::from_millis(1));
    let late = Some(Duration::from_secs(3600));
    for (refusals, line, exit, times) in [
        (vec![], "", Exit::Done, 1),
        (vec![(Code::Unavailable, soon)], "", Exit::Done, 2),
        (vec![(Code::Unknown, soon)], "", Exit::Done, 2),
        (vec![(Code::Unknown, soon); 2], "", Exit::CouldNotAsk, 2),
        (vec![(Code::Unknown, None)], "", Exit::CouldNotAsk, 1),
        (vec![(Code::Unavailable, late)], "", Exit::CouldNotAsk, 1),
        (
            vec![(Code::FailedPrecondition, soon)],
            "",
            Exit::CouldNotAsk,
            1,
        ),
        (
            vec![(Code::Unavailable, soon)],
            " --dry-run",
            Exit::CouldNotAsk,
            1,
        ),
    ] {
        let script = Script::default();
        script.fake.answer("DeleteConnection", json!({}));
        for (code, retry) in &refusals {
            script.fake.refuse_next(refusal(*code, *retry));
        }
        let ended = run(&script, &format!("delete a/1{line}")).await.0;
        assert_eq!(ended, exit, "{refusals:?}");
        let asked = script.fake.asked_json();
        assert_eq!(asked.len(), times, "{refusals:?}");
        let ids = ids(&asked);
        assert!(ids.iter().all(|id| *id == ids[0]), "{asked:?}");
        assert_eq!(ids[0].is_empty(), !line.is_empty());
    }
}

#[tokio::test]
async fn an_id_that_is_given_is_sent_and_one_that_is_made_is_new_each_time() {
    let script = Script::default();
    script.fake.answer("DeleteConnection", json!({}));
    for line in [
        "delete a/1".to_owned(),
        "delete a/1".to_owned(),
        format!("delete a/1 --request-id {ID}"),
        format!("delete a/1 --request-id {ID} --dry-run"),
    ] {
        assert_eq!(run(&script, &line).await.0, Exit::Done, "{line}");
    }
    let asked = script.fake.asked_json();
    let ids = ids(&asked);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[2..], [ID, ID]);
}

/// The gateway is back when the command repeats the write.
#[tokio::test]
async fn a_write_whose_connection_breaks_is_asked_for_once_more() {
    let script = Script::default();
    script.fake.answer("DeleteConnection", json!({}));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let fake = fake::Of::<{ fake::CONNECTIONS }>(script.fake.clone());
    let serving = async move {
        let (mut broken, _) = listener.accept().await.unwrap();
        // The connection is cut after the command has begun to send.
        broken.read_exact(&mut [0; 24]).await.unwrap();
        drop(broken);
        let incoming = TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(fake);
        server.serve_with_incoming(incoming).await
    };
    let server = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(serving));
    let (exit, printed) = run_at(&endpoint, "delete a/1").await;
    assert_eq!(exit, Exit::Done, "{printed}");
    assert_eq!(script.fake.asked_json().len(), 1);
    drop(server);
}

#[tokio::test]
async fn a_write_is_waited_for_as_long_as_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // The listener never accepts.
    let exit = run_at(&endpoint, "delete a/1 --timeout 50ms").await.0;
    assert_eq!(exit, Exit::Deadline);
}

#[tokio::test]
async fn what_connections_use_is_watched_by_its_own_name() {
    let script = Script::default();
    script
        .watches
        .lock()
        .unwrap()
        .push_back(vec![Ok(success())]);
    let (exit, _) = run(&script, "watch a/ikePolicies/1 --write-token AbC").await;
    assert_eq!(exit, Exit::Done);
    let watched = script.watched.lock().unwrap().remove(0);
    assert_eq!(watched.name, "backends/a/ikePolicies/1");
    assert_eq!(watched.write_token, "AbC");
}
