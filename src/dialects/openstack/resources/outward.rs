//! Builds the bodies of POST and PUT for resources.

use crate::{
    core::{dialect::Mark, error::Violation},
    dialects::openstack::{
        mark,
        resources::{inward::resource, joint, words::Words},
        translate::LONGEST_TEXT,
        variant::Variant,
        wire::Body,
    },
    model::{
        Resource, ResourceChange, ResourceField as F, ResourceKind, ResourceSpec, Settings,
        policy::Lifetime,
    },
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The cloud's default lifetime of a security association, in seconds.
const DEFAULT_LIFETIME: u64 = 3_600;

/// Returns the body of a POST, from the fields that this cloud takes.
pub fn new(spec: &ResourceSpec, mark: &Mark, variant: &Variant) -> Map<String, Value> {
    let wanted = Wanted { spec, variant };
    let mut body = Map::new();
    let takes = variant.capabilities.takes(spec.kind());
    for field in takes.map_or(&[][..], |takes| takes.fields) {
        if let Some((key, value)) = wanted.said(*field) {
            body.insert(key.to_owned(), value);
        }
    }
    let description = mark::put(&spec.description, mark);
    body.insert("description".to_owned(), description.into());
    if let Some(word) = joint::new_integrity(spec, variant) {
        body.insert("auth_algorithm".to_owned(), word);
    }
    if let Some(word) = joint::new_exchange(spec, variant) {
        body.insert("pfs".to_owned(), word);
    }
    body
}

/// Returns the body of a PUT with everything that differs, or `None` if nothing does.
///
/// # Errors
/// A field cannot be changed, or the description does not fit beside the gateway's mark.
pub fn changes(
    body: &Body,
    now: &Resource,
    change: &ResourceChange,
    variant: &Variant,
) -> Result<Option<Map<String, Value>>, Vec<Violation>> {
    let fixed = immutable(variant, change.values.kind());
    let differ = differing(&now.spec, change);
    let wanted = Wanted {
        spec: &change.values,
        variant,
    };
    let mut draft = Draft::default();
    for field in differ.iter().copied() {
        if fixed.contains(&field) {
            draft.keep(field, &now.spec);
            continue;
        }
        match field {
            F::Description => draft.describe(body, &change.values.description),
            // Handled below: two of them share one word.
            F::IntegrityAlgorithms | F::PrfAlgorithms | F::PerfectForwardSecrecy => {}
            F::DhGroups if change.values.kind() == ResourceKind::IpsecPolicy => {}
            _ => draft.set(wanted.said_or_default(field)),
        }
    }
    draft.take(joint::integrity(now, change, &differ, variant));
    draft.take(joint::exchange(now, change, &differ, variant));
    match draft.violations.is_empty() {
        true => Ok((!draft.body.is_empty()).then_some(draft.body)),
        false => Err(draft.violations),
    }
}

fn immutable(variant: &Variant, kind: ResourceKind) -> &'static [F] {
    let takes = variant.capabilities.takes(kind);
    takes.map_or(&[], |takes| takes.immutable)
}

/// Returns the fields of a change whose values differ from the current ones.
pub fn differing(now: &ResourceSpec, change: &ResourceChange) -> BTreeSet<F> {
    let fields = change.fields.iter().copied();
    fields
        .filter(|field| !is_same(*field, now, &change.values))
        .collect()
}

/// Returns the fields that a spec sets.
pub fn given(spec: &ResourceSpec) -> BTreeSet<F> {
    let none = ResourceSpec::none(spec.kind());
    let fields = spec.kind().fields().iter().copied();
    fields
        .filter(|field| !is_same(*field, &none, spec))
        .collect()
}

/// Reports whether creating `spec` here would give the existing resource, apart from its name and description. Unset
/// fields count with the API's defaults.
pub fn is_equal(spec: &ResourceSpec, there: &Resource, variant: &Variant) -> bool {
    if spec.kind() != there.spec.kind() {
        return false;
    }
    let mut made = new(spec, &Mark::default(), variant);
    let wanted = Wanted { spec, variant };
    let takes = variant.capabilities.takes(spec.kind());
    for field in takes.map_or(&[][..], |takes| takes.fields) {
        if let Some((key, value)) = wanted.default(*field) {
            made.entry(key).or_insert(value);
        }
    }
    let made = resource(spec.kind(), Body::new(made), variant).spec;
    let mut fields = spec.kind().fields().iter();
    fields.all(|field| {
        matches!(field, F::DisplayName | F::Description) || is_same(*field, &there.spec, &made)
    })
}

/// Reports whether a field has the same value in both.
fn is_same(field: F, now: &ResourceSpec, wanted: &ResourceSpec) -> bool {
    match field {
        F::DisplayName => now.display_name == wanted.display_name,
        F::Description => now.description == wanted.description,
        F::AvailabilityZone => {
            referred(&now.availability_zone) == referred(&wanted.availability_zone)
        }
        _ => is_same_setting(field, &now.settings, &wanted.settings),
    }
}

fn is_same_setting(field: F, now: &Settings, wanted: &Settings) -> bool {
    match (now, wanted) {
        (Settings::IkePolicy(now), Settings::IkePolicy(wanted)) => match field {
            F::IkeVersion => now.ike_version == wanted.ike_version,
            F::NegotiationMode => now.negotiation_mode == wanted.negotiation_mode,
            F::EncryptionAlgorithms => now.encryption_algorithms == wanted.encryption_algorithms,
            F::IntegrityAlgorithms => now.integrity_algorithms == wanted.integrity_algorithms,
            F::PrfAlgorithms => now.prf_algorithms == wanted.prf_algorithms,
            F::DhGroups => now.dh_groups == wanted.dh_groups,
            F::Lifetime => now.lifetime == wanted.lifetime,
            _ => true,
        },
        (Settings::IpsecPolicy(now), Settings::IpsecPolicy(wanted)) => match field {
            F::TransformProtocol => now.transform_protocol == wanted.transform_protocol,
            F::EncapsulationMode => now.encapsulation_mode == wanted.encapsulation_mode,
            F::EncryptionAlgorithms => now.encryption_algorithms == wanted.encryption_algorithms,
            F::IntegrityAlgorithms => now.integrity_algorithms == wanted.integrity_algorithms,
            F::PerfectForwardSecrecy => {
                now.perfect_forward_secrecy == wanted.perfect_forward_secrecy
            }
            F::DhGroups => now.dh_groups == wanted.dh_groups,
            F::Lifetime => now.lifetime == wanted.lifetime,
            _ => true,
        },
        (Settings::VpnService(now), Settings::VpnService(wanted)) => match field {
            F::AdminEnabled => {
                let is_default = now.admin_enabled == Some(wanted.admin_enabled.unwrap_or(true));
                is_default || now.admin_enabled == wanted.admin_enabled
            }
            F::Router => now.router == wanted.router,
            F::Subnet => referred(&now.subnet) == referred(&wanted.subnet),
            F::Flavor => referred(&now.flavor) == referred(&wanted.flavor),
            _ => true,
        },
        (Settings::EndpointGroup(now), Settings::EndpointGroup(wanted)) => match field {
            F::EndpointType => now.endpoint_type == wanted.endpoint_type,
            // A set: the cloud returns endpoints in its database's order.
            F::Endpoints => {
                let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
                set(&now.endpoints) == set(&wanted.endpoints)
            }
            _ => true,
        },
        _ => true,
    }
}

/// Returns a reference; an empty one counts as none.
fn referred(reference: &Option<String>) -> Option<&str> {
    reference.as_deref().filter(|id| !id.is_empty())
}

/// A caller's spec, in the words of one cloud.
struct Wanted<'a> {
    spec: &'a ResourceSpec,
    variant: &'a Variant,
}

impl Wanted<'_> {
    /// Returns the key and value of a field. `None` if it is unset, or shares its word with another field.
    fn said(&self, field: F) -> Option<(&'static str, Value)> {
        match field {
            F::DisplayName => {
                let name = self.spec.display_name.as_str();
                (!name.is_empty()).then(|| ("name", name.into()))
            }
            F::AvailabilityZone => reference("availability_zone", &self.spec.availability_zone),
            _ => self.setting(field),
        }
    }

    fn setting(&self, field: F) -> Option<(&'static str, Value)> {
        let words = Words(self.variant);
        match (&self.spec.settings, field) {
            (Settings::IkePolicy(it), F::IkeVersion) => words.ike_version(it.ike_version?),
            (Settings::IkePolicy(it), F::NegotiationMode) => {
                words.negotiation_mode(it.negotiation_mode?)
            }
            (Settings::IkePolicy(it), F::EncryptionAlgorithms) => {
                words.encryption(&it.encryption_algorithms)
            }
            (Settings::IkePolicy(it), F::DhGroups) => words.group(&it.dh_groups),
            (Settings::IkePolicy(it), F::Lifetime) => Some(self.lifetime(it.lifetime?)),
            (Settings::IpsecPolicy(it), F::TransformProtocol) => {
                words.transform(it.transform_protocol?)
            }
            (Settings::IpsecPolicy(it), F::EncapsulationMode) => {
                words.encapsulation(it.encapsulation_mode?)
            }
            (Settings::IpsecPolicy(it), F::EncryptionAlgorithms) => {
                words.encryption(&it.encryption_algorithms)
            }
            (Settings::IpsecPolicy(it), F::Lifetime) => Some(self.lifetime(it.lifetime?)),
            (Settings::VpnService(it), F::AdminEnabled) => {
                Some(("admin_state_up", it.admin_enabled?.into()))
            }
            (Settings::VpnService(it), F::Router) => Some(("router_id", it.router.as_str().into())),
            (Settings::VpnService(it), F::Subnet) => reference("subnet_id", &it.subnet),
            (Settings::VpnService(it), F::Flavor) => reference("flavor_id", &it.flavor),
            (Settings::EndpointGroup(it), F::EndpointType) => {
                words.endpoint_type(it.endpoint_type?)
            }
            (Settings::EndpointGroup(it), F::Endpoints) => {
                Some(("endpoints", it.endpoints.clone().into()))
            }
            _ => None,
        }
    }

    /// Like [`Wanted::said`], with the default for an unset field.
    fn said_or_default(&self, field: F) -> Result<(&'static str, Value), Violation> {
        if joint::has_unknown(&self.spec.settings, field) {
            return Err(joint::unknown(field));
        }
        let default = || match field {
            F::DisplayName => Some(("name", "".into())),
            _ => self.default(field),
        };
        self.said(field)
            .or_else(default)
            .ok_or_else(|| Violation::new(field.path(), "is not known on OpenStack"))
    }

    /// Returns the default of a field. `None` if it has none, or shares its word with another field.
    fn default(&self, field: F) -> Option<(&'static str, Value)> {
        match field {
            F::IkeVersion => Some(("ike_version", "v1".into())),
            F::NegotiationMode => Some(("phase1_negotiation_mode", "main".into())),
            F::EncryptionAlgorithms => Some(("encryption_algorithm", "aes-128".into())),
            F::DhGroups => Some(("pfs", joint::DEFAULT_GROUP.into())),
            F::Lifetime => Some(self.lifetime(Lifetime::Seconds(DEFAULT_LIFETIME))),
            F::TransformProtocol => Some(("transform_protocol", "esp".into())),
            F::EncapsulationMode => Some(("encapsulation_mode", "tunnel".into())),
            F::AdminEnabled => Some(("admin_state_up", true.into())),
            _ => None,
        }
    }

    /// Always sends both keys, because the cloud merges `lifetime` by key and would keep the old value of a missing
    /// one.
    fn lifetime(&self, lifetime: Lifetime) -> (&'static str, Value) {
        let (units, value) = match lifetime {
            Lifetime::Seconds(value) => ("seconds", value),
            Lifetime::Kilobytes(value) => ("kilobytes", value),
        };
        let as_text = self.variant.lifetime_as_text;
        let value = match as_text.contains(&self.spec.kind()) {
            true => Value::from(value.to_string()),
            false => Value::from(value),
        };
        ("lifetime", json!({ "units": units, "value": value }))
    }
}

fn reference(key: &'static str, id: &Option<String>) -> Option<(&'static str, Value)> {
    referred(id).map(|id| (key, id.into()))
}

/// The body of a PUT, and why parts of it are refused.
#[derive(Default)]
struct Draft {
    body: Map<String, Value>,
    violations: Vec<Violation>,
}

impl Draft {
    fn set(&mut self, wanted: Result<(&'static str, Value), Violation>) {
        match wanted {
            Ok((key, value)) => drop(self.body.insert(key.to_owned(), value)),
            Err(violation) => self.violations.push(violation),
        }
    }

    fn take(&mut self, wanted: Result<Option<(&'static str, Value)>, Violation>) {
        if let Some(wanted) = wanted.transpose() {
            self.set(wanted);
        }
    }

    /// Refuses a new value for a field that cannot be changed.
    fn keep(&mut self, field: F, now: &ResourceSpec) {
        let is = match (field, &now.settings) {
            (F::AvailabilityZone, _) => referred(&now.availability_zone).map(str::to_owned),
            (F::Router, Settings::VpnService(it)) => Some(it.router.clone()),
            (F::Subnet, Settings::VpnService(it)) => referred(&it.subnet).map(str::to_owned),
            (F::Flavor, Settings::VpnService(it)) => referred(&it.flavor).map(str::to_owned),
            (F::EndpointType, Settings::EndpointGroup(it)) => it
                .endpoint_type
                .map(|it| crate::model::Named::as_str(it).to_owned()),
            (F::Endpoints, Settings::EndpointGroup(it)) => Some(it.endpoints.join(", ")),
            _ => None,
        };
        let is = is.map_or_else(|| "it is unset".to_owned(), |is| format!("it is `{is}`"));
        let what = format!("cannot be changed on OpenStack, where {is}: make another");
        self.violations.push(Violation::new(field.path(), what));
    }

    fn describe(&mut self, body: &Body, wanted: &str) {
        let now = body.text("description").unwrap_or_default();
        let wanted = mark::keep(wanted, &now);
        if wanted.chars().count() > LONGEST_TEXT {
            let most = LONGEST_TEXT - mark::LENGTH;
            let what = format!(
                "has at most {most} characters, because the gateway's mark stands behind it"
            );
            let violation = Violation::new(F::Description.path(), what);
            self.violations.push(violation);
            return;
        }
        self.set(Ok(("description", wanted.into())));
    }
}
