//! Every kind of resource: how it is shown, and that what is shown can be written.

use super::*;
use crate::cli::{json, kinds::Kind};
use prost_reflect::{DynamicMessage, Kind as FieldKind, MessageDescriptor, Value};
use serde_json::json;
use std::path::PathBuf;

/// Builds a message with every field set. Of the fields of a oneof, the last wins.
fn filled(message: &MessageDescriptor) -> DynamicMessage {
    let mut filled = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let value = match field.kind() {
            FieldKind::Message(inner) => Value::Message(match inner.name() {
                "Struct" => {
                    DynamicMessage::deserialize(inner, json!({"a": ["b", 1.5, null], "c": {}}))
                        .unwrap()
                }
                "Timestamp" => {
                    DynamicMessage::deserialize(inner, json!("2026-11-22T01:02:03.500Z")).unwrap()
                }
                "Duration" => DynamicMessage::deserialize(inner, json!("3600s")).unwrap(),
                _ => self::filled(&inner),
            }),
            FieldKind::Enum(values) => Value::EnumNumber(values.values().last().unwrap().number()),
            FieldKind::Bool => Value::Bool(true),
            FieldKind::String => Value::String(format!("no: {} #1", field.name())),
            FieldKind::Uint32 => Value::U32(u32::MAX),
            FieldKind::Uint64 => Value::U64(u64::MAX),
            FieldKind::Int32 => Value::I32(-1),
            FieldKind::Double => Value::F64(0.5),
            FieldKind::Int64 => Value::I64(i64::MIN),
            other => panic!("no value for {other:?}"),
        };
        let value = match field.is_list() {
            true => Value::List(vec![value.clone(), value]),
            false => value,
        };
        filled.set_field(&field, value);
    }
    filled
}

pub(super) fn stored(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn what_get_prints_update_sends_back_unchanged_for_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_written()) {
        let script = Script::default();
        let message = kind.message();
        let name = format!("backends/a/{}/1", kind.collection());
        let mut resource = filled(&json::descriptor(&message));
        resource.set_field_by_name("name", Value::String(name.clone()));
        let shown = serde_json::to_value(&resource).unwrap();
        let answer = json!({ kind.field(): shown });
        script.fake.answer(&format!("Get{message}"), answer.clone());
        script
            .fake
            .answer(&format!("Update{message}"), answer.clone());
        script.fake.answer(&format!("Create{message}"), answer);
        let forms = match kind {
            // As YAML a connection is a site file.
            Kind::Connection => vec!["json"],
            _ => vec!["json", "yaml"],
        };
        for form in forms {
            let (exit, printed) = run(&script, &format!("get {} a/1 -o {form}", kind.one())).await;
            assert_eq!(exit, Exit::Done, "{kind:?}");
            let asked = script.fake.asked_json();
            assert_eq!(asked, [(format!("Get{message}"), json!({"name": name}))]);

            let file = stored(&folder, &format!("it.{form}"), &printed);
            let (exit, _) = run(&script, &format!("update -f {}", file.display())).await;
            assert_eq!(exit, Exit::Done, "{printed}");
            let (call, request) = script.fake.asked().remove(0);
            assert_eq!(call, format!("Update{message}"));
            let sent = request
                .get_field_by_name(&kind.field())
                .unwrap()
                .into_owned();
            assert_eq!(sent, Value::Message(resource.clone()), "{printed}");
            assert!(!request.has_field_by_name("update_mask"));

            let nameless: Vec<&str> = printed
                .lines()
                .filter(|line| !line.starts_with("name: "))
                .collect();
            let nameless = nameless
                .join("\n")
                .replacen(&format!("\"name\":\"{name}\","), "", 1);
            let file = stored(&folder, &format!("twin.{form}"), &nameless);
            let line = format!("create {} -f {} a", kind.one(), file.display());
            assert_eq!(run(&script, &line).await.0, Exit::Done, "{nameless}");
            let (call, request) = script.fake.asked().remove(0);
            assert_eq!(call, format!("Create{message}"));
            let mut twin = resource.clone();
            twin.clear_field_by_name("name");
            let sent = request
                .get_field_by_name(&kind.field())
                .unwrap()
                .into_owned();
            assert_eq!(sent, Value::Message(twin), "{nameless}");
        }
    }
}

#[tokio::test]
async fn every_kind_is_shown_fact_by_fact_and_as_a_table() {
    for kind in Kind::ALL {
        let script = Script::default();
        let message = kind.message();
        let resource = filled(&json::descriptor(&message));
        let shown = serde_json::to_value(&resource).unwrap();
        script
            .fake
            .answer(&format!("Get{message}"), json!({ kind.field(): shown }));
        script
            .fake
            .answer(&kind.list_call(), json!({ kind.fields(): [shown, shown] }));
        let (exit, printed) = run(&script, &format!("list {} --no-state", kind.several())).await;
        assert_eq!(exit, Exit::Done);
        assert_eq!(printed.lines().count(), 3, "{printed}");
        let heading = printed.lines().next().unwrap();
        assert!(
            heading.starts_with(&kind.person().to_uppercase()) || kind == Kind::Attachment,
            "{heading}"
        );
        let exit = run(&script, &format!("get {} a/1", kind.one())).await.0;
        let meant = match kind {
            Kind::Attachment => Exit::Usage,
            _ => Exit::Done,
        };
        assert_eq!(exit, meant, "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_not_told_is_left_out_and_the_clouds_own_word_stands_for_what_has_no_name() {
    let script = Script::default();
    let policy = json!({
        "name": "backends/a/ikePolicies/1",
        "displayName": "gold",
        "encryptionAlgorithms": ["ENCRYPTION_ALGORITHM_AES_CBC_256", "ENCRYPTION_ALGORITHM_UNSPECIFIED"],
        "nativeWords": {"encryption_algorithms": ["aes-256", "serpent"], "ike_version": "v3"},
        "lifetime": {"time": "86400s"},
        "openstack": {"projectId": "p"},
        "native": {"phase1": "x"},
    });
    script
        .fake
        .answer("GetIkePolicy", json!({ "ikePolicy": policy }));
    script
        .fake
        .answer("ListIkePolicies", json!({ "ikePolicies": [policy] }));
    let (_, printed) = run(&script, "get a/ikePolicies/1").await;
    assert_eq!(
        printed,
        "\
IKE policy             a/ikePolicies/1
display name           gold
ike version            v3
encryption algorithms  AES_CBC_256, serpent
lifetime               1day
made by                somebody else
project id             p
"
    );
    let (_, printed) = run(&script, "list ike-policies a").await;
    assert_eq!(
        printed,
        "\
IKE POLICY       DISPLAY NAME  IKE  ENCRYPTION            INTEGRITY  DH  LIFETIME
a/ikePolicies/1  gold          v3   AES_CBC_256, serpent                 1day
"
    );
    let asked = script.fake.asked_json();
    let request = json!({"parent": "backends/a", "pageSize": 1000, "view": "VIEW_BASIC"});
    assert_eq!(asked[1], ("ListIkePolicies".to_owned(), request));
}

#[tokio::test]
async fn what_contradicts_itself_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(&folder, "b.json", r#"{"name": "backends/a/ikePolicies/b"}"#);
    let wrong = stored(&folder, "w.yaml", "ikeVersion: 2.0.1\n");
    let nameless = stored(&folder, "n.yaml", "displayName: x\n");
    let script = Script::default();
    script.fake.answer("UpdateIkePolicy", json!({}));
    script.fake.answer(
        "ListBackends",
        json!({"backends": [{"name": "backends/a"}, {"name": "backends/b"}]}),
    );
    for (line, file, exit) in [
        ("update a/ikePolicies/a -f", &file, Exit::Usage),
        ("update ike-policy a/a -f", &file, Exit::Usage),
        ("update dpd-policy -f", &file, Exit::Usage),
        ("update -f", &nameless, Exit::Usage),
        ("update ike-policy a/1 -f", &wrong, Exit::Usage),
        ("create ike-policy a -f", &wrong, Exit::Usage),
        ("create backend a -f", &nameless, Exit::Usage),
        ("create attachments a -f", &nameless, Exit::Usage),
        ("create ike-policy -f", &nameless, Exit::Usage),
        (
            "delete ike-policy a/vpnServices/1 --etag",
            &nameless,
            Exit::Usage,
        ),
        ("update ike-policy a/b -f", &file, Exit::Done),
        ("update a/ikePolicies/b -f", &file, Exit::Done),
    ] {
        let line = format!("{line} {}", file.display());
        let ended = run(&script, &line).await.0;
        assert_eq!(ended, exit, "{line}");
        let writes = script.fake.asked().into_iter();
        let writes = writes.filter(|(call, _)| call != "ListBackends").count();
        assert_eq!(writes, usize::from(exit == Exit::Done), "{line}");
    }
}

#[tokio::test]
async fn writes_say_what_they_were_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(
        &folder,
        "g.yaml",
        "display_name: g\ntype: TYPE_CIDR\nendpoints: [10.0.0.0/8]\n",
    );
    let script = Script::default();
    let answer = json!({"endpointGroup": {"name": "backends/a/endpointGroups/1"}, "upstreamRequestIds": ["r"]});
    script.fake.answer("CreateEndpointGroup", answer.clone());
    script.fake.answer("UpdateEndpointGroup", answer);
    script
        .fake
        .answer("DeleteEndpointGroup", json!({"upstreamRequestIds": ["r"]}));
    script.fake.answer(
        "ListBackends",
        json!({"backends": [{"name": "backends/a"}]}),
    );
    let group = json!({"displayName": "g", "type": "TYPE_CIDR", "endpoints": ["10.0.0.0/8"]});
    let mut named = group.clone();
    named["name"] = "backends/a/endpointGroups/1".into();
    for (line, asked, said) in [
        (
            format!(
                "create endpoint-group -f {} --validate-only",
                file.display()
            ),
            json!({"parent": "backends/a", "endpointGroup": group, "validateOnly": true}),
            "it would be accepted; nothing was changed\n",
        ),
        (
            format!(
                "update a/endpointGroups/1 {} --fields display_name,endpoints",
                file.display()
            ),
            json!({"endpointGroup": named, "updateMask": "displayName,endpoints"}),
            "endpoint group    a/endpointGroups/1\n\
             made by           somebody else\n\
             accepted; what a connection that uses it makes of it: isthmus watch CONNECTION --upstream-request-id r\n",
        ),
        (
            "delete endpoint-group a/1 --etag e --allow-missing".to_owned(),
            json!({"name": "backends/a/endpointGroups/1", "etag": "e", "allowMissing": true}),
            "a/endpointGroups/1 is gone\n",
        ),
    ] {
        let (exit, printed) = run(&script, &line).await;
        assert_eq!((exit, printed.as_str()), (Exit::Done, said), "{line}");
        let (_, mut request) = script.fake.asked_json().pop().unwrap();
        let id = request.as_object_mut().unwrap().remove("requestId");
        assert_eq!(request, asked);
        // A dry run is no write that could be repeated.
        let is_tried = asked.get("validateOnly").is_some();
        let id = id.map(|id| uuid::Uuid::try_parse(id.as_str().unwrap()).unwrap());
        assert_eq!(id.is_none(), is_tried, "{line}");
    }
}

#[tokio::test]
async fn connections_are_listed_with_what_the_gateway_knows_of_their_states() {
    let script = Script::default();
    let names: Vec<String> = (1..=3)
        .map(|id| format!("backends/a/connections/{id}"))
        .collect();
    let connections: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
    script
        .fake
        .answer("ListConnections", json!({ "connections": connections }));
    let backend = |batch: i32| json!({"name": "backends/a", "capabilities": {"lookBatch": batch}});
    let event = |name: &str, state: pb::RealizationState, seen: bool| {
        let seen = pb::Realization {
            state: state.into(),
            observe_time: seen.then(|| std::time::SystemTime::now().into()),
            ..Default::default()
        };
        pb::watch_realizations_response::Event {
            name: name.to_owned(),
            event: Some(pb::watch_realizations_response::event::Event::Snapshot(
                seen,
            )),
            coalesced: 0,
        }
    };
    let (active, unknown) = (pb::RealizationState::Active, pb::RealizationState::Unknown);
    let synced = pb::WatchRealizationsResponse {
        events: vec![
            event(&names[0], active, true),
            event(&names[1], unknown, false),
        ],
        synced: true,
        ..Default::default()
    };
    let later = pb::WatchRealizationsResponse {
        events: vec![event(&names[1], pb::RealizationState::Down, true)],
        ..Default::default()
    };
    // Where a poll reports one connection, the command does not wait for polls.
    for (batch, messages, states) in [
        (
            50,
            Some(vec![synced.clone(), later.clone()]),
            ["ACTIVE", "DOWN", "UNKNOWN"],
        ),
        (
            1,
            Some(vec![synced, later]),
            ["ACTIVE", "UNKNOWN", "UNKNOWN"],
        ),
        (50, None, ["", "", ""]),
    ] {
        script
            .fake
            .answer("ListBackends", json!({ "backends": [backend(batch)] }));
        *script.many.lock().unwrap() = messages.map(|it| it.into_iter().map(Ok).collect());
        let (exit, printed) = run(&script, "list").await;
        assert_eq!(exit, Exit::Done);
        let shown: Vec<&str> = printed
            .lines()
            .skip(1)
            .map(|line| line.split("enabled").nth(1).unwrap().trim())
            .collect();
        assert_eq!(shown, states, "{printed}");
    }
    script.fake.asked();
    for line in ["list --no-state", "list -o json", "list -o yaml"] {
        run(&script, line).await;
        let asked: Vec<String> = script.fake.asked().into_iter().map(|it| it.0).collect();
        assert_eq!(asked, ["ListConnections"], "{line}");
    }
}

#[tokio::test]
async fn statistics_are_shown_where_there_are_some() {
    let script = Script::default();
    assert_eq!(run(&script, "statistics a/1").await.0, Exit::CouldNotAsk);
    *script.statistics.lock().unwrap() = Some(pb::TunnelStatistics::default());
    let (exit, printed) = run(&script, "statistics a/1 -o json").await;
    assert_eq!(
        (exit, printed.as_str()),
        (Exit::Done, "{\"name\":\"backends/a/connections/1\"}\n")
    );
}
