//! What is true of every expressible value: a resource reads back as it was created, an object that was read and sent
//! back stays as it is, nothing of it is lost, and a change writes what it names and nothing else.

use super::{
    body,
    generated::{specs, specs_of},
};
use crate::{
    core::dialect::Mark,
    dialects::nsx::{
        body::{
            Body,
            words::{INTEGRITY, PRF},
        },
        manager::resources::{inward, kinds::KINDS, outward},
    },
    model::{
        Resource, ResourceChange, ResourceDetails, ResourceField as F, ResourceKind, ResourceSpec,
        RuleAction, Settings,
    },
};
use ipnet::IpNet;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, time::SystemTime};

/// How a spec reads back: a word that NSX has once appears in both fields, and the contract's defaults are filled in.
fn as_read(mut spec: ResourceSpec) -> ResourceSpec {
    match &mut spec.settings {
        Settings::IkePolicy(policy) => {
            let same = INTEGRITY.iter().zip(&PRF);
            let pairs: Vec<_> = same.map(|(a, b)| (Some(a.1), Some(b.1))).collect();
            if policy.prf_algorithms.is_empty() {
                let prf = |it| pairs.iter().find(|pair| pair.0 == it).unwrap().1;
                let integrity = policy.integrity_algorithms.iter();
                policy.prf_algorithms = integrity.map(|it| prf(*it)).collect();
            } else {
                let integrity = |it| pairs.iter().find(|pair| pair.1 == it).unwrap().0;
                let prf = policy.prf_algorithms.iter();
                policy.integrity_algorithms = prf.map(|it| integrity(*it)).collect();
            }
        }
        Settings::DpdPolicy(policy) => policy.enabled = policy.enabled.or(Some(true)),
        Settings::VpnService(service) => {
            service.admin_enabled = service.admin_enabled.or(Some(true));
            for rule in &mut service.bypass_rules {
                rule.enabled = rule.enabled.or(Some(true));
                rule.logged = rule.logged.or(Some(false));
                rule.action = Some(RuleAction::Bypass);
            }
        }
        _ => {}
    }
    spec
}

/// Networks as a set, each in one spelling.
fn in_one_form(networks: &[String]) -> Vec<String> {
    let one_form = |text: &String| match text.parse::<IpNet>() {
        Ok(network) => network.trunc().to_string(),
        Err(_) => text.clone(),
    };
    let networks: BTreeSet<String> = networks.iter().map(one_form).collect();
    networks.into_iter().collect()
}

/// Reduces what a resource says to what is wanted: without fields that are not wanted, and without the id, action and
/// order of rules.
fn as_wanted(said: &ResourceSpec, wanted: &ResourceSpec) -> ResourceSpec {
    macro_rules! keep {
        ($said:ident, $wanted:ident: $($option:ident)*; $($list:ident)*) => {{
            $(if $wanted.$option.is_none() { $said.$option = None; })*
            $(if $wanted.$list.is_empty() { $said.$list.clear(); })*
        }};
    }
    let mut said = said.clone();
    match (&mut said.settings, &wanted.settings) {
        (Settings::IkePolicy(said), Settings::IkePolicy(wanted)) => {
            keep!(said, wanted: ike_version lifetime; encryption_algorithms dh_groups);
            if wanted.integrity_algorithms.is_empty() && wanted.prf_algorithms.is_empty() {
                said.integrity_algorithms.clear();
                said.prf_algorithms.clear();
            }
        }
        (Settings::IpsecPolicy(said), Settings::IpsecPolicy(wanted)) => keep!(said, wanted:
            transform_protocol encapsulation_mode perfect_forward_secrecy lifetime df_policy;
            encryption_algorithms integrity_algorithms dh_groups),
        (Settings::DpdPolicy(said), Settings::DpdPolicy(wanted)) => {
            keep!(said, wanted: probe_mode probe_interval_seconds retry_count;);
            said.enabled = wanted.enabled.and(said.enabled);
        }
        (Settings::VpnService(said), Settings::VpnService(wanted)) => {
            keep!(said, wanted: admin_enabled ike_log_level ha_sync;);
            for rule in &mut said.bypass_rules {
                (rule.id, rule.action) = (None, None);
                rule.enabled = rule.enabled.or(Some(true));
                rule.logged = rule.logged.or(Some(false));
                rule.sources = in_one_form(&rule.sources);
                rule.destinations = in_one_form(&rule.destinations);
            }
            said.bypass_rules.sort_by_key(|rule| format!("{rule:?}"));
        }
        _ => {}
    }
    said
}

/// Fills in the defaults of an object, as NSX does.
fn with_defaults(kind: ResourceKind, object: Map<String, Value>) -> Map<String, Value> {
    let defaults = match kind {
        ResourceKind::IkePolicy => json!({ "ike_version": "IKE_V2", "sa_life_time": 86_400 }),
        ResourceKind::IpsecPolicy => json!({
            "enable_perfect_forward_secrecy": true, "df_policy": "COPY", "sa_life_time": 3_600,
        }),
        ResourceKind::DpdPolicy => json!({
            "enabled": true, "dpd_probe_mode": "PERIODIC", "dpd_probe_interval": 60, "retry_count": 10,
        }),
        ResourceKind::VpnService => json!({ "enabled": true, "ipsec_ha_sync": true }),
        ResourceKind::LocalEndpoint | ResourceKind::EndpointGroup => json!({}),
    };
    let mut all = defaults.as_object().cloned().unwrap_or_default();
    all.extend(object);
    all
}

fn made(spec: &ResourceSpec) -> Map<String, Value> {
    let mut made = outward::new(spec, &Mark::new()).unwrap();
    made.remove("tags");
    made
}

/// What a cloud may say besides or instead of what is documented.
fn oddities() -> BoxedStrategy<Vec<(&'static str, Value)>> {
    let odd = vec![
        ("ike_version", json!("IKE_V9")),
        ("ike_version", json!(2)),
        (
            "encryption_algorithms",
            json!(["AES_128", "AES_512", "aes_256"]),
        ),
        ("encryption_algorithms", json!([])),
        ("encryption_algorithms", json!({ "a": 1 })),
        ("digest_algorithms", json!(["SHA9"])),
        ("digest_algorithms", json!(null)),
        ("dh_groups", json!("GROUP14")),
        ("dh_groups", json!([14, "GROUP14", null])),
        ("sa_life_time", json!(-1)),
        ("enable_perfect_forward_secrecy", json!("maybe")),
        ("df_policy", json!("SET")),
        ("transform_protocol", json!("ESP")),
        ("transform_protocol", json!("AH")),
        ("encapsulation_mode", json!("TUNNEL_MODE")),
        ("encapsulation_mode", json!("BEET")),
        ("dpd_probe_mode", json!("LAZY")),
        ("dpd_probe_interval", json!(-7)),
        ("retry_count", json!(1_u64 << 40)),
        ("enabled", json!({})),
        ("ike_log_level", json!("VERBOSE")),
        (
            "bypass_rules",
            json!([{ "id": "1", "action": "SHAPE", "priority": 3 }]),
        ),
        ("bypass_rules", json!("none")),
        (
            "ipsec_vpn_service_id",
            json!({ "target_id": "s", "target_type": "t", "is_valid": true }),
        ),
        ("ipsec_vpn_service_id", json!({ "target_type": "t" })),
        ("ipsec_vpn_service_id", json!("s")),
        ("local_address", json!("vpn.example")),
        ("trust_ca_ids", json!(["a", 1])),
        ("trust_crl_ids", json!("a")),
        ("tags", json!([{ "scope": "team", "tag": "net" }])),
        ("resource_type", json!("IPSecVPNThing")),
        ("_create_time", json!(1_735_689_600_123_u64)),
        ("_last_modified_time", json!(1_735_689_600_124_u64)),
        ("_last_modified_time", json!(-1)),
        ("_last_modified_user", json!("admin")),
        ("_create_user", json!("admin")),
        ("_system_owned", json!(true)),
        ("_protection", json!("NOT_PROTECTED")),
        ("_revision", json!(3)),
        ("_links", json!([{ "href": "/x", "rel": "self" }])),
        ("_schema", json!("x")),
        ("new", json!({ "a": [1, null] })),
    ];
    vec(select(odd), 0..8).boxed()
}

/// What NSX may answer for a resource of a kind, and a spec that may be wanted of it.
fn objects() -> BoxedStrategy<(ResourceSpec, Map<String, Value>)> {
    let kind = any::<Index>().prop_map(|at| at.get(KINDS));
    let parts = kind.prop_flat_map(|kind| (specs_of(kind), specs_of(kind), oddities()));
    let object = parts.prop_map(|(wanted, spec, odd)| {
        let mut object = made(&spec);
        object.insert("id".to_owned(), json!("an id"));
        object.extend(odd.into_iter().map(|(key, value)| (key.to_owned(), value)));
        (wanted, object)
    });
    object.boxed()
}

/// The key in the object for a model field with words.
fn key(path: &str) -> &str {
    match path {
        "integrity_algorithms" | "prf_algorithms" => "digest_algorithms",
        "probe_mode" => "dpd_probe_mode",
        path => path,
    }
}

/// Rebuilds the object from nothing but its translation.
fn rebuilt(read: &Resource) -> Map<String, Value> {
    let mut object = Map::new();
    let known = known(read.spec.clone());
    for (key, value) in made_without_default(&known) {
        object.insert(key, value);
    }
    for (path, words) in &read.native_words {
        object.insert(key(path).to_owned(), words.clone());
    }
    object.insert("id".to_owned(), json!(read.id));
    let millis = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        json!(since.as_millis() as u64)
    };
    let times = [
        ("_create_time", read.create_time),
        ("_last_modified_time", read.update_time),
    ];
    for (key, time) in times {
        object.extend(time.map(|time| (key.to_owned(), millis(time))));
    }
    let Some(ResourceDetails::Nsx(details)) = &read.details else {
        panic!("{:?}", read.details)
    };
    for (key, value, is_said) in [
        ("_revision", json!(details.revision), details.revision != 0),
        (
            "_create_user",
            json!(details.create_user),
            !details.create_user.is_empty(),
        ),
        (
            "_protection",
            json!(details.protection),
            !details.protection.is_empty(),
        ),
        ("_system_owned", json!(true), details.system_owned),
    ] {
        if is_said {
            object.insert(key.to_owned(), value);
        }
    }
    for (key, value) in &read.native {
        let reference = object.get_mut(key).and_then(Value::as_object_mut);
        match (reference, value) {
            (Some(reference), Value::Object(rest)) => reference.extend(rest.clone()),
            _ => drop(object.insert(key.clone(), value.clone())),
        }
    }
    object
}

/// The same spec without the fields whose words are kept separately.
fn known(mut spec: ResourceSpec) -> ResourceSpec {
    match &mut spec.settings {
        Settings::IkePolicy(policy) => {
            policy.encryption_algorithms.clear();
            policy.integrity_algorithms.clear();
            policy.prf_algorithms.clear();
            policy.dh_groups.clear();
        }
        Settings::IpsecPolicy(policy) => {
            policy.encryption_algorithms.clear();
            policy.integrity_algorithms.clear();
            policy.dh_groups.clear();
        }
        _ => {}
    }
    spec
}

fn made_without_default(spec: &ResourceSpec) -> Map<String, Value> {
    let mut made = made(spec);
    let is_unsaid = match &spec.settings {
        Settings::DpdPolicy(policy) => policy.enabled.is_none(),
        Settings::VpnService(service) => service.admin_enabled.is_none(),
        _ => false,
    };
    if is_unsaid {
        made.remove("enabled");
    }
    made
}

/// Drops nulls, empty texts and empty lists, which say nothing, and the default action of rules.
fn said(object: Map<String, Value>) -> Value {
    let says =
        |value: &Value| !matches!(value, Value::Null) && *value != json!([]) && *value != json!("");
    let said = object.into_iter().filter(|(_, value)| says(value));
    Value::Object(said.collect())
}

fn change(fields: &[F], values: ResourceSpec) -> ResourceChange {
    ResourceChange {
        fields: fields.iter().copied().collect(),
        values,
        etag: None,
    }
}

fn read(kind: ResourceKind, object: &Map<String, Value>) -> Resource {
    inward::resource(kind, &body(Value::Object(object.clone())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_resource_reads_back_as_it_was_made(spec in specs()) {
        let made = made(&spec);
        let read = read(spec.kind(), &made);
        prop_assert_eq!(&read.spec, &as_read(spec));
        prop_assert_eq!(Value::Object(read.native), json!({}));
    }

    #[test]
    fn what_was_read_and_is_sent_back_is_not_written((wanted, object) in objects()) {
        let kind = wanted.kind();
        let read = read(kind, &object);
        let change = change(kind.fields(), read.spec);
        let done = outward::changed(&Body::new(object), &change);
        prop_assert_eq!(done.map(|it| it.map(Value::Object)), Ok(None));
    }

    #[test]
    fn whatever_is_there_becomes_what_is_wanted((wanted, object) in objects()) {
        let kind = wanted.kind();
        let before = Body::new(with_defaults(kind, object));
        let wants_all = change(kind.fields(), wanted.clone());
        let done = outward::changed(&before, &wants_all);
        // A mode and an interval that do not fit each other are refused.
        prop_assume!(done.is_ok());
        let after = done.unwrap().unwrap_or_else(|| before.object().clone());
        let after = read(kind, &after).spec;
        prop_assert_eq!(as_wanted(&after, &wanted), as_wanted(&as_read(wanted.clone()), &wanted));
    }

    #[test]
    fn nothing_of_an_object_is_lost((wanted, object) in objects()) {
        let kind = wanted.kind();
        // What remains of a rule that was only partly read is in `native` under its id. The tables cover that.
        prop_assume!(object.get("bypass_rules").is_none_or(|it| it[0]["priority"] == Value::Null));
        let rebuilt = rebuilt(&read(kind, &object));
        prop_assert_eq!(said(rebuilt), said(object));
    }

    #[test]
    fn a_change_writes_what_it_names_and_nothing_else(
        (wanted, object) in objects(), chosen in any::<u32>(),
    ) {
        let kind = wanted.kind();
        let fields = kind.fields().iter().enumerate();
        let fields: Vec<F> = fields.filter(|(at, _)| chosen & (1 << at) != 0).map(|(_, it)| *it).collect();
        let before = read(kind, &object);
        let wanted = change(&fields, wanted);
        if let Ok(Some(written)) = outward::changed(&Body::new(object), &wanted) {
            let written = Body::new(written);
            // Writing it again changes nothing.
            prop_assert_eq!(outward::changed(&written, &wanted), Ok(None));
            // Fields that are not named keep their values.
            let is_digest = |it: &F| matches!(it, F::IntegrityAlgorithms | F::PrfAlgorithms);
            let digests_named = fields.iter().any(is_digest);
            let mut others = kind.fields().to_vec();
            others.retain(|it| !fields.contains(it));
            others.retain(|it| !digests_named || !is_digest(it));
            let back = change(&others, before.spec);
            prop_assert_eq!(outward::changed(&written, &back), Ok(None));
        }
    }
}
