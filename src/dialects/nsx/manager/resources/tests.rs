//! Both directions, table by table. `properties` holds what is true of every expressible value.

mod equal;
mod generated;
mod openapi;
mod properties;

use super::{
    inward,
    kinds::KINDS,
    outward,
    refusals::{of_change, refusals},
};
use crate::{
    core::{dialect::Mark, error::Violation},
    dialects::nsx::body::{
        Body,
        words::{
            DF_POLICIES, DH_GROUPS, ENCAPSULATION_MODES, IKE_ENCRYPTION, IKE_VERSIONS, INTEGRITY,
            IPSEC_ENCRYPTION, PRF, TRANSFORM_PROTOCOLS,
        },
    },
    model::{
        PolicyRule, Resource, ResourceChange, ResourceDetails, ResourceField as F, ResourceKind,
        ResourceSpec, RuleAction, Settings,
        algorithm::{
            DhGroup, EncapsulationMode, EncryptionAlgorithm as E, IkeVersion, IntegrityAlgorithm,
            PrfAlgorithm,
        },
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime, ProbeMode},
        topology::{IkeLogLevel, LocalEndpoint, VpnService},
    },
};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};

fn body(value: Value) -> Body {
    Body::of(value).unwrap()
}

fn spec(settings: Settings) -> ResourceSpec {
    ResourceSpec {
        settings,
        ..ResourceSpec::none(ResourceKind::IkePolicy)
    }
}

fn change(fields: &[F], settings: Settings) -> ResourceChange {
    ResourceChange {
        fields: fields.iter().copied().collect(),
        values: spec(settings),
        etag: None,
    }
}

/// The body of a new resource, without the mark.
fn made(settings: Settings) -> Value {
    let mut made = outward::new(&spec(settings), &Mark::new()).unwrap();
    made.remove("tags");
    Value::Object(made)
}

/// The body after a change of these fields; null if nothing changes.
#[track_caller]
fn changed(now: &Value, fields: &[F], settings: Settings) -> Value {
    let done = outward::changed(&body(now.clone()), &change(fields, settings));
    done.unwrap().map_or(Value::Null, Value::Object)
}

#[track_caller]
fn refused(now: &Value, fields: &[F], settings: Settings) -> Vec<Violation> {
    outward::changed(&body(now.clone()), &change(fields, settings)).unwrap_err()
}

fn fields(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|it| it.field.as_str()).collect()
}

fn ike(policy: IkePolicy) -> Settings {
    Settings::IkePolicy(policy)
}

fn read_ike(value: Value) -> (IkePolicy, Resource) {
    let read = inward::resource(ResourceKind::IkePolicy, &body(value));
    let Settings::IkePolicy(policy) = &read.spec.settings else {
        panic!("{read:?}")
    };
    (policy.clone(), read)
}

/// A kind takes exactly the values that have words.
#[test]
fn every_value_has_a_word_and_every_word_a_value() {
    fn meanings<T: Copy>(table: &[(&str, T)]) -> Vec<T> {
        table.iter().map(|(_, meaning)| *meaning).collect()
    }
    let kind = |kind| KINDS.iter().find(|it| it.kind == kind).unwrap();
    let ike = kind(ResourceKind::IkePolicy);
    assert_eq!(ike.ike_versions, meanings(&IKE_VERSIONS));
    assert_eq!(ike.encryption, meanings(&IKE_ENCRYPTION));
    assert_eq!(ike.prf, meanings(&PRF));
    let ipsec = kind(ResourceKind::IpsecPolicy);
    assert_eq!(ipsec.encryption, meanings(&IPSEC_ENCRYPTION));
    assert_eq!(ipsec.df_policies, meanings(&DF_POLICIES));
    assert_eq!(ipsec.transform_protocols, meanings(&TRANSFORM_PROTOCOLS));
    assert_eq!(ipsec.encapsulation_modes, meanings(&ENCAPSULATION_MODES));
    for kind in [ike, ipsec] {
        assert_eq!(kind.integrity, meanings(&INTEGRITY));
        assert_eq!(kind.dh_groups, meanings(&DH_GROUPS));
    }
    for kind in KINDS {
        let of_kind = kind.kind.fields();
        assert!(kind.fields.iter().all(|field| of_kind.contains(field)));
        assert!(kind.required.iter().all(|it| kind.fields.contains(it)));
        assert!(kind.immutable.iter().all(|it| kind.fields.contains(it)));
    }
}

#[test]
fn what_all_kinds_tell_finds_its_home() {
    let read = inward::resource(
        ResourceKind::DpdPolicy,
        &body(json!({
            "id": "a", "display_name": "n", "description": "d", "enabled": true,
            "dpd_probe_mode": "PERIODIC", "dpd_probe_interval": 60, "retry_count": 10,
            "tags": [{ "scope": "isthmus", "tag": "x" }], "_revision": 7, "_system_owned": true,
            "_create_user": "system", "_protection": "NOT_PROTECTED",
            "_create_time": 1_735_689_600_000_u64, "_last_modified_time": "1735689600500",
        })),
    );
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600);
    assert_eq!(read.create_time, Some(made));
    assert_eq!(read.update_time, Some(made + Duration::from_millis(500)));
    assert_eq!((read.id.as_str(), read.etag.as_str()), ("a", "7"));
    assert!(read.managed);
    let Some(ResourceDetails::Nsx(details)) = &read.details else {
        panic!("{:?}", read.details)
    };
    assert_eq!(details.revision, 7);
    assert_eq!(details.create_user, "system");
    assert_eq!(details.protection, "NOT_PROTECTED");
    assert!(details.system_owned);
    assert_eq!(read.native, Map::new());
    assert_eq!(
        Value::Object(read.native_words),
        json!({ "probe_mode": "PERIODIC" })
    );
}

#[test]
fn what_nobody_documented_keeps_its_word() {
    let (policy, read) = read_ike(json!({
        "ike_version": "IKE_V3", "encryption_algorithms": ["aes_256", "AES_512"],
        "digest_algorithms": ["SHA3", "SHA1"], "dh_groups": [],
    }));
    assert_eq!(policy.ike_version, None);
    assert_eq!(policy.encryption_algorithms, [Some(E::AesCbc256), None]);
    assert_eq!(
        policy.integrity_algorithms,
        [None, Some(IntegrityAlgorithm::HmacSha1x96)]
    );
    assert_eq!(policy.prf_algorithms, [None, Some(PrfAlgorithm::HmacSha1)]);
    assert_eq!(policy.dh_groups, []);
    assert_eq!(
        Value::Object(read.native_words),
        json!({
            "ike_version": "IKE_V3",
            "encryption_algorithms": ["aes_256", "AES_512"],
            "integrity_algorithms": ["SHA3", "SHA1"],
            "prf_algorithms": ["SHA3", "SHA1"],
        })
    );
    assert_eq!(read.native, Map::new());
    // A value that is not a list of texts, or not a text at all, stays.
    let odd = json!({ "dh_groups": ["GROUP14", 5], "digest_algorithms": "SHA1", "ike_version": 2 });
    let (policy, read) = read_ike(odd.clone());
    assert_eq!(policy.dh_groups, [Some(DhGroup::Modp2048), None]);
    assert_eq!(policy.integrity_algorithms, []);
    assert_eq!(Value::Object(read.native), odd);
    assert_eq!(
        Value::Object(read.native_words),
        json!({ "dh_groups": ["GROUP14", ""] })
    );
}

#[test]
fn a_list_that_stays_is_not_written_and_one_that_changes_needs_words() {
    let now = json!({ "id": "a", "encryption_algorithms": ["AES_128", "AES_512"] });
    let field = &[F::EncryptionAlgorithms];
    let with = |encryption_algorithms| {
        ike(IkePolicy {
            encryption_algorithms,
            ..IkePolicy::default()
        })
    };
    let same = with(vec![Some(E::AesCbc128), None]);
    assert_eq!(changed(&now, field, same), Value::Null);
    for other in [
        vec![None, Some(E::AesCbc128)],
        vec![None],
        vec![Some(E::TripleDes)],
    ] {
        assert_eq!(
            fields(&refused(&now, field, with(other))),
            ["encryption_algorithms"]
        );
    }
    let other = with(vec![Some(E::AesCbc256), Some(E::AesCbc128)]);
    assert_eq!(
        changed(&now, field, other)["encryption_algorithms"],
        json!(["AES_256", "AES_128"])
    );
    // An empty list wants the default, which may be there already.
    let done = changed(&now, field, with(Vec::new()));
    assert_eq!(done["encryption_algorithms"], json!(["AES_128"]));
    assert_eq!(changed(&done, field, with(Vec::new())), Value::Null);
    let nothing = json!({ "id": "a" });
    assert_eq!(changed(&nothing, field, with(Vec::new())), Value::Null);
}

#[test]
fn integrity_and_prf_are_one_list_and_either_is_enough() {
    let integrity = vec![Some(IntegrityAlgorithm::HmacSha2x384x192)];
    let prf = vec![Some(PrfAlgorithm::HmacSha2x384)];
    let with = |integrity: &[_], prf: &[_]| {
        ike(IkePolicy {
            integrity_algorithms: integrity.to_vec(),
            prf_algorithms: prf.to_vec(),
            ..IkePolicy::default()
        })
    };
    let both = [F::IntegrityAlgorithms, F::PrfAlgorithms];
    let now = json!({ "digest_algorithms": ["SHA1"] });
    for (integrity, prf) in [(&integrity[..], &prf[..]), (&integrity, &[]), (&[], &prf)] {
        let made = made(with(integrity, prf));
        assert_eq!(made, json!({ "digest_algorithms": ["SHA2_384"] }));
        let done = changed(&now, &both, with(integrity, prf));
        assert_eq!(done, made);
        assert_eq!(changed(&done, &both, with(integrity, prf)), Value::Null);
    }
    for field in both {
        let done = changed(&now, &[field], with(&integrity, &prf));
        assert_eq!(done, json!({ "digest_algorithms": ["SHA2_384"] }));
        // No document tells the default where GCM needs no digest.
        assert_eq!(changed(&now, &[field], with(&[], &[])), json!({}));
    }
    assert_eq!(changed(&now, &both, with(&[], &[])), json!({}));
}

#[test]
fn gcm_goes_with_version_2_alone_whichever_of_both_is_written() {
    let with = |ike_version, encryption| {
        ike(IkePolicy {
            ike_version,
            encryption_algorithms: vec![Some(encryption)],
            ..IkePolicy::default()
        })
    };
    let both = [F::IkeVersion, F::EncryptionAlgorithms];
    let of_create = |settings| {
        let spec = spec(settings);
        let refused = refusals(&spec, &|_| true, &|_| true);
        fields(&refused).join(" ")
    };
    for (version, encryption, wrong) in [
        (Some(IkeVersion::V1), E::AesGcm16x128, true),
        (Some(IkeVersion::V2OrV1), E::AesGcm16x256, true),
        (Some(IkeVersion::V2), E::AesGcm16x192, false),
        (None, E::AesGcm16x128, false),
        (Some(IkeVersion::V1), E::AesCbc256, false),
    ] {
        let field = if wrong { "encryption_algorithms" } else { "" };
        assert_eq!(of_create(with(version, encryption)), field);
    }
    let gcm = json!({ "encryption_algorithms": ["AES_GCM_128"], "ike_version": "IKE_V2" });
    let old = json!({ "encryption_algorithms": ["AES_128"], "ike_version": "IKE_V1" });
    let values = || with(Some(IkeVersion::V1), E::AesGcm16x128);
    assert_eq!(
        fields(&refused(&gcm, &both[..1], values())),
        ["ike_version"]
    );
    assert_eq!(
        fields(&refused(&old, &both[1..], values())),
        ["encryption_algorithms"]
    );
    // A combination that is there already does not affect other changes.
    let odd = json!({ "encryption_algorithms": ["AES_GCM_128"], "ike_version": "IKE_V1" });
    let done = changed(&odd, &[F::Lifetime], values());
    assert_eq!(done["sa_life_time"], Value::Null);
    let mut renamed = change(&[F::Description], values());
    renamed.values.description = "new".to_owned();
    let done = outward::changed(&body(odd), &renamed).unwrap().unwrap();
    assert_eq!(done["description"], "new");
}

#[test]
fn an_interval_is_bounded_by_its_mode() {
    let with = |probe_mode, seconds| {
        Settings::DpdPolicy(DpdPolicy {
            probe_mode,
            probe_interval_seconds: Some(seconds),
            ..DpdPolicy::default()
        })
    };
    let (periodic, on_demand) = (Some(ProbeMode::Periodic), Some(ProbeMode::OnDemand));
    let every = |_| true;
    for (mode, seconds, fits, may_fit) in [
        (None, 2, false, true),
        (None, 3, true, true),
        (periodic, 2, false, true),
        (periodic, 360, true, true),
        (periodic, 361, false, false),
        (on_demand, 0, false, false),
        (on_demand, 1, true, true),
        (on_demand, 10, true, true),
        (on_demand, 11, false, true),
    ] {
        let spec = spec(with(mode, seconds));
        let expected = |fits: bool| if fits { &[][..] } else { &["probe_interval"] };
        assert_eq!(fields(&refusals(&spec, &every, &every)), expected(fits));
        let alone = change(&[F::ProbeInterval], spec.settings.clone());
        assert_eq!(
            fields(&of_change(&alone)),
            expected(may_fit),
            "{mode:?} {seconds}"
        );
        let both = change(&[F::ProbeMode, F::ProbeInterval], spec.settings.clone());
        let fits_if_known = if mode.is_some() { fits } else { may_fit };
        assert_eq!(fields(&of_change(&both)), expected(fits_if_known));
        let word = mode.map_or("PERIODIC", |mode| match mode {
            ProbeMode::Periodic => "PERIODIC",
            ProbeMode::OnDemand => "ON_DEMAND",
        });
        let now = json!({ "dpd_probe_mode": word, "dpd_probe_interval": 5 });
        let change = change(&[F::ProbeInterval], spec.settings);
        let done = outward::changed(&body(now), &change);
        assert_eq!(done.is_ok(), fits, "{mode:?} {seconds}");
    }
    let now = json!({ "dpd_probe_mode": "PERIODIC", "dpd_probe_interval": 60 });
    let refused = refused(&now, &[F::ProbeMode], with(on_demand, 1));
    assert_eq!(fields(&refused), ["probe_interval"]);
    // Without an interval, the default of the mode applies.
    let unsaid = Settings::DpdPolicy(DpdPolicy {
        probe_mode: on_demand,
        ..DpdPolicy::default()
    });
    let done = changed(&now, &[F::ProbeMode, F::ProbeInterval], unsaid);
    assert_eq!(done, json!({ "dpd_probe_mode": "ON_DEMAND" }));
    // A mode that no table knows may have any bounds.
    let now = json!({ "dpd_probe_mode": "LAZY", "dpd_probe_interval": 60 });
    let done = changed(&now, &[F::ProbeInterval], with(None, 2));
    assert_eq!(done["dpd_probe_interval"], 2);
}

#[test]
fn nothing_said_is_the_default() {
    let now = json!({
        "enabled": false, "dpd_probe_mode": "ON_DEMAND", "dpd_probe_interval": 5, "retry_count": 3,
    });
    let all = [F::Enabled, F::ProbeMode, F::ProbeInterval, F::RetryCount];
    let nothing = || Settings::DpdPolicy(DpdPolicy::default());
    let done = changed(&now, &all, nothing());
    assert_eq!(
        done,
        json!({
            "enabled": true, "dpd_probe_mode": "PERIODIC", "dpd_probe_interval": 60, "retry_count": 10,
        })
    );
    assert_eq!(changed(&done, &all, nothing()), Value::Null);
    assert_eq!(made(nothing()), json!({ "enabled": true }));
    let now = json!({
        "ike_version": "IKE_V1", "sa_life_time": 21_600, "dh_groups": ["GROUP2"],
    });
    let nothing = ike(IkePolicy::default());
    assert_eq!(
        changed(&now, &[F::IkeVersion, F::Lifetime, F::DhGroups], nothing),
        json!({ "ike_version": "IKE_V2", "sa_life_time": 86_400, "dh_groups": ["GROUP14"] })
    );
    let now = json!({
        "enable_perfect_forward_secrecy": false, "df_policy": "CLEAR", "sa_life_time": 900,
    });
    let nothing = Settings::IpsecPolicy(IpsecPolicy::default());
    assert_eq!(
        changed(
            &now,
            &[F::PerfectForwardSecrecy, F::DfPolicy, F::Lifetime],
            nothing
        ),
        json!({ "enable_perfect_forward_secrecy": true, "df_policy": "COPY", "sa_life_time": 3_600 })
    );
    let now = json!({ "enabled": false, "ipsec_ha_sync": false, "ike_log_level": "DEBUG" });
    let nothing = Settings::VpnService(VpnService::default());
    assert_eq!(
        changed(&now, &[F::AdminEnabled, F::HaSync, F::IkeLogLevel], nothing),
        json!({ "enabled": true, "ipsec_ha_sync": true })
    );
}

#[test]
fn what_nsx_does_not_change_is_accepted_if_it_stays() {
    let now = json!({ "logical_router_id": "r1" });
    let on = |router: &str| {
        Settings::VpnService(VpnService {
            router: router.to_owned(),
            ..VpnService::default()
        })
    };
    assert_eq!(changed(&now, &[F::Router], on("r1")), Value::Null);
    let refused_router = refused(&now, &[F::Router], on("r2"));
    assert_eq!(fields(&refused_router), ["router"]);
    assert!(refused_router[0].description.contains("`r1`"));

    let mode = |mode| {
        Settings::IpsecPolicy(IpsecPolicy {
            encapsulation_mode: mode,
            ..IpsecPolicy::default()
        })
    };
    let (tunnel, transport) = (EncapsulationMode::Tunnel, EncapsulationMode::Transport);
    for (word, fine, wrong) in [
        (
            json!("TUNNEL_MODE"),
            vec![None, Some(tunnel)],
            vec![Some(transport)],
        ),
        (json!(null), vec![None, Some(tunnel)], vec![Some(transport)]),
        (
            json!("BEET"),
            vec![None],
            vec![Some(tunnel), Some(transport)],
        ),
    ] {
        let now = json!({ "encapsulation_mode": word });
        for fine in fine {
            assert_eq!(
                changed(&now, &[F::EncapsulationMode], mode(fine)),
                Value::Null
            );
        }
        for wrong in wrong {
            let refused = refused(&now, &[F::EncapsulationMode], mode(wrong));
            assert_eq!(fields(&refused), ["encapsulation_mode"]);
        }
    }
    assert_eq!(made(mode(Some(tunnel))), json!({}));
}

fn rule(id: Option<&str>, action: Option<RuleAction>) -> PolicyRule {
    PolicyRule {
        id: id.map(str::to_owned),
        sources: vec!["10.0.0.0/8".to_owned()],
        destinations: vec!["10.1.0.0/16".to_owned()],
        action,
        ..PolicyRule::default()
    }
}

#[test]
fn rules_of_a_service_pass_traffic_by() {
    let with = |bypass_rules| {
        Settings::VpnService(VpnService {
            router: "r".to_owned(),
            bypass_rules,
            ..VpnService::default()
        })
    };
    let wire = |id: Value| {
        json!([{
            "id": id, "sources": [{ "subnet": "10.0.0.0/8" }], "destinations": [{ "subnet": "10.1.0.0/16" }],
            "enabled": true, "logged": false, "action": "BYPASS",
        }])
    };
    for action in [None, Some(RuleAction::Bypass)] {
        let mut sent = made(with(vec![rule(Some("7"), action)]));
        assert_eq!(sent["bypass_rules"].take(), wire(json!("7")));
        let now = json!({ "logical_router_id": "r", "bypass_rules": wire(json!("7")) });
        for id in [None, Some("7")] {
            let same = with(vec![rule(id, action)]);
            assert_eq!(changed(&now, &[F::BypassRules], same), Value::Null);
        }
        let none = changed(&now, &[F::BypassRules], with(Vec::new()));
        assert_eq!(none["bypass_rules"], json!([]));
    }
    let many = PolicyRule {
        sources: vec!["10.0.0.0/24".to_owned(); 129],
        ..PolicyRule::default()
    };
    let wrong = spec(with(vec![rule(None, Some(RuleAction::Protect)), many]));
    assert_eq!(
        fields(&refusals(&wrong, &|_| true, &|_| true)),
        ["bypass_rules[0].action", "bypass_rules[1].sources"]
    );
    assert_eq!(fields(&refusals(&wrong, &|_| false, &|_| true)), [""; 0]);
}

#[test]
fn the_service_of_a_local_endpoint_is_a_reference() {
    let with = |service: &str, address: &str| {
        Settings::LocalEndpoint(LocalEndpoint {
            vpn_service: Some(service.to_owned()),
            address: address.to_owned(),
            ..LocalEndpoint::default()
        })
    };
    assert_eq!(
        made(with("s1", "198.51.100.10")),
        json!({ "ipsec_vpn_service_id": { "target_id": "s1" }, "local_address": "198.51.100.10" })
    );
    let reference =
        json!({ "target_id": "s1", "target_type": "IPSecVPNService", "is_valid": true });
    let now = json!({ "ipsec_vpn_service_id": reference, "local_address": "198.51.100.10" });
    let read = inward::resource(ResourceKind::LocalEndpoint, &body(now.clone()));
    assert_eq!(read.spec.settings, with("s1", "198.51.100.10"));
    assert_eq!(
        Value::Object(read.native),
        json!({ "ipsec_vpn_service_id": { "target_type": "IPSecVPNService", "is_valid": true } })
    );
    let both = [F::VpnService, F::Address];
    assert_eq!(
        changed(&now, &both, with("s1", "198.51.100.10")),
        Value::Null
    );
    assert_eq!(
        changed(&now, &both, with("s2", "2001:db8::1")),
        json!({ "ipsec_vpn_service_id": { "target_id": "s2" }, "local_address": "2001:db8::1" })
    );
    for (address, expected) in [
        ("vpn.example", &["address"][..]),
        ("10.0.0.1", &[]),
        ("", &[]),
    ] {
        let refused = refusals(&spec(with("s", address)), &|_| true, &|_| true);
        assert_eq!(fields(&refused), expected);
    }
}

#[test]
fn a_level_that_nobody_knows_stays_until_another_is_wanted() {
    let with = |ike_log_level| {
        Settings::VpnService(VpnService {
            ike_log_level,
            ..VpnService::default()
        })
    };
    let now = json!({ "ike_log_level": "VERBOSE" });
    let level = &[F::IkeLogLevel];
    assert_eq!(changed(&now, level, with(None)), Value::Null);
    assert_eq!(
        changed(&now, level, with(Some(IkeLogLevel::Warn))),
        json!({ "ike_log_level": "WARN" })
    );
    assert_eq!(made(with(Some(IkeLogLevel::Info)))["ike_log_level"], "INFO");
}

/// A value that cannot be read is not the wanted one, even if the default is wanted.
#[test]
fn what_cannot_be_read_gives_way_to_what_is_wanted() {
    let now = json!({
        "enabled": "maybe", "dpd_probe_mode": {}, "dpd_probe_interval": -1, "retry_count": "many",
    });
    let all = [F::Enabled, F::ProbeMode, F::ProbeInterval, F::RetryCount];
    let nothing = Settings::DpdPolicy(DpdPolicy::default());
    assert_eq!(changed(&now, &all, nothing), Value::Null);
    let default = Settings::DpdPolicy(DpdPolicy {
        enabled: Some(true),
        probe_mode: Some(ProbeMode::Periodic),
        probe_interval_seconds: Some(60),
        retry_count: Some(10),
    });
    assert_eq!(
        changed(&now, &all, default),
        json!({
            "enabled": true, "dpd_probe_mode": "PERIODIC", "dpd_probe_interval": 60, "retry_count": 10,
        })
    );
}

#[test]
fn a_lifetime_is_in_seconds() {
    let (policy, read) = read_ike(json!({ "sa_life_time": 28_800 }));
    assert_eq!(policy.lifetime, Some(Lifetime::Seconds(28_800)));
    assert_eq!(read.native, Map::new());
    let (policy, read) = read_ike(json!({ "sa_life_time": -1 }));
    assert_eq!(
        (policy.lifetime, read.native["sa_life_time"].as_i64()),
        (None, Some(-1))
    );
}

#[test]
fn what_looks_like_a_secret_is_not_kept() {
    let (_, read) = read_ike(json!({ "psk": "canary", "x": { "password": "canary", "y": 1 } }));
    assert_eq!(Value::Object(read.native), json!({ "x": { "y": 1 } }));
}
