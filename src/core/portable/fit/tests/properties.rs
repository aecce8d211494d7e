//! Properties of every description.

use super::*;
use crate::{
    core::{portable::fit::dead_peer::described, resource_check::refuse_create},
    model::algorithm::Named,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Lists of known values without duplicates.
fn list<T: Named>() -> impl Strategy<Value = Vec<Option<T>>> {
    vec(select(T::ALL), 0..6).prop_map(|values| {
        let mut each = Vec::new();
        for value in values {
            if !each.contains(&Some(value)) {
                each.push(Some(value));
            }
        }
        each
    })
}

fn one<T: Named>() -> impl Strategy<Value = Option<T>> {
    option::of(select(T::ALL))
}

prop_compose! {
    fn ike_policy()(
        ike_version in one(),
        negotiation_mode in one(),
        encryption_algorithms in list(),
        integrity_algorithms in list(),
        prf_algorithms in list(),
        dh_groups in list(),
    ) -> Settings {
        Settings::IkePolicy(IkePolicy {
            ike_version,
            negotiation_mode,
            encryption_algorithms,
            integrity_algorithms,
            prf_algorithms,
            dh_groups,
            lifetime: None,
        })
    }
}

prop_compose! {
    fn ipsec_policy()(
        encryption_algorithms in list(),
        integrity_algorithms in list(),
        dh_groups in list(),
        df_policy in one(),
    ) -> Settings {
        Settings::IpsecPolicy(IpsecPolicy {
            encryption_algorithms,
            integrity_algorithms,
            dh_groups,
            df_policy,
            ..IpsecPolicy::default()
        })
    }
}

fn detection() -> impl Strategy<Value = DeadPeerDetection> {
    let action = option::of(select(vec![
        DpdAction::Hold,
        DpdAction::Clear,
        DpdAction::Disabled,
    ]));
    let seconds = || option::of(prop_oneof![0..500_u32, any::<u32>()]);
    (action, seconds(), seconds()).prop_map(|(action, interval_seconds, timeout_seconds)| {
        DeadPeerDetection {
            action,
            interval_seconds,
            timeout_seconds,
        }
    })
}

prop_compose! {
    fn site()(
        ike in option::of(ike_policy()),
        ipsec in option::of(ipsec_policy()),
        log_level in one(),
        zone in option::of(Just("east".to_owned())),
        with_endpoint in any::<bool>(),
        local_id in option::of(Just("site.example".to_owned())),
        dpd in option::of(detection()),
        mtu in option::of(select(vec![1400, 1500])),
        display_name in "[a-z]{0,12}",
    ) -> NewConnection {
        let endpoint = Settings::LocalEndpoint(LocalEndpoint {
            address: "203.0.113.4".to_owned(),
            local_id,
            ..LocalEndpoint::default()
        });
        let service = Settings::VpnService(VpnService {
            ike_log_level: log_level,
            ..VpnService::default()
        });
        let parts = [ike, ipsec, Some(service), with_endpoint.then_some(endpoint)];
        let mut site = description(parts.into_iter().flatten());
        site.parts.get_mut(&ResourceKind::VpnService).unwrap().availability_zone = zone;
        site.spec.dpd = dpd;
        site.spec.mtu = mtu;
        site.spec.display_name = display_name;
        site
    }
}

fn cloud() -> impl Strategy<Value = Capabilities> {
    select(vec![SEVERAL, ONE, ZONED, NOTHING])
}

fn text(wanted: &NewConnection) -> String {
    format!("{wanted:?}")
}

const LISTS: [F; 4] = [
    F::EncryptionAlgorithms,
    F::IntegrityAlgorithms,
    F::PrfAlgorithms,
    F::DhGroups,
];

proptest! {
    #[test]
    fn what_is_fitted_fits_as_it_is(site in site(), cloud in cloud()) {
        let once = fit(site, &cloud);
        let twice = fit(once.wanted.clone(), &cloud);
        prop_assert_eq!(text(&once.wanted), text(&twice.wanted));
        prop_assert_eq!(&twice.warnings, &vec![]);
        prop_assert_eq!(&twice.violations, &vec![]);
    }

    #[test]
    fn no_list_that_was_fitted_is_refused(
        site in site(),
        cloud in select(vec![SEVERAL, ONE]),
    ) {
        let fitted = fit(site, &cloud);
        for part in fitted.wanted.parts.values() {
            let refused = refuse_create(&cloud, part);
            let lists = LISTS.map(F::path);
            let of_lists: Vec<_> = refused.iter().filter(|it| lists.contains(&&*it.field)).collect();
            prop_assert!(of_lists.is_empty(), "{:?}", of_lists);
        }
    }

    /// A list changes only if it has to.
    #[test]
    fn a_list_that_a_cloud_takes_whole_is_left_alone(
        site in site(),
        cloud in select(vec![SEVERAL, ONE]),
    ) {
        let fitted = fit(site.clone(), &cloud);
        for (kind, part) in &site.parts {
            let refused = refuse_create(&cloud, part);
            let is_refused = |field: F| refused.iter().any(|it| it.field == field.path());
            // An index is kept in both lists or in neither.
            let hashes = is_refused(F::IntegrityAlgorithms) || is_refused(F::PrfAlgorithms);
            let Some(now) = fitted.wanted.parts.get(kind) else { continue };
            for field in LISTS {
                let is_hash = field == F::IntegrityAlgorithms || field == F::PrfAlgorithms;
                if !(is_refused(field) || is_hash && hashes) {
                    prop_assert_eq!(lists(&now.settings, field), lists(&part.settings, field));
                }
            }
        }
    }

    /// What is kept is a sublist of what was described, in the same order. A different first value is a warning, an
    /// empty list a violation.
    #[test]
    fn what_is_kept_was_described(site in site(), cloud in select(vec![SEVERAL, ONE])) {
        let fitted = fit(site.clone(), &cloud);
        for (kind, part) in &site.parts {
            let Some(now) = fitted.wanted.parts.get(kind) else { continue };
            for field in LISTS {
                let (was, now) = (lists(&part.settings, field), lists(&now.settings, field));
                let mut rest = was.iter();
                prop_assert!(now.iter().all(|it| rest.any(|other| other == it)));
                let path = format!("{}.{}", crate::core::writes::joint::path(*kind), field.path());
                let warned = fitted.warnings.iter().any(|it| it.field == path);
                let refused = fitted.violations.iter().any(|it| it.field == path);
                prop_assert_eq!(warned, !now.is_empty() && now.first() != was.first());
                prop_assert_eq!(refused, now.is_empty() && !was.is_empty());
            }
        }
    }

    #[test]
    fn detection_survives_the_way_there_and_back(dpd in detection()) {
        let mut site = description([]);
        site.spec.dpd = Some(dpd);
        let fitted = fit(site, &SEVERAL);
        let is_refused = !fitted.violations.is_empty() || dpd.interval_seconds == Some(0);
        prop_assume!(!is_refused);
        let Settings::DpdPolicy(policy) = &fitted.wanted.parts[&ResourceKind::DpdPolicy].settings
        else { unreachable!() };
        let is_off = |dpd: DeadPeerDetection| dpd.action == Some(DpdAction::Disabled);
        // The timeout overflows when rounded up to whole probes, so there is no form to convert back to.
        let Some(back) = described(policy) else {
            prop_assert!(is_off(dpd) || fitted.warnings.iter().any(|it| it.field == "dpd.timeout"));
            return Ok(());
        };
        let (interval, timeout) = (dpd.interval_seconds.unwrap_or(30), dpd.timeout_seconds.unwrap_or(120));
        let (found, silence) = (back.interval_seconds.unwrap(), back.timeout_seconds.unwrap());
        prop_assert_eq!(found, interval);
        prop_assert!(silence >= timeout && silence - timeout < interval, "not sooner, and by less than a probe");
        prop_assert_eq!(is_off(back), is_off(dpd));
        if !is_off(dpd) {
            let warned = fitted.warnings.iter().any(|it| it.field == "dpd.timeout");
            prop_assert_eq!(warned, silence != timeout);
        }
    }

    #[test]
    fn a_profile_that_can_be_described_is_made_again(
        enabled in any::<Option<bool>>(),
        probe_mode in one(),
        interval in option::of(0..400_u32),
        retry_count in option::of(-1..30_i32),
    ) {
        let policy = DpdPolicy { enabled, probe_mode, probe_interval_seconds: interval, retry_count };
        let whole = enabled.is_some() && probe_mode == Some(ProbeMode::Periodic);
        let counts = interval.is_some_and(|it| it > 0) && retry_count.is_some_and(|it| it > 1);
        prop_assert_eq!(described(&policy).is_some(), whole && counts);
        if let Some(dpd) = described(&policy) {
            let mut site = description([]);
            site.spec.dpd = Some(dpd);
            let fitted = fit(site, &SEVERAL);
            prop_assert_eq!(&fitted.wanted.parts[&ResourceKind::DpdPolicy].settings, &Settings::DpdPolicy(policy));
            prop_assert_eq!((fitted.warnings.len(), fitted.violations.len()), (0, 0));
        }
    }
}

fn lists(settings: &Settings, field: F) -> Vec<String> {
    fn texts<T: Named>(values: &[Option<T>]) -> Vec<String> {
        let text = |it: &Option<T>| it.map_or(String::new(), |it| it.as_str().to_owned());
        values.iter().map(text).collect()
    }
    match (settings, field) {
        (Settings::IkePolicy(it), F::EncryptionAlgorithms) => texts(&it.encryption_algorithms),
        (Settings::IkePolicy(it), F::IntegrityAlgorithms) => texts(&it.integrity_algorithms),
        (Settings::IkePolicy(it), F::PrfAlgorithms) => texts(&it.prf_algorithms),
        (Settings::IkePolicy(it), F::DhGroups) => texts(&it.dh_groups),
        (Settings::IpsecPolicy(it), F::EncryptionAlgorithms) => texts(&it.encryption_algorithms),
        (Settings::IpsecPolicy(it), F::IntegrityAlgorithms) => texts(&it.integrity_algorithms),
        (Settings::IpsecPolicy(it), F::DhGroups) => texts(&it.dh_groups),
        _ => Vec::new(),
    }
}
