//! What is so of everything that can be said: a resource reads back as it was made, an object that was read and sent back
//! stays as it is, nothing of it is lost, and a change writes what it names and nothing else.

use super::body;
use crate::{
    core::dialect::{Mark, ResourceCapabilities},
    dialects::nsx::{
        body::Body,
        manager::resources::{inward, kinds::KINDS, outward},
    },
    model::{
        PolicyRule, Resource, ResourceChange, ResourceDetails, ResourceField as F, ResourceKind,
        ResourceSpec, RuleAction, Settings,
        algorithm::Named,
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime, ProbeMode},
        topology::{IkeLogLevel, LocalEndpoint, VpnService},
    },
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Map, Value, json};
use std::time::SystemTime;

fn some_of<T: Named>(values: &'static [T]) -> BoxedStrategy<Vec<Option<T>>> {
    vec(select(values).prop_map(Some), 0..4).boxed()
}

fn one_of<T: Named>(values: &'static [T]) -> BoxedStrategy<Option<T>> {
    option::of(select(values)).boxed()
}

fn seconds(kind: &ResourceCapabilities) -> BoxedStrategy<Option<Lifetime>> {
    let range = kind.lifetime_seconds.clone().unwrap();
    option::of(range.prop_map(Lifetime::Seconds)).boxed()
}

fn text() -> BoxedStrategy<String> {
    "[a-zä \"\\\\]{0,8}".boxed()
}

fn texts() -> BoxedStrategy<Vec<String>> {
    vec(text(), 0..3).boxed()
}

fn some_text() -> BoxedStrategy<Option<String>> {
    option::of("[a-z0-9]{1,6}").boxed()
}

fn networks() -> BoxedStrategy<Vec<String>> {
    vec(
        select(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"][..]),
        0..3,
    )
    .prop_map(|networks| networks.into_iter().map(str::to_owned).collect())
    .boxed()
}

/// Rules with ids, each its own, or without.
fn rules() -> BoxedStrategy<Vec<PolicyRule>> {
    let parts = (
        networks(),
        networks(),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        any::<bool>(),
    );
    let rule = parts.prop_map(
        |(sources, destinations, enabled, logged, acts)| PolicyRule {
            id: None,
            sources,
            destinations,
            enabled,
            logged,
            action: acts.then_some(RuleAction::Bypass),
        },
    );
    vec((rule, any::<bool>()), 0..3)
        .prop_map(|rules| {
            let rules = rules.into_iter().enumerate();
            let rule = |(place, (rule, has_id)): (usize, (PolicyRule, bool))| PolicyRule {
                id: has_id.then(|| format!("rule {place}")),
                ..rule
            };
            rules.map(rule).collect()
        })
        .boxed()
}

fn ike(kind: &'static ResourceCapabilities) -> BoxedStrategy<Settings> {
    let parts = (
        one_of(kind.ike_versions),
        some_of(kind.encryption),
        some_of(kind.integrity),
        some_of(kind.prf),
        some_of(kind.dh_groups),
        seconds(kind),
    );
    let policy = parts.prop_map(
        |(version, encryption, integrity, prf, dh_groups, lifetime)| {
            // Both tell the same hashes, if both tell something.
            let prf = if integrity.is_empty() {
                prf
            } else {
                Vec::new()
            };
            Settings::IkePolicy(IkePolicy {
                ike_version: version,
                negotiation_mode: None,
                encryption_algorithms: encryption,
                integrity_algorithms: integrity,
                prf_algorithms: prf,
                dh_groups,
                lifetime,
            })
        },
    );
    policy.boxed()
}

fn ipsec(kind: &'static ResourceCapabilities) -> BoxedStrategy<Settings> {
    let parts = (
        some_of(kind.encryption),
        some_of(kind.integrity),
        any::<Option<bool>>(),
        some_of(kind.dh_groups),
        seconds(kind),
        one_of(kind.df_policies),
    );
    let policy = parts.prop_map(
        |(encryption, integrity, pfs, dh_groups, lifetime, df_policy)| {
            Settings::IpsecPolicy(IpsecPolicy {
                transform_protocol: None,
                encapsulation_mode: None,
                encryption_algorithms: encryption,
                integrity_algorithms: integrity,
                perfect_forward_secrecy: pfs,
                dh_groups,
                lifetime,
                df_policy,
            })
        },
    );
    policy.boxed()
}

fn dpd() -> BoxedStrategy<Settings> {
    let parts = (
        any::<Option<bool>>(),
        one_of(ProbeMode::ALL),
        option::of(3_u32..=10),
        any::<Option<i32>>(),
    );
    let policy = parts.prop_map(|(enabled, probe_mode, interval, retry_count)| {
        Settings::DpdPolicy(DpdPolicy {
            enabled,
            probe_mode,
            probe_interval_seconds: interval,
            retry_count,
        })
    });
    policy.boxed()
}

fn service() -> BoxedStrategy<Settings> {
    let parts = (
        any::<Option<bool>>(),
        rules(),
        one_of(IkeLogLevel::ALL),
        any::<Option<bool>>(),
    );
    let service = parts.prop_map(|(admin_enabled, bypass_rules, ike_log_level, ha_sync)| {
        Settings::VpnService(VpnService {
            admin_enabled,
            router: "router".to_owned(),
            bypass_rules,
            ike_log_level,
            ha_sync,
            ..VpnService::default()
        })
    });
    service.boxed()
}

fn local_endpoint() -> BoxedStrategy<Settings> {
    let address = select(&["198.51.100.10", "2001:db8::10"][..]);
    let parts = (
        "[a-z]{1,4}",
        address,
        some_text(),
        some_text(),
        texts(),
        texts(),
    );
    let endpoint = parts.prop_map(|(service, address, local_id, certificate, cas, crls)| {
        Settings::LocalEndpoint(LocalEndpoint {
            vpn_service: Some(service),
            address: address.to_owned(),
            local_id,
            certificate,
            trusted_authorities: cas,
            revocation_lists: crls,
        })
    });
    endpoint.boxed()
}

fn settings(kind: &'static ResourceCapabilities) -> BoxedStrategy<Settings> {
    match kind.kind {
        ResourceKind::IkePolicy => ike(kind),
        ResourceKind::IpsecPolicy => ipsec(kind),
        ResourceKind::DpdPolicy => dpd(),
        ResourceKind::VpnService => service(),
        ResourceKind::LocalEndpoint => local_endpoint(),
        ResourceKind::EndpointGroup => unreachable!("NSX has none"),
    }
}

/// Everything that can be expressed of a kind.
fn specs_of(kind: &'static ResourceCapabilities) -> BoxedStrategy<ResourceSpec> {
    let parts = (text(), text(), settings(kind));
    let spec = parts.prop_map(|(display_name, description, settings)| ResourceSpec {
        display_name,
        description,
        availability_zone: None,
        settings,
    });
    spec.boxed()
}

fn specs() -> BoxedStrategy<ResourceSpec> {
    let kind = any::<Index>().prop_map(|at| at.get(KINDS));
    kind.prop_flat_map(specs_of).boxed()
}

/// How it reads back: what NSX says with one word is said twice, and what the contract says of nothing is said.
fn as_read(mut spec: ResourceSpec) -> ResourceSpec {
    match &mut spec.settings {
        Settings::IkePolicy(policy) => {
            use crate::dialects::nsx::body::words::{INTEGRITY, PRF};
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

fn made(spec: &ResourceSpec) -> Map<String, Value> {
    let mut made = outward::new(spec, &Mark::new()).unwrap();
    made.remove("tags");
    made
}

/// What a cloud may say beside or in place of what is documented.
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

/// What NSX may answer for a resource of a kind, and what may be wanted of it.
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

/// The key under which the object has what the model has in a field with words.
fn key(path: &str) -> &str {
    match path {
        "integrity_algorithms" | "prf_algorithms" => "digest_algorithms",
        "probe_mode" => "dpd_probe_mode",
        path => path,
    }
}

/// The object again, from nothing but what was made of it.
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

/// The same without what only its words tell.
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

/// Nulls, empty texts and empty lists say nothing; neither does what rules are by default.
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
    fn nothing_of_an_object_is_lost((wanted, object) in objects()) {
        let kind = wanted.kind();
        // Of a rule that is not understood whole, the rest is in `native` under its id; the tables tell of that.
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
            // Written again it is so already.
            prop_assert_eq!(outward::changed(&written, &wanted), Ok(None));
            // What is not named says what it said.
            let is_digest = |it: &F| matches!(it, F::IntegrityAlgorithms | F::PrfAlgorithms);
            let digests_named = fields.iter().any(is_digest);
            let mut others = kind.fields().to_vec();
            others.retain(|it| !fields.contains(it) && !(digests_named && is_digest(it)));
            let back = change(&others, before.spec);
            prop_assert_eq!(outward::changed(&written, &back), Ok(None));
        }
    }
}
