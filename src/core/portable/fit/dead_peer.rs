//! Converts the dead peer detection of a connection to the DPD policy that some clouds keep it in, and back. Seconds of
//! silence become a number of probes.

use crate::{
    core::{
        dialect::Capabilities,
        portable::fit::fitted::{Fitted, path},
        writes::joint,
    },
    model::{
        DeadPeerDetection, DpdAction, ResourceField as F, ResourceKind, ResourceSpec, Settings,
        policy::{DpdPolicy, ProbeMode},
    },
};

const KIND: ResourceKind = ResourceKind::DpdPolicy;
/// The default seconds between probes. It is the contract's, taken from OpenStack.
const INTERVAL: u32 = 30;
/// The default seconds of silence after which a peer is dead.
const TIMEOUT: u32 = 120;

/// Converts `dpd` to a policy where the cloud keeps it in one.
pub fn fit(fitted: &mut Fitted, capabilities: &Capabilities) {
    if capabilities.inline_dpd || capabilities.takes(KIND).is_none() {
        return;
    }
    let Some(dpd) = fitted.wanted.spec.dpd.take() else {
        return;
    };
    let other = match (fitted.wanted.has(KIND), &fitted.wanted.spec.dpd_policy) {
        (true, _) => Some("parts.dpd_policy"),
        (false, Some(_)) => Some("dpd_policy"),
        (false, None) => None,
    };
    if let Some(other) = other {
        let why = format!("is given by `{other}` as well; accepted is one of them");
        fitted.refuse("dpd", why);
        return;
    }
    let (interval, timeout) = times(&dpd);
    if interval > 0 && timeout <= interval {
        let why =
            "must be longer than the interval; unset, the interval is 30 s and the timeout 120 s";
        fitted.refuse("dpd.timeout", why);
    }
    let policy = profile(&dpd);
    warn(fitted, &dpd, &policy);
    let part = ResourceSpec {
        display_name: fitted.wanted.spec.display_name.clone(),
        settings: Settings::DpdPolicy(policy),
        ..ResourceSpec::none(KIND)
    };
    fitted.wanted.parts.insert(KIND, part);
    fitted.made_of(joint::path(KIND), "dpd");
    for (field, written) in [
        (F::DisplayName, "display_name"),
        (F::Enabled, "dpd.action"),
        (F::ProbeInterval, "dpd.interval"),
        (F::RetryCount, "dpd.timeout"),
    ] {
        fitted.made_of(path(KIND, field), written);
    }
}

fn warn(fitted: &mut Fitted, dpd: &DeadPeerDetection, policy: &DpdPolicy) {
    // HOLD is the default.
    let is_told = |action: DpdAction| !matches!(action, DpdAction::Disabled | DpdAction::Hold);
    if dpd.action.is_some_and(is_told) {
        let what = "this backend has no choice of what is done with a dead peer: what was said is left out";
        fitted.warn("dpd.action", what);
    }
    let (interval, timeout) = times(dpd);
    let probes = policy.retry_count.unwrap_or_default();
    let silence = u64::from(interval) * u64::from(probes.unsigned_abs());
    if policy.enabled != Some(false) && silence != u64::from(timeout) {
        let what = format!(
            "this backend counts probes and no seconds: the peer counts as dead after {probes} probes, {silence} s"
        );
        fitted.warn("dpd.timeout", what);
    }
}

fn times(dpd: &DeadPeerDetection) -> (u32, u32) {
    let interval = dpd.interval_seconds.unwrap_or(INTERVAL);
    (interval, dpd.timeout_seconds.unwrap_or(TIMEOUT))
}

/// Returns the closest policy that never gives up a peer sooner.
fn profile(dpd: &DeadPeerDetection) -> DpdPolicy {
    let (interval, timeout) = times(dpd);
    // The range check refuses an interval of zero.
    let probes = timeout.div_ceil(interval.max(1)).max(1);
    DpdPolicy {
        enabled: Some(dpd.action != Some(DpdAction::Disabled)),
        probe_mode: Some(ProbeMode::Periodic),
        probe_interval_seconds: Some(interval),
        retry_count: Some(i32::try_from(probes).unwrap_or(i32::MAX)),
    }
}

/// Converts a policy to its form inside a connection, from which [`fit`] makes the same policy. Returns `None` if there
/// is no such form: the policy probes on demand, a single probe decides, or the cloud left something out.
pub fn described(policy: &DpdPolicy) -> Option<DeadPeerDetection> {
    if policy.probe_mode != Some(ProbeMode::Periodic) {
        return None;
    }
    let interval = policy.probe_interval_seconds.filter(|it| *it > 0)?;
    // With one probe the timeout would equal the interval, but it has to be longer.
    let probes = policy.retry_count.filter(|it| *it > 1)?;
    let action = match policy.enabled? {
        true => None,
        false => Some(DpdAction::Disabled),
    };
    Some(DeadPeerDetection {
        action,
        interval_seconds: Some(interval),
        timeout_seconds: Some(interval.checked_mul(u32::try_from(probes).ok()?)?),
    })
}
