//! What becomes of a description on different kinds of clouds, each a table of capabilities.

mod clouds;
mod properties;

use super::*;
use crate::{
    core::error::Error,
    model::{
        Authentication, ClampDirection, ConnectionSpec, DeadPeerDetection, DpdAction, PolicyRule,
        Psk, ResourceField as F, ResourceKind, ResourceSpec, Selectors, Settings, TcpMssClamping,
        algorithm::{
            DfPolicy, DhGroup as D, EncryptionAlgorithm as E, IkeVersion, IntegrityAlgorithm as I,
            NegotiationMode, PrfAlgorithm as P,
        },
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, ProbeMode},
        topology::{IkeLogLevel, LocalEndpoint, VpnService},
    },
};
use clouds::{NOTHING, ONE, SEVERAL, ZONED};

fn description(parts: impl IntoIterator<Item = Settings>) -> NewConnection {
    let part = |settings: Settings| {
        let kind = settings.kind();
        let spec = ResourceSpec {
            settings,
            ..ResourceSpec::none(kind)
        };
        (kind, spec)
    };
    NewConnection {
        spec: ConnectionSpec {
            display_name: "branch 42 of all".into(),
            authentication: Some(Authentication::Psk(Psk::new("canary"))),
            selectors: Some(Selectors::Rules(vec![PolicyRule::default()])),
            ..ConnectionSpec::default()
        },
        parts: parts.into_iter().map(part).collect(),
        ..NewConnection::default()
    }
}

fn some<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    values.iter().copied().map(Some).collect()
}

fn ike(fitted: &Fitted) -> &IkePolicy {
    match &fitted.wanted.parts[&ResourceKind::IkePolicy].settings {
        Settings::IkePolicy(policy) => policy,
        other => panic!("{other:?}"),
    }
}

fn dpd(fitted: &Fitted) -> &DpdPolicy {
    match &fitted.wanted.parts[&ResourceKind::DpdPolicy].settings {
        Settings::DpdPolicy(policy) => policy,
        other => panic!("{other:?}"),
    }
}

fn warned(fitted: &Fitted) -> Vec<&str> {
    fitted.warnings.iter().map(|it| &*it.field).collect()
}

fn refused(fitted: &Fitted) -> Vec<&str> {
    fitted.violations.iter().map(|it| &*it.field).collect()
}

#[test]
fn of_a_list_what_is_taken_is_kept_in_its_order() {
    let proposals = description([Settings::IkePolicy(IkePolicy {
        ike_version: Some(IkeVersion::V2OrV1),
        encryption_algorithms: some(&[E::AesGcm16x256, E::AesCbc256, E::AesCbc128]),
        integrity_algorithms: some(&[I::HmacSha2x384x192, I::HmacSha2x256x128, I::HmacSha1x96]),
        prf_algorithms: some(&[P::HmacSha2x384, P::HmacSha2x256, P::HmacSha1]),
        dh_groups: some(&[D::Modp2048, D::Ecp256]),
        ..IkePolicy::default()
    })]);
    let several = fit(proposals.clone(), &SEVERAL);
    assert_eq!((warned(&several), refused(&several)), (vec![], vec![]));
    assert_eq!(ike(&several).ike_version, Some(IkeVersion::V2OrV1));
    let first = some(&[E::AesGcm16x256, E::AesCbc256]);
    assert_eq!(ike(&several).encryption_algorithms, first, "at most two");

    let one = fit(proposals, &ONE);
    assert_eq!(refused(&one), Vec::<&str>::new());
    assert_eq!(
        warned(&one),
        [
            "parts.ike_policy.ike_version",
            "parts.ike_policy.encryption_algorithms",
            "parts.ike_policy.integrity_algorithms",
            "parts.ike_policy.prf_algorithms",
        ],
        "the first group is taken"
    );
    let policy = ike(&one);
    assert_eq!(policy.ike_version, Some(IkeVersion::V2));
    assert_eq!(policy.encryption_algorithms, some(&[E::AesCbc256]));
    assert_eq!(policy.integrity_algorithms, some(&[I::HmacSha2x256x128]));
    assert_eq!(policy.prf_algorithms, some(&[P::HmacSha2x256]));
    assert_eq!(policy.dh_groups, some(&[D::Modp2048]));
    assert_eq!(
        one.warnings[1].message,
        "this backend does not take ENCRYPTION_ALGORITHM_AES_GCM_16_256: ENCRYPTION_ALGORITHM_AES_CBC_256 is used; accepts \
         one of ENCRYPTION_ALGORITHM_AES_CBC_128, ENCRYPTION_ALGORITHM_AES_CBC_256"
    );
}

#[test]
fn a_list_of_which_nothing_is_taken_is_refused_with_what_would_be() {
    let fitted = fit(
        description([Settings::IkePolicy(IkePolicy {
            dh_groups: some(&[D::Ecp384, D::Ecp256]),
            ..IkePolicy::default()
        })]),
        &ONE,
    );
    assert_eq!(fitted.violations.len(), 1);
    let violation = &fitted.violations[0];
    assert_eq!(violation.field, "parts.ike_policy.dh_groups");
    assert_eq!(
        violation.description,
        "this backend takes none of DH_GROUP_ECP_384, DH_GROUP_ECP_256; accepts one of DH_GROUP_MODP_1024, DH_GROUP_MODP_2048"
    );
}

/// A list that is invalid on every cloud is not cut until it is valid.
#[test]
fn what_is_malformed_is_left_for_the_check() {
    for groups in [
        vec![Some(D::Modp2048), None],
        some(&[D::Modp2048, D::Modp2048]),
    ] {
        let wanted = description([Settings::IkePolicy(IkePolicy {
            dh_groups: groups.clone(),
            ..IkePolicy::default()
        })]);
        let fitted = fit(wanted, &ONE);
        assert_eq!(ike(&fitted).dh_groups, groups);
    }
}

/// Every cloud has one setting for integrity and PRF: an index is kept in both lists or in neither.
#[test]
fn lists_of_the_same_hashes_stay_so() {
    let wanted = |integrity: &[I], prf: &[P]| {
        description([Settings::IkePolicy(IkePolicy {
            integrity_algorithms: some(integrity),
            prf_algorithms: some(prf),
            ..IkePolicy::default()
        })])
    };
    let both = [I::HmacSha1x96, I::AesXcbc96, I::HmacSha2x256x128];
    let prf = [P::HmacSha2x512, P::Aes128Xcbc, P::HmacSha2x256];
    let fitted = fit(wanted(&both, &prf), &ONE);
    assert_eq!(
        ike(&fitted).integrity_algorithms,
        some(&[I::HmacSha2x256x128])
    );
    assert_eq!(ike(&fitted).prf_algorithms, some(&[P::HmacSha2x256]));

    let fitted = fit(wanted(&both[..1], &prf[..1]), &ONE);
    assert_eq!(
        refused(&fitted),
        [
            "parts.ike_policy.integrity_algorithms",
            "parts.ike_policy.prf_algorithms"
        ]
    );
    // A list without a counterpart is cut on its own.
    let fitted = fit(wanted(&both, &[]), &ONE);
    assert_eq!(ike(&fitted).integrity_algorithms, some(&[I::HmacSha1x96]));
    assert!(ike(&fitted).prf_algorithms.is_empty());
}

fn with_dpd(
    action: Option<DpdAction>,
    interval: Option<u32>,
    timeout: Option<u32>,
) -> NewConnection {
    let mut wanted = description([]);
    wanted.spec.dpd = Some(DeadPeerDetection {
        action,
        interval_seconds: interval,
        timeout_seconds: timeout,
    });
    wanted
}

#[test]
fn detection_becomes_a_profile_where_a_cloud_keeps_one() {
    let nothing: &[&str] = &[];
    for (action, interval, timeout, profile, warnings) in [
        (None, None, None, (true, 30, 4), nothing),
        (None, Some(10), Some(60), (true, 10, 6), nothing),
        (None, Some(10), None, (true, 10, 12), nothing),
        (None, None, Some(100), (true, 30, 4), &["dpd.timeout"]),
        (None, Some(100), Some(101), (true, 100, 2), &["dpd.timeout"]),
        (
            Some(DpdAction::Restart),
            Some(20),
            Some(50),
            (true, 20, 3),
            &["dpd.action", "dpd.timeout"],
        ),
        (
            Some(DpdAction::Disabled),
            None,
            Some(100),
            (false, 30, 4),
            nothing,
        ),
    ] {
        let fitted = fit(with_dpd(action, interval, timeout), &SEVERAL);
        let policy = dpd(&fitted);
        let found = (
            policy.enabled.unwrap(),
            policy.probe_interval_seconds.unwrap(),
            policy.retry_count.unwrap(),
        );
        assert_eq!(found, profile);
        assert_eq!(policy.probe_mode, Some(ProbeMode::Periodic));
        assert_eq!(warned(&fitted), warnings);
        assert_eq!(refused(&fitted), nothing);
        assert_eq!(fitted.wanted.spec.dpd, None);
    }
    let inexact = fit(with_dpd(None, None, Some(100)), &SEVERAL);
    assert_eq!(
        inexact.warnings[0].message,
        "this backend counts probes and no seconds: the peer counts as dead after 4 probes, 120 s"
    );
    let inline = fit(with_dpd(None, None, Some(100)), &ONE);
    assert!(inline.wanted.spec.dpd.is_some() && inline.wanted.parts.is_empty());
}

#[test]
fn detection_that_is_no_profile_is_refused_by_what_was_written() {
    for (interval, timeout) in [
        (None, Some(30)),
        (Some(120), None),
        (Some(u32::MAX), Some(7)),
    ] {
        let fitted = fit(with_dpd(None, interval, timeout), &SEVERAL);
        assert_eq!(refused(&fitted), ["dpd.timeout"]);
    }
    // The gRPC layer reports a malformed time.
    let fitted = fit(with_dpd(None, Some(0), Some(0)), &SEVERAL);
    assert_eq!(refused(&fitted), Vec::<&str>::new());

    let mut referring = with_dpd(None, None, None);
    referring.spec.dpd_policy = Some("profile".to_owned());
    let fitted = fit(referring, &SEVERAL);
    assert_eq!(refused(&fitted), ["dpd"]);
    assert!(fitted.violations[0].description.contains("`dpd_policy`"));

    let mut both = description([Settings::DpdPolicy(DpdPolicy::default())]);
    both.spec.dpd = Some(DeadPeerDetection::default());
    let fitted = fit(both, &SEVERAL);
    assert_eq!(refused(&fitted), ["dpd"]);
    assert_eq!(dpd(&fitted), &DpdPolicy::default(), "what was given stays");
}

#[test]
fn what_is_wrong_is_told_by_the_path_that_was_written() {
    let fitted = fit(with_dpd(None, Some(2), Some(4)), &SEVERAL);
    for (path, written) in [
        ("parts.dpd_policy.probe_interval", "dpd.interval"),
        ("parts.dpd_policy.retry_count", "dpd.timeout"),
        ("parts.dpd_policy.enabled", "dpd.action"),
        ("parts.dpd_policy.probe_mode", "dpd"),
        ("parts.dpd_policy", "dpd"),
        ("parts.dpd_policy.display_name", "display_name"),
        (
            "parts.ike_policy.dh_groups[1]",
            "parts.ike_policy.dh_groups[1]",
        ),
        (
            "policy_based.rules[0].sources",
            "policy_based.rules[0].sources",
        ),
        ("", ""),
    ] {
        assert_eq!(fitted.path(path), written);
    }
    let wrong = |field: &str| crate::core::error::Violation::new(field, "is too long");
    let told = fitted.told(vec![
        wrong("display_name"),
        wrong("parts.dpd_policy.display_name"),
        wrong("mtu"),
    ]);
    assert_eq!(told, [wrong("display_name"), wrong("mtu")]);
    let error = Error::not_expressible(vec![wrong("parts.dpd_policy.probe_interval")]);
    let error = fitted.told_error(error);
    assert_eq!(error.message, "`dpd.interval`: is too long");

    // A policy that the caller wrote keeps its path.
    let own = fit(
        description([Settings::DpdPolicy(DpdPolicy::default())]),
        &SEVERAL,
    );
    let path = "parts.dpd_policy.probe_interval";
    assert_eq!(own.path(path), path);
}

fn endpoint(change: impl FnOnce(&mut LocalEndpoint)) -> NewConnection {
    let mut endpoint = LocalEndpoint {
        address: "203.0.113.4".to_owned(),
        ..LocalEndpoint::default()
    };
    change(&mut endpoint);
    description([Settings::LocalEndpoint(endpoint)])
}

#[test]
fn an_address_is_left_out_where_the_cloud_chooses_it_and_an_identity_is_not() {
    let kept = fit(endpoint(|_| {}), &SEVERAL);
    assert!(kept.wanted.has(ResourceKind::LocalEndpoint) && kept.warnings.is_empty());
    let chosen = fit(endpoint(|_| {}), &ONE);
    assert!(chosen.wanted.parts.is_empty());
    assert_eq!(warned(&chosen), ["parts.local_endpoint.address"]);
    assert_eq!(refused(&chosen), Vec::<&str>::new());

    let whole = endpoint(|it| {
        it.vpn_service = Some("other".into());
        it.local_id = Some("site.example".into());
        it.certificate = Some("c".into());
        it.trusted_authorities = vec!["a".into()];
        it.revocation_lists = vec!["r".into()];
    });
    let fitted = fit(whole, &ONE);
    let of_part = |it| format!("parts.local_endpoint.{it}");
    let fields = [
        "local_id",
        "certificate",
        "trusted_authorities",
        "revocation_lists",
        "vpn_service",
    ];
    assert_eq!(refused(&fitted), fields.map(of_part));
    let mut same = endpoint(|it| it.vpn_service = Some("service".into()));
    same.spec.vpn_service = Some("service".into());
    assert_eq!(refused(&fit(same, &ONE)), Vec::<&str>::new());
}

#[test]
fn a_zone_is_that_of_all_that_says_none() {
    let parts = || {
        description([
            Settings::IkePolicy(IkePolicy::default()),
            Settings::IpsecPolicy(IpsecPolicy::default()),
            Settings::VpnService(VpnService::default()),
        ])
    };
    let zones = |fitted: &Fitted| {
        let parts = fitted.wanted.parts.values();
        let parts = parts.map(|it| it.availability_zone.clone().unwrap_or_default());
        let own = fitted.wanted.spec.availability_zone.clone();
        [own.unwrap_or_default()]
            .into_iter()
            .chain(parts)
            .collect::<Vec<_>>()
    };
    let service = ResourceKind::VpnService;
    let mut of_service = parts();
    of_service
        .parts
        .get_mut(&service)
        .unwrap()
        .availability_zone = Some("east".into());
    let fitted = fit(of_service.clone(), &ZONED);
    assert_eq!(zones(&fitted), ["east", "east", "", "east"]);
    let written = "parts.vpn_service.availability_zone";
    for path in [
        "availability_zone",
        "parts.ike_policy.availability_zone",
        written,
    ] {
        assert_eq!(fitted.path(path), written);
    }
    let mut of_connection = parts();
    of_connection.spec.availability_zone = Some("west".into());
    let fitted = fit(of_connection, &ZONED);
    assert_eq!(zones(&fitted), ["west", "west", "", "west"]);
    assert_eq!(fitted.path(written), "availability_zone");
    // The zone belongs to the attachment: a cloud without zones refuses it.
    let fitted = fit(of_service, &ONE);
    assert_eq!(zones(&fitted), ["", "", "", "east"]);
    assert_eq!(zones(&fit(parts(), &ZONED)), ["", "", "", ""]);
}

#[test]
fn a_part_without_a_name_has_the_connections_where_it_needs_one() {
    let wanted = || {
        description([
            Settings::IkePolicy(IkePolicy::default()),
            Settings::VpnService(VpnService::default()),
        ])
    };
    let name = |fitted: &Fitted, kind| fitted.wanted.parts[&kind].display_name.clone();
    let fitted = fit(wanted(), &ONE);
    assert_eq!(name(&fitted, ResourceKind::IkePolicy), "branch 4", "cut");
    assert_eq!(name(&fitted, ResourceKind::VpnService), "");
    assert_eq!(fitted.path("parts.ike_policy.display_name"), "display_name");
    let mut named = wanted();
    let part = named.parts.get_mut(&ResourceKind::IkePolicy).unwrap();
    part.display_name = "gold".into();
    assert_eq!(name(&fit(named, &ONE), ResourceKind::IkePolicy), "gold");
    let mut nameless = wanted();
    nameless.spec.display_name.clear();
    assert_eq!(name(&fit(nameless, &ONE), ResourceKind::IkePolicy), "");
}

#[test]
fn what_goes_without_saying_is_no_reason_to_refuse() {
    let mut wanted = description([
        Settings::IkePolicy(IkePolicy {
            ike_version: Some(IkeVersion::V1),
            negotiation_mode: Some(NegotiationMode::Main),
            ..IkePolicy::default()
        }),
        Settings::IpsecPolicy(IpsecPolicy {
            df_policy: Some(DfPolicy::Copy),
            ..IpsecPolicy::default()
        }),
        Settings::VpnService(VpnService {
            ike_log_level: Some(IkeLogLevel::Info),
            ha_sync: Some(true),
            ..VpnService::default()
        }),
    ]);
    wanted.spec.mtu = Some(1500);
    wanted.spec.tcp_mss_clamping = Some(TcpMssClamping {
        direction: ClampDirection::None,
        max_segment_size: None,
    });
    let several = fit(wanted.clone(), &SEVERAL);
    assert_eq!(
        warned(&several),
        ["mtu", "parts.ike_policy.negotiation_mode"]
    );
    assert_eq!(ike(&several).negotiation_mode, None);
    assert_eq!(several.wanted.spec.mtu, None);
    assert!(several.wanted.spec.tcp_mss_clamping.is_some());
    let one = fit(wanted, &ONE);
    assert_eq!(
        warned(&one),
        [
            "parts.ipsec_policy.df_policy",
            "parts.vpn_service.ike_log_level",
            "parts.vpn_service.ha_sync",
        ]
    );
    assert_eq!(one.wanted.spec.mtu, Some(1500));
    assert_eq!(one.wanted.spec.tcp_mss_clamping, None);
    let settings = |kind| &one.wanted.parts[&kind].settings;
    for kind in [ResourceKind::IpsecPolicy, ResourceKind::VpnService] {
        assert_eq!(*settings(kind), Settings::none(kind));
    }
}

#[test]
fn what_is_meant_otherwise_stays_to_be_refused() {
    let mode = |version, mode| {
        let wanted = description([Settings::IkePolicy(IkePolicy {
            ike_version: version,
            negotiation_mode: Some(mode),
            ..IkePolicy::default()
        })]);
        let fitted = fit(wanted, &SEVERAL);
        (ike(&fitted).negotiation_mode, fitted.warnings.len())
    };
    let (main, aggressive) = (NegotiationMode::Main, NegotiationMode::Aggressive);
    // IKEv2 has no modes, so nothing is lost.
    assert_eq!(mode(Some(IkeVersion::V2), aggressive), (None, 0));
    assert_eq!(mode(Some(IkeVersion::V2), main), (None, 0));
    assert_eq!(mode(None, main), (None, 1));
    assert_eq!(mode(None, aggressive), (Some(aggressive), 0));

    let mut wanted = description([Settings::IpsecPolicy(IpsecPolicy {
        df_policy: Some(DfPolicy::Clear),
        ..IpsecPolicy::default()
    })]);
    let clamping = TcpMssClamping {
        direction: ClampDirection::Both,
        max_segment_size: None,
    };
    wanted.spec.tcp_mss_clamping = Some(clamping);
    wanted.spec.mtu = Some(1400);
    let one = fit(wanted.clone(), &ONE);
    assert_eq!(one.wanted.spec.tcp_mss_clamping, Some(clamping));
    let bits = &one.wanted.parts[&ResourceKind::IpsecPolicy].settings;
    assert_eq!(bits, &wanted.parts[&ResourceKind::IpsecPolicy].settings);
    assert_eq!(fit(wanted, &SEVERAL).wanted.spec.mtu, Some(1400));
}
