//! Site files: what of them the commands send, and what they print.

use super::{resources::stored, *};
use serde_json::json;

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
