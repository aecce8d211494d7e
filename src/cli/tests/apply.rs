//! `apply` against a gateway with the answers of a test.

use super::{resources::stored, *};
use crate::cli::{apply::apply_asking, question::Question};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::path::Path;
use tonic::Code;
use tonic_types::{ErrorDetail, ErrorInfo, FieldViolation, ResourceInfo, StatusExt};

const SITES: &str = "\
connection:
  displayName: branch
  peer: {address: 192.0.2.1, psk: Canary}
backends:
  a: {router: r, localAddress: 198.51.100.7}
  b: {router: s}
---
connection:
  displayName: office
  peer: {address: 192.0.2.2, psk: Canary}
reuse: REUSE_ANY
backends:
  b: {router: s}
";

const ONE: &str =
    "displayName: branch\npeer: {address: 192.0.2.1, psk: Canary}\nbackends: {a: {}}\n";

fn answered(result: &str) -> Value {
    json!({
        "result": format!("RESULT_{result}"),
        "connection": {"name": "backends/a/connections/1", "displayName": "branch"},
        "writeToken": "AbC",
        "warnings": [{"field": "dpd.timeout", "message": "about"}],
    })
}

fn refusal(code: Code, reason: &str, more: Vec<ErrorDetail>) -> Status {
    let info = ErrorInfo::new(reason, "isthmus", std::collections::HashMap::new());
    let details: Vec<ErrorDetail> = [info.into()].into_iter().chain(more).collect();
    Status::with_error_details_vec(code, "no", details)
}

fn replacement_needed() -> Status {
    let named = ResourceInfo::new("isthmus.v1/Connection", "backends/a/connections/1", "", "");
    refusal(
        Code::FailedPrecondition,
        "REPLACEMENT_NEEDED",
        vec![named.into()],
    )
}

fn key_missed() -> Status {
    let violation = FieldViolation::new("connection.peer.psk", "is required");
    let bad = tonic_types::BadRequest::new(vec![violation]);
    refusal(Code::InvalidArgument, "INVALID_FIELD", vec![bad.into()])
}

fn calls(asked: &[(String, Value)]) -> Vec<&str> {
    asked.iter().map(|(call, _)| call.as_str()).collect()
}

fn line(file: &Path, more: &str) -> String {
    format!("apply -f {}{more}", file.display())
}

#[tokio::test]
async fn every_document_is_applied_on_every_backend_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(&folder, "sites.yaml", SITES);
    let script = Script::default();
    script.fake.answer("ApplyConnection", answered("CREATED"));
    let (exit, printed) = run(&script, &line(&file, "")).await;
    assert_eq!(exit, Exit::Done);
    let mut lines = printed.lines();
    assert_eq!(
        [lines.next(), lines.next(), lines.next()].map(Option::unwrap_or_default),
        [
            "created    a/1  branch",
            "  note: dpd.timeout: about",
            "  how it ends: isthmus watch a/1 --write-token AbC"
        ]
    );
    assert!(printed.contains("\ncreated    a/1  office\n"), "{printed}");
    let asked = script.fake.asked_json();
    assert_eq!(calls(&asked), ["ApplyConnection"; 3]);
    let parents = asked.iter().map(|(_, it)| it["parent"].clone());
    let meant = ["a", "b", "b"].map(|it| json!(format!("backends/{it}")));
    assert_eq!(Vec::from_iter(parents), meant);
    let ids = asked.iter().map(|(_, it)| it["requestId"].to_string());
    let ids: std::collections::BTreeSet<String> = ids.collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_eq!(asked[2].1["reuse"], "REUSE_ANY");
    assert_eq!(asked[0].1["connection"]["peer"]["psk"], "Canary");
    assert_eq!(asked[0].1["parts"]["vpnService"], json!({"router": "r"}));
    assert_eq!(asked[0].1["writeKey"], json!(null));

    // On one backend, with another attachment.
    let more = " b --router other --write-key -o json";
    let (exit, printed) = run(&script, &line(&file, more)).await;
    assert_eq!((exit, printed.lines().count()), (Exit::Done, 2));
    let answer: Value = serde_json::from_str(printed.lines().next().unwrap()).unwrap();
    assert_eq!(answer["result"], "RESULT_CREATED");
    for (_, asked) in script.fake.asked_json() {
        assert_eq!(asked["parent"], "backends/b");
        assert_eq!(asked["parts"]["vpnService"], json!({"router": "other"}));
        assert_eq!(asked["writeKey"], true);
    }
}

#[tokio::test]
async fn nothing_is_sent_unless_all_of_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let second = SITES.replace(
        "displayName: office",
        "displayName: office\n  ikePolicy: backends/c/ikePolicies/1",
    );
    let script = Script::default();
    script.fake.answer("ApplyConnection", answered("CREATED"));
    for (text, more) in [
        (
            SITES.replace("reuse: REUSE_ANY", "reuse: REUSE_NOTHING"),
            "",
        ),
        (second, ""),
        (SITES.replace("office", "branch"), ""),
        (SITES.to_owned(), " --router r"),
        (SITES.to_owned(), " --wait=gone"),
        (SITES.to_owned(), " a/1"),
        (
            SITES.to_owned(),
            " --request-id 6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11",
        ),
    ] {
        let file = stored(&folder, "sites.yaml", &text);
        let exit = run(&script, &line(&file, more)).await.0;
        assert_eq!(
            (exit, script.fake.asked().len()),
            (Exit::Usage, 0),
            "{text}{more}"
        );
    }
    // A document without backends is for the only backend, and refused if there are several.
    let text = "displayName: x\npeer: {psk: Canary}";
    let file = stored(&folder, "site.yaml", text);
    for (backends, exit, asked) in [(vec!["a"], Exit::Done, 2), (vec!["a", "b"], Exit::Usage, 1)] {
        let backends = backends
            .iter()
            .map(|it| json!({"name": format!("backends/{it}")}));
        let backends: Vec<Value> = backends.collect();
        script
            .fake
            .answer("ListBackends", json!({"backends": backends}));
        assert_eq!(run(&script, &line(&file, "")).await.0, exit);
        assert_eq!(script.fake.asked().len(), asked);
    }
}

#[tokio::test]
async fn what_is_refused_keeps_nothing_else_from_being_applied() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(&folder, "sites.yaml", SITES);
    for (status, exit, asked) in [
        (
            refusal(Code::FailedPrecondition, "NOT_MANAGED", vec![]),
            Exit::CouldNotAsk,
            3,
        ),
        (
            refusal(Code::InvalidArgument, "INVALID_FIELD", vec![]),
            Exit::Usage,
            3,
        ),
        // The status does not come from a gateway, so further calls would fail in the same way.
        (Status::unavailable("nobody there"), Exit::CouldNotAsk, 2),
    ] {
        let script = Script::default();
        script.fake.answer("ApplyConnection", answered("UNCHANGED"));
        // A broken connection is tried once more.
        let times = asked % 2 + usize::from(asked == 2) * 2;
        for _ in 0..times {
            script.fake.refuse_next(status.clone());
        }
        let (ended, printed) = run(&script, &line(&file, "")).await;
        assert_eq!(ended, exit, "{status:?}");
        assert_eq!(script.fake.asked().len(), asked, "{status:?}");
        assert_eq!(
            printed.matches("unchanged").count(),
            asked - times,
            "{printed}"
        );
    }
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_what_would_differ() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(&folder, "site.yaml", ONE);
    let script = Script::default();
    let step = json!({"action": "ACTION_UPDATE", "collection": "connections", "name": "backends/a/connections/1",
        "fields": ["mtu"]});
    script.fake.answer(
        "ApplyConnection",
        json!({
            "result": "RESULT_CHANGED",
            "connection": {"name": "backends/a/connections/1"},
            "plan": [step],
            "warnings": [{"field": "mtu", "message": "about"}],
            "before": {"connection": {"mtu": 1500}},
            "taken": {"connection": {"displayName": "branch", "mtu": 1400}},
        }),
    );
    let (exit, printed) = run(&script, &line(&file, " --dry-run")).await;
    assert_eq!(exit, Exit::Done);
    assert_eq!(
        printed,
        "\
a/1: branch would be changed; nothing was done
+ display_name: branch
- mtu: 1500
+ mtu: 1400
ACTION  COLLECTION   NAME  FIELDS
UPDATE  connections  a/1   mtu
note: mtu: about
"
    );
    let asked = script.fake.asked_json().remove(0).1;
    assert_eq!(asked["validateOnly"], true);
    assert_eq!(asked["requestId"], json!(null));

    let so = json!({"result": "RESULT_UNCHANGED", "connection": {"name": "backends/a/connections/1"},
        "before": {"connection": {"mtu": 1500}}, "taken": {"connection": {"mtu": 1500}}});
    script.fake.answer("ApplyConnection", so);
    let (_, printed) = run(&script, &line(&file, " --dry-run")).await;
    assert_eq!(printed, "a/1: branch matches already; nothing was done\n");
}

#[tokio::test]
async fn all_of_it_is_followed_at_once_and_ends_as_the_worst() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(&folder, "sites.yaml", SITES);
    let script = Script::default();
    let mut unchanged = answered("UNCHANGED");
    unchanged["writeToken"] = json!("");
    script.fake.answer("ApplyConnection", unchanged);
    let failure = ended(
        pb::outcome::Result::Failed,
        seen(pb::RealizationState::Failed, "t2"),
    );
    for (last, exit) in [(success(), Exit::Done), (failure, Exit::Failed)] {
        {
            let mut watches = script.watches.lock().unwrap();
            let first = vec![
                Ok(seen(pb::RealizationState::Pending, "t1")),
                Err(Status::unavailable("the gateway is shutting down")),
            ];
            watches.extend([
                first,
                vec![Ok(success())],
                vec![Ok(success())],
                vec![Ok(last)],
            ]);
        }
        let (ended, printed) = run(&script, &line(&file, " --wait --accept-assumed")).await;
        assert_eq!(ended, exit, "{printed}");
        assert!(!printed.contains("how it ends"), "{printed}");
        assert!(
            printed.contains("\na/1 (office), until the configuration is in place:\n"),
            "{printed}"
        );
        assert!(printed.contains("\na/1  "), "{printed}");
        assert!(
            printed.contains("the watch broke off (the gateway is shutting down)"),
            "{printed}"
        );
    }
    for watched in script.watched.lock().unwrap().iter() {
        assert_eq!(watched.name, "backends/a/connections/1");
        assert_eq!(
            (watched.goal(), watched.write_token.as_str()),
            (pb::Goal::Config, "")
        );
        assert!(watched.accept_assumed);
    }
    // The gateway is silent.
    let (exit, _) = run(&script, &line(&file, " --wait=tunnel-up --timeout 300ms")).await;
    assert_eq!(exit, Exit::Deadline);
    let last = script.watched.lock().unwrap().pop().unwrap();
    assert_eq!(last.goal(), pb::Goal::TunnelUp);
}

#[tokio::test]
async fn what_cannot_be_changed_is_made_anew_only_if_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(
        &folder,
        "site.yaml",
        &ONE.replace("displayName", "name: a/1\ndisplayName"),
    );
    let script = Script::default();
    let made = json!({
        "connection": {"name": "backends/a/connections/2", "displayName": "branch"},
        "writeToken": "AbC",
        "warnings": [{"field": "dpd.timeout", "message": "about"}],
    });
    script.fake.answer("CreateConnection", made);
    script
        .fake
        .answer("DeleteConnection", json!({"writeToken": "gone"}));

    script.fake.refuse("ApplyConnection", replacement_needed());
    let (exit, printed) = run(&script, &line(&file, "")).await;
    assert_eq!((exit, printed.as_str()), (Exit::CouldNotAsk, ""));
    assert_eq!(calls(&script.fake.asked_json()), ["ApplyConnection"]);

    script.fake.refuse("ApplyConnection", replacement_needed());
    script
        .watches
        .lock()
        .unwrap()
        .push_back(vec![Ok(success())]);
    let more = " --replace --write-key";
    let (exit, printed) = run(&script, &line(&file, more)).await;
    assert_eq!(exit, Exit::Done);
    let told = "\ncreated    a/2  branch\n  note: dpd.timeout: about\n  how it ends: isthmus watch a/2 --write-token AbC";
    assert!(printed.contains(told), "{printed}");
    let asked = script.fake.asked_json();
    assert_eq!(
        calls(&asked),
        [
            "ApplyConnection",
            "CreateConnection",
            "DeleteConnection",
            "CreateConnection"
        ]
    );
    assert_eq!(asked[0].1["connection"]["name"], "backends/a/connections/1");
    assert_eq!(asked[1].1["validateOnly"], true);
    assert_eq!(asked[1].1["reuse"], "REUSE_MANAGED");
    assert_eq!(asked[2].1["name"], "backends/a/connections/1");
    // An apply would look the display name up, which another connection may have.
    for field in ["connection", "parts", "reuse"] {
        assert_eq!(asked[3].1[field], asked[1].1[field]);
    }
    assert_eq!(asked[3].1["connection"]["name"], json!(null));
    assert_eq!(asked[3].1["validateOnly"], json!(null));
    assert_ne!(asked[3].1["requestId"], asked[0].1["requestId"]);
    let watched = script.watched.lock().unwrap().pop().unwrap();
    assert_eq!(
        (watched.goal(), watched.write_token.as_str()),
        (pb::Goal::Gone, "gone")
    );
}

#[tokio::test]
async fn what_could_not_be_made_anew_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(&folder, "site.yaml", ONE);
    let script = Script::default();
    script
        .fake
        .answer("DeleteConnection", json!({"writeToken": "gone"}));
    script.fake.refuse("ApplyConnection", replacement_needed());
    script.fake.refuse("CreateConnection", key_missed());
    let (exit, _) = run(&script, &line(&file, " --replace")).await;
    assert_eq!(exit, Exit::Usage);
    assert_eq!(
        calls(&script.fake.asked_json()),
        ["ApplyConnection", "CreateConnection"]
    );

    // A connection that is not gone in time is not created again.
    script.fake.refuse("ApplyConnection", replacement_needed());
    script.fake.answer("CreateConnection", json!({}));
    let (exit, _) = run(&script, &line(&file, " --replace --timeout 300ms")).await;
    assert_eq!(exit, Exit::Deadline);
    assert_eq!(
        calls(&script.fake.asked_json()),
        ["ApplyConnection", "CreateConnection", "DeleteConnection"]
    );

    // The connection is gone, and the create fails.
    script.fake.refuse("ApplyConnection", replacement_needed());
    script.fake.pass("CreateConnection");
    script.fake.refuse(
        "CreateConnection",
        refusal(Code::FailedPrecondition, "IN_USE", vec![]),
    );
    script
        .watches
        .lock()
        .unwrap()
        .push_back(vec![Ok(success())]);
    let (exit, _) = run(&script, &line(&file, " --replace")).await;
    assert_eq!(exit, Exit::CouldNotAsk);
    assert_eq!(script.fake.asked().len(), 4);
}

/// Runs one command line with a user who types this key, or with none. Returns how often the command asked for a key.
async fn typing(script: &Script, line: &str, key: Option<&str>) -> (Exit, usize) {
    let words = ["isthmus"].into_iter().chain(line.split(' '));
    let Command::Ask(Question::Apply(args)) = Cli::try_parse_from(words).unwrap().command else {
        panic!("{line} applies nothing")
    };
    let served = serve(script).await;
    let gateway = Gateway::at(&served.0).unwrap();
    let mut printer = Printer::new(Box::new(Screen::default()), Output::Table, Style::Plain);
    let mut asked = 0;
    let mut ask = |_: &str| {
        asked += 1;
        Ok(key.map(|key| SecretString::from(key.to_owned())))
    };
    let exit = apply_asking(&gateway, &args, &mut printer, &mut ask).await;
    (exit.unwrap(), asked)
}

#[tokio::test]
async fn a_key_that_no_file_says_is_asked_for_once_where_it_is_needed_and_before_anything_is_written()
 {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(&folder, "sites.yaml", &SITES.replace(", psk: Canary", ""));
    let script = Script::default();
    script.fake.answer("ApplyConnection", answered("CREATED"));

    // The command does not ask if the gateway misses nothing.
    assert_eq!(
        typing(&script, &line(&file, ""), Some("typed")).await,
        (Exit::Done, 0)
    );
    let asked = script.fake.asked_json();
    assert_eq!(asked.len(), 6);
    assert!(asked[..3].iter().all(|(_, it)| it["validateOnly"] == true));
    assert!(
        asked[3..]
            .iter()
            .all(|(_, it)| it["validateOnly"] == json!(null))
    );

    // The first document on `a` has a key; on `b` it misses one, and the second document does not.
    script.fake.refuse("ApplyConnection", key_missed());
    assert_eq!(
        typing(&script, &line(&file, ""), Some("typed")).await,
        (Exit::Done, 1)
    );
    let asked = script.fake.asked_json();
    let keys = asked
        .iter()
        .map(|(_, it)| it["connection"]["peer"]["psk"].as_str());
    assert_eq!(
        Vec::from_iter(keys),
        [None, None, Some("typed"), Some("typed"), None]
    );

    script.fake.refuse("ApplyConnection", key_missed());
    assert_eq!(
        typing(&script, &line(&file, ""), None).await,
        (Exit::Usage, 1)
    );
    assert_eq!(script.fake.asked().len(), 1);

    // `--write-key` needs the key, whatever the gateway misses.
    assert_eq!(
        typing(&script, &line(&file, " --write-key"), Some("typed")).await,
        (Exit::Done, 2)
    );
    assert_eq!(script.fake.asked().len(), 3);

    // A replacement needs it, too.
    let line = line(&file, " a --replace");
    script.fake.refuse("ApplyConnection", replacement_needed());
    script.fake.refuse("CreateConnection", key_missed());
    assert_eq!(typing(&script, &line, None).await, (Exit::Usage, 1));
    assert_eq!(
        calls(&script.fake.asked_json()),
        ["ApplyConnection", "CreateConnection"]
    );
}
