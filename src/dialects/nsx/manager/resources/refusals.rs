//! What a resource can ask for that NSX cannot express, beyond the capabilities: combinations of two fields, and values
//! with a format of their own. Pure.

use crate::{
    core::error::Violation,
    model::{
        PolicyRule, ResourceChange, ResourceField as F, ResourceSpec, RuleAction, Settings,
        algorithm::{EncryptionAlgorithm as E, IkeVersion, Named},
        policy::{DpdPolicy, IkePolicy, ProbeMode},
        topology::{LocalEndpoint, VpnService},
    },
};
use std::net::IpAddr;

/// A predicate on fields.
pub type Which<'a> = &'a dyn Fn(F) -> bool;

/// The most subnets on one side of a rule (NSX Policy Python SDK 4.2.0).
const SUBNETS: usize = 128;

/// Returns what is wrong with the fields that are written, as far as the fields they depend on are known.
pub fn refusals(spec: &ResourceSpec, is_written: Which<'_>, is_known: Which<'_>) -> Vec<Violation> {
    match &spec.settings {
        Settings::VpnService(service) if is_written(F::BypassRules) => of_bypass_rules(service),
        Settings::LocalEndpoint(endpoint) if is_written(F::Address) => of_address(endpoint),
        _ => together(spec, is_written, is_known),
    }
}

/// Does the same for a change. A field that the change does not give is unknown.
pub fn of_change(change: &ResourceChange) -> Vec<Violation> {
    let is_given = |field| change.fields.contains(&field);
    // A mode that is not given is the default, or keeps a word that no table knows.
    let is_known = |field| match &change.values.settings {
        Settings::DpdPolicy(policy) if field == F::ProbeMode => policy.probe_mode.is_some(),
        _ => true,
    };
    let is_known = |field| is_given(field) && is_known(field);
    refusals(&change.values, &is_given, &is_known)
}

/// Checks combinations of fields, some of which may be there already.
pub fn together(spec: &ResourceSpec, is_written: Which<'_>, is_known: Which<'_>) -> Vec<Violation> {
    match &spec.settings {
        Settings::IkePolicy(policy) => of_ike(policy, is_written, is_known),
        Settings::DpdPolicy(policy) => of_dpd(policy, is_written, is_known),
        _ => Vec::new(),
    }
}

/// AES-GCM in IKE is specified for IKEv2 (RFC 5282), and NSX takes it with IKEv2 only (vmware-nsxlib 19.4.3).
fn of_ike(policy: &IkePolicy, is_written: Which<'_>, is_known: Which<'_>) -> Vec<Violation> {
    let (algorithms, version) = (F::EncryptionAlgorithms, F::IkeVersion);
    let is_gcm = |it: &Option<E>| {
        let combined = [E::AesGcm16x128, E::AesGcm16x192, E::AesGcm16x256];
        it.is_some_and(|it| combined.contains(&it))
    };
    let has_gcm = policy.encryption_algorithms.iter().any(is_gcm);
    let is_other = matches!(
        policy.ike_version,
        Some(IkeVersion::V1 | IkeVersion::V2OrV1)
    );
    if !(is_known(algorithms) && is_known(version) && has_gcm && is_other) {
        return Vec::new();
    }
    let what = "AES-GCM goes with IKE_VERSION_2 and no other version on NSX";
    let field = [algorithms, version].into_iter().find(|it| is_written(*it));
    let violation = field.map(|field| Violation::new(field.path(), what));
    violation.into_iter().collect()
}

/// How many probes of a peer may go unanswered (NSX Policy Python SDK 4.2.0).
const RETRIES: std::ops::RangeInclusive<i32> = 1..=100;

fn of_dpd(policy: &DpdPolicy, is_written: Which<'_>, is_known: Which<'_>) -> Vec<Violation> {
    let retries = policy.retry_count.filter(|_| is_written(F::RetryCount));
    let wrong = retries.filter(|it| !RETRIES.contains(it)).map(|retries| {
        let what = format!(
            "is {retries}; it is {} to {}",
            RETRIES.start(),
            RETRIES.end()
        );
        Violation::new(F::RetryCount.path(), what)
    });
    let interval = of_interval(policy, is_written, is_known).into_iter();
    interval.chain(wrong).collect()
}

/// The range of the probe interval depends on the probe mode (NSX Python SDK 4.2.0).
fn of_interval(
    policy: &DpdPolicy,
    is_written: Which<'_>,
    is_known: Which<'_>,
) -> Option<Violation> {
    let interval = policy
        .probe_interval_seconds
        .filter(|_| is_known(F::ProbeInterval));
    let mode = policy.probe_mode.filter(|_| is_known(F::ProbeMode));
    let (range, with) = match mode {
        Some(ProbeMode::OnDemand) => (1..=10, ProbeMode::OnDemand.as_str()),
        None if !is_known(F::ProbeMode) => (1..=360, "either mode"),
        Some(ProbeMode::Periodic) | None => (3..=360, ProbeMode::Periodic.as_str()),
    };
    let concerns = is_written(F::ProbeMode) || is_written(F::ProbeInterval);
    let seconds = interval.filter(|seconds| concerns && !range.contains(seconds))?;
    let (least, most) = range.into_inner();
    let what = format!("is {seconds} s; with {with} it is {least} to {most} s");
    Some(Violation::new(F::ProbeInterval.path(), what))
}

fn of_bypass_rules(service: &VpnService) -> Vec<Violation> {
    let each = service.bypass_rules.iter().enumerate();
    each.flat_map(|(index, rule)| of_bypass_rule(index, rule))
        .collect()
}

fn of_bypass_rule(index: usize, rule: &PolicyRule) -> Vec<Violation> {
    let path = |field: &str| format!("{}[{index}].{field}", F::BypassRules.path());
    let mut violations = Vec::new();
    if rule.action == Some(RuleAction::Protect) {
        let what = "is BYPASS: what is to be protected is a matter of connections";
        violations.push(Violation::new(path("action"), what));
    }
    for (side, networks) in [
        ("sources", &rule.sources),
        ("destinations", &rule.destinations),
    ] {
        if networks.len() > SUBNETS {
            violations.push(Violation::new(path(side), "has at most 128 networks"));
        }
    }
    violations
}

fn of_address(endpoint: &LocalEndpoint) -> Vec<Violation> {
    // The capabilities require an address.
    let address = &endpoint.address;
    match address.is_empty() || address.parse::<IpAddr>().is_ok() {
        true => Vec::new(),
        false => vec![Violation::new(F::Address.path(), "must be an IP address")],
    }
}
