//! Every enum and every field in the API description can be reached.

use super::body;
use crate::{
    dialects::nsx::manager::resources::{inward, kinds::KINDS},
    model::{Resource, ResourceKind, ResourceSpec, Settings},
    rest::json,
};
use serde_json::{Map, Value, json};

const DESCRIPTION: &[u8] =
    include_bytes!("../../../../../../tests/fixtures/nsx/nsx-mp-vpn-openapi.json");

/// Fields that stay as they came, because they belong to no kind. Callers find them in `native`.
const NOT_IN_THE_MODEL: [&str; 3] = ["id", "resource_type", "tags"];

fn schema(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::IkePolicy => "IPSecVPNIKEProfile",
        ResourceKind::IpsecPolicy => "IPSecVPNTunnelProfile",
        ResourceKind::DpdPolicy => "IPSecVPNDPDProfile",
        ResourceKind::VpnService => "IPSecVPNService",
        ResourceKind::LocalEndpoint => "IPSecVPNLocalEndpoint",
        ResourceKind::EndpointGroup => unreachable!("NSX has none"),
    }
}

/// Sample values of a field with this description.
fn samples(described: &Value) -> Vec<Value> {
    if let Some(words) = described["enum"].as_array() {
        return words.clone();
    }
    match (described["type"].as_str(), described["$ref"].as_str()) {
        (Some("boolean"), _) => vec![json!(true), json!(false)],
        (Some("integer"), _) => vec![json!(4_711)],
        (Some("string"), _) if described["format"] == "ip" => vec![json!("198.51.100.10")],
        (Some("string"), _) => vec![json!("some text")],
        (Some("array"), _) => {
            let items = samples(&described["items"]);
            items.into_iter().map(|item| json!([item])).collect()
        }
        (_, Some("#/components/schemas/ResourceReference")) => vec![json!({ "target_id": "x" })],
        (_, Some("#/components/schemas/IPSecVPNPolicyRule")) => {
            vec![json!({ "sources": [], "destinations": [], "action": "BYPASS" })]
        }
        _ => vec![json!({ "scope": "x" })],
    }
}

fn read(kind: ResourceKind, field: &str, value: &Value) -> Resource {
    let mut object = Map::new();
    object.insert(field.to_owned(), value.clone());
    inward::resource(kind, &body(Value::Object(object)))
}

#[test]
fn every_field_and_every_word_has_a_home_or_is_in_native() {
    let description = json::parse(DESCRIPTION).unwrap();
    let mut seen = 0;
    for kind in KINDS {
        let nothing = inward::resource(kind.kind, &body(json!({})));
        let schema = &description["components"]["schemas"][schema(kind.kind)];
        for (field, described) in schema["properties"].as_object().unwrap() {
            for sample in samples(described) {
                let read = read(kind.kind, field, &sample);
                let what = format!("{:?} {field} {sample}", kind.kind);
                let is_settable = described["readOnly"] != true && !field.starts_with('_');
                if is_settable && !NOT_IN_THE_MODEL.contains(&field.as_str()) {
                    assert_ne!(read.spec, nothing.spec, "{what} says nothing");
                    assert!(is_understood(&read.spec), "{what} is not understood");
                    assert!(read.native.is_empty(), "{what}: {:?}", read.native);
                } else if sample != false && read.native.get(field) != Some(&sample) {
                    assert_ne!(read, nothing, "{what} is lost");
                }
                if described["enum"].is_array() || described["items"]["enum"].is_array() {
                    let words: Vec<&Value> = read.native_words.values().collect();
                    assert!(words.contains(&&sample), "{what}: {words:?}");
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 130, "{seen}");
}

fn is_understood(spec: &ResourceSpec) -> bool {
    match &spec.settings {
        Settings::IkePolicy(policy) => {
            let (encryption, groups) = (&policy.encryption_algorithms, &policy.dh_groups);
            let (integrity, prf) = (&policy.integrity_algorithms, &policy.prf_algorithms);
            encryption.iter().all(Option::is_some)
                && groups.iter().all(Option::is_some)
                && integrity.iter().all(Option::is_some)
                && prf.iter().all(Option::is_some)
        }
        Settings::IpsecPolicy(policy) => {
            let (encryption, groups) = (&policy.encryption_algorithms, &policy.dh_groups);
            encryption.iter().all(Option::is_some)
                && groups.iter().all(Option::is_some)
                && policy.integrity_algorithms.iter().all(Option::is_some)
        }
        _ => true,
    }
}
