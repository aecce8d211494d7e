//! Single examples: recorded resources, defaults, and what is refused.

use super::*;
use crate::{
    dialects::openstack::{
        mark,
        resources::refusals::refusals,
        translate::Writing,
        variant::{K5, NEUTRON, OTC},
    },
    model::{
        ResourceField as F, Settings,
        algorithm::{
            DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm, Named,
            NegotiationMode, PrfAlgorithm, TransformProtocol,
        },
        policy::{IkePolicy, IpsecPolicy, Lifetime},
        topology::{EndpointGroup, EndpointType, VpnService},
    },
    rest::json as rest_json,
};
use std::time::{Duration, SystemTime};

fn recorded(text: &str, kind: ResourceKind) -> Resource {
    let pair = rest_json::parse(text.as_bytes()).unwrap();
    read(kind, pair["answer"]["body"][one(kind)].clone(), &NEUTRON)
}

fn ike(read: &Resource) -> &IkePolicy {
    match &read.spec.settings {
        Settings::IkePolicy(it) => it,
        other => panic!("{other:?}"),
    }
}

fn ipsec(read: &Resource) -> &IpsecPolicy {
    match &read.spec.settings {
        Settings::IpsecPolicy(it) => it,
        other => panic!("{other:?}"),
    }
}

fn spec(settings: Settings) -> ResourceSpec {
    ResourceSpec {
        display_name: "n".to_owned(),
        ..ResourceSpec {
            settings: settings.clone(),
            ..ResourceSpec::none(settings.kind())
        }
    }
}

fn fields(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|it| it.field.as_str()).collect()
}

#[test]
fn a_recorded_policy_leaves_nothing_over() {
    let text =
        include_str!("../../../../../tests/fixtures/openstack/recorded/030-lifetime-as-text.json");
    let read = recorded(text, ResourceKind::IkePolicy);
    let expected = IkePolicy {
        ike_version: Some(IkeVersion::V1),
        negotiation_mode: Some(NegotiationMode::Main),
        encryption_algorithms: vec![Some(EncryptionAlgorithm::AesCbc128)],
        integrity_algorithms: vec![Some(IntegrityAlgorithm::HmacSha1x96)],
        prf_algorithms: vec![Some(PrfAlgorithm::HmacSha1)],
        dh_groups: vec![Some(DhGroup::Modp1536)],
        lifetime: Some(Lifetime::Seconds(1800)),
    };
    assert_eq!(ike(&read), &expected);
    assert_eq!(
        Value::Object(read.native_words),
        json!({
            "ike_version": "v1",
            "negotiation_mode": "main",
            "encryption_algorithms": ["aes-128"],
            "integrity_algorithms": ["sha1"],
            "prf_algorithms": ["sha1"],
            "dh_groups": ["group5"],
        })
    );
    assert_eq!(read.native, Map::new());
    assert_eq!((read.managed, read.etag.len()), (false, 32));
}

#[test]
fn a_recorded_service_leaves_nothing_over() {
    let text =
        include_str!("../../../../../tests/fixtures/openstack/recorded/090-service-created.json");
    let read = recorded(text, ResourceKind::VpnService);
    let expected = VpnService {
        admin_enabled: Some(true),
        router: "e1e13e12-966b-4c14-9f05-b427062ad50c".to_owned(),
        external_addresses: vec!["203.0.113.166".to_owned(), "2001:db8:ffff::3e8".to_owned()],
        native_state: "PENDING_CREATE".to_owned(),
        ..VpnService::default()
    };
    assert_eq!(read.spec.settings, Settings::VpnService(expected));
    assert_eq!((read.native, read.create_time), (Map::new(), None));
    assert_eq!(read.spec.display_name, "svc");
}

/// Every recorded resource is read completely, can be sent back without changing anything, and makes an equal twin.
#[test]
fn every_recorded_resource_goes_through_unchanged() {
    let pairs = include_str!("../../../../../tests/fixtures/openstack/recorded_in_order.json");
    let pairs = rest_json::parse(pairs.as_bytes()).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for pair in pairs.as_array().unwrap() {
        for takes in NEUTRON.capabilities.resources {
            let kind = Kind::of(takes.kind).unwrap();
            let rows = pair["answer"][kind.many].as_array().into_iter().flatten();
            for fields in rows.chain(pair["answer"].get(kind.one)) {
                // Some were requested with a few `fields` only.
                if fields["name"].is_null() {
                    continue;
                }
                goes_through(takes.kind, fields);
                *counts.entry(takes.kind).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(counts.len(), 4);
    assert!(counts.values().all(|count| *count >= 3), "{counts:?}");
}

fn goes_through(kind: ResourceKind, fields: &Value) {
    let body = body(fields);
    let read = resource(kind, body.clone(), &NEUTRON);
    assert_eq!(read.native, Map::new());
    let all = NEUTRON.capabilities.takes(kind).unwrap().fields;
    assert_eq!(sent(&body, all, &read.spec, &NEUTRON), Ok(None), "{fields}");
    let twin = made(&read.spec, &NEUTRON);
    for key in Kind::of(kind).unwrap().writable {
        let value = &fields[*key];
        let (said, is_text) = (!value.is_null() && value != "", value["value"].is_string());
        if said && !is_text && *key != "description" {
            assert_eq!(&twin[*key], value, "{key} of {fields}");
        }
    }
}

#[test]
fn the_time_of_a_service_of_otc_is_taken_as_utc() {
    let fields = json!({
        "id": "s", "router_id": "r", "status": "PENDING CREATE", "tenant_id": "t", "order_id": "",
        "created_at": "2020-08-05 12:36:35.921257",
    });
    let read = read(ResourceKind::VpnService, fields, &OTC);
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_596_630_995_921_257);
    assert_eq!(read.create_time, Some(at));
    let native = json!({"order_id": "", "created_at": "2020-08-05 12:36:35.921257"});
    assert_eq!(Value::Object(read.native), native);
}

#[test]
fn a_hash_is_always_sent() {
    for (variant, hash) in [(&NEUTRON, "sha256"), (&OTC, "sha2-256"), (&K5, "sha1")] {
        for kind in [ResourceKind::IkePolicy, ResourceKind::IpsecPolicy] {
            let sent = made(&ResourceSpec::none(kind), variant);
            let keys: Vec<&String> = sent.keys().collect();
            assert_eq!(keys, ["auth_algorithm", "description"]);
            assert_eq!(sent["auth_algorithm"], hash);
        }
    }
}

#[test]
fn either_list_of_hashes_is_enough() {
    let of_prf = spec(Settings::IkePolicy(IkePolicy {
        prf_algorithms: vec![Some(PrfAlgorithm::HmacSha2x384)],
        ..IkePolicy::default()
    }));
    assert_eq!(made(&of_prf, &NEUTRON)["auth_algorithm"], "sha384");
    assert_eq!(made(&of_prf, &OTC)["auth_algorithm"], "sha2-384");

    let there = body(&json!({"id": "a", "auth_algorithm": "sha256"}));
    let prf = [F::PrfAlgorithms];
    let expected = json!({"auth_algorithm": "sha384"});
    assert_eq!(sent(&there, &prf, &of_prf, &NEUTRON), Ok(Some(expected)));
    let two = spec(Settings::IkePolicy(IkePolicy {
        integrity_algorithms: vec![Some(IntegrityAlgorithm::HmacSha2x256x128)],
        ..ike(&read(
            ResourceKind::IkePolicy,
            json!({"auth_algorithm": "sha512"}),
            &NEUTRON,
        ))
        .clone()
    }));
    let both = [F::IntegrityAlgorithms, F::PrfAlgorithms];
    let refused = sent(&there, &both, &two, &NEUTRON).unwrap_err();
    assert_eq!(fields(&refused), ["prf_algorithms"]);
    let refused = refusals(&NEUTRON, &two, Writing::New, both.into_iter());
    assert_eq!(fields(&refused), ["prf_algorithms"]);
}

#[test]
fn an_exchange_is_a_flag_and_not_a_group() {
    let off = read(
        ResourceKind::IpsecPolicy,
        json!({"id": "a", "pfs": "disable"}),
        &OTC,
    );
    assert_eq!(ipsec(&off).perfect_forward_secrecy, Some(false));
    assert_eq!(ipsec(&off).dh_groups, []);
    assert_eq!(made(&off.spec, &OTC)["pfs"], "disable");
    // The word is undocumented on other clouds.
    let other = read(
        ResourceKind::IpsecPolicy,
        json!({"id": "a", "pfs": "disable"}),
        &NEUTRON,
    );
    assert_eq!(ipsec(&other).perfect_forward_secrecy, None);
    assert_eq!(ipsec(&other).dh_groups, [None]);

    let policy = |pfs, groups: &[DhGroup]| {
        spec(Settings::IpsecPolicy(IpsecPolicy {
            perfect_forward_secrecy: pfs,
            dh_groups: groups.iter().copied().map(Some).collect(),
            ..IpsecPolicy::default()
        }))
    };
    let (flag, groups) = (F::PerfectForwardSecrecy, F::DhGroups);
    let is_off = body(&json!({"id": "a", "pfs": "disable"}));
    let is_on = body(&json!({"id": "a", "pfs": "group14"}));
    let cases = [
        (
            &is_on,
            vec![flag],
            policy(Some(false), &[]),
            Some("disable"),
        ),
        (
            &is_on,
            vec![flag, groups],
            policy(Some(false), &[]),
            Some("disable"),
        ),
        (&is_on, vec![flag], policy(Some(true), &[]), None),
        (&is_on, vec![flag], policy(None, &[]), None),
        (&is_on, vec![groups], policy(None, &[]), Some("group5")),
        (
            &is_on,
            vec![groups],
            policy(None, &[DhGroup::Ecp256]),
            Some("group19"),
        ),
        (&is_off, vec![flag], policy(Some(true), &[]), Some("group5")),
        (
            &is_off,
            vec![flag, groups],
            policy(Some(true), &[DhGroup::Ecp256]),
            Some("group19"),
        ),
        (
            &is_off,
            vec![flag, groups],
            policy(None, &[DhGroup::Ecp256]),
            Some("group19"),
        ),
        (&is_off, vec![groups], policy(None, &[]), None),
    ];
    for (body, fields, values, expected) in cases {
        let expected = expected.map(|word| json!({"pfs": word}));
        let found = sent(body, &fields, &values, &OTC);
        assert_eq!(found, Ok(expected), "{fields:?} {values:?}");
    }
    let wanted = policy(Some(false), &[DhGroup::Ecp256]);
    let both = [flag, groups];
    for refused in [
        sent(&is_on, &both, &wanted, &OTC).unwrap_err(),
        sent(&is_off, &[groups], &wanted, &OTC).unwrap_err(),
        refusals(&OTC, &wanted, Writing::New, both.into_iter()),
    ] {
        assert_eq!(fields(&refused), ["dh_groups"]);
    }
}

/// A lifetime is sent with both keys, because a PUT merges by key; and as text where the document says so.
#[test]
fn a_lifetime_is_sent_whole() {
    let lifetime = Some(Lifetime::Seconds(7200));
    let ike = spec(Settings::IkePolicy(IkePolicy {
        lifetime,
        ..IkePolicy::default()
    }));
    let ipsec = spec(Settings::IpsecPolicy(IpsecPolicy {
        lifetime,
        ..IpsecPolicy::default()
    }));
    let number = json!({"units": "seconds", "value": 7200});
    let text = json!({"units": "seconds", "value": "7200"});
    for (variant, of_ike) in [(&NEUTRON, &number), (&OTC, &text), (&K5, &number)] {
        assert_eq!(&made(&ike, variant)["lifetime"], of_ike);
        assert_eq!(made(&ipsec, variant)["lifetime"], number);
    }
    let there = body(&json!({"id": "a", "lifetime": {"units": "kilobytes", "value": "7200"}}));
    let only = [F::Lifetime];
    let expected = json!({"lifetime": number});
    assert_eq!(sent(&there, &only, &ike, &NEUTRON), Ok(Some(expected)));
    let unset = ResourceSpec::none(ResourceKind::IkePolicy);
    let expected = json!({"lifetime": {"units": "seconds", "value": 3600}});
    assert_eq!(sent(&there, &only, &unset, &NEUTRON), Ok(Some(expected)));
}

#[test]
fn a_list_with_a_value_nobody_documented_stays_as_it_is_or_is_refused() {
    let there = body(&json!({
        "id": "a", "auth_algorithm": "sha3-256", "encryption_algorithm": "chacha20poly1305", "pfs": "group32",
    }));
    for kind in [ResourceKind::IkePolicy, ResourceKind::IpsecPolicy] {
        let read = resource(kind, there.clone(), &NEUTRON);
        let all = NEUTRON.capabilities.takes(kind).unwrap().fields;
        assert_eq!(sent(&there, all, &read.spec, &NEUTRON), Ok(None));
        let other = body(&json!({"id": "a", "encryption_algorithm": "aes-128"}));
        let refused = sent(&other, &[F::EncryptionAlgorithms], &read.spec, &NEUTRON).unwrap_err();
        assert_eq!(fields(&refused), ["encryption_algorithms"]);
        let refused = sent(&other, &[F::IntegrityAlgorithms], &read.spec, &NEUTRON).unwrap_err();
        assert_eq!(fields(&refused), ["integrity_algorithms"]);
        let refused = sent(&other, &[F::DhGroups], &read.spec, &NEUTRON).unwrap_err();
        assert_eq!(fields(&refused), ["dh_groups"]);
    }
}

#[test]
fn what_is_fixed_is_refused_with_what_is_there() {
    let there =
        body(&json!({"id": "a", "router_id": "r1", "subnet_id": "s1", "availability_zone": "AZ1"}));
    let fixed = [F::Router, F::Subnet, F::AvailabilityZone];
    let service = |router: &str, subnet: Option<&str>, zone: &str| ResourceSpec {
        availability_zone: Some(zone.to_owned()),
        ..spec(Settings::VpnService(VpnService {
            router: router.to_owned(),
            subnet: subnet.map(str::to_owned),
            ..VpnService::default()
        }))
    };
    let same = service("r1", Some("s1"), "AZ1");
    assert_eq!(sent(&there, &fixed, &same, &K5), Ok(None));
    let other = service("r2", None, "AZ2");
    let refused = sent(&there, &fixed, &other, &K5).unwrap_err();
    assert_eq!(fields(&refused), ["availability_zone", "router", "subnet"]);
    for (violation, is) in refused.iter().zip(["AZ1", "r1", "s1"]) {
        assert!(
            violation.description.contains(&format!("`{is}`")),
            "{violation:?}"
        );
    }

    let there =
        body(&json!({"id": "a", "type": "cidr", "endpoints": ["10.2.0.0/16", "10.1.0.0/16"]}));
    let group = |endpoint_type, endpoints: &[&str]| {
        spec(Settings::EndpointGroup(EndpointGroup {
            endpoint_type: Some(endpoint_type),
            endpoints: endpoints.iter().map(|it| (*it).to_owned()).collect(),
        }))
    };
    let fixed = [F::EndpointType, F::Endpoints];
    let same = group(EndpointType::Cidr, &["10.1.0.0/16", "10.2.0.0/16"]);
    assert_eq!(sent(&there, &fixed, &same, &NEUTRON), Ok(None));
    let refused = sent(&there, &fixed, &group(EndpointType::Subnet, &[]), &NEUTRON).unwrap_err();
    assert_eq!(fields(&refused), ["type", "endpoints"]);
    assert!(refused[0].description.contains("TYPE_CIDR"), "{refused:?}");
}

#[test]
fn unset_is_the_default() {
    let there = body(&json!({
        "id": "a", "name": "x", "admin_state_up": false, "ike_version": "v2",
        "phase1_negotiation_mode": "aggressive", "encryption_algorithm": "aes-256", "auth_algorithm": "sha512",
        "pfs": "group14", "transform_protocol": "ah", "encapsulation_mode": "transport",
    }));
    let unset = |fields: &[F], kind| sent(&there, fields, &ResourceSpec::none(kind), &NEUTRON);
    let kind = ResourceKind::IkePolicy;
    let all = kind
        .fields()
        .iter()
        .copied()
        .filter(|it| *it != F::AvailabilityZone);
    let expected = json!({
        "name": "", "ike_version": "v1", "phase1_negotiation_mode": "main", "encryption_algorithm": "aes-128",
        "auth_algorithm": "sha256", "pfs": "group5",
    });
    assert_eq!(unset(&all.collect::<Vec<_>>(), kind), Ok(Some(expected)));
    let expected = json!({"transform_protocol": "esp", "encapsulation_mode": "tunnel"});
    let modes = [F::TransformProtocol, F::EncapsulationMode];
    assert_eq!(unset(&modes, ResourceKind::IpsecPolicy), Ok(Some(expected)));
    let expected = json!({"admin_state_up": true});
    assert_eq!(
        unset(&[F::AdminEnabled], ResourceKind::VpnService),
        Ok(Some(expected))
    );
}

#[test]
fn a_mark_is_kept_and_leaves_room() {
    let mark = Mark::new();
    let there = body(&json!({"id": "a", "description": mark::put("old", &mark)}));
    let described = |text: &str| ResourceSpec {
        description: text.to_owned(),
        ..ResourceSpec::none(ResourceKind::IkePolicy)
    };
    let only = [F::Description];
    assert_eq!(sent(&there, &only, &described("old"), &NEUTRON), Ok(None));
    let expected = json!({"description": mark::put("new", &mark)});
    assert_eq!(
        sent(&there, &only, &described("new"), &NEUTRON),
        Ok(Some(expected))
    );
    let long = described(&"x".repeat(209));
    assert_eq!(
        fields(&sent(&there, &only, &long, &NEUTRON).unwrap_err()),
        ["description"]
    );
    let plain = body(&json!({"id": "a"}));
    assert!(sent(&plain, &only, &long, &NEUTRON).is_ok());

    let of = |spec: &ResourceSpec, writing| {
        fields(&refusals(&NEUTRON, spec, writing, only.into_iter())).concat()
    };
    assert_eq!(of(&long, Writing::New), "description");
    assert_eq!(of(&long, Writing::Change), "");
    assert_eq!(of(&described("\u{1f511}"), Writing::Change), "description");
    assert_eq!(
        of(&described(&mark::put("x", &mark)), Writing::New),
        "description"
    );
}

#[test]
fn what_a_cloud_cannot_take_is_refused_before() {
    let group = |endpoint_type, endpoints: &[&str]| {
        spec(Settings::EndpointGroup(EndpointGroup {
            endpoint_type,
            endpoints: endpoints.iter().map(|it| (*it).to_owned()).collect(),
        }))
    };
    let refused = |variant, spec: &ResourceSpec| {
        let all = spec.kind().fields().iter().copied();
        fields(&refusals(variant, spec, Writing::New, all)).join(" ")
    };
    let (cidr, subnet) = (Some(EndpointType::Cidr), Some(EndpointType::Subnet));
    assert_eq!(
        refused(&NEUTRON, &group(cidr, &["10.0.0.1/8", "2001:db8::/32"])),
        ""
    );
    assert_eq!(refused(&NEUTRON, &group(cidr, &["10.0.0.1"])), "endpoints");
    assert_eq!(refused(&NEUTRON, &group(subnet, &["here"])), "endpoints");
    assert_eq!(
        refused(&NEUTRON, &group(Some(EndpointType::Vlan), &["100"])),
        ""
    );
    let off = spec(Settings::VpnService(VpnService {
        admin_enabled: Some(false),
        router: "r".to_owned(),
        ..VpnService::default()
    }));
    assert_eq!(refused(&NEUTRON, &off), "");
    assert_eq!(refused(&OTC, &off), "admin_enabled");
    let key = ResourceSpec {
        display_name: "\u{1f511}".to_owned(),
        ..off
    };
    assert_eq!(refused(&NEUTRON, &key), "display_name");
}

/// Each word of each table translates both ways, and no two words of a table mean the same.
#[test]
fn every_word_reads_as_it_is_written() {
    for (variant, kind) in every_kind() {
        let words = &variant.words;
        let integrity = words
            .integrity
            .iter()
            .map(|(word, _)| ("auth_algorithm", *word));
        let encryption = words
            .encryption
            .iter()
            .map(|(word, _)| ("encryption_algorithm", *word));
        let groups = words.groups.iter().map(|(word, _)| ("pfs", *word));
        if !matches!(kind, ResourceKind::IkePolicy | ResourceKind::IpsecPolicy) {
            continue;
        }
        for (key, word) in integrity.chain(encryption).chain(groups) {
            let read = read(kind, json!({"id": "a", key: word}), variant);
            assert_eq!(made(&read.spec, variant)[key], word, "{}", variant.name());
        }
    }
    let fixed = [
        ("ike_version", "v2"),
        ("phase1_negotiation_mode", "aggressive"),
    ];
    for (key, word) in fixed {
        let read = read(ResourceKind::IkePolicy, json!({ key: word }), &NEUTRON);
        assert_eq!(made(&read.spec, &NEUTRON)[key], word);
    }
    let read = read(
        ResourceKind::IpsecPolicy,
        json!({"transform_protocol": "AH-ESP", "encapsulation_mode": "Transport"}),
        &NEUTRON,
    );
    assert_eq!(
        ipsec(&read).transform_protocol,
        Some(TransformProtocol::AhEsp)
    );
    assert_eq!(
        ipsec(&read).encapsulation_mode,
        Some(EncapsulationMode::Transport)
    );
}

/// The groups' numbers and names are IANA's.
#[test]
fn groups_have_the_names_of_their_numbers() {
    for (word, name) in [
        ("group1", "DH_GROUP_MODP_768"),
        ("group2", "DH_GROUP_MODP_1024"),
        ("group5", "DH_GROUP_MODP_1536"),
        ("group14", "DH_GROUP_MODP_2048"),
        ("group18", "DH_GROUP_MODP_8192"),
        ("group19", "DH_GROUP_ECP_256"),
        ("group21", "DH_GROUP_ECP_521"),
        ("group22", "DH_GROUP_MODP_1024_S160"),
        ("group24", "DH_GROUP_MODP_2048_S256"),
        ("group26", "DH_GROUP_ECP_224"),
        ("group30", "DH_GROUP_BRAINPOOL_P512R1"),
        ("group31", "DH_GROUP_CURVE25519"),
    ] {
        let tables = [NEUTRON.words.groups, OTC.words.groups, K5.words.groups];
        let meant = tables
            .into_iter()
            .flatten()
            .filter(|(known, _)| *known == word);
        let names: Vec<&str> = meant.map(|(_, group)| group.as_str()).collect();
        assert!(
            !names.is_empty() && names.iter().all(|it| *it == name),
            "{word}: {names:?}"
        );
    }
}
