//! Every kind of resource over the wire and back: what was read can be written unchanged.

use super::{backend, create, update};
use crate::{
    core::error::{Error, ErrorKind},
    grpc::{
        convert::resource::{Wire, say},
        pb,
    },
    model::{
        PolicyRule, Resource, ResourceField, ResourceKind, ResourceSpec, RuleAction, Settings,
        algorithm::Named as Word,
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime},
        topology::{EndpointGroup, EndpointType, LocalEndpoint, VpnService},
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, json};
use std::{fmt::Debug, time::SystemTime};

fn resource(spec: ResourceSpec) -> Resource {
    Resource {
        id: "r".to_owned(),
        spec,
        etag: "7".to_owned(),
        managed: true,
        joint: false,
        create_time: Some(SystemTime::UNIX_EPOCH),
        update_time: Some(SystemTime::UNIX_EPOCH),
        native_words: Map::from_iter([("dh_groups".to_owned(), json!(["group14"]))]),
        details: None,
        native: Map::from_iter([("extra".to_owned(), json!(1))]),
    }
}

/// Encodes a resource and reads it back in three ways: as the update of all fields that `isthmus get | isthmus update`
/// sends, as an update without a mask, and as the creation of a twin. Then encodes it again.
fn hold<W: Wire + Clone + Debug + PartialEq>(spec: ResourceSpec) {
    let said: W = say(&backend(), resource(spec.clone())).unwrap();

    let change = update(said.clone(), Some(&["*"])).unwrap();
    assert_eq!(change.values, spec);
    assert_eq!(Vec::from_iter(&change.fields), sorted(W::KIND.fields()));
    assert_eq!(change.etag.as_deref(), Some("7"));

    let unmasked = update(said.clone(), None).unwrap();
    assert_eq!(unmasked.values, spec);
    assert!(unmasked.fields.is_subset(&change.fields));

    // Clears `name`. Other output-only fields are skipped.
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

/// Both lists name the same hashes.
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
    assert_eq!(error.kind, ErrorKind::Internal);
}
