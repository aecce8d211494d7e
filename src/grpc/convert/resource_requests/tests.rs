//! Violations of malformed requests, and the fields that an update changes.

mod there_and_back;

use super::*;
use crate::grpc::{
    convert::{fields_at_fault, resource::say},
    pb,
};
use prost_reflect::{DescriptorPool, Value};

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
    let update = Update::read(Some(resource), mask, How::default())?;
    let update = update.settled::<W>(None, nothing_refused)?;
    Ok(update.change)
}

fn create<W: Wire>(resource: W) -> Result<Create> {
    Create::read(
        "backends/a",
        Some(resource),
        How::default(),
        nothing_refused,
    )
}

// --- against the contract -------------------------------------------------------

/// Returns the fields of a kind's message with their behaviors.
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

// --- violations -----------------------------------------------------------------

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
    let told = Create::read("backends/a", Some(policy), How::default(), refused);
    assert_eq!(
        fields_at_fault(told),
        [
            "ike_policy.ike_version",
            "ike_policy.encryption_algorithms[1]",
            "ike_policy.prf_algorithms[1]",
            "ike_policy.dh_groups[0]",
            "ike_policy.lifetime.time",
            "ike_policy.name",
            // Refused by the backend. Its violations at or below a malformed field are left out.
            "ike_policy.description",
            "ike_policy.lifetime",
        ]
    );
    let none = Create::read::<pb::IkePolicy>("x", None, How::default(), nothing_refused);
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
    // A mask that names only output-only fields changes nothing.
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
    // Endpoints are checked against the type even if the mask names the endpoints only.
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

/// A malformed value that the cloud has can be sent back. No other malformed value can.
#[test]
fn what_is_malformed_as_it_is_there_does_not_matter() {
    let group = |endpoints: &[&str], r#type| pb::EndpointGroup {
        name: "backends/a/endpointGroups/g".to_owned(),
        r#type,
        endpoints: endpoints.iter().map(|&it| it.to_owned()).collect(),
        ..Default::default()
    };
    let read = |group| Update::read(Some(group), None, How::default()).unwrap();
    let malformed = || read(group(&["2.1.4..0/24"], 2));
    let there = Resource {
        id: "g".to_owned(),
        spec: malformed().change.values,
        etag: String::new(),
        managed: false,
        joint: false,
        create_time: None,
        update_time: None,
        native_words: Default::default(),
        details: None,
        native: Default::default(),
    };
    assert!(malformed().may_be_there::<pb::EndpointGroup>());
    let settled = malformed().settled::<pb::EndpointGroup>(Some(&there), nothing_refused);
    let left = settled.unwrap().change.fields;
    assert_eq!(Vec::from_iter(left), [ResourceField::EndpointType]);

    let other = read(group(&["2.1.4..1/24"], 2));
    assert!(other.may_be_there::<pb::EndpointGroup>());
    let settled = other.settled::<pb::EndpointGroup>(Some(&there), nothing_refused);
    assert_eq!(fields_at_fault(settled), ["endpoint_group.endpoints[0]"]);
    // The resource is not read if it cannot have the malformed value.
    assert!(!read(group(&["", "10.0.0.0/8"], 9)).may_be_there::<pb::EndpointGroup>());
    assert!(!read(group(&["10.0.0.0/8"], 2)).may_be_there::<pb::EndpointGroup>());
    // The malformed value is sent outwards unchanged.
    let said: pb::EndpointGroup = say(&backend(), there).unwrap();
    assert_eq!(said.endpoints, ["2.1.4..0/24"]);
}
