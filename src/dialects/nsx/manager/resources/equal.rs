//! Whether an existing resource equals a wanted one. Pure.

use crate::{
    core::dialect::Mark,
    dialects::nsx::manager::resources::{inward::SERVICE, outward},
    model::{Resource, ResourceField as F, ResourceKind, ResourceSpec},
};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Reports whether creating `spec` would give what is there, apart from names and descriptions. A field that `spec`
/// leaves open has NSX's default. Where no document tells the default, or documents differ, the two count as different.
pub fn is_equal(spec: &ResourceSpec, there: &Resource) -> bool {
    if spec.kind() != there.spec.kind() {
        return false;
    }
    let kind = spec.kind();
    let (Some(mut wanted), Some(mut now)) = (essence(spec), essence(&there.spec)) else {
        return false;
    };
    // A word that no table knows reads as absent, but is not the default.
    let is_unknown = |(field, key): &(F, &str)| {
        there.native_words.contains_key(field.path()) && !now.contains_key(*key)
    };
    if WORDS.iter().any(is_unknown) {
        return false;
    }
    if kind == ResourceKind::VpnService {
        assume_log_level(&mut wanted, &now);
    }
    if !complete(kind, &mut wanted) || !complete(kind, &mut now) {
        return false;
    }
    let is_unread = |key: &String| key != SERVICE && there.native.contains_key(key);
    wanted == now && !wanted.keys().any(is_unread)
}

/// Fields with a single word, and their keys in NSX.
const WORDS: [(F, &str); 4] = [
    (F::IkeVersion, "ike_version"),
    (F::DfPolicy, "df_policy"),
    (F::ProbeMode, "dpd_probe_mode"),
    (F::IkeLogLevel, "ike_log_level"),
];

/// Returns the normalized body of a resource, without what is only for people. Returns `None` if NSX has no word for
/// something.
fn essence(spec: &ResourceSpec) -> Option<Map<String, Value>> {
    let mut body = outward::new(spec, &Mark::new()).ok()?;
    for key in ["display_name", "description", "tags"] {
        body.remove(key);
    }
    if let Some(Value::Array(rules)) = body.get_mut("bypass_rules") {
        for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
            rule.remove("id");
        }
    }
    for key in ["trust_ca_ids", "trust_crl_ids"] {
        if let Some(Value::Array(ids)) = body.get_mut(key) {
            ids.sort_by_key(Value::to_string);
        }
    }
    for key in ["local_address", "local_id"] {
        let address = body.get(key).and_then(Value::as_str);
        if let Some(address) = address.and_then(|text| text.parse::<IpAddr>().ok()) {
            body.insert(key.to_owned(), address.to_string().into());
        }
    }
    Some(body)
}

/// Accepts either of the default log levels that documents give (ERROR or INFO) if the level is left open. It makes no
/// difference to a connection, a router has only one service, and few descriptions give a log level.
fn assume_log_level(wanted: &mut Map<String, Value>, now: &Map<String, Value>) {
    const LEVEL: &str = "ike_log_level";
    let is_default = |level: &&Value| matches!(level.as_str(), Some("INFO" | "ERROR"));
    if let (None, Some(level)) = (wanted.get(LEVEL), now.get(LEVEL).filter(is_default)) {
        wanted.insert(LEVEL.to_owned(), level.clone());
    }
}

/// Fills in the defaults (NSX Python SDK 4.2.0). Returns false if a needed default is unknown.
fn complete(kind: ResourceKind, body: &mut Map<String, Value>) -> bool {
    let uses = |body: &Map<String, Value>, is: &dyn Fn(&str) -> bool| {
        let list = body.get("encryption_algorithms").and_then(Value::as_array);
        let mut words = list.into_iter().flatten().filter_map(Value::as_str);
        words.any(is)
    };
    let defaults = match kind {
        ResourceKind::IkePolicy => json!({
            "ike_version": "IKE_V2", "encryption_algorithms": ["AES_128"], "dh_groups": ["GROUP14"],
            "sa_life_time": 86_400,
        }),
        ResourceKind::IpsecPolicy => json!({
            "encryption_algorithms": ["AES_GCM_128"], "enable_perfect_forward_secrecy": true,
            "dh_groups": ["GROUP14"], "sa_life_time": 3_600, "df_policy": "COPY",
        }),
        ResourceKind::DpdPolicy => json!({ "dpd_probe_mode": "PERIODIC", "retry_count": 10 }),
        ResourceKind::VpnService => json!({ "enabled": true, "ipsec_ha_sync": true }),
        ResourceKind::LocalEndpoint => match body.get("local_address") {
            Some(address) => json!({ "local_id": address }),
            None => return false,
        },
        ResourceKind::EndpointGroup => return false,
    };
    for (key, value) in defaults.as_object().into_iter().flatten() {
        body.entry(key.clone()).or_insert_with(|| value.clone());
    }
    const DIGESTS: &str = "digest_algorithms";
    const INTERVAL: &str = "dpd_probe_interval";
    match kind {
        // With GCM, one document has the same default and another has none.
        ResourceKind::IkePolicy if !body.contains_key(DIGESTS) => {
            body.insert(DIGESTS.to_owned(), json!(["SHA2_256"]));
            !uses(body, &|word| word.contains("GCM"))
        }
        // An algorithm that authenticates needs no digest. No document says what NSX uses with the others.
        ResourceKind::IpsecPolicy if !body.contains_key(DIGESTS) => !uses(body, &|word| {
            !word.contains("GCM") && !word.contains("GMAC")
        }),
        // Documents differ about the default of the other mode.
        ResourceKind::DpdPolicy if !body.contains_key(INTERVAL) => {
            body.insert(INTERVAL.to_owned(), 60.into());
            body["dpd_probe_mode"] == "PERIODIC"
        }
        ResourceKind::LocalEndpoint => body.contains_key(SERVICE),
        _ => true,
    }
}
