//! Descriptions as values: the form of the JSON mapping, with the names that protobuf gives fields in JSON.

use crate::command::KEY_VARIABLE;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What a file says, as one description.
pub fn read(text: &str) -> Value {
    let value: Value = serde_saphyr::from_str(text).unwrap_or_else(|why| panic!("{why}:\n{text}"));
    camel(value)
}

/// The same with names of fields as JSON has them, whichever of the two forms they came in.
pub fn camel(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let named = |(name, value): (String, Value)| (in_camel(&name), camel(value));
            Value::Object(fields.into_iter().map(named).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(camel).collect()),
        leaf => leaf,
    }
}

fn in_camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        text + &head.to_uppercase() + tail
    })
}

/// What an export lacks to be applied: the key, and no attachment of the cloud it comes from.
pub fn with_key(mut description: Value) -> Value {
    description["connection"]["peer"]["pskEnv"] = json!(KEY_VARIABLE);
    description
}

/// The same connection under another name.
pub fn renamed(mut description: Value, name: &str) -> Value {
    description["connection"]["displayName"] = json!(name);
    description.as_object_mut().unwrap().remove("backends");
    description
}

/// What a cloud with these capabilities shows of a description that it took. What only the way to the cloud has (the key, the
/// attachment, what may be used again) is not shown.
///
/// These are the rules of `docs/portable.md`, written here a second time and from that side.
pub fn as_shown(description: &Value, capabilities: &Value) -> Value {
    let mut shown = description.clone();
    let fields = shown.as_object_mut().unwrap();
    fields.remove("reuse");
    fields.remove("backends");
    let connection = fields["connection"].as_object_mut().unwrap();
    connection.remove("name");
    let peer = connection["peer"].as_object_mut().unwrap();
    for key in ["psk", "pskEnv", "pskFile"] {
        peer.remove(key);
    }
    // A peer that says nothing else is known by its address.
    if peer.get("id") == peer.get("address") {
        peer.remove("id");
    }
    if let Some(policy) = connection.get_mut("policyBased") {
        *policy = pairs(policy);
    }
    if capabilities["inlineDpd"] != true
        && let Some(dpd) = connection.get_mut("dpd")
    {
        *dpd = probes(dpd);
    }
    if let Some(parts) = fields.get_mut("parts").and_then(Value::as_object_mut) {
        for (part, collection) in [
            ("ikePolicy", "ikePolicies"),
            ("ipsecPolicy", "ipsecPolicies"),
        ] {
            if let (Some(policy), Some(takes)) =
                (parts.get_mut(part), kind(capabilities, collection))
            {
                narrow(policy.as_object_mut().unwrap(), takes);
            }
        }
        // What goes without saying is not said.
        if let Some(Value::Object(ike)) = parts.get_mut("ikePolicy")
            && ike.get("negotiationMode") == Some(&json!("NEGOTIATION_MODE_MAIN"))
        {
            ike.remove("negotiationMode");
        }
        // Where it is attached is another matter than what it is.
        parts.remove("localEndpoint");
        parts.remove("vpnService");
    }
    shown
}

/// What may speak with what, however it is written: one rule of two networks is two of one each.
fn pairs(policy: &Value) -> Value {
    let texts = |rule: &Value, side: &str| rule[side].as_array().cloned().unwrap_or_default();
    let rules = policy["rules"].as_array().into_iter().flatten();
    let each = rules.flat_map(|rule| {
        let (near, far) = (texts(rule, "sources"), texts(rule, "destinations"));
        let pair = move |near: &Value| {
            let near = near.clone();
            far.clone()
                .into_iter()
                .map(move |far| format!("{near} {far}"))
        };
        near.iter().flat_map(pair).collect::<Vec<_>>()
    });
    json!(each.collect::<BTreeSet<String>>())
}

/// What a backend says of a kind, if it has it.
pub fn kind<'a>(capabilities: &'a Value, collection: &str) -> Option<&'a Value> {
    let kinds = capabilities["resources"].as_array()?;
    kinds.iter().find(|it| it["collection"] == collection)
}

/// Dead peer detection as so many probes, each an interval after the one before.
fn probes(dpd: &Value) -> Value {
    let given = |name: &str, default| dpd[name].as_str().map_or(default, seconds);
    let (interval, timeout) = (given("interval", 30), given("timeout", 120));
    let probes = timeout.div_ceil(interval).max(1);
    let mut shown = json!({
        "interval": format!("{interval}s"),
        "timeout": format!("{}s", probes * interval),
    });
    if dpd["action"] == "ACTION_DISABLED" || dpd["action"] == "DISABLED" {
        shown["action"] = dpd["action"].clone();
    }
    shown
}

/// A duration in whole seconds.
fn seconds(text: &str) -> u64 {
    text.trim_end_matches('s').parse().unwrap()
}

/// Of each list of proposals what the cloud takes, and no more than it takes, in order.
fn narrow(policy: &mut Map<String, Value>, takes: &Value) {
    // Of the two that this offers, a cloud that cannot leave it open has the newer one.
    if let Some(version) = policy.get_mut("ikeVersion")
        && *version == "IKE_VERSION_2_OR_1"
        && !takes["ikeVersions"]
            .as_array()
            .is_some_and(|it| it.contains(version))
    {
        *version = json!("IKE_VERSION_2");
    }
    let most = takes["maxAlgorithms"].as_u64().unwrap_or(1) as usize;
    for list in [
        "encryptionAlgorithms",
        "integrityAlgorithms",
        "prfAlgorithms",
        "dhGroups",
    ] {
        let Some(Value::Array(proposals)) = policy.get_mut(list) else {
            continue;
        };
        let taken = takes[list].as_array().cloned().unwrap_or_default();
        proposals.retain(|it| taken.contains(it));
        proposals.truncate(most);
    }
}

/// What of `wanted` is not so in `there`, by its path: what is not said is not asked.
pub fn missing(there: &Value, wanted: &Value, path: &str) -> Vec<String> {
    match (there, wanted) {
        (there, Value::Object(wanted)) => wanted
            .iter()
            .flat_map(|(name, value)| missing(&there[name], value, &format!("{path}.{name}")))
            .collect(),
        (Value::Array(there), Value::Array(wanted)) if there.len() == wanted.len() => there
            .iter()
            .zip(wanted)
            .enumerate()
            .flat_map(|(at, (there, wanted))| missing(there, wanted, &format!("{path}[{at}]")))
            .collect(),
        (there, wanted) if there == wanted => Vec::new(),
        // What is unset is not written in JSON.
        (Value::Null, Value::Array(list)) if list.is_empty() => Vec::new(),
        (there, wanted) => vec![format!("{path}: {there} for {wanted}")],
    }
}
