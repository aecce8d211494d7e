//! Cuts each list of algorithms to those that a cloud takes: the first ones, in their order, up to the cloud's limit.
//! The two sides of a tunnel can agree on nothing else anyway, and the other side is asked for nothing that was not
//! described.

use crate::{
    core::{
        dialect::{Capabilities, ResourceCapabilities},
        portable::fit::fitted::{Fitted, path},
        resource_check::values::accepted_of,
    },
    model::{
        ResourceField as F, ResourceKind, Settings,
        algorithm::{IkeVersion, Named},
        policy::{IkePolicy, IpsecPolicy},
    },
};

pub fn fit(fitted: &mut Fitted, capabilities: &Capabilities) {
    for kind in [ResourceKind::IkePolicy, ResourceKind::IpsecPolicy] {
        let Some(takes) = capabilities.takes(kind) else {
            continue;
        };
        // Taken out so that `fitted` can collect warnings about it.
        let Some(mut part) = fitted.wanted.parts.remove(&kind) else {
            continue;
        };
        let mut lists = Lists {
            kind,
            takes,
            fitted,
        };
        match &mut part.settings {
            Settings::IkePolicy(policy) => lists.ike(policy),
            Settings::IpsecPolicy(policy) => lists.ipsec(policy),
            _ => {}
        }
        fitted.wanted.parts.insert(kind, part);
    }
}

struct Lists<'a> {
    kind: ResourceKind,
    takes: &'a ResourceCapabilities,
    fitted: &'a mut Fitted,
}

impl Lists<'_> {
    fn ike(&mut self, policy: &mut IkePolicy) {
        let takes = self.takes;
        self.version(&mut policy.ike_version);
        let encryption = &mut policy.encryption_algorithms;
        self.list(F::EncryptionAlgorithms, encryption, takes.encryption);
        self.hashes(policy);
        self.list(F::DhGroups, &mut policy.dh_groups, takes.dh_groups);
    }

    fn ipsec(&mut self, policy: &mut IpsecPolicy) {
        let takes = self.takes;
        let encryption = &mut policy.encryption_algorithms;
        self.list(F::EncryptionAlgorithms, encryption, takes.encryption);
        let integrity = &mut policy.integrity_algorithms;
        self.list(F::IntegrityAlgorithms, integrity, takes.integrity);
        self.list(F::DhGroups, &mut policy.dh_groups, takes.dh_groups);
    }

    /// If a cloud speaks a single version of IKE, "either version" becomes IKEv2.
    fn version(&mut self, version: &mut Option<IkeVersion>) {
        let (taken, newer) = (self.takes.ike_versions, IkeVersion::V2);
        let is_either = *version == Some(IkeVersion::V2OrV1);
        if is_either && !taken.contains(&IkeVersion::V2OrV1) && taken.contains(&newer) {
            *version = Some(newer);
            let what = format!(
                "this backend speaks one version of IKE: {} is used, and the other is not answered",
                newer.as_str()
            );
            self.warn(F::IkeVersion, what);
        }
    }

    fn list<T: Named>(&mut self, field: F, values: &mut Vec<Option<T>>, taken: &[T]) {
        if self.is_fitted(field, values) {
            let keeps: Vec<bool> = each(values, taken);
            self.keep(field, values, taken, &keeps);
        }
    }

    /// Cuts the integrity and PRF lists together. Every cloud has one setting for both, so an index is kept in both or
    /// in neither.
    fn hashes(&mut self, policy: &mut IkePolicy) {
        let takes = self.takes;
        let (integrity, prf) = (&mut policy.integrity_algorithms, &mut policy.prf_algorithms);
        let fields = (F::IntegrityAlgorithms, F::PrfAlgorithms);
        let are_fitted = self.is_fitted(fields.0, integrity) && self.is_fitted(fields.1, prf);
        if !are_fitted || integrity.len() != prf.len() {
            self.list(fields.0, integrity, takes.integrity);
            self.list(fields.1, prf, takes.prf);
            return;
        }
        let both = each(integrity, takes.integrity);
        let both = both.into_iter().zip(each(prf, takes.prf));
        let both: Vec<bool> = both.map(|(one, other)| one && other).collect();
        self.keep(fields.0, integrity, takes.integrity, &both);
        self.keep(fields.1, prf, takes.prf, &both);
    }

    /// Reports whether a list can be cut. Lists that are invalid on every cloud, with an unknown value or a duplicate,
    /// are left for the check to refuse.
    fn is_fitted<T: Named>(&self, field: F, values: &[Option<T>]) -> bool {
        let is_known = |(place, value): (usize, &Option<T>)| {
            value.is_some() && !values[..place].contains(value)
        };
        !values.is_empty()
            && self.takes.fields.contains(&field)
            && values.iter().enumerate().all(is_known)
    }

    fn keep<T: Named>(
        &mut self,
        field: F,
        values: &mut Vec<Option<T>>,
        taken: &[T],
        keeps: &[bool],
    ) {
        let most = self.takes.max_algorithms;
        let kept = values.iter().zip(keeps).filter(|(_, keeps)| **keeps);
        let kept: Vec<Option<T>> = kept.map(|(value, _)| *value).take(most).collect();
        let accepted = accepted_of(taken, most);
        match kept.first() {
            None => {
                let why = format!("this backend takes none of {}; {accepted}", names(values));
                self.fitted.refuse(path(self.kind, field), why);
            }
            Some(first) if *first != values[0] => {
                let what = format!(
                    "this backend does not take {}: {} is used; {accepted}",
                    names(&values[..1]),
                    names(&kept)
                );
                self.warn(field, what);
            }
            Some(_) => {}
        }
        *values = kept;
    }

    fn warn(&mut self, field: F, what: String) {
        self.fitted.warn(path(self.kind, field), what);
    }
}

/// Reports for each value whether it is taken.
fn each<T: Named>(values: &[Option<T>], taken: &[T]) -> Vec<bool> {
    let is_taken = |value: &Option<T>| value.is_some_and(|it| taken.contains(&it));
    values.iter().map(is_taken).collect()
}

fn names<T: Named>(values: &[Option<T>]) -> String {
    let names: Vec<&str> = values.iter().flatten().map(|it| it.as_str()).collect();
    names.join(", ")
}
