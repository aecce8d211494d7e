//! What a resource that is there is the same as. Pure.

use crate::{
    core::dialect::Mark,
    dialects::nsx::manager::resources::{inward::SERVICE, outward},
    model::{Resource, ResourceField as F, ResourceKind, ResourceSpec},
};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Whether making `spec` would give what is there, names and descriptions aside. What `spec` leaves open is NSX's default;
/// where no document tells that, or they differ, it cannot be told, and is not.
pub fn is_equal(spec: &ResourceSpec, there: &Resource) -> bool {
    if spec.kind() != there.spec.kind() {
        return false;
    }
    let kind = spec.kind();
    let (Some(mut wanted), Some(mut now)) = (essence(spec), essence(&there.spec)) else {
        return false;
    };
    // A word that nobody knows reads as nothing, and is no default.
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

/// Fields of one word, and where NSX has it.
const WORDS: [(F, &str); 4] = [
    (F::IkeVersion, "ike_version"),
    (F::DfPolicy, "df_policy"),
    (F::ProbeMode, "dpd_probe_mode"),
    (F::IkeLogLevel, "ike_log_level"),
];

/// What is made of it, in one form, but for what is for people. `None` if NSX has no word for something.
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

/// Documents differ about how much the daemon logs by default (ERROR or INFO). No connection is another for it, so either is
/// as good as what was left open: a router has one service, and hardly anybody says how much it is to log.
fn assume_log_level(wanted: &mut Map<String, Value>, now: &Map<String, Value>) {
    const LEVEL: &str = "ike_log_level";
    let is_default = |level: &&Value| matches!(level.as_str(), Some("INFO" | "ERROR"));
    if let (None, Some(level)) = (wanted.get(LEVEL), now.get(LEVEL).filter(is_default)) {
        wanted.insert(LEVEL.to_owned(), level.clone());
    }
}

/// Fills in the defaults (NSX Python SDK 4.2.0). False if one is needed that nobody can tell.
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
        // With GCM one document has the same default and one has none.
        ResourceKind::IkePolicy if !body.contains_key(DIGESTS) => {
            body.insert(DIGESTS.to_owned(), json!(["SHA2_256"]));
            !uses(body, &|word| word.contains("GCM"))
        }
        // What authenticates by itself needs none. What NSX takes with anything else no document says.
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
