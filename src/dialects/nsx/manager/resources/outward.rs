//! Translates a resource to an object of NSX: a new one, or the present one with a change. A create is a change of an
//! empty object.

use crate::{
    core::{dialect::Mark, error::Violation},
    dialects::nsx::{
        body::{
            Body,
            draft::{Draft, NoWord},
            words::{
                DF_POLICIES, DH_GROUPS, ENCAPSULATION_MODES, IKE_ENCRYPTION, IKE_VERSIONS,
                INTEGRITY, IPSEC_ENCRYPTION, LOG_LEVELS, PRF, PROBE_MODES, TRANSFORM_PROTOCOLS,
                meaning, word,
            },
        },
        manager::{
            resources::{
                inward::{self, SERVICE},
                refusals::together,
            },
            translate::{are_same_rules, policy_rules, read_each, read_rule},
        },
        mark,
    },
    model::{
        PolicyRule, ResourceChange, ResourceField as F, ResourceKind, ResourceSpec, RuleAction,
        Settings,
        algorithm::{DfPolicy, IkeVersion},
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime, ProbeMode},
        topology::{LocalEndpoint, VpnService},
    },
    rest::json,
};
use serde_json::{Map, Value, json as object};

/// Builds the body of a new resource.
///
/// # Errors
/// The values that NSX has no word for.
pub fn new(spec: &ResourceSpec, mark: &Mark) -> Result<Map<String, Value>, Vec<Violation>> {
    let fields = spec.kind().fields();
    let mut draft = Draft::new();
    apply(&mut draft, fields, spec)?;
    if matches!(
        spec.kind(),
        ResourceKind::DpdPolicy | ResourceKind::VpnService
    ) {
        // The contract's default, whatever the default of the NSX release is.
        draft.body.entry("enabled").or_insert(true.into());
    }
    mark::put(&mut draft.body, mark);
    Ok(draft.body)
}

/// Returns the object as the change wants it, or `None` if it needs no change.
///
/// # Errors
/// The values that NSX has no word for, the fields that cannot be changed, and the values that do not fit what is
/// there.
pub fn changed(
    now: &Body,
    change: &ResourceChange,
) -> Result<Option<Map<String, Value>>, Vec<Violation>> {
    let fields: Vec<F> = change.fields.iter().copied().collect();
    let mut draft = Draft::of(now);
    apply(&mut draft, &fields, &change.values)?;
    let Some(body) = draft.changed() else {
        return Ok(None);
    };
    let is_written = |field| change.fields.contains(&field);
    let whole = inward::resource(change.values.kind(), &Body::new(body.clone()));
    // A value with a word that no table knows is unknown.
    let is_known = |field: F| match &whole.spec.settings {
        Settings::DpdPolicy(policy) if field == F::ProbeMode => {
            policy.probe_mode.is_some() || !whole.native_words.contains_key(field.path())
        }
        _ => true,
    };
    let violations = together(&whole.spec, &is_written, &is_known);
    match violations.is_empty() {
        true => Ok(Some(body)),
        false => Err(violations),
    }
}

/// Returns the paths of these fields that a write contains: for a new object those that are set, otherwise those that
/// differ.
pub fn paths(now: Option<&Body>, fields: &[F], spec: &ResourceSpec) -> Vec<String> {
    let is_written = |field: &&F| {
        let mut draft = now.map_or_else(Draft::new, Draft::of);
        put(&mut draft, **field, fields, spec).is_ok() && draft.differs
    };
    let written = fields.iter().filter(is_written);
    written.map(|field| field.path().to_owned()).collect()
}

fn apply(draft: &mut Draft, fields: &[F], spec: &ResourceSpec) -> Result<(), Vec<Violation>> {
    let violations: Vec<Violation> = fields
        .iter()
        .filter_map(|field| put(draft, *field, fields, spec).err())
        .collect();
    match violations.is_empty() {
        true => Ok(()),
        false => Err(violations),
    }
}

/// Puts one field of a resource into the draft. `all` are the fields that the same write puts.
fn put(draft: &mut Draft, field: F, all: &[F], spec: &ResourceSpec) -> Result<(), Violation> {
    let done = match (field, &spec.settings) {
        (F::DisplayName, _) => {
            draft.name(&spec.display_name);
            Ok(())
        }
        (F::Description, _) => {
            draft.text("description", Some(&spec.description));
            Ok(())
        }
        (_, Settings::IkePolicy(policy)) => put_ike(draft, field, all, policy),
        (_, Settings::IpsecPolicy(policy)) => return put_ipsec(draft, field, policy),
        (_, Settings::DpdPolicy(policy)) => put_dpd(draft, field, policy),
        (_, Settings::VpnService(service)) => return put_service(draft, field, service),
        (_, Settings::LocalEndpoint(endpoint)) => {
            put_local_endpoint(draft, field, endpoint);
            Ok(())
        }
        (_, Settings::EndpointGroup(_)) => Ok(()),
    };
    done.map_err(|NoWord| no_word(field))
}

fn no_word(field: F) -> Violation {
    Violation::new(
        field.path(),
        "has a value that NSX has no word for; what is there can be kept by sending the whole list as it was read",
    )
}

fn put_ike(draft: &mut Draft, field: F, all: &[F], policy: &IkePolicy) -> Result<(), NoWord> {
    const DIGESTS: &str = "digest_algorithms";
    match field {
        F::IkeVersion => {
            let version = policy.ike_version;
            draft.word("ike_version", &IKE_VERSIONS, version, Some(IkeVersion::V2))
        }
        F::EncryptionAlgorithms => {
            let wanted = &policy.encryption_algorithms;
            draft.words(
                "encryption_algorithms",
                &IKE_ENCRYPTION,
                wanted,
                &["AES_128"],
            )
        }
        // NSX has one list for both fields. If only one of them is set, it decides.
        F::IntegrityAlgorithms => {
            let wanted = &policy.integrity_algorithms;
            let other_tells = all.contains(&F::PrfAlgorithms) && !policy.prf_algorithms.is_empty();
            match wanted.is_empty() && other_tells {
                true => Ok(()),
                false => draft.words(DIGESTS, &INTEGRITY, wanted, &[]),
            }
        }
        F::PrfAlgorithms => {
            let wanted = &policy.prf_algorithms;
            match wanted.is_empty() && all.contains(&F::IntegrityAlgorithms) {
                true => Ok(()),
                false => draft.words(DIGESTS, &PRF, wanted, &[]),
            }
        }
        F::DhGroups => draft.words("dh_groups", &DH_GROUPS, &policy.dh_groups, &["GROUP14"]),
        F::Lifetime => {
            draft.integer("sa_life_time", seconds(policy.lifetime), Some(86_400));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn put_ipsec(draft: &mut Draft, field: F, policy: &IpsecPolicy) -> Result<(), Violation> {
    let done = match field {
        F::EncryptionAlgorithms => {
            let wanted = &policy.encryption_algorithms;
            let default = &["AES_GCM_128"];
            draft.words("encryption_algorithms", &IPSEC_ENCRYPTION, wanted, default)
        }
        F::IntegrityAlgorithms => {
            let wanted = &policy.integrity_algorithms;
            draft.words("digest_algorithms", &INTEGRITY, wanted, &[])
        }
        F::PerfectForwardSecrecy => {
            let wanted = policy.perfect_forward_secrecy;
            draft.boolean("enable_perfect_forward_secrecy", wanted, true);
            Ok(())
        }
        F::DhGroups => draft.words("dh_groups", &DH_GROUPS, &policy.dh_groups, &["GROUP14"]),
        F::Lifetime => {
            draft.integer("sa_life_time", seconds(policy.lifetime), Some(3_600));
            Ok(())
        }
        F::DfPolicy => {
            let (wanted, default) = (policy.df_policy, Some(DfPolicy::Copy));
            draft.word("df_policy", &DF_POLICIES, wanted, default)
        }
        F::TransformProtocol => {
            let wanted = policy.transform_protocol;
            return read_only(
                draft,
                "transform_protocol",
                field,
                &TRANSFORM_PROTOCOLS,
                wanted,
            );
        }
        F::EncapsulationMode => {
            let wanted = policy.encapsulation_mode;
            return read_only(
                draft,
                "encapsulation_mode",
                field,
                &ENCAPSULATION_MODES,
                wanted,
            );
        }
        _ => Ok(()),
    };
    done.map_err(|NoWord| no_word(field))
}

/// Checks a read-only field. The table has its only word.
fn read_only<T: Copy + Eq>(
    draft: &Draft,
    key: &str,
    field: F,
    table: &[(&'static str, T)],
    wanted: Option<T>,
) -> Result<(), Violation> {
    let said = json::text(&draft.body, key);
    match (wanted, said) {
        (None, _) => Ok(()),
        (Some(wanted), None) => word(table, &wanted)
            .map(|_| ())
            .ok_or_else(|| no_word(field)),
        (wanted, Some(said)) if meaning(table, &said) == wanted => Ok(()),
        (_, Some(said)) => Err(immutable(field, &said)),
    }
}

/// The violation for a field that cannot be changed, with its present value.
pub fn immutable(field: F, there: &str) -> Violation {
    let what = format!("cannot be changed on NSX; it is `{there}`");
    Violation::new(field.path(), what)
}

fn put_dpd(draft: &mut Draft, field: F, policy: &DpdPolicy) -> Result<(), NoWord> {
    const MODE: &str = "dpd_probe_mode";
    match field {
        F::Enabled => draft.boolean("enabled", policy.enabled, true),
        F::ProbeMode => {
            let default = Some(ProbeMode::Periodic);
            draft.word(MODE, &PROBE_MODES, policy.probe_mode, default)?;
        }
        F::ProbeInterval => {
            // Documents differ about the default of the other mode, so NSX chooses.
            let mode = json::text(&draft.body, MODE);
            let is_periodic = mode.is_none_or(|mode| mode.eq_ignore_ascii_case("PERIODIC"));
            let wanted = policy.probe_interval_seconds;
            draft.integer("dpd_probe_interval", wanted, is_periodic.then_some(60));
        }
        F::RetryCount => draft.integer("retry_count", policy.retry_count, Some(10)),
        _ => {}
    }
    Ok(())
}

fn put_service(draft: &mut Draft, field: F, service: &VpnService) -> Result<(), Violation> {
    const ROUTER: &str = "logical_router_id";
    match field {
        F::AdminEnabled => draft.boolean("enabled", service.admin_enabled, true),
        F::Router => match json::text(&draft.body, ROUTER) {
            Some(current) if current == service.router => {}
            Some(current) => return Err(immutable(field, &current)),
            None => draft.text(ROUTER, Some(&service.router)),
        },
        F::BypassRules => put_bypass_rules(draft, &service.bypass_rules),
        F::IkeLogLevel => {
            // Documents differ about the default, so NSX chooses.
            let put = draft.word("ike_log_level", &LOG_LEVELS, service.ike_log_level, None);
            put.map_err(|NoWord| no_word(field))?;
        }
        F::HaSync => draft.boolean("ipsec_ha_sync", service.ha_sync, true),
        _ => {}
    }
    Ok(())
}

/// Puts the rules with the action `Bypass`, whether the caller gives it or not.
fn put_bypass_rules(draft: &mut Draft, wanted: &[PolicyRule]) {
    const RULES: &str = "bypass_rules";
    let current = match draft.body.get(RULES) {
        Some(Value::Array(current)) => current.clone(),
        _ => Vec::new(),
    };
    let (rules, _) = read_each(&current, read_rule);
    if !are_same_rules(&rules, wanted) {
        let bypass = |rule: &PolicyRule| PolicyRule {
            action: Some(RuleAction::Bypass),
            ..rule.clone()
        };
        let wanted: Vec<PolicyRule> = wanted.iter().map(bypass).collect();
        draft.set(RULES, policy_rules(&wanted, &current));
    }
}

fn put_local_endpoint(draft: &mut Draft, field: F, endpoint: &LocalEndpoint) {
    match field {
        F::VpnService => {
            let current = inward::service_of(&draft.body);
            match &endpoint.vpn_service {
                Some(wanted) if current.as_ref() != Some(wanted) => {
                    draft.set(SERVICE, object!({ "target_id": wanted }));
                }
                _ => {}
            }
        }
        F::Address => draft.address("local_address", Some(&endpoint.address)),
        F::LocalId => draft.address("local_id", endpoint.local_id.as_deref()),
        F::Certificate => draft.text("certificate_id", endpoint.certificate.as_deref()),
        F::TrustedAuthorities => draft.texts("trust_ca_ids", &endpoint.trusted_authorities),
        F::RevocationLists => draft.texts("trust_crl_ids", &endpoint.revocation_lists),
        _ => {}
    }
}

/// NSX has no lifetime in kilobytes.
fn seconds(lifetime: Option<Lifetime>) -> Option<u64> {
    match lifetime? {
        Lifetime::Seconds(seconds) => Some(seconds),
        Lifetime::Kilobytes(_) => None,
    }
}
