//! What is refused and what is not, field by field and for random values.

use super::*;
use crate::model::{
    PolicyRule, ResourceKind,
    algorithm::{
        DfPolicy, DhGroup, EncapsulationMode, EncryptionAlgorithm as E, IkeVersion,
        IntegrityAlgorithm as I, Named, NegotiationMode, PrfAlgorithm as P, TransformProtocol,
    },
    policy::ProbeMode,
    topology::{EndpointType, IkeLogLevel},
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A cloud that takes one algorithm and is strict with names.
const NARROW: &[ResourceCapabilities] = &[
    ResourceCapabilities {
        fields: &[
            F::DisplayName,
            F::Description,
            F::IkeVersion,
            F::EncryptionAlgorithms,
            F::IntegrityAlgorithms,
            F::PrfAlgorithms,
            F::DhGroups,
            F::Lifetime,
            F::AvailabilityZone,
        ],
        immutable: &[F::AvailabilityZone],
        ike_versions: &[IkeVersion::V1, IkeVersion::V2],
        encryption: &[E::TripleDes, E::AesCbc128],
        integrity: &[I::HmacSha1x96],
        prf: &[P::HmacSha1],
        dh_groups: &[DhGroup::Modp1024, DhGroup::Modp2048],
        max_algorithms: 1,
        lifetime_seconds: Some(60..=604_800),
        display_name: 1..=4,
        max_description: 5,
        ..ResourceCapabilities::nothing(ResourceKind::IkePolicy)
    },
    ResourceCapabilities {
        fields: &[
            F::DisplayName,
            F::EncryptionAlgorithms,
            F::EncapsulationMode,
            F::PerfectForwardSecrecy,
            F::Lifetime,
        ],
        encryption: &[E::AesCbc128],
        encapsulation_modes: &[EncapsulationMode::Tunnel],
        max_algorithms: 1,
        lifetime_seconds: Some(60..=100),
        lifetime_kilobytes: true,
        ..ResourceCapabilities::nothing(ResourceKind::IpsecPolicy)
    },
    ResourceCapabilities {
        fields: &[F::DisplayName, F::Router],
        required: &[F::Router],
        immutable: &[F::Router],
        ..ResourceCapabilities::nothing(ResourceKind::VpnService)
    },
    ResourceCapabilities {
        fields: &[F::DisplayName, F::VpnService, F::Address],
        required: &[F::VpnService, F::Address],
        ..ResourceCapabilities::nothing(ResourceKind::LocalEndpoint)
    },
    ResourceCapabilities {
        fields: &[F::DisplayName, F::EndpointType, F::Endpoints],
        required: &[F::EndpointType, F::Endpoints],
        immutable: &[F::EndpointType, F::Endpoints],
        endpoint_types: &[EndpointType::Subnet, EndpointType::Cidr],
        ..ResourceCapabilities::nothing(ResourceKind::EndpointGroup)
    },
];

/// A cloud that takes several algorithms.
const WIDE: &[ResourceCapabilities] = &[
    ResourceCapabilities {
        fields: &[
            F::DisplayName,
            F::EncryptionAlgorithms,
            F::PerfectForwardSecrecy,
            F::DfPolicy,
            F::TransformProtocol,
        ],
        encryption: &[E::AesCbc128, E::AesGcm16x128, E::AesGcm16x256],
        transform_protocols: &[TransformProtocol::Esp],
        df_policies: &[DfPolicy::Copy, DfPolicy::Clear],
        max_algorithms: 3,
        pfs_optional: true,
        ..ResourceCapabilities::nothing(ResourceKind::IpsecPolicy)
    },
    ResourceCapabilities {
        fields: &[F::DisplayName, F::TrustedAuthorities],
        ..ResourceCapabilities::nothing(ResourceKind::LocalEndpoint)
    },
];

/// A cloud that has every kind and takes no field of it.
const NOTHING: &[ResourceCapabilities] = &[
    ResourceCapabilities::nothing(ResourceKind::IkePolicy),
    ResourceCapabilities::nothing(ResourceKind::IpsecPolicy),
    ResourceCapabilities::nothing(ResourceKind::DpdPolicy),
    ResourceCapabilities::nothing(ResourceKind::VpnService),
    ResourceCapabilities::nothing(ResourceKind::LocalEndpoint),
    ResourceCapabilities::nothing(ResourceKind::EndpointGroup),
];

fn cloud(resources: &'static [ResourceCapabilities]) -> Capabilities {
    Capabilities {
        dialect: "none",
        variant: "",
        route_based: false,
        inline_policy_rules: false,
        endpoint_groups: false,
        certificates: false,
        inline_dpd: false,
        dpd_policies: false,
        mtu: false,
        tcp_mss_clamping: false,
        on_demand_initiation: false,
        availability_zones: false,
        admin_disable: false,
        atomic_etag: false,
        nodes: false,
        write_tracking: false,
        look_batch: 1,
        resources,
        tunnel_statistics: false,
        connection_marks: true,
    }
}

fn spec(settings: Settings) -> ResourceSpec {
    ResourceSpec {
        display_name: "name".into(),
        description: String::new(),
        availability_zone: None,
        settings,
    }
}

fn ike(policy: IkePolicy) -> ResourceSpec {
    spec(Settings::IkePolicy(policy))
}

fn ipsec(policy: IpsecPolicy) -> ResourceSpec {
    spec(Settings::IpsecPolicy(policy))
}

fn change(spec: &ResourceSpec, fields: &[F]) -> ResourceChange {
    ResourceChange {
        fields: fields.iter().copied().collect(),
        values: spec.clone(),
        etag: None,
    }
}

fn told(violations: Vec<Violation>) -> Vec<String> {
    let each = violations.into_iter();
    each.map(|it| format!("{}: {}", it.field, it.description))
        .collect()
}

#[track_caller]
fn created(takes: &'static [ResourceCapabilities], spec: &ResourceSpec, expected: &[&str]) {
    assert_eq!(told(refuse_create(&cloud(takes), spec)), expected);
}

#[track_caller]
fn updated(
    takes: &'static [ResourceCapabilities],
    spec: &ResourceSpec,
    fields: &[F],
    expected: &[&str],
) {
    let refused = refuse_update(&cloud(takes), &change(spec, fields));
    assert_eq!(told(refused), expected);
}

#[test]
fn all_that_cannot_be_is_named_at_once_with_what_could() {
    let all_wrong = ResourceSpec {
        display_name: "names".into(),
        description: "größer".into(),
        ..ike(IkePolicy {
            ike_version: Some(IkeVersion::V2OrV1),
            negotiation_mode: Some(NegotiationMode::Main),
            encryption_algorithms: vec![
                Some(E::AesCbc128),
                Some(E::AesCtr128),
                None,
                Some(E::AesCbc128),
                Some(E::AesCtr128),
            ],
            integrity_algorithms: vec![Some(I::HmacMd5x96)],
            prf_algorithms: vec![Some(P::HmacMd5)],
            dh_groups: vec![Some(DhGroup::Modp1024), Some(DhGroup::Modp2048)],
            lifetime: Some(Lifetime::Seconds(59)),
        })
    };
    created(
        NARROW,
        &all_wrong,
        &[
            "display_name: has 5 characters; accepts 1 to 4",
            "description: has 6 characters; accepts 0 to 5",
            "ike_version: this backend does not take IKE_VERSION_2_OR_1; accepts IKE_VERSION_1, IKE_VERSION_2",
            "negotiation_mode: this backend has no such field of IKE policies; leave it unset",
            "encryption_algorithms: ENCRYPTION_ALGORITHM_UNSPECIFIED stands for no value; this backend does not take \
             ENCRYPTION_ALGORITHM_AES_CTR_128; ENCRYPTION_ALGORITHM_AES_CBC_128 comes more than once; \
             ENCRYPTION_ALGORITHM_AES_CTR_128 comes more than once; has 5 values; accepts one of \
             ENCRYPTION_ALGORITHM_3DES, ENCRYPTION_ALGORITHM_AES_CBC_128",
            "integrity_algorithms: this backend does not take INTEGRITY_ALGORITHM_HMAC_MD5_96; accepts one of \
             INTEGRITY_ALGORITHM_HMAC_SHA1_96",
            "prf_algorithms: this backend does not take PRF_ALGORITHM_HMAC_MD5; accepts one of \
             PRF_ALGORITHM_HMAC_SHA1",
            "dh_groups: has 2 values; accepts one of DH_GROUP_MODP_1024, DH_GROUP_MODP_2048",
            "lifetime: `time` is 59 s; accepts `time` from 60 to 604800 s",
        ],
    );
}

#[test]
fn what_is_taken_is_not_refused_nor_what_is_unset() {
    let taken = ResourceSpec {
        display_name: "größ".into(),
        description: "große".into(),
        availability_zone: Some("jp-east-1a".into()),
        ..ike(IkePolicy {
            ike_version: Some(IkeVersion::V2),
            negotiation_mode: None,
            encryption_algorithms: vec![Some(E::AesCbc128)],
            integrity_algorithms: vec![Some(I::HmacSha1x96)],
            prf_algorithms: vec![Some(P::HmacSha1)],
            dh_groups: vec![Some(DhGroup::Modp2048)],
            lifetime: Some(Lifetime::Seconds(604_800)),
        })
    };
    created(NARROW, &taken, &[]);
    updated(NARROW, &taken, ResourceKind::IkePolicy.fields(), &[]);
    created(NARROW, &ike(IkePolicy::default()), &[]);
    created(
        NARROW,
        &ResourceSpec::none(ResourceKind::IkePolicy),
        &["display_name: has 0 characters; accepts 1 to 4"],
    );
    // A kind that the backend lacks is not reported here.
    created(NARROW, &ResourceSpec::none(ResourceKind::DpdPolicy), &[]);
}

#[test]
fn several_are_taken_where_a_list_has_an_order_of_preference() {
    let with = |encryption_algorithms| {
        ipsec(IpsecPolicy {
            encryption_algorithms,
            ..IpsecPolicy::default()
        })
    };
    let [cbc, gcm, longer] = [E::AesCbc128, E::AesGcm16x128, E::AesGcm16x256].map(Some);
    created(WIDE, &with(vec![longer, gcm, cbc]), &[]);
    created(
        WIDE,
        &with(vec![cbc, gcm, longer, cbc]),
        &[
            "encryption_algorithms: ENCRYPTION_ALGORITHM_AES_CBC_128 comes more than once; has 4 values; accepts at \
             most 3 of ENCRYPTION_ALGORITHM_AES_CBC_128, ENCRYPTION_ALGORITHM_AES_GCM_16_128, \
             ENCRYPTION_ALGORITHM_AES_GCM_16_256",
        ],
    );
}

#[test]
fn a_list_with_a_value_that_nobody_documented_may_be_what_is_there() {
    let unspecified = ike(IkePolicy {
        encryption_algorithms: vec![None, Some(E::AesCtr128)],
        dh_groups: vec![None],
        ..IkePolicy::default()
    });
    let fields = [F::EncryptionAlgorithms, F::DhGroups];
    updated(NARROW, &unspecified, &fields, &[]);
    created(
        NARROW,
        &unspecified,
        &[
            "encryption_algorithms: ENCRYPTION_ALGORITHM_UNSPECIFIED stands for no value; this backend does not take \
             ENCRYPTION_ALGORITHM_AES_CTR_128; has 2 values; accepts one of ENCRYPTION_ALGORITHM_3DES, \
             ENCRYPTION_ALGORITHM_AES_CBC_128",
            "dh_groups: DH_GROUP_UNSPECIFIED stands for no value; accepts one of DH_GROUP_MODP_1024, \
             DH_GROUP_MODP_2048",
        ],
    );
    // A field that the backend lacks has no value to equal.
    updated(
        NARROW,
        &ipsec(IpsecPolicy {
            dh_groups: vec![None],
            ..IpsecPolicy::default()
        }),
        &[F::DhGroups],
        &["dh_groups: this backend has no such field of IPsec policies; leave it unset"],
    );
}

#[test]
fn what_goes_without_saying_may_be_said() {
    let pfs = |value| {
        ipsec(IpsecPolicy {
            perfect_forward_secrecy: value,
            ..IpsecPolicy::default()
        })
    };
    for (value, narrow, nothing) in [
        (None, None, None),
        (Some(true), None, None),
        (
            Some(false),
            Some("this backend cannot switch it off; accepts true"),
            Some("this backend has no such field of IPsec policies; leave it unset"),
        ),
    ] {
        for (takes, expected) in [(NARROW, narrow), (WIDE, None), (NOTHING, nothing)] {
            let unnamed = ResourceSpec {
                display_name: String::new(),
                ..pfs(value)
            };
            let expected = expected.map(|why| format!("perfect_forward_secrecy: {why}"));
            let refused = told(refuse_create(&cloud(takes), &unnamed));
            assert_eq!(refused, Vec::from_iter(expected), "{value:?}");
        }
    }
    let service = |admin_enabled| {
        spec(Settings::VpnService(VpnService {
            admin_enabled: Some(admin_enabled),
            router: "r".into(),
            ..VpnService::default()
        }))
    };
    created(NARROW, &service(true), &[]);
    created(
        NARROW,
        &service(false),
        &["admin_enabled: this backend has no such field of VPN services; leave it unset"],
    );
}

#[test]
fn lifetimes_have_their_unit_and_range() {
    let lifetime = |lifetime| {
        ipsec(IpsecPolicy {
            lifetime: Some(lifetime),
            ..IpsecPolicy::default()
        })
    };
    for (value, expected) in [
        (Lifetime::Seconds(60), None),
        (Lifetime::Seconds(100), None),
        (Lifetime::Kilobytes(1), None),
        (
            Lifetime::Seconds(101),
            Some("lifetime: `time` is 101 s; accepts `time` from 60 to 100 s or `kilobytes`"),
        ),
        (
            Lifetime::Seconds(0),
            Some("lifetime: `time` is 0 s; accepts `time` from 60 to 100 s or `kilobytes`"),
        ),
    ] {
        created(NARROW, &lifetime(value), &Vec::from_iter(expected));
        updated(
            NARROW,
            &lifetime(value),
            &[F::Lifetime],
            &Vec::from_iter(expected),
        );
    }
    created(
        NARROW,
        &ike(IkePolicy {
            lifetime: Some(Lifetime::Kilobytes(5)),
            ..IkePolicy::default()
        }),
        &["lifetime: this backend does not count `kilobytes`; accepts `time` from 60 to 604800 s"],
    );
}

#[test]
fn what_is_required_must_be_said_and_stay() {
    let service = spec(Settings::none(ResourceKind::VpnService));
    created(NARROW, &service, &["router: is required"]);
    // The field is immutable, so the dialect checks whether it would change.
    updated(NARROW, &service, &[F::Router], &[]);
    let endpoint = spec(Settings::none(ResourceKind::LocalEndpoint));
    let both = ["vpn_service: is required", "address: is required"];
    created(NARROW, &endpoint, &both);
    updated(NARROW, &endpoint, &[F::VpnService, F::Address], &both);
    updated(NARROW, &endpoint, &[F::DisplayName], &[]);
    created(
        NARROW,
        &spec(Settings::none(ResourceKind::EndpointGroup)),
        &[
            "type: is required; accepts TYPE_SUBNET, TYPE_CIDR",
            "endpoints: is required",
        ],
    );
}

#[test]
fn an_immutable_field_is_checked_when_it_is_made_and_then_left_to_the_dialect() {
    let long = "x".repeat(1_000);
    let group = spec(Settings::EndpointGroup(EndpointGroup {
        endpoint_type: Some(EndpointType::Vlan),
        endpoints: vec!["1".into(), long.clone(), "2".into(), long],
    }));
    created(
        NARROW,
        &group,
        &[
            "type: this backend does not take TYPE_VLAN; accepts TYPE_SUBNET, TYPE_CIDR",
            &format!(
                "endpoints: `{}` comes more than once; accepts each once",
                "x".repeat(64)
            ),
        ],
    );
    updated(NARROW, &group, &[F::EndpointType, F::Endpoints], &[]);
    let twice = spec(Settings::LocalEndpoint(LocalEndpoint {
        trusted_authorities: vec!["a".into(), "a".into()],
        ..LocalEndpoint::default()
    }));
    created(
        WIDE,
        &ResourceSpec {
            display_name: String::new(),
            ..twice
        },
        &["trusted_authorities: `a` comes more than once; accepts each once"],
    );
}

/// Returns a resource with every field set to another than the default.
fn full(kind: ResourceKind) -> ResourceSpec {
    let some = || Some("x".to_owned());
    let settings = match Settings::none(kind) {
        Settings::IkePolicy(_) => Settings::IkePolicy(IkePolicy {
            ike_version: Some(IkeVersion::V1),
            negotiation_mode: Some(NegotiationMode::Main),
            encryption_algorithms: vec![None],
            integrity_algorithms: vec![None],
            prf_algorithms: vec![None],
            dh_groups: vec![None],
            lifetime: Some(Lifetime::Seconds(60)),
        }),
        Settings::IpsecPolicy(_) => Settings::IpsecPolicy(IpsecPolicy {
            transform_protocol: Some(TransformProtocol::Esp),
            encapsulation_mode: Some(EncapsulationMode::Tunnel),
            encryption_algorithms: vec![None],
            integrity_algorithms: vec![None],
            perfect_forward_secrecy: Some(false),
            dh_groups: vec![None],
            lifetime: Some(Lifetime::Kilobytes(60)),
            df_policy: Some(DfPolicy::Copy),
        }),
        Settings::DpdPolicy(_) => Settings::DpdPolicy(DpdPolicy {
            enabled: Some(false),
            probe_mode: Some(ProbeMode::Periodic),
            probe_interval_seconds: Some(3),
            retry_count: Some(3),
        }),
        Settings::VpnService(service) => Settings::VpnService(VpnService {
            admin_enabled: Some(false),
            router: "r".into(),
            subnet: some(),
            flavor: some(),
            bypass_rules: vec![PolicyRule::default()],
            ike_log_level: Some(IkeLogLevel::Info),
            ha_sync: Some(true),
            ..service
        }),
        Settings::LocalEndpoint(_) => Settings::LocalEndpoint(LocalEndpoint {
            vpn_service: some(),
            address: "192.0.2.1".into(),
            local_id: some(),
            certificate: some(),
            trusted_authorities: vec!["x".into()],
            revocation_lists: vec!["x".into()],
        }),
        Settings::EndpointGroup(_) => Settings::EndpointGroup(EndpointGroup {
            endpoint_type: Some(EndpointType::Cidr),
            endpoints: vec!["10.0.0.0/8".into()],
        }),
    };
    ResourceSpec {
        display_name: "x".into(),
        description: "x".into(),
        availability_zone: some(),
        settings,
    }
}

/// No field is forgotten: where nothing is taken, each field that is set is refused by name, in a create and in an
/// update.
#[test]
fn every_field_of_every_kind_is_refused_where_it_is_not_taken() {
    for kind in ResourceKind::ALL {
        let full = full(kind);
        for refused in [
            refuse_create(&cloud(NOTHING), &full),
            refuse_update(&cloud(NOTHING), &change(&full, kind.fields())),
        ] {
            let named: Vec<&str> = refused.iter().map(|it| it.field.as_str()).collect();
            let all: Vec<&str> = kind.fields().iter().map(|field| field.path()).collect();
            assert_eq!(named, all);
        }
        for field in kind.fields() {
            let refused = refuse_update(&cloud(NOTHING), &change(&full, &[*field]));
            assert_eq!(refused.len(), 1, "{kind:?} {field:?}");
        }
    }
}

fn values<T: Named>() -> impl Strategy<Value = Vec<Option<T>>> {
    let value = prop::option::weighted(0.9, prop::sample::select(T::ALL));
    prop::collection::vec(value, 0..5)
}

fn value<T: Named>() -> impl Strategy<Value = Option<T>> {
    prop::option::of(prop::sample::select(T::ALL))
}

fn some_lifetime() -> impl Strategy<Value = Option<Lifetime>> {
    let lifetime = prop_oneof![
        (0..1_000_000_u64).prop_map(Lifetime::Seconds),
        any::<u64>().prop_map(Lifetime::Kilobytes),
    ];
    prop::option::of(lifetime)
}

prop_compose! {
    fn any_ike_policy()(
        ike_version in value(),
        negotiation_mode in value(),
        encryption_algorithms in values(),
        integrity_algorithms in values(),
        prf_algorithms in values(),
        dh_groups in values(),
        lifetime in some_lifetime(),
        display_name in "\\PC{0,6}",
    ) -> ResourceSpec {
        ResourceSpec {
            display_name,
            ..ike(IkePolicy {
                ike_version,
                negotiation_mode,
                encryption_algorithms,
                integrity_algorithms,
                prf_algorithms,
                dh_groups,
                lifetime,
            })
        }
    }
}

prop_compose! {
    fn any_ipsec_policy()(
        transform_protocol in value(),
        encapsulation_mode in value(),
        encryption_algorithms in values(),
        integrity_algorithms in values(),
        perfect_forward_secrecy in any::<Option<bool>>(),
        dh_groups in values(),
        lifetime in some_lifetime(),
        df_policy in value(),
    ) -> ResourceSpec {
        ipsec(IpsecPolicy {
            transform_protocol,
            encapsulation_mode,
            encryption_algorithms,
            integrity_algorithms,
            perfect_forward_secrecy,
            dh_groups,
            lifetime,
            df_policy,
        })
    }
}

/// Reduces a list to what the capabilities accept.
fn trimmed<T: Named>(values: &mut Vec<Option<T>>, taken: &[T], most: usize) {
    let mut seen = Vec::new();
    values.retain(|value| {
        let stays = value.is_some_and(|it| taken.contains(&it)) && !seen.contains(value);
        seen.push(*value);
        stays
    });
    values.truncate(most);
}

proptest! {
    /// Each field is reported at most once, in the contract's order, and only if it was touched.
    #[test]
    fn a_change_is_refused_for_nothing_that_making_it_so_would_not_be(
        spec in prop_oneof![any_ike_policy(), any_ipsec_policy()],
        touched in prop::collection::btree_set(prop::sample::select(vec![
            F::DisplayName, F::IkeVersion, F::EncryptionAlgorithms, F::IntegrityAlgorithms, F::PrfAlgorithms,
            F::DhGroups, F::Lifetime, F::PerfectForwardSecrecy, F::DfPolicy, F::EncapsulationMode,
        ]), 0..8),
        takes in prop::sample::select(vec![NARROW, WIDE, NOTHING]),
    ) {
        let created = refuse_create(&cloud(takes), &spec);
        let fields: Vec<F> = touched.into_iter().collect();
        let updated = refuse_update(&cloud(takes), &change(&spec, &fields));
        let touched: BTreeSet<&str> = fields.iter().map(|field| field.path()).collect();
        for violation in &updated {
            prop_assert!(created.contains(violation) && touched.contains(violation.field.as_str()));
        }
        let order = spec.kind().fields().iter().map(|field| field.path());
        let named: Vec<&str> = created.iter().map(|it| it.field.as_str()).collect();
        let in_order: Vec<&str> = order.filter(|path| named.contains(path)).collect();
        prop_assert_eq!(named, in_order);
        for violation in &created {
            prop_assert!(violation.description.len() < 4_096, "{}", violation.description);
        }
    }

    /// With the refused values removed, nothing is refused. So no field's rule depends on another field.
    #[test]
    fn what_is_left_once_the_refused_is_gone_is_accepted(mut spec in any_ike_policy()) {
        let takes = &NARROW[0];
        let refused: BTreeSet<String> = refuse_create(&cloud(NARROW), &spec)
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        let has = |field: F| refused.contains(field.path());
        if has(F::DisplayName) {
            spec.display_name = "name".into();
        }
        let Settings::IkePolicy(policy) = &mut spec.settings else { unreachable!() };
        if has(F::IkeVersion) {
            policy.ike_version = None;
        }
        if has(F::NegotiationMode) {
            policy.negotiation_mode = None;
        }
        if has(F::Lifetime) {
            policy.lifetime = None;
        }
        if has(F::EncryptionAlgorithms) {
            trimmed(&mut policy.encryption_algorithms, takes.encryption, takes.max_algorithms);
        }
        if has(F::IntegrityAlgorithms) {
            trimmed(&mut policy.integrity_algorithms, takes.integrity, takes.max_algorithms);
        }
        if has(F::PrfAlgorithms) {
            trimmed(&mut policy.prf_algorithms, takes.prf, takes.max_algorithms);
        }
        if has(F::DhGroups) {
            trimmed(&mut policy.dh_groups, takes.dh_groups, takes.max_algorithms);
        }
        prop_assert_eq!(refuse_create(&cloud(NARROW), &spec), vec![]);
    }
}
