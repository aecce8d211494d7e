//! What equals the resource that would be created.

use super::{body, ike, made, spec};
use crate::{
    dialects::nsx::manager::resources::{equal::is_equal, inward, outward},
    model::{
        PolicyRule, ResourceKind, Settings,
        algorithm::{EncryptionAlgorithm as E, IntegrityAlgorithm, PrfAlgorithm},
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, ProbeMode},
        topology::{IkeLogLevel, LocalEndpoint, VpnService},
    },
};
use serde_json::{Value, json};

/// Reports whether creating this gives what is there, which also has a name and what else differs from object to
/// object.
#[track_caller]
fn equal(settings: &Settings, there: Value) -> bool {
    let mut there = there;
    for (key, value) in [
        ("id", json!("a")),
        ("display_name", json!("somebody else's name")),
        ("description", json!("and words")),
        ("_revision", json!(7)),
        ("tags", json!([{ "scope": "team", "tag": "net" }])),
    ] {
        there[key] = value;
    }
    let there = inward::resource(settings.kind(), &body(there));
    is_equal(&spec(settings.clone()), &there)
}

/// The simulator's answer to an empty POST, which fills in the documented defaults.
fn default(kind: ResourceKind) -> Value {
    match kind {
        ResourceKind::IkePolicy => json!({
            "ike_version": "IKE_V2", "encryption_algorithms": ["AES_128"],
            "digest_algorithms": ["SHA2_256"], "dh_groups": ["GROUP14"], "sa_life_time": 86_400,
        }),
        ResourceKind::IpsecPolicy => json!({
            "encryption_algorithms": ["AES_GCM_128"], "dh_groups": ["GROUP14"],
            "enable_perfect_forward_secrecy": true, "df_policy": "COPY", "sa_life_time": 3_600,
            "encapsulation_mode": "TUNNEL_MODE", "transform_protocol": "ESP",
        }),
        ResourceKind::DpdPolicy => json!({
            "dpd_probe_mode": "PERIODIC", "dpd_probe_interval": 60, "enabled": true, "retry_count": 10,
        }),
        kind => panic!("{kind:?} has fields without a default"),
    }
}

fn with(mut there: Value, key: &str, value: Value) -> Value {
    there[key] = value;
    there
}

#[test]
fn what_is_left_open_is_the_documented_default() {
    for (kind, key, other) in [
        (ResourceKind::IkePolicy, "sa_life_time", json!(21_600)),
        (ResourceKind::IkePolicy, "ike_version", json!("IKE_V1")),
        (ResourceKind::IkePolicy, "ike_version", json!("IKE_V9")),
        (ResourceKind::IkePolicy, "sa_life_time", json!("odd")),
        (
            ResourceKind::IkePolicy,
            "digest_algorithms",
            json!(["SHA1"]),
        ),
        (ResourceKind::IpsecPolicy, "df_policy", json!("CLEAR")),
        (
            ResourceKind::IpsecPolicy,
            "digest_algorithms",
            json!(["SHA1"]),
        ),
        (
            ResourceKind::IpsecPolicy,
            "dh_groups",
            json!(["GROUP14", "GROUP15"]),
        ),
        (ResourceKind::DpdPolicy, "enabled", json!(false)),
        (
            ResourceKind::DpdPolicy,
            "dpd_probe_mode",
            json!("ON_DEMAND"),
        ),
        (ResourceKind::DpdPolicy, "dpd_probe_interval", json!(59)),
    ] {
        let settings = Settings::none(kind);
        assert!(equal(&settings, default(kind)), "{kind:?}");
        assert!(!equal(&settings, with(default(kind), key, other)), "{key}");
    }
}

#[test]
fn what_was_made_is_equal_to_what_it_was_made_from() {
    let each = [
        ike(IkePolicy {
            encryption_algorithms: vec![Some(E::AesGcm16x128)],
            prf_algorithms: vec![Some(PrfAlgorithm::HmacSha2x256)],
            ..IkePolicy::default()
        }),
        Settings::IpsecPolicy(IpsecPolicy {
            encryption_algorithms: vec![Some(E::AesCbc256)],
            integrity_algorithms: vec![Some(IntegrityAlgorithm::HmacSha1x96)],
            perfect_forward_secrecy: Some(false),
            ..IpsecPolicy::default()
        }),
        Settings::DpdPolicy(DpdPolicy {
            probe_mode: Some(ProbeMode::OnDemand),
            probe_interval_seconds: Some(5),
            ..DpdPolicy::default()
        }),
        Settings::VpnService(VpnService {
            router: "router".to_owned(),
            ike_log_level: Some(IkeLogLevel::Debug),
            bypass_rules: vec![PolicyRule {
                sources: vec!["10.0.0.0/8".to_owned()],
                ..PolicyRule::default()
            }],
            ..VpnService::default()
        }),
        Settings::LocalEndpoint(LocalEndpoint {
            vpn_service: Some("service".to_owned()),
            address: "2001:db8::1".to_owned(),
            trusted_authorities: vec!["b".to_owned(), "a".to_owned()],
            ..LocalEndpoint::default()
        }),
    ];
    for settings in &each {
        assert!(equal(settings, made(settings.clone())), "{settings:?}");
        for other in &each {
            let is_other = other.kind() != settings.kind();
            let there = inward::resource(other.kind(), &body(made(other.clone())));
            assert_eq!(!is_other, is_equal(&spec(settings.clone()), &there));
        }
    }
}

#[test]
fn what_documents_do_not_tell_is_not_equal() {
    let gcm = ike(IkePolicy {
        encryption_algorithms: vec![Some(E::AesGcm16x128)],
        ..IkePolicy::default()
    });
    let mut there = default(ResourceKind::IkePolicy);
    there["encryption_algorithms"] = json!(["AES_GCM_128"]);
    assert!(!equal(&gcm, there));
    let cbc = Settings::IpsecPolicy(IpsecPolicy {
        encryption_algorithms: vec![Some(E::AesCbc128)],
        ..IpsecPolicy::default()
    });
    assert!(!equal(&cbc, made(cbc.clone())));
    let on_demand = Settings::DpdPolicy(DpdPolicy {
        probe_mode: Some(ProbeMode::OnDemand),
        ..DpdPolicy::default()
    });
    let mut there = default(ResourceKind::DpdPolicy);
    there["dpd_probe_mode"] = json!("ON_DEMAND");
    there["dpd_probe_interval"] = json!(3);
    assert!(!equal(&on_demand, there));
    // The service is known only once it is created.
    let local = Settings::LocalEndpoint(LocalEndpoint {
        address: "192.0.2.1".to_owned(),
        ..LocalEndpoint::default()
    });
    assert!(!equal(&local, made(local.clone())));
}

#[test]
fn a_service_is_the_same_however_much_it_logs_by_default() {
    let service = Settings::VpnService(VpnService {
        router: "router".to_owned(),
        ..VpnService::default()
    });
    let there = |level: Value| {
        let there = made(service.clone());
        with(
            with(there, "ipsec_ha_sync", json!(true)),
            "ike_log_level",
            level,
        )
    };
    assert!(equal(&service, there(json!("INFO"))) && equal(&service, there(json!("ERROR"))));
    assert!(!equal(&service, there(json!("DEBUG"))) && !equal(&service, there(json!("LOUD"))));
    let ruled = with(
        there(json!("INFO")),
        "bypass_rules",
        json!([{ "id": "1", "sources": [] }]),
    );
    assert!(!equal(&service, ruled));
    assert!(!equal(
        &service,
        with(there(json!("INFO")), "logical_router_id", json!("b"))
    ));
}

#[test]
fn a_local_endpoint_identifies_itself_by_its_address_unless_it_says_otherwise() {
    let local = Settings::LocalEndpoint(LocalEndpoint {
        vpn_service: Some("service".to_owned()),
        address: "2001:db8:0::1".to_owned(),
        ..LocalEndpoint::default()
    });
    let there = |id: &str| {
        json!({
            "ipsec_vpn_service_id": { "target_id": "service", "is_valid": true },
            "local_address": "2001:db8::1", "local_id": id,
        })
    };
    assert!(equal(&local, there("2001:db8::1")));
    assert!(!equal(&local, there("site.example")));
}

#[test]
fn what_is_written_is_told_by_path() {
    let policy = Settings::DpdPolicy(DpdPolicy {
        enabled: Some(true),
        probe_interval_seconds: Some(5),
        ..DpdPolicy::default()
    });
    let fields = ResourceKind::DpdPolicy.fields();
    let new = outward::paths(None, fields, &spec(policy.clone()));
    assert_eq!(new, ["enabled", "probe_interval"]);
    let there = body(default(ResourceKind::DpdPolicy));
    let changed = outward::paths(Some(&there), fields, &spec(policy));
    assert_eq!(changed, ["probe_interval"]);
}
