//! Every kind of resource over the wire and back, and what is said of a request that is wrong.

use super::*;
use crate::{
    core::error::Error,
    grpc::{
        convert::{fields_at_fault, resource::say},
        pb,
    },
    model::{
        PolicyRule, Resource, RuleAction, Settings,
        algorithm::Named as Word,
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime},
        topology::{EndpointGroup, EndpointType, LocalEndpoint, VpnService},
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use prost_reflect::{DescriptorPool, Value};
use serde_json::{Map, json};
use std::{fmt::Debug, time::SystemTime};

fn backend() -> BackendName {
    "a".parse().unwrap()
}

fn nothing_refused<T>(_: &BackendName, _: &T) -> Vec<Violation> {
    Vec::new()
}

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
    })
}

fn update<W: Wire>(resource: W, paths: Option<&[&str]>) -> Result<ResourceChange> {
    let mask = paths.and_then(mask);
    let update = Update::read(Some(resource), mask, false, nothing_refused)?;
    Ok(update.change)
}

fn create<W: Wire>(resource: W) -> Result<Create> {
    Create::read("backends/a", Some(resource), false, nothing_refused)
}

// --- there and back -------------------------------------------------------------

fn resource(spec: ResourceSpec) -> Resource {
    Resource {
        id: "r".to_owned(),
        spec,
        etag: "7".to_owned(),
        managed: true,
        create_time: Some(SystemTime::UNIX_EPOCH),
        update_time: Some(SystemTime::UNIX_EPOCH),
        native_words: Map::from_iter([("dh_groups".to_owned(), json!(["group14"]))]),
        details: None,
        native: Map::from_iter([("extra".to_owned(), json!(1))]),
    }
}

/// Says a resource, reads it back as the update of everything that `isthmus get | isthmus update` sends, as one without a
/// mask, and as a twin to be made; and says it once more.
fn hold<W: Wire + Clone + Debug + PartialEq>(spec: ResourceSpec) {
    let said: W = say(&backend(), resource(spec.clone())).unwrap();

    let change = update(said.clone(), Some(&["*"])).unwrap();
    assert_eq!(change.values, spec);
    assert_eq!(Vec::from_iter(&change.fields), sorted(W::KIND.fields()));
    assert_eq!(change.etag.as_deref(), Some("7"));

    let unmasked = update(said.clone(), None).unwrap();
    assert_eq!(unmasked.values, spec);
    assert!(unmasked.fields.is_subset(&change.fields));

    // `name` taken out; what else is output only is passed over.
    let nameless = Resource {
        id: String::new(),
        ..resource(spec.clone())
    };
    let twin: W = say(&backend(), nameless).unwrap();
    assert_eq!(create(twin).unwrap().spec, spec);

    let again: W = say(&backend(), resource(change.values)).unwrap();
    assert_eq!(again, said);
}

fn sorted(fields: &[ResourceField]) -> Vec<&ResourceField> {
    let mut fields: Vec<&ResourceField> = fields.iter().collect();
    fields.sort();
    fields
}

fn word<T: Word>() -> impl Strategy<Value = Option<T>> {
    option::of(select(T::ALL))
}

fn words<T: Word>() -> impl Strategy<Value = Vec<Option<T>>> {
    vec(word(), 0..4)
}

fn id() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_:-]{1,20}"
}

fn ids() -> impl Strategy<Value = Vec<String>> {
    vec(id(), 0..3)
}

fn lifetime() -> impl Strategy<Value = Option<Lifetime>> {
    option::of(prop_oneof![
        (1..=u64::from(u32::MAX)).prop_map(Lifetime::Seconds),
        (1..=u64::MAX).prop_map(Lifetime::Kilobytes),
    ])
}

fn network() -> impl Strategy<Value = String> {
    prop_oneof![
        (any::<std::net::Ipv4Addr>(), 0..=32_u8).prop_map(|(ip, bits)| format!("{ip}/{bits}")),
        (any::<std::net::Ipv6Addr>(), 0..=128_u8).prop_map(|(ip, bits)| format!("{ip}/{bits}")),
    ]
}

/// Both lists tell the same hashes.
fn ike_policy() -> impl Strategy<Value = Settings> {
    use crate::model::algorithm::{IntegrityAlgorithm as I, PrfAlgorithm as P};
    let hashes = vec(
        select(&[
            (None, None),
            (Some(I::HmacMd5x96), Some(P::HmacMd5)),
            (Some(I::HmacSha1x96), Some(P::HmacSha1)),
            (Some(I::HmacSha2x256x128), Some(P::HmacSha2x256)),
            (Some(I::HmacSha2x384x192), Some(P::HmacSha2x384)),
            (Some(I::HmacSha2x512x256), Some(P::HmacSha2x512)),
            (Some(I::AesXcbc96), Some(P::Aes128Xcbc)),
            (Some(I::AesCmac96), Some(P::Aes128Cmac)),
        ]),
        0..4,
    );
    let lists = (words(), hashes, words());
    (word(), word(), lists, lifetime()).prop_map(
        |(ike_version, negotiation_mode, (encryption, hashes, dh_groups), lifetime)| {
            Settings::IkePolicy(IkePolicy {
                ike_version,
                negotiation_mode,
                encryption_algorithms: encryption,
                integrity_algorithms: hashes.iter().map(|(integrity, _)| *integrity).collect(),
                prf_algorithms: hashes.iter().map(|(_, prf)| *prf).collect(),
                dh_groups,
                lifetime,
            })
        },
    )
}

fn ipsec_policy() -> impl Strategy<Value = Settings> {
    let modes = (word(), word(), word());
    let lists = (words(), words(), words());
    (modes, lists, any::<Option<bool>>(), lifetime()).prop_map(|(modes, lists, pfs, lifetime)| {
        Settings::IpsecPolicy(IpsecPolicy {
            transform_protocol: modes.0,
            encapsulation_mode: modes.1,
            df_policy: modes.2,
            encryption_algorithms: lists.0,
            integrity_algorithms: lists.1,
            dh_groups: lists.2,
            perfect_forward_secrecy: pfs,
            lifetime,
        })
    })
}

fn dpd_policy() -> impl Strategy<Value = Settings> {
    let numbers = (option::of(1..=u32::MAX), any::<Option<i32>>());
    (any::<Option<bool>>(), word(), numbers).prop_map(|(enabled, probe_mode, numbers)| {
        Settings::DpdPolicy(DpdPolicy {
            enabled,
            probe_mode,
            probe_interval_seconds: numbers.0,
            retry_count: numbers.1,
        })
    })
}

fn rule() -> impl Strategy<Value = PolicyRule> {
    let flags = (any::<Option<bool>>(), any::<Option<bool>>());
    let networks = (vec(network(), 0..3), vec(network(), 0..3));
    let action = option::of(select(&[RuleAction::Protect, RuleAction::Bypass]));
    (option::of(id()), networks, flags, action).prop_map(|(id, networks, flags, action)| {
        PolicyRule {
            id,
            sources: networks.0,
            destinations: networks.1,
            enabled: flags.0,
            logged: flags.1,
            action,
        }
    })
}

fn vpn_service() -> impl Strategy<Value = Settings> {
    let flags = (any::<Option<bool>>(), any::<Option<bool>>(), word());
    let places = (id(), option::of(id()), option::of(id()));
    (flags, places, vec(rule(), 0..3)).prop_map(|(flags, places, bypass_rules)| {
        Settings::VpnService(VpnService {
            admin_enabled: flags.0,
            ha_sync: flags.1,
            ike_log_level: flags.2,
            router: places.0,
            subnet: places.1,
            flavor: places.2,
            bypass_rules,
            ..VpnService::default()
        })
    })
}

fn local_endpoint() -> impl Strategy<Value = Settings> {
    let address = any::<std::net::IpAddr>().prop_map(|ip| ip.to_string());
    let texts = (option::of("[a-z@.]{1,9}"), option::of(id()));
    (id(), address, texts, ids(), ids()).prop_map(|(vpn_service, address, texts, cas, crls)| {
        Settings::LocalEndpoint(LocalEndpoint {
            vpn_service: Some(vpn_service),
            address,
            local_id: texts.0,
            certificate: texts.1,
            trusted_authorities: cas,
            revocation_lists: crls,
        })
    })
}

fn endpoint_group() -> impl Strategy<Value = Settings> {
    let ids = (
        select(EndpointType::ALL),
        proptest::collection::btree_set(id(), 1..4),
    );
    let networks = proptest::collection::btree_set(network(), 1..4);
    (ids, networks).prop_map(|((endpoint_type, ids), networks)| {
        let endpoints = match endpoint_type {
            EndpointType::Cidr => networks,
            _ => ids,
        };
        Settings::EndpointGroup(EndpointGroup {
            endpoint_type: Some(endpoint_type),
            endpoints: Vec::from_iter(endpoints),
        })
    })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    prop_oneof![
        ike_policy(),
        ipsec_policy(),
        dpd_policy(),
        vpn_service(),
        local_endpoint(),
        endpoint_group(),
    ]
}

proptest! {
    #[test]
    fn what_was_read_can_be_written_back(
        display_name in ".{0,20}",
        description in ".{0,20}",
        zone in option::of("[a-z0-9-]{1,9}"),
        settings in any_settings(),
    ) {
        let has_zone = settings.kind().fields().contains(&ResourceField::AvailabilityZone);
        let kind = settings.kind();
        let spec = ResourceSpec {
            display_name,
            description,
            availability_zone: zone.filter(|_| has_zone),
            settings,
        };
        match kind {
            ResourceKind::IkePolicy => hold::<pb::IkePolicy>(spec),
            ResourceKind::IpsecPolicy => hold::<pb::IpsecPolicy>(spec),
            ResourceKind::DpdPolicy => hold::<pb::DpdPolicy>(spec),
            ResourceKind::VpnService => hold::<pb::VpnService>(spec),
            ResourceKind::LocalEndpoint => hold::<pb::LocalEndpoint>(spec),
            ResourceKind::EndpointGroup => hold::<pb::EndpointGroup>(spec),
        }
    }
}

#[test]
fn a_resource_of_another_kind_is_never_shown_as_this_one() {
    let other = resource(ResourceSpec::none(ResourceKind::DpdPolicy));
    let error: Error = say::<pb::IkePolicy>(&backend(), other).unwrap_err();
    assert_eq!(error.kind, crate::core::error::ErrorKind::Internal);
}

// --- against the contract -------------------------------------------------------

/// The message of a kind, with the behaviors of each field.
fn behaviors(kind: ResourceKind) -> Vec<(String, Vec<String>)> {
    let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let extension = pool
        .get_extension_by_name("google.api.field_behavior")
        .unwrap();
    let names = pool.get_enum_by_name("google.api.FieldBehavior").unwrap();
    let name = format!("isthmus.v1.{kind:?}");
    let message = pool.get_message_by_name(&name).unwrap();
    let each = message.fields().map(|field| {
        let options = field.options();
        let Value::List(list) = options.get_extension(&extension).into_owned() else {
            panic!("a list");
        };
        let told = list.iter().map(|value| {
            let number = value.as_enum_number().unwrap();
            names.get_value(number).unwrap().name().to_owned()
        });
        (field.name().to_owned(), told.collect())
    });
    each.collect()
}

#[test]
fn every_field_of_the_contract_is_either_written_or_passed_over() {
    for kind in ResourceKind::ALL {
        let mut written = BTreeSet::new();
        for (field, behaviors) in behaviors(kind) {
            let is = |behavior: &str| behaviors.iter().any(|it| it == behavior);
            let ours = kind.fields().iter().find(|it| it.path() == field);
            assert_ne!(
                ours.is_some(),
                NOT_WRITTEN.contains(&field.as_str()),
                "{kind:?}.{field}"
            );
            if let Some(ours) = ours {
                written.insert(*ours);
                assert!(!is("OUTPUT_ONLY"), "{kind:?}.{field}");
                assert_eq!(
                    is("REQUIRED"),
                    required(kind).contains(ours),
                    "{kind:?}.{field}"
                );
            }
        }
        assert_eq!(written, BTreeSet::from_iter(kind.fields().iter().copied()));
    }
}

// --- what is wrong --------------------------------------------------------------

fn time(seconds: i64, nanos: i32) -> Option<pb::Lifetime> {
    let time = prost_types::Duration { seconds, nanos };
    let limit = Some(pb::lifetime::Limit::Time(time));
    Some(pb::Lifetime { limit })
}

#[test]
fn every_violation_of_a_policy_is_told_by_the_path_its_caller_wrote() {
    let policy = pb::IkePolicy {
        name: "backends/a/ikePolicies/p".to_owned(),
        ike_version: 9,
        encryption_algorithms: vec![2, 99],
        integrity_algorithms: vec![3, 4],
        prf_algorithms: vec![3, 3],
        dh_groups: vec![3],
        lifetime: time(1, 1),
        ..Default::default()
    };
    let refused = |backend: &BackendName, spec: &ResourceSpec| {
        assert_eq!(
            (backend.as_str(), spec.kind()),
            ("a", ResourceKind::IkePolicy)
        );
        let fields = ["ike_version", "dh_groups[0]", "description", "lifetime"];
        fields.map(|field| Violation::new(field, "no")).into()
    };
    let told = Create::read("backends/a", Some(policy), false, refused);
    assert_eq!(
        fields_at_fault(told),
        [
            "ike_policy.ike_version",
            "ike_policy.encryption_algorithms[1]",
            "ike_policy.prf_algorithms[1]",
            "ike_policy.dh_groups[0]",
            "ike_policy.lifetime.time",
            "ike_policy.name",
            // What the backend has against what is well-formed.
            "ike_policy.description",
            "ike_policy.lifetime",
        ]
    );
    let none = Create::read::<pb::IkePolicy>("x", None, false, nothing_refused);
    assert_eq!(fields_at_fault(none), ["parent", "ike_policy"]);
}

#[test]
fn lifetimes_are_whole_and_not_nothing() {
    let kilobytes = |kilobytes| {
        let limit = Some(pb::lifetime::Limit::Kilobytes(kilobytes));
        Some(pb::Lifetime { limit })
    };
    let read = |lifetime| {
        create(pb::IpsecPolicy {
            lifetime,
            ..Default::default()
        })
    };
    for (lifetime, path) in [
        (time(0, 0), "ipsec_policy.lifetime.time"),
        (time(-1, 0), "ipsec_policy.lifetime.time"),
        (time(3600, 500_000_000), "ipsec_policy.lifetime.time"),
        (kilobytes(0), "ipsec_policy.lifetime.kilobytes"),
        (Some(pb::Lifetime::default()), "ipsec_policy.lifetime"),
    ] {
        assert_eq!(fields_at_fault(read(lifetime)), [path]);
    }
    assert!(read(time(3600, 0)).is_ok() && read(kilobytes(1)).is_ok() && read(None).is_ok());
}

#[test]
fn hashes_that_are_told_twice_are_the_same() {
    let read = |integrity: &[i32], prf: &[i32]| {
        create(pb::IkePolicy {
            integrity_algorithms: integrity.to_vec(),
            prf_algorithms: prf.to_vec(),
            ..Default::default()
        })
    };
    for (integrity, prf) in [
        (&[3][..], &[][..]),
        (&[], &[3]),
        (&[3, 0], &[3, 0]),
        (&[6], &[6]),
    ] {
        assert!(read(integrity, prf).is_ok(), "{integrity:?} {prf:?}");
    }
    let at_fault = |integrity, prf| fields_at_fault(read(integrity, prf));
    assert_eq!(at_fault(&[3], &[3, 4]), ["ike_policy.prf_algorithms"]);
    assert_eq!(
        at_fault(&[3, 4], &[4, 3]),
        [
            "ike_policy.prf_algorithms[0]",
            "ike_policy.prf_algorithms[1]"
        ]
    );
}

#[test]
fn what_a_resource_needs_and_what_it_cannot_have_is_told() {
    assert_eq!(
        fields_at_fault(create(pb::VpnService {
            bypass_rules: vec![
                pb::PolicyRule::default(),
                pb::PolicyRule {
                    sources: vec!["10.0.0.0".to_owned()],
                    action: 7,
                    ..Default::default()
                }
            ],
            ..Default::default()
        })),
        [
            "vpn_service.bypass_rules[1].sources[0]",
            "vpn_service.bypass_rules[1].action",
            "vpn_service.router"
        ]
    );
    let endpoint = |vpn_service: &str, address: &str| {
        create(pb::LocalEndpoint {
            vpn_service: vpn_service.to_owned(),
            address: address.to_owned(),
            ..Default::default()
        })
    };
    let both = ["local_endpoint.vpn_service", "local_endpoint.address"];
    assert_eq!(fields_at_fault(endpoint("", "")), both);
    assert_eq!(
        fields_at_fault(endpoint("backends/b/vpnServices/v", "vpn.example")),
        both
    );
    assert!(endpoint("backends/a/vpnServices/v", "2001:db8::1").is_ok());

    let group = |kind: pb::endpoint_group::Type, endpoints: &[&str]| {
        create(pb::EndpointGroup {
            r#type: kind.into(),
            endpoints: endpoints.iter().map(|&it| it.to_owned()).collect(),
            ..Default::default()
        })
    };
    use pb::endpoint_group::Type;
    let at_fault = |kind, endpoints: &[&str]| fields_at_fault(group(kind, endpoints));
    assert_eq!(
        at_fault(Type::Unspecified, &[]),
        ["endpoint_group.type", "endpoint_group.endpoints"]
    );
    assert_eq!(
        at_fault(Type::Cidr, &["10.1.2.3/16", "10.0.0.0", "10.1.2.3/16"]),
        ["endpoint_group.endpoints[1]", "endpoint_group.endpoints[2]"]
    );
    assert_eq!(
        at_fault(Type::Subnet, &["s", ""]),
        ["endpoint_group.endpoints[1]"]
    );
    assert!(group(Type::Vlan, &["7", "8"]).is_ok());
}

// --- updates --------------------------------------------------------------------

fn dpd(interval: i64) -> pb::DpdPolicy {
    pb::DpdPolicy {
        name: "backends/a/dpdPolicies/d".to_owned(),
        display_name: "new".to_owned(),
        enabled: Some(false),
        probe_interval: Some(prost_types::Duration {
            seconds: interval,
            nanos: 0,
        }),
        etag: "7".to_owned(),
        managed: true,
        ..Default::default()
    }
}

#[test]
fn without_a_mask_what_is_set_changes() {
    use ResourceField as F;
    for paths in [None, Some(&[][..])] {
        let change = update(dpd(3), paths).unwrap();
        assert_eq!(
            Vec::from_iter(change.fields),
            [F::DisplayName, F::Enabled, F::ProbeInterval]
        );
        assert_eq!(change.etag.as_deref(), Some("7"));
    }
}

#[test]
fn what_is_not_named_is_not_read_and_what_nobody_writes_is_passed_over() {
    use ResourceField as F;
    let change = update(
        dpd(-1),
        Some(&["name", "etag", "managed", "native_words.x", "retry_count"]),
    );
    let change = change.unwrap();
    assert_eq!(Vec::from_iter(change.fields), [F::RetryCount]);
    assert_eq!(change.values.display_name, "");
    // A mask that names nothing else changes nothing.
    assert!(update(dpd(3), Some(&["etag"])).unwrap().fields.is_empty());
}

#[test]
fn an_unknown_path_is_answered_with_the_known_ones() {
    let error = update(
        dpd(-1),
        Some(&["probe_interval.seconds", "router", "probe_interval"]),
    );
    let error = error.unwrap_err();
    let told: Vec<&str> = error
        .context
        .violations
        .iter()
        .map(|it| it.field.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "update_mask.paths[0]",
            "update_mask.paths[1]",
            "dpd_policy.probe_interval"
        ]
    );
    assert_eq!(
        error.context.violations[0].description,
        "must be one of *, display_name, description, enabled, probe_mode, probe_interval, retry_count"
    );
}

#[test]
fn what_has_no_default_must_be_given_where_it_is_named() {
    let service = || pb::VpnService {
        name: "backends/a/vpnServices/v".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        fields_at_fault(update(service(), Some(&["router"]))),
        ["vpn_service.router"]
    );
    assert!(update(service(), Some(&["subnet", "bypass_rules"])).is_ok());
    assert!(update(service(), Some(&["*"])).is_ok());
    assert_eq!(
        fields_at_fault(update(pb::VpnService::default(), None)),
        ["vpn_service.name"]
    );
    // Endpoints are held against the type also where only they are named.
    let group = pb::EndpointGroup {
        name: "backends/a/endpointGroups/g".to_owned(),
        r#type: pb::endpoint_group::Type::Cidr.into(),
        endpoints: vec!["x".to_owned()],
        ..Default::default()
    };
    assert_eq!(
        fields_at_fault(update(group, Some(&["endpoints"]))),
        ["endpoint_group.endpoints[0]"]
    );
}
