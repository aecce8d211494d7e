//! Requests of the resource services. All violations are reported at once: those of the request's form and, if there
//! are any, the backend's violations of the rest.

use crate::{
    core::{
        error::{Result, Violation},
        request_id::How,
    },
    grpc::convert::{
        Problems,
        resource::{Wanted, Wire, read},
        write::Asked,
    },
    model::{
        BackendName, Resource, ResourceChange, ResourceField, ResourceKind, ResourceName,
        ResourceSpec, Settings,
    },
};
use std::collections::BTreeSet;

/// The mask path that stands for every field.
const EVERYTHING: &str = "*";

/// Output-only fields that a mask may name, by first segment. They are skipped, so that a resource can be sent back as
/// it was read.
const NOT_WRITTEN: [&str; 11] = [
    "name",
    "etag",
    "managed",
    "create_time",
    "update_time",
    "native_words",
    "nsx",
    "openstack",
    "native",
    "external_addresses",
    "native_state",
];

/// Returns the fields that a resource of this kind needs on every cloud.
pub(super) fn required(kind: ResourceKind) -> &'static [ResourceField] {
    match kind {
        ResourceKind::IkePolicy | ResourceKind::IpsecPolicy | ResourceKind::DpdPolicy => &[],
        ResourceKind::VpnService => &[ResourceField::Router],
        ResourceKind::LocalEndpoint => &[ResourceField::VpnService, ResourceField::Address],
        ResourceKind::EndpointGroup => &[ResourceField::EndpointType, ResourceField::Endpoints],
    }
}

#[derive(Debug)]
pub struct Create {
    pub backend: BackendName,
    pub spec: ResourceSpec,
    pub how: How,
}

#[derive(Debug)]
pub struct Update {
    pub name: ResourceName,
    pub change: ResourceChange,
    pub how: How,
    /// Violations that [`Update::settled`] has yet to report.
    problems: Problems,
}

#[derive(Debug)]
pub struct Delete {
    pub name: ResourceName,
    /// The etag that the caller expects to be current.
    pub etag: Option<String>,
    /// Whether deleting a resource that does not exist succeeds.
    pub allow_missing: bool,
    pub how: How,
}

/// Reads the name of the resource that a request is about.
///
/// # Errors
/// `InvalidArgument` on `name`.
pub fn name(kind: ResourceKind, text: &str) -> Result<ResourceName> {
    let mut problems = Problems::default();
    let name = problems.resource_name("name", text, kind.collection());
    problems.finish(name)
}

impl Create {
    /// Reads the request. If any of it is malformed, asks `refused` what the backend cannot express of the rest.
    ///
    /// # Errors
    /// `InvalidArgument` with every violation of both kinds.
    pub fn read<W: Wire>(
        parent: &str,
        resource: Option<W>,
        asked: impl Into<Asked>,
        refused: impl FnOnce(&BackendName, &ResourceSpec) -> Vec<Violation>,
    ) -> Result<Create> {
        let Asked { how, mut problems } = asked.into();
        let backend = problems.backend_name("parent", parent);
        let Some(resource) = resource else {
            problems.add(W::PART, "is required");
            return problems.finish(None);
        };
        let spec = new(resource, W::PART, backend.as_ref(), &[], &mut problems);
        if let Some(backend) = backend.as_ref().filter(|_| !problems.is_empty()) {
            problems.join(W::PART, refused(backend, &spec));
        }
        problems.finish(backend.map(|backend| Create { backend, spec, how }))
    }
}

/// Reads a new resource at this place of a request. The fields in `comes` are supplied otherwise, so they are not
/// missing.
pub(super) fn new<W: Wire>(
    resource: W,
    place: &'static str,
    backend: Option<&BackendName>,
    comes: &[ResourceField],
    problems: &mut Problems,
) -> ResourceSpec {
    let wanted = problems.within(place, |problems| read(resource, None, backend, problems));
    if !wanted.name.is_empty() {
        let why = "must be empty: the cloud chooses the id, and what is new has none yet";
        problems.within(place, |problems| problems.add("name", why));
    }
    let missing = required(W::KIND).iter();
    let missing = missing.filter(|field| !wanted.set.contains(field) && !comes.contains(field));
    lack(place, missing, "is required", problems);
    wanted.spec
}

impl Update {
    /// Reads the request. [`Update::settled`] reports malformed values.
    ///
    /// # Errors
    /// `InvalidArgument` with all violations, if the request does not name a resource.
    pub fn read<W: Wire>(
        resource: Option<W>,
        mask: Option<prost_types::FieldMask>,
        asked: impl Into<Asked>,
    ) -> Result<Update> {
        let Asked { how, mut problems } = asked.into();
        let Some(resource) = resource else {
            problems.add(W::PART, "is required");
            return problems.finish(None);
        };
        let name = problems.within(W::PART, |problems| {
            problems.resource_name("name", resource.name(), W::KIND.collection())
        });
        let backend = name.as_ref().map(|name| &name.backend);
        let change = change(resource, mask, backend, &mut problems);
        match name {
            Some(name) => Ok(Update {
                name,
                change,
                how,
                problems,
            }),
            None => problems.finish(None),
        }
    }

    /// Reports whether every malformed value may equal the existing resource's value. If so, the resource has to be
    /// read.
    pub fn may_be_there<W: Wire>(&self) -> bool {
        let (all, kept) = (self.problems.count(), self.problems.paths_within(W::PART));
        let kept = kept.filter(|path| kept_as_given(path).is_some()).count();
        all > 0 && all == kept
    }

    /// Removes malformed values that equal those of `there`: they change nothing, and only the cloud can have made them
    /// so. If any other value is malformed, asks `refused` what the backend cannot express of the rest.
    ///
    /// # Errors
    /// `InvalidArgument` with every violation of both kinds.
    pub fn settled<W: Wire>(
        mut self,
        there: Option<&Resource>,
        refused: impl FnOnce(&BackendName, &ResourceChange) -> Vec<Violation>,
    ) -> Result<Update> {
        let mut problems = std::mem::take(&mut self.problems);
        if let Some(there) = there {
            let values = &self.change.values.settings;
            let is_there = |field| is_as_there(field, values, &there.spec.settings);
            let paths = problems.paths_within(W::PART);
            let same: BTreeSet<ResourceField> = paths
                .filter_map(kept_as_given)
                .filter(|field| is_there(*field))
                .collect();
            problems.forgive(W::PART, |path| {
                kept_as_given(path).is_some_and(|field| same.contains(&field))
            });
            self.change.fields.retain(|field| !same.contains(field));
        }
        if !problems.is_empty() {
            let refused = refused(&self.name.backend, &self.change);
            problems.join(W::PART, refused);
        }
        problems.finish(Some(self))
    }
}

/// Returns the malformed field at this path, if the model keeps its value as it was given.
fn kept_as_given(path: &str) -> Option<ResourceField> {
    let kept = [
        ResourceField::Address,
        ResourceField::Endpoints,
        ResourceField::BypassRules,
    ];
    let first = path.split(['.', '[']).next()?;
    let field = kept.into_iter().find(|field| field.path() == first)?;
    (!path.ends_with(".action")).then_some(field)
}

/// Reports whether the field has the existing value. Always false for fields that [`kept_as_given`] does not return.
fn is_as_there(field: ResourceField, values: &Settings, there: &Settings) -> bool {
    match (field, values, there) {
        (
            ResourceField::Address,
            Settings::LocalEndpoint(values),
            Settings::LocalEndpoint(there),
        ) => values.address == there.address,
        (
            ResourceField::Endpoints,
            Settings::EndpointGroup(values),
            Settings::EndpointGroup(there),
        ) => values.endpoints == there.endpoints,
        (ResourceField::BypassRules, Settings::VpnService(values), Settings::VpnService(there)) => {
            values.bypass_rules == there.bypass_rules
        }
        _ => false,
    }
}

impl Delete {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument` on `name` and `request_id`.
    pub fn read(
        kind: ResourceKind,
        name: &str,
        etag: String,
        allow_missing: bool,
        asked: impl Into<Asked>,
    ) -> Result<Delete> {
        let Asked { how, mut problems } = asked.into();
        let name = problems.resource_name("name", name, kind.collection());
        problems.finish(name.map(|name| Delete {
            name,
            etag: Some(etag).filter(|etag| !etag.is_empty()),
            allow_missing,
            how,
        }))
    }
}

/// Reads a change. An absent or empty mask stands for every field that is set, and `*` for every field. A path that is
/// named but unset returns to its default. If it has none, that is a violation, except with `*`, because the existing
/// resource may lack it too.
fn change<W: Wire>(
    resource: W,
    mask: Option<prost_types::FieldMask>,
    backend: Option<&BackendName>,
    problems: &mut Problems,
) -> ResourceChange {
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    let named = (!paths.is_empty()).then(|| named::<W>(&paths, problems));
    let fields = named.as_ref().map(|named| &named.fields);
    let wanted = problems.within(W::PART, |problems| {
        read(resource, fields, backend, problems)
    });
    let Wanted {
        etag, spec, set, ..
    } = wanted;
    if let Some(named) = &named
        && !named.everything
    {
        let missing = required(W::KIND).iter();
        let missing = missing.filter(|it| named.fields.contains(it) && !set.contains(it));
        let why = "is named by the mask and has no default";
        lack(W::PART, missing, why, problems);
    }
    ResourceChange {
        fields: named.map_or(set, |named| named.fields),
        values: spec,
        etag,
    }
}

/// The paths of a mask.
#[derive(Debug, Default)]
struct Named {
    fields: BTreeSet<ResourceField>,
    /// Whether the mask has `*`.
    everything: bool,
}

fn named<W: Wire>(paths: &[String], problems: &mut Problems) -> Named {
    let all = W::KIND.fields();
    let mut named = Named::default();
    for (index, path) in paths.iter().enumerate() {
        let first = path.split('.').next().unwrap_or_default();
        if path == EVERYTHING {
            named.everything = true;
            named.fields.extend(all);
        } else if let Some(field) = all.iter().find(|field| field.path() == path) {
            named.fields.insert(*field);
        } else if !NOT_WRITTEN.contains(&first) {
            let accepted: Vec<&str> = all.iter().map(|field| field.path()).collect();
            problems.add(
                format!("update_mask.paths[{index}]"),
                format!("must be one of {EVERYTHING}, {}", accepted.join(", ")),
            );
        }
    }
    named
}

/// Adds violations for required fields that are missing. Skips malformed fields, which already have a violation.
fn lack<'a>(
    place: &'static str,
    fields: impl Iterator<Item = &'a ResourceField>,
    why: &str,
    problems: &mut Problems,
) {
    let missing = fields.map(|field| Violation::new(field.path(), why));
    problems.join(place, missing.collect());
}

#[cfg(test)]
mod tests;
