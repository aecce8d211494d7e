//! The requests that a site file leads to on each backend, and the errors of an invalid one.

use super::*;
use crate::{cli::tests::keys, files::Others};
use serde_json::json;
use std::io;

/// Surroundings with one variable and one file.
struct Around;

impl Surroundings for Around {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "KEY" => Some("Canary".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn secret_file(&self, path: &Path) -> io::Result<String> {
        match path.ends_with("keys/a") {
            true => Ok("Canary\r\n".to_owned()),
            false => Err(io::Error::other("it is not there")),
        }
    }

    fn others(&self, _: &Path) -> Others {
        Others::default()
    }
}

fn read(name: &str, text: &str) -> Result<Vec<Site>, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    let read = Site::read_around(&file, &Around);
    // The folder differs in every run and cannot be compared.
    read.map_err(|why| why.replace(&folder.path().display().to_string(), "…"))
}

fn one(text: &str) -> Site {
    let mut sites = read("a.yaml", text).unwrap();
    assert_eq!(sites.len(), 1);
    sites.remove(0)
}

fn asked(site: &Site, backend: &str) -> serde_json::Value {
    let fields = site.request(backend, &Attachment::default()).unwrap();
    let mut request = DynamicMessage::new(crate::cli::json::descriptor("ApplyConnectionRequest"));
    for (name, value) in fields {
        request.set_field_by_name(&name, value);
    }
    serde_json::to_value(request).unwrap()
}

const SITE: &str = "\
connection:
  displayName: branch
  peer: {address: 192.0.2.1, pskEnv: KEY}
parts:
  vpn_service: {displayName: service}
reuse: REUSE_ANY
backends:
  nsx-a: {router: t0, localAddress: 198.51.100.7}
  os-a: {router: r, subnet: s, availability_zone: z}
  os-b: {vpnService: v}
  os-c:
";

#[test]
fn one_description_is_attached_on_each_backend_in_its_own_way() {
    let site = one(SITE);
    assert_eq!(site.backends(), ["nsx-a", "os-a", "os-b", "os-c"]);
    assert_eq!(site.display_name(), "branch");
    assert_eq!(site.peer_address(), "192.0.2.1");
    let connection =
        json!({"displayName": "branch", "peer": {"address": "192.0.2.1", "psk": "Canary"}});
    let mut referring = connection.clone();
    referring["vpnService"] = json!("backends/os-b/vpnServices/v");
    for (backend, connection, parts) in [
        (
            "nsx-a",
            connection.clone(),
            json!({
                "vpnService": {"displayName": "service", "router": "t0"},
                "localEndpoint": {"address": "198.51.100.7"},
            }),
        ),
        (
            "os-a",
            connection.clone(),
            json!({"vpnService": {
                "displayName": "service", "router": "r", "subnet": "s", "availabilityZone": "z",
            }}),
        ),
        ("os-b", referring, json!({})),
        (
            "os-c",
            connection.clone(),
            json!({"vpnService": {"displayName": "service"}}),
        ),
        (
            "else",
            connection,
            json!({"vpnService": {"displayName": "service"}}),
        ),
    ] {
        let meant = json!({
            "parent": format!("backends/{backend}"), "connection": connection, "parts": parts, "reuse": "REUSE_ANY",
        });
        assert_eq!(asked(&site, backend), meant, "{backend}");
    }
}

#[test]
fn the_command_line_outranks_the_file() {
    let site = one(SITE);
    let over = Attachment {
        router: Some("other".to_owned()),
        local_address: Some("198.51.100.8".to_owned()),
        ..Attachment::default()
    };
    for backend in ["nsx-a", "os-b"] {
        let fields = site.request(backend, &over).unwrap();
        let (_, parts) = fields.iter().find(|(name, _)| name == "parts").unwrap();
        let parts = serde_json::to_value(parts.as_message().unwrap()).unwrap();
        assert_eq!(
            parts["vpnService"],
            json!({"displayName": "service", "router": "other"})
        );
        assert_eq!(parts["localEndpoint"], json!({"address": "198.51.100.8"}));
        let connection = fields.iter().find(|(name, _)| name == "connection");
        let connection = connection.and_then(|(_, it)| it.as_message()).unwrap();
        assert!(!connection.has_field_by_name("vpn_service"), "{backend}");
    }
}

#[test]
fn an_endpoint_that_is_made_belongs_to_the_service_that_is_referred_to() {
    let site = one(
        "connection: {displayName: a}\nbackends: {n: {vpnService: n/vpnServices/v, localAddress: 198.51.100.7}}",
    );
    let asked = asked(&site, "n");
    assert_eq!(
        asked["connection"]["vpnService"],
        "backends/n/vpnServices/v"
    );
    let endpoint = json!({"address": "198.51.100.7", "vpnService": "backends/n/vpnServices/v"});
    assert_eq!(asked["parts"], json!({"localEndpoint": endpoint}));
}

#[test]
fn a_connection_as_it_was_read_is_for_its_own_backend() {
    let text = r#"{"name": "backends/a/connections/1", "displayName": "x", "etag": "e", "managed": true,
        "ikePolicy": "backends/a/ikePolicies/1", "peer": {"address": "192.0.2.1", "pskSet": true}}"#;
    let site = read("a.json", text).unwrap().remove(0);
    assert_eq!(site.backends(), ["a"]);
    assert_eq!(site.name_on("a"), Some("backends/a/connections/1"));
    let kept = asked(&site, "a");
    assert_eq!(kept["connection"]["name"], "backends/a/connections/1");
    assert_eq!(kept["connection"]["ikePolicy"], "backends/a/ikePolicies/1");
    assert_eq!(kept["connection"]["etag"], json!(null));
    assert!(!site.has_key());
    let why = site.request("b", &Attachment::default()).unwrap_err();
    assert!(
        why.ends_with(
            "a.json cannot be applied on b:\n  connection.ike_policy: backends/a/ikePolicies/1 is not on b\n  \
             `isthmus get a/1 -o yaml` prints it in a form that every backend takes"
        ),
        "{why}"
    );
    // Without references it describes a connection that may be another one on the other backend.
    let site = one("name: a/connections/1\ndisplayName: x\nbackends: {b: {}}");
    assert_eq!(asked(&site, "b")["connection"], json!({"displayName": "x"}));
    assert_eq!(
        asked(&site, "a")["connection"]["name"],
        "backends/a/connections/1"
    );
}

#[test]
fn a_key_comes_from_where_the_file_says() {
    for (peer, key) in [
        ("{psk: Canary}", Some("Canary")),
        ("{pskEnv: KEY}", Some("Canary")),
        ("{psk_file: keys/a}", Some("Canary")),
        ("{pskFile: keys/a, psk: null}", Some("Canary")),
        ("{address: 192.0.2.1}", None),
        ("{certificate: {}}", None),
    ] {
        let site = one(&format!(
            "displayName: a\npeer: {peer}\nbackends: {{b: {{}}}}"
        ));
        assert_eq!(
            asked(&site, "b")["connection"]["peer"]["psk"].as_str(),
            key,
            "{peer}"
        );
        assert_eq!(site.has_key(), !peer.contains("address"), "{peer}");
        assert!(!format!("{site:?}").contains("Canary"), "{peer}");
    }
    let mut site = one("displayName: a");
    site.give_key(SecretString::from("typed".to_owned()));
    assert_eq!(asked(&site, "b")["connection"]["peer"]["psk"], "typed");
}

#[test]
fn every_document_is_checked_and_told_with_its_line() {
    let texts = [
        (
            "a.yaml",
            "displayName: a\n---\n# nothing\n---\n# by hand\ndisplayName: b\n---\nmtu: x\n",
        ),
        (
            "a.json",
            "{\"displayName\": \"a\"}\n\n{\"displayName\": \"b\"}\n{\n\"mtu\": \"x\"}",
        ),
    ];
    for ((name, text), (first, second)) in texts.iter().zip([(1, 8), (1, 4)]) {
        let why = read(name, text).unwrap_err();
        let said = format!(
            "…/{name}, document 3 (line {second}) does not describe a connection:\n  mtu: takes a whole number that is not \
             negative"
        );
        assert_eq!(why, said, "{first}");
    }
    let sites = read("a", "displayName: a\n---\ndisplayName: b\n").unwrap();
    assert_eq!(sites.len(), 2);
    assert!(
        sites[1].place().ends_with("a, document 2 (line 3)"),
        "{}",
        sites[1].place()
    );
    for (text, said) in [
        ("", "describes nothing"),
        ("# only words\n", "describes nothing"),
        ("displayName: a\n---\nmtu: [\n", "is not YAML: "),
        (
            "{\"displayName\": \"a\"}\n{",
            "is not JSON: EOF while parsing an object at line 2",
        ),
    ] {
        let why = read("a", text).unwrap_err();
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn what_does_not_fit_is_told_by_its_path_with_what_was_meant() {
    for (text, said) in [
        (
            "connection: {displayName: a, mtu: -1}\nbackends: {nsx-demo: {ruoter: x}}",
            "backends.nsx-demo.ruoter: is not known; did you mean `router`?\n\
             connection.mtu: takes a whole number that is not negative",
        ),
        (
            "connection: {displayName: a, peer: {pskenv: A, colour: B}}",
            "connection.peer.pskenv: is not known; did you mean `psk_env`?\n\
             connection.peer.colour: is not known; there are address, id, psk, certificate, psk_set, psk_env, psk_file",
        ),
        (
            "connection: {displayName: a, peer: {psk: x, pskEnv: A}}",
            "connection.peer.psk_env: excludes `psk`, which is also given",
        ),
        (
            "displayName: a\npeer: {pskFile: x, certificate: {}}",
            "peer.psk_file: excludes `certificate`, which is also given",
        ),
        (
            "displayName: a\npeer: {pskEnv: 7}",
            "peer.psk_env: takes a string, not a number: put it in quotes",
        ),
        (
            "displayName: a\npeer: {pskEnv: \"\"}",
            "peer.psk_env: must not be empty",
        ),
        (
            "displayName: a\npeer: {pskEnv: NONE}",
            "the key: the environment variable NONE is not set",
        ),
        (
            "displayName: a\npeer: {pskEnv: EMPTY}",
            "the key: the environment variable EMPTY is empty",
        ),
        (
            "displayName: a\npeer: {pskFile: b}",
            "the key: …/b cannot be read: it is not there",
        ),
        (
            "conection: {displayName: a}\nbackends: {}",
            "conection: is not known; did you mean `connection`?",
        ),
        (
            "connection: {}\ndisplayName: a",
            "displayName: belongs within `connection`",
        ),
        ("parts: {}", "connection: is missing"),
        (
            "connection: {mtu: 1}",
            "connection.display_name: is required: the connection is found by it",
        ),
        ("- a", "it must be a mapping of fields, not a list"),
        (
            "displayName: a\nbackends: [b]",
            "backends: takes the names of backends, each with where the connection is attached, not a list",
        ),
        (
            "displayName: a\nbackends: {b: c, \"d/e\": {}, f: {router: [x], localAddress: 1, subnet: \"\"}}",
            "backends.b: takes a mapping of fields, not a string\n\
             backends.d/e: is not the name of a backend\n\
             backends.f.router: takes a string, not a list\n\
             backends.f.local_address: takes a string, not a number\n\
             backends.f.subnet: must not be empty",
        ),
        (
            "displayName: a\nbackends: {b: {router: x, vpn_service: y, vpnService: y}}",
            "backends.b.vpn_service: is given twice\n\
             backends.b.router: excludes `vpn_service`, which is there already and has its own",
        ),
        (
            "name: a/ikePolicies/1",
            "a/ikePolicies/1 names none of the connections",
        ),
    ] {
        let why = read("a.yaml", text).unwrap_err();
        let (head, lines) = why.split_once('\n').unwrap();
        assert_eq!(head, "…/a.yaml does not describe a connection:", "{text}");
        let lines: Vec<&str> = lines.lines().map(str::trim).collect();
        assert_eq!(lines.join("\n"), said, "{text}");
    }
}

#[test]
fn a_reference_of_another_kind_is_told() {
    let site = one("displayName: a\nbackends: {b: {vpnService: b/ikePolicies/1}}");
    let why = site.request("b", &Attachment::default()).unwrap_err();
    assert!(
        why.ends_with("\n  b/ikePolicies/1 names none of the VPN services"),
        "{why}"
    );
    let site = one("displayName: a\nbackends: {b: {vpnService: c/vpnServices/1}}");
    let why = site.request("b", &Attachment::default()).unwrap_err();
    assert!(
        why.contains("\n  connection.vpn_service: backends/c/vpnServices/1 is not on b"),
        "{why}"
    );
}

#[test]
fn a_key_is_in_no_message() {
    let of_sites = [
        ("a.yaml", "a: 1\n---\npeer:\n  psk: \"Canary"),
        ("a.yaml", "a: 1\n---\npeer:\n  psk: !!int Canary"),
        ("a.yaml", "peer: {pskEnv: KEY, psk: Canary}"),
        ("a.yaml", "peer: {pskEnv: [Canary]}"),
        ("a.yaml", "peer: {psk: Canary, certificate: {}}"),
        ("a.yaml", "connection: {peer: {psk: Canary}}"),
        ("a.yaml", "connection: {peer: {psk: Canary, psk: Canary}}"),
        (
            "a.yaml",
            "connection: {displayName: a, peer: {pskEnv: KEY, mtu: 1}}",
        ),
        ("a.yaml", "backends: {a: {psk: Canary}}"),
        ("a.yaml", "displayName: a\nbackends: {a: Canary}"),
        (
            "a.json",
            "{\"displayName\": \"a\"}{\"peer\": {\"psk\": \"Canary",
        ),
    ];
    for (name, text) in keys::BROKEN.into_iter().chain(of_sites) {
        let why = read(name, text).unwrap_err();
        assert!(!why.contains("Canary"), "{text}: {why}");
    }
    let text = "displayName: a\nikePolicy: backends/c/ikePolicies/1\npeer: {psk: Canary}";
    let why = one(text).request("b", &Attachment::default()).unwrap_err();
    assert!(!why.contains("Canary"), "{why}");
}
