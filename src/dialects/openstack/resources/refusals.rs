//! Refuses what a cloud cannot take of a resource, beyond its capabilities, before anything is sent.

use crate::{
    core::error::Violation,
    dialects::openstack::{
        mark,
        resources::joint,
        translate::{LONGEST_TEXT, Writing},
        variant::Variant,
    },
    model::{
        ResourceField as F, ResourceSpec, Settings,
        topology::{EndpointGroup, EndpointType},
    },
};
use std::collections::BTreeSet;

/// Returns what this cloud cannot take of these fields.
pub fn refusals(
    variant: &Variant,
    spec: &ResourceSpec,
    writing: Writing,
    fields: impl Iterator<Item = F>,
) -> Vec<Violation> {
    let fields: BTreeSet<F> = fields.collect();
    let mut found = Found(Vec::new());
    for field in fields.iter().copied() {
        match field {
            F::DisplayName => found.text(field, &spec.display_name),
            F::Description => found.description(&spec.description, writing),
            _ => {}
        }
    }
    let has = |field| fields.contains(&field);
    match &spec.settings {
        Settings::IkePolicy(it) if has(F::IntegrityAlgorithms) && has(F::PrfAlgorithms) => {
            let wrong = joint::differ_in_hash(&it.integrity_algorithms, &it.prf_algorithms);
            found.refuse(wrong, F::PrfAlgorithms, joint::DIFFERENT);
        }
        Settings::IpsecPolicy(it) if has(F::PerfectForwardSecrecy) && has(F::DhGroups) => {
            let wrong = it.perfect_forward_secrecy == Some(false) && !it.dh_groups.is_empty();
            found.refuse(wrong, F::DhGroups, joint::NO_EXCHANGE);
        }
        Settings::VpnService(it) if has(F::AdminEnabled) => {
            let wrong = it.admin_enabled == Some(false) && !variant.capabilities.admin_disable;
            let what = "cannot be false: this backend cannot switch a service off";
            found.refuse(wrong, F::AdminEnabled, what);
        }
        Settings::EndpointGroup(it) if writing == Writing::New => found.endpoints(it),
        _ => {}
    }
    found.0
}

struct Found(Vec<Violation>);

impl Found {
    fn refuse(&mut self, wrong: bool, field: F, what: impl Into<String>) {
        if wrong {
            self.0.push(Violation::new(field.path(), what));
        }
    }

    /// Neutron's tables hold UTF-8 of at most three bytes a character. A four-byte character is a 500, from 2026.2 on
    /// a 400.
    fn text(&mut self, field: F, text: &str) {
        let wrong = text.chars().any(|c| c.len_utf8() > 3);
        let what = "has no characters beyond the basic multilingual plane, such as emoji";
        self.refuse(wrong, field, what);
    }

    fn description(&mut self, text: &str, writing: Writing) {
        let field = F::Description;
        self.text(field, text);
        // Only a new resource is known to carry a mark. Existing ones are checked when they are read.
        if writing == Writing::New {
            let most = LONGEST_TEXT - mark::LENGTH;
            let wrong = (most + 1..=LONGEST_TEXT).contains(&text.chars().count());
            let what = format!(
                "has at most {most} characters, because the gateway's mark stands behind it"
            );
            self.refuse(wrong, field, what);
        }
        let what = "must not end in what looks like the gateway's own mark";
        self.refuse(mark::split(text).1.is_some(), field, what);
    }

    fn endpoints(&mut self, group: &EndpointGroup) {
        let field = F::Endpoints;
        let (fits, form): (fn(&str) -> bool, _) = match group.endpoint_type {
            Some(EndpointType::Cidr) => (is_cidr, "a network in CIDR form"),
            Some(EndpointType::Subnet | EndpointType::Network | EndpointType::Router) => {
                (is_uuid, "an id, which is a UUID")
            }
            Some(EndpointType::Vlan) | None => return,
        };
        let other = group.endpoints.iter().find(|it| !fits(it));
        if let Some(other) = other {
            self.refuse(true, field, format!("has `{other}`, which is not {form}"));
        }
    }
}

fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

/// Reports whether this is an address, a slash and a prefix length. Host bits may be set.
fn is_cidr(text: &str) -> bool {
    text.parse::<ipnet::IpNet>().is_ok()
}
