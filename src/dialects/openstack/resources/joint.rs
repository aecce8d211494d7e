//! Pairs of model fields that are one word here: the integrity and pseudorandom function algorithms
//! (`auth_algorithm`), and perfect forward secrecy with its group (`pfs`).

use crate::{
    core::error::Violation,
    dialects::openstack::{
        resources::words::Words,
        variant::{Variant, words::prf_of},
    },
    model::{
        Resource, ResourceChange, ResourceField as F, ResourceSpec, Settings,
        algorithm::{DhGroup, IntegrityAlgorithm, Named, PrfAlgorithm},
    },
};
use serde_json::Value;
use std::collections::BTreeSet;

type Said = Result<Option<(&'static str, Value)>, Violation>;

/// The cloud's default of `pfs`.
pub const DEFAULT_GROUP: &str = "group5";

/// Returns `auth_algorithm` of a new policy. It is always sent, since a cloud may refuse its own default.
pub fn new_integrity(spec: &ResourceSpec, variant: &Variant) -> Option<Value> {
    let wanted = match &spec.settings {
        Settings::IkePolicy(it) => either(&it.integrity_algorithms, &it.prf_algorithms),
        Settings::IpsecPolicy(it) => it.integrity_algorithms.clone(),
        _ => return None,
    };
    let wanted = wanted.first().copied().flatten();
    let wanted = wanted.unwrap_or(variant.words.default_integrity);
    Words(variant).integrity(wanted).map(|(_, word)| word)
}

/// Returns `pfs` of a new IPsec policy, if the spec says anything about it.
pub fn new_exchange(spec: &ResourceSpec, variant: &Variant) -> Option<Value> {
    let Settings::IpsecPolicy(it) = &spec.settings else {
        return None;
    };
    match it.perfect_forward_secrecy {
        Some(false) => variant.words.no_group.map(Value::from),
        _ => Words(variant).group(&it.dh_groups).map(|(_, word)| word),
    }
}

/// Returns the new `auth_algorithm`, if one of its fields is in `differ`.
///
/// # Errors
/// An undocumented value in a list that changes, or two lists with different hashes.
pub fn integrity(
    now: &Resource,
    change: &ResourceChange,
    differ: &BTreeSet<F>,
    variant: &Variant,
) -> Said {
    let named = |field| change.fields.contains(&field);
    let (integrity, prf): (&[_], &[_]) = match &change.values.settings {
        Settings::IkePolicy(it) => (&it.integrity_algorithms, &it.prf_algorithms),
        Settings::IpsecPolicy(it) => (&it.integrity_algorithms, &[]),
        _ => return Ok(None),
    };
    let fields = [F::IntegrityAlgorithms, F::PrfAlgorithms];
    let Some(field) = fields.into_iter().find(|field| differ.contains(field)) else {
        return Ok(None);
    };
    let integrity = if named(F::IntegrityAlgorithms) {
        integrity
    } else {
        &[]
    };
    let prf = if named(F::PrfAlgorithms) { prf } else { &[] };
    if differ_in_hash(integrity, prf) {
        return Err(Violation::new(F::PrfAlgorithms.path(), DIFFERENT));
    }
    let wanted = either(integrity, prf);
    if wanted.contains(&None) {
        return Err(unknown(field));
    }
    let wanted = wanted.first().copied().flatten();
    let wanted = wanted.unwrap_or(variant.words.default_integrity);
    Ok(Words(variant)
        .integrity(wanted)
        .filter(|_| integrity_of(now) != [Some(wanted)]))
}

/// Returns the new `pfs` of an IPsec policy, if one of its fields is in `differ`.
///
/// # Errors
/// An undocumented value in a list that changes, or a group without perfect forward secrecy.
pub fn exchange(
    now: &Resource,
    change: &ResourceChange,
    differ: &BTreeSet<F>,
    variant: &Variant,
) -> Said {
    let (Settings::IpsecPolicy(now), Settings::IpsecPolicy(values)) =
        (&now.spec.settings, &change.values.settings)
    else {
        return Ok(None);
    };
    if !differ.contains(&F::PerfectForwardSecrecy) && !differ.contains(&F::DhGroups) {
        return Ok(None);
    }
    let is_on = match change.fields.contains(&F::PerfectForwardSecrecy) {
        true => values.perfect_forward_secrecy.unwrap_or(true),
        false => now.perfect_forward_secrecy.unwrap_or(true),
    };
    let groups: &[Option<DhGroup>] = match change.fields.contains(&F::DhGroups) {
        true => &values.dh_groups,
        // Keeps the current group while perfect forward secrecy is on.
        false if is_on => &now.dh_groups,
        false => &[],
    };
    if !is_on {
        return match groups.is_empty() {
            true => Ok(variant.words.no_group.map(|word| ("pfs", word.into()))),
            false => Err(Violation::new(F::DhGroups.path(), NO_EXCHANGE)),
        };
    }
    match groups.first() {
        Some(None) if differ.contains(&F::DhGroups) => Err(unknown(F::DhGroups)),
        // Perfect forward secrecy with an undocumented group stays as it is.
        Some(None) => Ok(None),
        Some(Some(_)) => Ok(Words(variant)
            .group(groups)
            .filter(|_| groups != now.dh_groups)),
        None => Ok(Some(("pfs", DEFAULT_GROUP.into()))),
    }
}

/// Why a group is refused without perfect forward secrecy.
pub const NO_EXCHANGE: &str =
    "must be empty where `perfect_forward_secrecy` is false: there is no exchange";
/// Why pseudorandom functions are refused.
pub const DIFFERENT: &str = "differ from `integrity_algorithms`, and this cloud has one word for \
                             both; give one of the two lists, or the same hashes";

/// Reports whether both lists are given with different hashes.
pub fn differ_in_hash(
    integrity: &[Option<IntegrityAlgorithm>],
    prf: &[Option<PrfAlgorithm>],
) -> bool {
    let hashes = integrity.iter().map(|it| it.map(prf_of));
    !integrity.is_empty() && !prf.is_empty() && !hashes.eq(prf.iter().copied())
}

/// Reports whether a list of algorithms or groups has an undocumented value.
pub fn has_unknown(settings: &Settings, field: F) -> bool {
    match (settings, field) {
        (Settings::IkePolicy(it), F::EncryptionAlgorithms) => {
            it.encryption_algorithms.contains(&None)
        }
        (Settings::IkePolicy(it), F::IntegrityAlgorithms) => {
            it.integrity_algorithms.contains(&None)
        }
        (Settings::IkePolicy(it), F::PrfAlgorithms) => it.prf_algorithms.contains(&None),
        (Settings::IkePolicy(it), F::DhGroups) => it.dh_groups.contains(&None),
        (Settings::IpsecPolicy(it), F::EncryptionAlgorithms) => {
            it.encryption_algorithms.contains(&None)
        }
        (Settings::IpsecPolicy(it), F::IntegrityAlgorithms) => {
            it.integrity_algorithms.contains(&None)
        }
        (Settings::IpsecPolicy(it), F::DhGroups) => it.dh_groups.contains(&None),
        _ => false,
    }
}

/// The violation for writing a list with an undocumented value.
pub fn unknown(field: F) -> Violation {
    let what = "has an unspecified value: a list that changes is written whole, in values this backend takes";
    Violation::new(field.path(), what)
}

fn integrity_of(now: &Resource) -> &[Option<IntegrityAlgorithm>] {
    match &now.spec.settings {
        Settings::IkePolicy(it) => &it.integrity_algorithms,
        Settings::IpsecPolicy(it) => &it.integrity_algorithms,
        _ => &[],
    }
}

/// Returns the integrity algorithms, or if there are none those that share their hash with the pseudorandom
/// functions.
fn either(
    integrity: &[Option<IntegrityAlgorithm>],
    prf: &[Option<PrfAlgorithm>],
) -> Vec<Option<IntegrityAlgorithm>> {
    let of_prf = |prf: PrfAlgorithm| {
        let all = IntegrityAlgorithm::ALL.iter().copied();
        all.into_iter().find(|it| prf_of(*it) == prf)
    };
    match integrity.is_empty() {
        false => integrity.to_vec(),
        true => prf.iter().map(|prf| prf.and_then(of_prf)).collect(),
    }
}
