//! Refuses what a backend cannot express of a resource before any request is sent. The backend's capabilities decide,
//! as data.
//!
//! The dialect checks combinations of fields, and the form of addresses and endpoints.

pub mod values;

use crate::{
    core::{
        dialect::{Capabilities, ResourceCapabilities},
        error::Violation,
        listed::Listable,
        resource_check::values::{Said, anything, lifetime, list, one, text, texts, truth},
    },
    model::{
        ResourceChange, ResourceField as F, ResourceSpec, Settings,
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime},
        topology::{EndpointGroup, LocalEndpoint, VpnService},
    },
};
use std::collections::BTreeSet;

/// Returns the violations of a resource to be created: one per field that the capabilities rule out, in the contract's
/// order.
pub fn refuse_create(capabilities: &Capabilities, spec: &ResourceSpec) -> Vec<Violation> {
    refuse(capabilities, spec, |_| true, Occasion::Create)
}

/// Returns the violations of a change, for the fields that it touches. The dialect checks what may already be there: an
/// immutable field, and a list with an undocumented value.
pub fn refuse_update(capabilities: &Capabilities, change: &ResourceChange) -> Vec<Violation> {
    let touches = |field| change.fields.contains(&field);
    refuse(capabilities, &change.values, touches, Occasion::Update)
}

/// Returns the fields that a resource sets.
pub fn said(capabilities: &Capabilities, spec: &ResourceSpec) -> BTreeSet<F> {
    let Some(takes) = capabilities.takes(spec.kind()) else {
        return BTreeSet::new();
    };
    let fields = spec.kind().fields().iter().copied();
    fields
        .filter(|field| said_in(takes, spec, *field, Occasion::Update).is_set)
        .collect()
}

/// Returns the fields by which an existing resource is compared. Names and descriptions are for people, and a field
/// that the backend lacks passed the check only because its value is the backend's fixed behavior.
pub fn compared(capabilities: &Capabilities, spec: &ResourceSpec) -> BTreeSet<F> {
    let taken = capabilities
        .takes(spec.kind())
        .map_or(&[][..], |it| it.fields);
    let mut fields = said(capabilities, spec);
    fields
        .retain(|field| !matches!(field, F::DisplayName | F::Description) && taken.contains(field));
    fields
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Create,
    Update,
}

fn refuse(
    capabilities: &Capabilities,
    spec: &ResourceSpec,
    touches: impl Fn(F) -> bool,
    occasion: Occasion,
) -> Vec<Violation> {
    let Some(takes) = capabilities.takes(spec.kind()) else {
        // The lookup of the backend reports a missing kind.
        return Vec::new();
    };
    let fields = spec.kind().fields().iter().copied();
    fields
        .filter(|field| touches(*field))
        .filter_map(|field| {
            let why = wrong(takes, spec, field, occasion)?;
            Some(Violation::new(field.path(), why))
        })
        .collect()
}

fn wrong(
    takes: &ResourceCapabilities,
    spec: &ResourceSpec,
    field: F,
    occasion: Occasion,
) -> Option<String> {
    let said = said_in(takes, spec, field, occasion);
    if !takes.fields.contains(&field) {
        let plural = Listable::Resources(spec.kind()).plural();
        let is_refused = said.is_set && !said.is_so_anyway;
        return is_refused
            .then(|| format!("this backend has no such field of {plural}; leave it unset"));
    }
    if occasion == Occasion::Update && takes.immutable.contains(&field) {
        return None;
    }
    if !said.is_set && takes.required.contains(&field) {
        return Some(match said.accepted.as_str() {
            "" => "is required".to_owned(),
            accepted => format!("is required; {accepted}"),
        });
    }
    said.wrong
}

fn said_in(
    takes: &ResourceCapabilities,
    spec: &ResourceSpec,
    field: F,
    occasion: Occasion,
) -> Said {
    match (field, &spec.settings) {
        (F::DisplayName, _) => text(&spec.display_name, &takes.display_name),
        (F::Description, _) => text(&spec.description, &(0..=takes.max_description)),
        (F::AvailabilityZone, _) => anything(spec.availability_zone.is_some()),
        (_, Settings::IkePolicy(policy)) => of_ike(takes, policy, field, occasion),
        (_, Settings::IpsecPolicy(policy)) => of_ipsec(takes, policy, field, occasion),
        (_, Settings::DpdPolicy(policy)) => of_dpd(policy, field),
        (_, Settings::VpnService(service)) => of_service(service, field),
        (_, Settings::LocalEndpoint(endpoint)) => of_local_endpoint(endpoint, field),
        (_, Settings::EndpointGroup(group)) => of_group(takes, group, field),
    }
}

fn of_ike(takes: &ResourceCapabilities, policy: &IkePolicy, field: F, occasion: Occasion) -> Said {
    let (most, may_be_there) = (takes.max_algorithms, occasion == Occasion::Update);
    match field {
        F::IkeVersion => one(policy.ike_version, takes.ike_versions),
        F::NegotiationMode => one(policy.negotiation_mode, takes.negotiation_modes),
        F::EncryptionAlgorithms => {
            let values = &policy.encryption_algorithms;
            list(values, takes.encryption, most, may_be_there)
        }
        F::IntegrityAlgorithms => {
            let values = &policy.integrity_algorithms;
            list(values, takes.integrity, most, may_be_there)
        }
        F::PrfAlgorithms => list(&policy.prf_algorithms, takes.prf, most, may_be_there),
        F::DhGroups => list(&policy.dh_groups, takes.dh_groups, most, may_be_there),
        F::Lifetime => of_lifetime(takes, policy.lifetime),
        _ => Said::default(),
    }
}

fn of_ipsec(
    takes: &ResourceCapabilities,
    policy: &IpsecPolicy,
    field: F,
    occasion: Occasion,
) -> Said {
    let (most, may_be_there) = (takes.max_algorithms, occasion == Occasion::Update);
    match field {
        F::TransformProtocol => one(policy.transform_protocol, takes.transform_protocols),
        F::EncapsulationMode => one(policy.encapsulation_mode, takes.encapsulation_modes),
        F::EncryptionAlgorithms => {
            let values = &policy.encryption_algorithms;
            list(values, takes.encryption, most, may_be_there)
        }
        F::IntegrityAlgorithms => {
            let values = &policy.integrity_algorithms;
            list(values, takes.integrity, most, may_be_there)
        }
        F::PerfectForwardSecrecy => truth(policy.perfect_forward_secrecy, takes.pfs_optional),
        F::DhGroups => list(&policy.dh_groups, takes.dh_groups, most, may_be_there),
        F::Lifetime => of_lifetime(takes, policy.lifetime),
        F::DfPolicy => one(policy.df_policy, takes.df_policies),
        _ => Said::default(),
    }
}

fn of_lifetime(takes: &ResourceCapabilities, value: Option<Lifetime>) -> Said {
    lifetime(
        value,
        takes.lifetime_seconds.as_ref(),
        takes.lifetime_kilobytes,
    )
}

fn of_dpd(policy: &DpdPolicy, field: F) -> Said {
    match field {
        F::Enabled => truth(policy.enabled, true),
        F::ProbeMode => anything(policy.probe_mode.is_some()),
        F::ProbeInterval => anything(policy.probe_interval_seconds.is_some()),
        F::RetryCount => anything(policy.retry_count.is_some()),
        _ => Said::default(),
    }
}

fn of_service(service: &VpnService, field: F) -> Said {
    match field {
        F::AdminEnabled => truth(service.admin_enabled, true),
        F::Router => anything(!service.router.is_empty()),
        F::Subnet => anything(service.subnet.is_some()),
        F::Flavor => anything(service.flavor.is_some()),
        F::BypassRules => anything(!service.bypass_rules.is_empty()),
        F::IkeLogLevel => anything(service.ike_log_level.is_some()),
        F::HaSync => anything(service.ha_sync.is_some()),
        _ => Said::default(),
    }
}

fn of_local_endpoint(endpoint: &LocalEndpoint, field: F) -> Said {
    match field {
        F::VpnService => anything(endpoint.vpn_service.is_some()),
        F::Address => anything(!endpoint.address.is_empty()),
        F::LocalId => anything(endpoint.local_id.is_some()),
        F::Certificate => anything(endpoint.certificate.is_some()),
        F::TrustedAuthorities => texts(&endpoint.trusted_authorities),
        F::RevocationLists => texts(&endpoint.revocation_lists),
        _ => Said::default(),
    }
}

fn of_group(takes: &ResourceCapabilities, group: &EndpointGroup, field: F) -> Said {
    match field {
        F::EndpointType => one(group.endpoint_type, takes.endpoint_types),
        F::Endpoints => texts(&group.endpoints),
        _ => Said::default(),
    }
}

#[cfg(test)]
mod tests;
