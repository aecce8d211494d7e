//! The model loses nothing, whatever the values.

use super::*;
use crate::{
    dialects::openstack::{resources::refusals::refusals, translate::Writing, variant::words},
    model::{
        ResourceField as F, Settings,
        policy::{IkePolicy, IpsecPolicy, Lifetime},
        topology::{EndpointGroup, EndpointType, VpnService},
    },
};
use proptest::{
    option,
    prelude::*,
    sample::{Index, select},
};

/// One of these, or `None`.
fn maybe<T: Clone + std::fmt::Debug + 'static>(all: &'static [T]) -> BoxedStrategy<Option<T>> {
    match all.is_empty() {
        true => Just(None).boxed(),
        false => option::of(select(all)).boxed(),
    }
}

/// A list of one of these, or an empty one.
fn list<T: Clone + std::fmt::Debug + 'static>(all: &'static [T]) -> BoxedStrategy<Vec<Option<T>>> {
    maybe(all)
        .prop_map(|one| one.into_iter().map(Some).collect())
        .boxed()
}

fn id() -> impl Strategy<Value = String> {
    "[0-9a-f]{8}-0000-4000-8000-[0-9a-f]{12}"
}

fn settings(variant: &'static Variant, kind: ResourceKind) -> BoxedStrategy<Settings> {
    let takes = variant.capabilities.takes(kind).unwrap();
    let range = takes.lifetime_seconds.clone().unwrap_or(0..=0);
    let lifetime = option::of(range.prop_map(Lifetime::Seconds));
    match kind {
        ResourceKind::IkePolicy => (
            maybe(takes.ike_versions),
            maybe(takes.negotiation_modes),
            list(takes.encryption),
            list(takes.integrity),
            list(takes.dh_groups),
            lifetime,
        )
            .prop_map(|(version, mode, encryption, integrity, groups, lifetime)| {
                Settings::IkePolicy(IkePolicy {
                    ike_version: version,
                    negotiation_mode: mode,
                    encryption_algorithms: encryption,
                    prf_algorithms: integrity.iter().map(|it| it.map(words::prf_of)).collect(),
                    integrity_algorithms: integrity,
                    dh_groups: groups,
                    lifetime,
                })
            })
            .boxed(),
        ResourceKind::IpsecPolicy => (
            maybe(takes.transform_protocols),
            maybe(takes.encapsulation_modes),
            list(takes.encryption),
            list(takes.integrity),
            list(takes.dh_groups),
            lifetime,
        )
            .prop_map(
                move |(transform, mode, encryption, integrity, groups, lifetime)| {
                    // Without a group, `false` is set only where the cloud can turn perfect forward secrecy off.
                    let off = takes.pfs_optional.then_some(false);
                    let pfs = if groups.is_empty() { off } else { Some(true) };
                    Settings::IpsecPolicy(IpsecPolicy {
                        transform_protocol: transform,
                        encapsulation_mode: mode,
                        encryption_algorithms: encryption,
                        integrity_algorithms: integrity,
                        perfect_forward_secrecy: pfs,
                        dh_groups: groups,
                        lifetime,
                        df_policy: None,
                    })
                },
            )
            .boxed(),
        ResourceKind::VpnService => {
            let has_flavor = takes.fields.contains(&F::Flavor);
            (
                option::of(any::<bool>()),
                id(),
                option::of(id()),
                option::of(id()),
            )
                .prop_map(move |(admin_enabled, router, subnet, flavor)| {
                    Settings::VpnService(VpnService {
                        admin_enabled,
                        router,
                        subnet,
                        flavor: flavor.filter(|_| has_flavor),
                        ..VpnService::default()
                    })
                })
                .boxed()
        }
        ResourceKind::EndpointGroup => (
            select(takes.endpoint_types),
            prop::collection::btree_set(id(), 1..4),
        )
            .prop_map(|(endpoint_type, endpoints)| {
                Settings::EndpointGroup(EndpointGroup {
                    endpoint_type: Some(endpoint_type),
                    endpoints: endpoints.into_iter().collect(),
                })
            })
            .boxed(),
        other => panic!("{other:?}"),
    }
}

/// Any spec that a variant takes of a kind.
fn spec() -> impl Strategy<Value = (&'static Variant, ResourceSpec)> {
    select(every_kind()).prop_flat_map(|(variant, kind)| {
        let takes = variant.capabilities.takes(kind).unwrap();
        let has_zones = takes.fields.contains(&F::AvailabilityZone);
        let zone = option::of("AZ[12]").prop_map(move |zone| zone.filter(|_| has_zones));
        let text = "[a-zA-Zäöü ]{0,40}[a-z]";
        (text, text, zone, settings(variant, kind)).prop_map(
            move |(name, description, zone, settings)| {
                let spec = ResourceSpec {
                    display_name: name,
                    description,
                    availability_zone: zone,
                    settings,
                };
                (variant, spec)
            },
        )
    })
}

/// Adds what the gateway sends for an unset value: the hash, which it always sends.
fn complete(spec: &ResourceSpec, variant: &Variant) -> ResourceSpec {
    let hash = variant.words.default_integrity;
    let mut spec = spec.clone();
    match &mut spec.settings {
        Settings::IkePolicy(it) if it.integrity_algorithms.is_empty() => {
            it.integrity_algorithms = vec![Some(hash)];
            it.prf_algorithms = vec![Some(words::prf_of(hash))];
        }
        Settings::IpsecPolicy(it) if it.integrity_algorithms.is_empty() => {
            it.integrity_algorithms = vec![Some(hash)];
        }
        _ => {}
    }
    spec
}

/// A word of a table, or an undocumented one, in either case.
fn word(all: Vec<&'static str>) -> impl Strategy<Value = String> {
    (any::<Index>(), any::<bool>()).prop_map(move |(index, upper)| {
        let mut all = all.clone();
        all.push("rot13-1");
        let word = *index.get(&all);
        match upper {
            true => word.to_ascii_uppercase(),
            false => word.to_owned(),
        }
    })
}

fn words_of<T>(table: words::Table<T>) -> Vec<&'static str> {
    table.iter().map(|(word, _)| *word).collect()
}

/// A policy as a cloud may show it.
fn policy() -> impl Strategy<Value = (&'static Variant, ResourceKind, Value)> {
    let policies = every_kind()
        .into_iter()
        .filter(|(_, kind)| matches!(kind, ResourceKind::IkePolicy | ResourceKind::IpsecPolicy));
    select(policies.collect::<Vec<_>>()).prop_flat_map(|(variant, kind)| {
        let own = &variant.words;
        let mut groups = words_of(own.groups);
        groups.extend(own.no_group);
        let lifetime = (
            select(vec!["seconds", "kilobytes", "fortnights"]),
            60..9999_u32,
            any::<bool>(),
        );
        (
            word(words_of(own.integrity)),
            word(words_of(own.encryption)),
            word(groups),
            word(vec!["v1", "v2"]),
            word(vec!["main", "aggressive"]),
            word(vec!["esp", "ah", "ah-esp"]),
            word(vec!["tunnel", "transport"]),
            lifetime,
        )
            .prop_map(move |(auth, encryption, pfs, version, mode, transform, capsule, lifetime)| {
                let (units, value, as_text) = lifetime;
                let value = match as_text {
                    true => json!(value.to_string()),
                    false => json!(value),
                };
                let mut fields = json!({
                    "id": "p", "name": "n", "description": "d", "tenant_id": "t", "project_id": "t",
                    "auth_algorithm": auth, "encryption_algorithm": encryption, "pfs": pfs,
                    "lifetime": {"units": units, "value": value}, "new_in_2031": [1, {"a": null}],
                });
                let own = match kind {
                    ResourceKind::IkePolicy => {
                        json!({"ike_version": version, "phase1_negotiation_mode": mode})
                    }
                    _ => json!({"transform_protocol": transform, "encapsulation_mode": capsule}),
                };
                let own = own.as_object().unwrap().clone();
                fields.as_object_mut().unwrap().extend(own);
                (variant, kind, fields)
            })
    })
}

/// The model fields that hold the word of each key.
const HOMES: [(&str, &[F]); 8] = [
    ("auth_algorithm", &[F::IntegrityAlgorithms]),
    ("encryption_algorithm", &[F::EncryptionAlgorithms]),
    ("pfs", &[F::DhGroups, F::PerfectForwardSecrecy]),
    ("ike_version", &[F::IkeVersion]),
    ("phase1_negotiation_mode", &[F::NegotiationMode]),
    ("transform_protocol", &[F::TransformProtocol]),
    ("encapsulation_mode", &[F::EncapsulationMode]),
    ("type", &[F::EndpointType]),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Writing a spec and reading it back gives the same spec.
    #[test]
    fn what_is_written_reads_back_the_same((variant, spec) in spec()) {
        let kind = spec.kind();
        let refused = refusals(variant, &spec, Writing::New, kind.fields().iter().copied())
            .into_iter()
            // The generated endpoints are not networks.
            .filter(|violation| violation.field != "endpoints" && violation.field != "admin_enabled");
        prop_assert_eq!(refused.count(), 0);
        let read = resource(kind, shown(&made(&spec, variant)), variant);
        prop_assert_eq!(&read.spec, &complete(&spec, variant));
        prop_assert!(read.managed && read.native.is_empty(), "{read:?}");
    }

    /// Sending back what was read changes nothing, and creates an equal resource.
    #[test]
    fn what_was_read_changes_nothing((variant, spec) in spec()) {
        let kind = spec.kind();
        let body = shown(&made(&spec, variant));
        let read = resource(kind, body.clone(), variant);
        let fields = variant.capabilities.takes(kind).unwrap().fields;
        prop_assert_eq!(sent(&body, fields, &read.spec, variant), Ok(None));
        let twin = resource(kind, shown(&made(&read.spec, variant)), variant);
        prop_assert_eq!(twin.spec, read.spec);
    }

    /// Every accepted change reads back as wanted, and sending it again changes nothing.
    #[test]
    fn a_change_reads_back_as_wanted(
        (variant, now) in spec(),
        others in prop::collection::vec(spec(), 8),
        pick in any::<u16>(),
    ) {
        let kind = now.kind();
        let same = |(other, spec): &&(&'static Variant, ResourceSpec)| {
            other.name() == variant.name() && spec.kind() == kind
        };
        let Some((_, values)) = others.iter().find(same) else {
            return Ok(());
        };
        let body = shown(&made(&now, variant));
        let takes = variant.capabilities.takes(kind).unwrap();
        let picked = takes.fields.iter().enumerate();
        let fields: Vec<F> = picked
            .filter(|(at, field)| pick >> at & 1 == 1 && !takes.immutable.contains(field))
            .map(|(_, field)| *field)
            .collect();
        match sent(&body, &fields, values, variant) {
            Ok(None) => {}
            Ok(Some(Value::Object(put))) => {
                let mut after = body.object().clone();
                after.extend(put);
                let again = sent(&Body::new(after), &fields, values, variant);
                // Unset fields go to their defaults and are set afterwards. Only those may be sent again.
                let Ok(again) = again else { return Err(TestCaseError::fail("refused")) };
                if let Some(again) = again {
                    let unset = sent(&body, &fields, values, variant).unwrap().unwrap();
                    for (key, value) in again.as_object().unwrap() {
                        prop_assert_eq!(&unset[key], value);
                    }
                }
            }
            other => {
                // Two fields can contradict each other in one way only: a group without perfect forward secrecy.
                let violations = other.unwrap_err();
                prop_assert!(violations.iter().all(|it| it.field == "dh_groups"), "{violations:?}");
            }
        }
    }

    /// Reading and writing back loses no field, including undocumented ones.
    #[test]
    fn nothing_of_a_policy_is_lost((variant, kind, fields) in policy()) {
        let body = body(&fields);
        let read = resource(kind, body.clone(), variant);
        let all = variant.capabilities.takes(kind).unwrap().fields;
        prop_assert_eq!(sent(&body, all, &read.spec, variant), Ok(None));
        for (key, homes) in HOMES {
            let Some(word) = fields.get(key) else { continue };
            let words = homes.iter().filter_map(|field| read.native_words.get(field.path()));
            let kept = words.into_iter().any(|it| it == word || *it == json!([word]));
            prop_assert!(kept, "{key}: {:?}", read.native_words);
        }
        prop_assert_eq!(&read.native["new_in_2031"], &fields["new_in_2031"]);
        let lifetime = match &read.spec.settings {
            Settings::IkePolicy(it) => it.lifetime,
            Settings::IpsecPolicy(it) => it.lifetime,
            _ => None,
        };
        prop_assert!(lifetime.is_some() != read.native.contains_key("lifetime"));
    }

    /// Changing only the name leaves undocumented values alone.
    #[test]
    fn a_new_name_is_all_that_is_sent((variant, kind, fields) in policy()) {
        let body = body(&fields);
        let mut values = resource(kind, body.clone(), variant).spec;
        values.display_name = "renamed".to_owned();
        let all = variant.capabilities.takes(kind).unwrap().fields;
        let expected = Some(json!({"name": "renamed"}));
        prop_assert_eq!(sent(&body, all, &values, variant), Ok(expected));
    }
}

#[test]
fn endpoint_types_are_all_written() {
    for (word, endpoint_type) in words::ENDPOINT_TYPES {
        let settings = Settings::EndpointGroup(EndpointGroup {
            endpoint_type: Some(endpoint_type),
            endpoints: vec!["x".to_owned()],
        });
        let spec = ResourceSpec {
            settings,
            ..ResourceSpec::none(ResourceKind::EndpointGroup)
        };
        let sent = made(&spec, &variant::NEUTRON);
        assert_eq!(
            (&sent["type"], &sent["endpoints"]),
            (&json!(word), &json!(["x"]))
        );
        assert!(endpoint_type != EndpointType::Vlan || word == "vlan");
    }
}
