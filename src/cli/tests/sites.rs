//! Site files: what the commands send of them, and what they print.

use super::{resources::stored, *};
use serde_json::{Value, json};
use std::{collections::HashMap, path::PathBuf};
use tonic::Code;
use tonic_types::{BadRequest, ErrorDetail, ErrorInfo, FieldViolation, StatusExt};

const NAME: &str = "backends/a/connections/1";

fn refusal(code: Code, reason: &str, violations: &[(&str, &str)]) -> Status {
    let mut details: Vec<ErrorDetail> =
        vec![ErrorInfo::new(reason, "isthmus", HashMap::new()).into()];
    if !violations.is_empty() {
        let each = violations.iter();
        let each = each.map(|(field, why)| FieldViolation::new(*field, *why));
        details.push(BadRequest::new(each.collect::<Vec<_>>()).into());
    }
    Status::with_error_details_vec(code, "because of this", details)
}

/// Returns a gateway with these backends. Connections of those with a star have no mark.
fn gateway(backends: &[&str]) -> Script {
    let script = Script::default();
    let each = backends.iter().map(|name| {
        let bare = name.trim_end_matches('*');
        json!({"name": format!("backends/{bare}"), "capabilities": {"connectionMarks": bare == *name}})
    });
    let backends: Vec<Value> = each.collect();
    script
        .fake
        .answer("ListBackends", json!({"backends": backends}));
    script
}

fn site(folder: &tempfile::TempDir, peer: &str, more: &str) -> PathBuf {
    let text =
        format!("connection: {{displayName: branch, peer: {{address: 192.0.2.1{peer}}}}}\n{more}");
    stored(folder, "site.yaml", &text)
}

#[tokio::test]
async fn a_connection_as_yaml_is_a_site_file() {
    let script = Script::default();
    let name = "backends/a/connections/1";
    let site = json!({
        "connection": {"name": name, "displayName": "branch", "peer": {"address": "192.0.2.1"}},
        "parts": {"vpnService": {"router": "r"}, "localEndpoint": {"address": "192.0.2.7"}},
    });
    let warnings = json!([{"field": "dpd", "message": "has no such form"}]);
    script.fake.answer(
        "ExportConnection",
        json!({"site": site, "warnings": warnings}),
    );
    for line in ["get a/1 -o yaml", "get connection a/1 -o yaml"] {
        let (exit, printed) = run(&script, line).await;
        assert_eq!(exit, Exit::Done);
        assert_eq!(
            printed,
            "\
---
connection:
  name: backends/a/connections/1
  displayName: branch
  peer:
    address: \"192.0.2.1\"
backends:
  a:
    router: r
    localAddress: \"192.0.2.7\"
"
        );
        let asked = script.fake.asked_json();
        assert_eq!(
            asked,
            [("ExportConnection".to_owned(), json!({"name": name}))]
        );
    }
    let refused = run(&Script::default(), "get a/1 -o yaml").await;
    assert_eq!(refused, (Exit::CouldNotAsk, String::new()));
}

#[tokio::test]
async fn a_site_file_is_applied_and_neither_sent_as_an_update_nor_made() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::default();
    for (text, lines) in [
        (
            "connection: {name: backends/a/connections/1}",
            vec!["update", "update a/1"],
        ),
        ("backends: {a: {}}", vec!["update", "create a"]),
        ("parts: {}", vec!["update a/1"]),
    ] {
        let file = stored(&folder, "site.yaml", text);
        for line in lines {
            let (exit, _) = run(&script, &format!("{line} -f {}", file.display())).await;
            assert_eq!(exit, Exit::Usage, "{line}: {text}");
        }
    }
    assert!(script.fake.asked().is_empty());
}

#[tokio::test]
async fn every_backend_says_whether_and_how_it_takes_a_site() {
    let folder = tempfile::tempdir().unwrap();
    let file = site(
        &folder,
        ", pskEnv: ISTHMUS_IS_NOT_SET",
        "backends: {a: {router: r}, gone: {}}",
    );
    let script = gateway(&["a", "b", "c", "d"]);
    let step = |collection: &str| json!({"action": "ACTION_CREATE", "collection": collection});
    let apply = |backend: &str, answer: Result<Value, Status>| {
        let parent = format!("backends/{backend}");
        script.fake.answer_of("ApplyConnection", &parent, answer);
    };
    apply("a", Ok(json!({"result": "RESULT_UNCHANGED"})));
    apply(
        "b",
        Ok(json!({
            "result": "RESULT_CREATED",
            "plan": [step("ikePolicies"), step("connections")],
            "warnings": [{"field": "dpd.timeout", "message": "after 5 probes"}],
        })),
    );
    let why = [("connection.route_based", "this backend has none")];
    apply(
        "c",
        Err(refusal(Code::FailedPrecondition, "NOT_EXPRESSIBLE", &why)),
    );
    apply("d", Err(Status::unavailable("away")));
    apply(
        "gone",
        Err(refusal(Code::NotFound, "BACKEND_NOT_FOUND", &[])),
    );
    let line = format!("check -f {}", file.display());
    let (exit, printed) = run(&script, &line).await;
    assert_eq!(exit, Exit::Usage);
    assert!(
        printed.starts_with(
            "\
BACKEND  TAKES IT
a        yes
b        with warnings
c        no
d        not asked
gone     not asked

a: matches already

b: would be created
  create ikePolicies, connections
  note: dpd.timeout: after 5 probes

c: NOT_EXPRESSIBLE
  connection.route_based: this backend has none

d: UNAVAILABLE
  away

gone: BACKEND_NOT_FOUND
  because of this
  what to do: "
        ),
        "{printed}"
    );
    assert!(printed.contains("a stand-in was asked with"), "{printed}");
    let asked = script.fake.asked_json();
    let applied = asked.iter().filter(|(call, _)| call == "ApplyConnection");
    let applied: Vec<&Value> = applied.map(|(_, it)| it).collect();
    assert_eq!(applied.len(), 5);
    assert!(applied.iter().all(|it| it["validateOnly"] == true));
    let keys = applied.iter().map(|it| &it["connection"]["peer"]["psk"]);
    assert!(keys.clone().all(|it| *it == "stand-in-for-the-key"));
    let of = |parent: &str| applied.iter().find(|it| it["parent"] == parent).unwrap();
    assert_eq!(of("backends/a")["parts"]["vpnService"]["router"], "r");
    assert!(of("backends/b").get("parts").is_none());

    let (_, printed) = run(&script, &format!("{line} -o json")).await;
    let printed: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let takes: Vec<&str> = printed
        .iter()
        .filter_map(|it| it["takesIt"].as_str())
        .collect();
    assert_eq!(
        takes,
        ["YES", "WITH_WARNINGS", "NO", "NOT_ASKED", "NOT_ASKED"]
    );
    assert_eq!(printed[1]["answer"]["plan"][1]["collection"], "connections");
    assert_eq!(
        printed[2]["violations"][0]["field"],
        "connection.route_based"
    );
}

#[tokio::test]
async fn a_site_that_is_attached_nowhere_is_told_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let file = site(&folder, ", psk: Canary", "");
    let script = gateway(&["a", "b"]);
    let apply = |backend: &str, answer: Result<Value, Status>| {
        let parent = format!("backends/{backend}");
        script.fake.answer_of("ApplyConnection", &parent, answer);
    };
    let why = [("connection.local_endpoint", "must be given")];
    apply(
        "a",
        Err(refusal(Code::InvalidArgument, "INVALID_FIELD", &why)),
    );
    apply("b", Ok(json!({"result": "RESULT_CREATED"})));
    let line = format!("check -f {}", file.display());
    let (exit, printed) = run(&script, &line).await;
    assert_eq!(
        (exit, printed.as_str()),
        (
            Exit::CouldNotAsk,
            "\
BACKEND  TAKES IT
a        once attached
b        yes

a: is attached nowhere yet
  give --router and --local-address with the backend, or router and localAddress in the file below `backends`; there are: \
             isthmus list attachments a

b: would be created
"
        )
    );
    let asked = script.fake.asked_json();
    let key = &asked.last().unwrap().1["connection"]["peer"]["psk"];
    assert_eq!(*key, "Canary");

    let (exit, _) = run(&script, &format!("{line} b")).await;
    assert_eq!(exit, Exit::Done);
    let asked = script.fake.asked_json();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let (exit, _) = run(
        &script,
        &format!("{line} b --router r --local-address 192.0.2.7"),
    )
    .await;
    assert_eq!(exit, Exit::Done);
    let parts = script.fake.asked_json().remove(0).1["parts"].take();
    let meant = json!({"vpnService": {"router": "r"}, "localEndpoint": {"address": "192.0.2.7"}});
    assert_eq!(parts, meant);

    let (exit, _) = run(&script, &format!("{line} --router r")).await;
    assert_eq!(exit, Exit::Usage);
    assert!(script.fake.asked().is_empty());
}

#[tokio::test]
async fn a_backend_that_does_not_answer_holds_no_other_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = site(&folder, "", "");
    // The listener never accepts, so no answer comes.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let line = format!("check -f {} a --timeout 50ms", file.display());
    let (exit, printed) = run_at(&endpoint, &line).await;
    assert_eq!(exit, Exit::CouldNotAsk);
    assert!(printed.contains("a: DEADLINE_EXCEEDED"), "{printed}");
}

#[tokio::test]
async fn what_a_file_describes_is_removed_where_it_is_found_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = site(
        &folder,
        ", pskEnv: ISTHMUS_IS_NOT_SET",
        "backends: {a: {}, b: {}, c: {}}",
    );
    let script = gateway(&["a", "b", "c*"]);
    let there = |names: &[&str]| {
        let each = names
            .iter()
            .map(|name| json!({"name": name, "peer": {"address": "192.0.2.1"}}));
        Ok(json!({"connections": each.collect::<Vec<Value>>()}))
    };
    let list = |backend: &str, answer: Result<Value, Status>| {
        let parent = format!("backends/{backend}");
        script.fake.answer_of("ListConnections", &parent, answer);
    };
    list("a", there(&[NAME]));
    list("b", there(&[]));
    list("c", there(&["backends/c/connections/3"]));
    script
        .fake
        .answer("DeleteConnection", json!({"writeToken": "T"}));
    let line = format!("delete -f {}", file.display());
    let (exit, printed) = run(&script, &line).await;
    assert_eq!(
        (exit, printed.as_str()),
        (
            Exit::Done,
            "\
b: there is no connection `branch` of this gateway's making
accepted; how it ends: isthmus watch a/1 --write-token T
accepted; how it ends: isthmus watch c/3 --write-token T
"
        )
    );
    let asked = script.fake.asked_json();
    let of = |call: &str, field: &str| -> Vec<String> {
        let asked = asked.iter().filter(|(it, _)| it == call);
        let mut texts: Vec<String> = asked
            .map(|(_, it)| it[field].as_str().unwrap().to_owned())
            .collect();
        texts.sort();
        texts
    };
    assert_eq!(
        of("ListConnections", "filter"),
        [
            "display_name = \"branch\"",
            "display_name = \"branch\" AND managed = true",
            "display_name = \"branch\" AND managed = true",
        ]
    );
    assert_eq!(
        of("DeleteConnection", "name"),
        [NAME, "backends/c/connections/3"]
    );

    let (exit, _) = run(&script, &format!("{line} b")).await;
    assert_eq!(exit, Exit::Done);
    let asked = script.fake.asked_json();
    assert!(
        asked.iter().all(|(call, _)| call != "DeleteConnection"),
        "{asked:?}"
    );

    let step = json!({"action": "ACTION_DELETE", "collection": "connections", "name": NAME});
    script
        .fake
        .answer("DeleteConnection", json!({"plan": [step]}));
    let (exit, printed) = run(&script, &format!("{line} a --dry-run")).await;
    assert_eq!(exit, Exit::Done);
    assert!(
        printed.starts_with("a/1: it would be removed; nothing was changed\nACTION"),
        "{printed}"
    );
    assert_eq!(
        script.fake.asked_json().pop().unwrap().1["validateOnly"],
        true
    );
}

#[tokio::test]
async fn nothing_is_removed_where_it_cannot_be_told_which_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let file = site(&folder, "", "backends: {a: {}, b: {}}");
    let line = format!("delete -f {}", file.display());
    let one = json!({"connections": [{"name": NAME}]});
    let two = json!({"connections": [{"name": "backends/b/connections/1"}, {"name": "backends/b/connections/2"}]});
    for (answer, exit) in [
        (Ok(two), Exit::CouldNotAsk),
        (
            Ok(json!({"unreachable": ["backends/b"]})),
            Exit::CouldNotAsk,
        ),
        (Err(Status::unavailable("away")), Exit::CouldNotAsk),
    ] {
        let script = gateway(&["a", "b"]);
        script.fake.answer("DeleteConnection", json!({}));
        script
            .fake
            .answer_of("ListConnections", "backends/a", Ok(one.clone()));
        script
            .fake
            .answer_of("ListConnections", "backends/b", answer);
        assert_eq!(run(&script, &line).await, (exit, String::new()));
        let asked = script.fake.asked_json();
        assert!(
            asked.iter().all(|(call, _)| call != "DeleteConnection"),
            "{asked:?}"
        );
    }
    let script = gateway(&["a", "b"]);
    let id = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11";
    let (exit, _) = run(&script, &format!("{line} --request-id {id}")).await;
    assert_eq!(exit, Exit::Usage);
    let nowhere = site(&folder, "", "");
    let (exit, _) = run(&script, &format!("delete -f {}", nowhere.display())).await;
    assert_eq!(exit, Exit::Usage);
    assert!(script.fake.asked().is_empty());
    // On a backend other than that of its name, the document would match every connection without a display name.
    let text = format!("name: {NAME}\nbackends: {{a: {{}}, b: {{}}}}\n");
    let nameless = stored(&folder, "nameless.yaml", &text);
    script.fake.answer("DeleteConnection", json!({}));
    script.fake.answer(
        "ListConnections",
        json!({"connections": [{"name": "backends/b/connections/9"}]}),
    );
    let line = format!("delete -f {}", nameless.display());
    assert_eq!(run(&script, &line).await, (Exit::Usage, String::new()));
    assert!(script.fake.asked().is_empty());
}

#[tokio::test]
async fn several_removals_are_followed_at_once_and_end_as_the_worst() {
    let folder = tempfile::tempdir().unwrap();
    let text = "displayName: branch\npeer: {address: 192.0.2.1}\n";
    let one = |id: u8| format!("name: a/{id}\n{text}");
    let file = stored(&folder, "sites.yaml", &[one(1), one(2)].join("---\n"));
    let script = gateway(&["a"]);
    script
        .fake
        .answer("DeleteConnection", json!({"writeToken": "T"}));
    let failed = ended(
        pb::outcome::Result::Failed,
        seen(pb::RealizationState::Failed, "t"),
    );
    for last in [failed, success()] {
        script.watches.lock().unwrap().push_back(vec![Ok(last)]);
    }
    let line = format!("delete -f {} --wait", file.display());
    let (exit, printed) = run(&script, &line).await;
    assert_eq!(exit, Exit::Failed);
    // Each row has its own label, also where rows are shown side by side.
    assert!(printed.contains("a/1"), "{printed}");
    assert!(printed.contains("until it is gone"), "{printed}");
    let mut watched = Vec::from_iter(
        script
            .watched
            .lock()
            .unwrap()
            .iter()
            .map(|it| (it.name.clone(), it.goal())),
    );
    watched.sort();
    let gone = |id: u8| (format!("backends/a/connections/{id}"), pb::Goal::Gone);
    assert_eq!(watched, [gone(1), gone(2)]);
}

#[tokio::test]
async fn a_removal_is_followed_until_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("name: {NAME}\ndisplayName: branch\n");
    let file = stored(&folder, "site.yaml", &text);
    for (last, exit) in [
        (success(), Exit::Done),
        (
            ended(
                pb::outcome::Result::Failed,
                seen(pb::RealizationState::Failed, "t"),
            ),
            Exit::Failed,
        ),
    ] {
        let script = gateway(&["a"]);
        script
            .fake
            .answer("DeleteConnection", json!({"writeToken": "T"}));
        script.watches.lock().unwrap().push_back(vec![Ok(last)]);
        let line = format!("delete -f {} --wait", file.display());
        assert_eq!(run(&script, &line).await.0, exit);
        let watched = script.watched.lock().unwrap().remove(0);
        assert_eq!(
            (watched.name.as_str(), watched.write_token.as_str()),
            (NAME, "T")
        );
        assert_eq!(watched.goal(), pb::Goal::Gone);
        let asked = script.fake.asked_json();
        // The file names the connection, so no list is needed.
        assert!(
            asked.iter().all(|(call, _)| call != "ListConnections"),
            "{asked:?}"
        );
    }
}
