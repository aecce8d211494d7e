//! Strategies for every value that NSX can express.

use crate::{
    core::dialect::ResourceCapabilities,
    dialects::nsx::manager::resources::kinds::KINDS,
    model::{
        PolicyRule, ResourceKind, ResourceSpec, RuleAction, Settings,
        algorithm::Named,
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime, ProbeMode},
        topology::{IkeLogLevel, LocalEndpoint, VpnService},
    },
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
};

fn some_of<T: Named>(values: &'static [T]) -> BoxedStrategy<Vec<Option<T>>> {
    vec(select(values).prop_map(Some), 0..4).boxed()
}

fn one_of<T: Named>(values: &'static [T]) -> BoxedStrategy<Option<T>> {
    option::of(select(values)).boxed()
}

fn seconds(kind: &ResourceCapabilities) -> BoxedStrategy<Option<Lifetime>> {
    let range = kind.lifetime_seconds.clone().unwrap();
    option::of(range.prop_map(Lifetime::Seconds)).boxed()
}

fn text() -> BoxedStrategy<String> {
    "[a-zä \"\\\\]{0,8}".boxed()
}

fn texts() -> BoxedStrategy<Vec<String>> {
    vec(text(), 0..3).boxed()
}

fn some_text() -> BoxedStrategy<Option<String>> {
    option::of("[a-z0-9]{1,6}").boxed()
}

fn networks() -> BoxedStrategy<Vec<String>> {
    vec(
        select(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"][..]),
        0..3,
    )
    .prop_map(|networks| networks.into_iter().map(str::to_owned).collect())
    .boxed()
}

/// Rules without ids, or each with an id of its own.
fn rules() -> BoxedStrategy<Vec<PolicyRule>> {
    let parts = (
        networks(),
        networks(),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        any::<bool>(),
    );
    let rule = parts.prop_map(
        |(sources, destinations, enabled, logged, acts)| PolicyRule {
            id: None,
            sources,
            destinations,
            enabled,
            logged,
            action: acts.then_some(RuleAction::Bypass),
        },
    );
    vec((rule, any::<bool>()), 0..3)
        .prop_map(|rules| {
            let rules = rules.into_iter().enumerate();
            let rule = |(place, (rule, has_id)): (usize, (PolicyRule, bool))| PolicyRule {
                id: has_id.then(|| format!("rule {place}")),
                ..rule
            };
            rules.map(rule).collect()
        })
        .boxed()
}

fn ike(kind: &'static ResourceCapabilities) -> BoxedStrategy<Settings> {
    let parts = (
        one_of(kind.ike_versions),
        some_of(kind.encryption),
        some_of(kind.integrity),
        some_of(kind.prf),
        some_of(kind.dh_groups),
        seconds(kind),
    );
    let policy = parts.prop_map(
        |(version, encryption, integrity, prf, dh_groups, lifetime)| {
            // Both fields stand for the same hashes, so only one of them is set.
            let prf = if integrity.is_empty() {
                prf
            } else {
                Vec::new()
            };
            Settings::IkePolicy(IkePolicy {
                ike_version: version,
                negotiation_mode: None,
                encryption_algorithms: encryption,
                integrity_algorithms: integrity,
                prf_algorithms: prf,
                dh_groups,
                lifetime,
            })
        },
    );
    policy.boxed()
}

fn ipsec(kind: &'static ResourceCapabilities) -> BoxedStrategy<Settings> {
    let parts = (
        some_of(kind.encryption),
        some_of(kind.integrity),
        any::<Option<bool>>(),
        some_of(kind.dh_groups),
        seconds(kind),
        one_of(kind.df_policies),
    );
    let policy = parts.prop_map(
        |(encryption, integrity, pfs, dh_groups, lifetime, df_policy)| {
            Settings::IpsecPolicy(IpsecPolicy {
                transform_protocol: None,
                encapsulation_mode: None,
                encryption_algorithms: encryption,
                integrity_algorithms: integrity,
                perfect_forward_secrecy: pfs,
                dh_groups,
                lifetime,
                df_policy,
            })
        },
    );
    policy.boxed()
}

fn dpd() -> BoxedStrategy<Settings> {
    let parts = (
        any::<Option<bool>>(),
        one_of(ProbeMode::ALL),
        option::of(3_u32..=10),
        option::of(1..=100),
    );
    let policy = parts.prop_map(|(enabled, probe_mode, interval, retry_count)| {
        Settings::DpdPolicy(DpdPolicy {
            enabled,
            probe_mode,
            probe_interval_seconds: interval,
            retry_count,
        })
    });
    policy.boxed()
}

fn service() -> BoxedStrategy<Settings> {
    let parts = (
        any::<Option<bool>>(),
        rules(),
        one_of(IkeLogLevel::ALL),
        any::<Option<bool>>(),
    );
    let service = parts.prop_map(|(admin_enabled, bypass_rules, ike_log_level, ha_sync)| {
        Settings::VpnService(VpnService {
            admin_enabled,
            router: "router".to_owned(),
            bypass_rules,
            ike_log_level,
            ha_sync,
            ..VpnService::default()
        })
    });
    service.boxed()
}

fn local_endpoint() -> BoxedStrategy<Settings> {
    let address = select(&["198.51.100.10", "2001:db8::10"][..]);
    let parts = (
        "[a-z]{1,4}",
        address,
        some_text(),
        some_text(),
        texts(),
        texts(),
    );
    let endpoint = parts.prop_map(|(service, address, local_id, certificate, cas, crls)| {
        Settings::LocalEndpoint(LocalEndpoint {
            vpn_service: Some(service),
            address: address.to_owned(),
            local_id,
            certificate,
            trusted_authorities: cas,
            revocation_lists: crls,
        })
    });
    endpoint.boxed()
}

fn settings(kind: &'static ResourceCapabilities) -> BoxedStrategy<Settings> {
    match kind.kind {
        ResourceKind::IkePolicy => ike(kind),
        ResourceKind::IpsecPolicy => ipsec(kind),
        ResourceKind::DpdPolicy => dpd(),
        ResourceKind::VpnService => service(),
        ResourceKind::LocalEndpoint => local_endpoint(),
        ResourceKind::EndpointGroup => unreachable!("NSX has none"),
    }
}

/// Everything that can be expressed of a kind.
pub fn specs_of(kind: &'static ResourceCapabilities) -> BoxedStrategy<ResourceSpec> {
    let parts = (text(), text(), settings(kind));
    let spec = parts.prop_map(|(display_name, description, settings)| ResourceSpec {
        display_name,
        description,
        availability_zone: None,
        settings,
    });
    spec.boxed()
}

/// Everything that can be expressed, of any kind.
pub fn specs() -> BoxedStrategy<ResourceSpec> {
    let kind = any::<Index>().prop_map(|at| at.get(KINDS));
    kind.prop_flat_map(specs_of).boxed()
}
