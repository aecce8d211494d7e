//! What all resources other than connections have in common: conversion of a message to a wanted resource, field by
//! field, and of a resource to a message.

use crate::{
    core::error::{Error, Result},
    grpc::{
        convert::{Problems, native, time::timestamp, words},
        pb,
    },
    model::{
        BackendName, Collection, Resource, ResourceDetails, ResourceField, ResourceKind,
        ResourceSpec, Settings,
    },
};
use std::collections::BTreeSet;

/// A message of the contract for one kind of resource.
pub trait Wire: Sized {
    const KIND: ResourceKind;

    /// The field of requests that holds the message. Paths in the message begin with it.
    const PART: &'static str;

    /// The path of the message in a request that creates it with a connection, such as `parts.ike_policy`.
    const IN_PARTS: &'static str;

    fn name(&self) -> &str;

    /// Takes the writable fields that every kind has.
    fn head(&mut self) -> Head;

    /// Reads the fields of this kind only.
    fn settings(self, fields: &mut Fields<'_>) -> Settings;

    /// Creates a message with the fields of this kind. Returns `None` for the settings of another kind.
    fn say(settings: Settings, backend: &BackendName) -> Option<Self>;

    /// Sets the fields that every kind has.
    fn add(&mut self, common: Common);
}

/// Writable fields of every kind.
#[derive(Debug, Default)]
pub struct Head {
    pub name: String,
    pub display_name: String,
    pub description: String,
    /// Empty if the kind has none.
    pub availability_zone: String,
    pub etag: String,
}

/// Fields that every kind reports.
#[derive(Debug, Default)]
pub struct Common {
    /// The writable ones.
    pub head: Head,
    pub managed: bool,
    pub create_time: Option<prost_types::Timestamp>,
    pub update_time: Option<prost_types::Timestamp>,
    pub native_words: Option<prost_types::Struct>,
    pub details: Option<Details>,
    pub native: Option<prost_types::Struct>,
}

/// Fields that only one family of clouds has.
#[derive(Debug)]
pub enum Details {
    Nsx(pb::NsxResourceDetails),
    Openstack(pb::OpenstackResourceDetails),
}

/// Implements [`Wire`] for a message. `inward` reads its settings, `outward` converts them back, and
/// `availability_zone` is named if the kind has one.
macro_rules! wire {
    ($kind:ident, $part:ident, $inward:ident, $outward:ident $(, $zone:ident)?) => {
        impl Wire for pb::$kind {
            const KIND: ResourceKind = ResourceKind::$kind;
            const PART: &'static str = stringify!($part);
            const IN_PARTS: &'static str = concat!("parts.", stringify!($part));

            fn name(&self) -> &str {
                &self.name
            }

            fn head(&mut self) -> Head {
                Head {
                    name: std::mem::take(&mut self.name),
                    display_name: std::mem::take(&mut self.display_name),
                    description: std::mem::take(&mut self.description),
                    etag: std::mem::take(&mut self.etag),
                    // None, or one.
                    availability_zone: [$(std::mem::take(&mut self.$zone))?]
                        .into_iter()
                        .next()
                        .unwrap_or_default(),
                }
            }

            fn settings(self, fields: &mut Fields<'_>) -> Settings {
                Settings::$kind($inward(self, fields))
            }

            fn say(settings: Settings, backend: &BackendName) -> Option<Self> {
                match settings {
                    Settings::$kind(settings) => Some($outward(settings, backend)),
                    _ => None,
                }
            }

            fn add(&mut self, common: Common) {
                self.name = common.head.name;
                self.display_name = common.head.display_name;
                self.description = common.head.description;
                $(self.$zone = common.head.$zone;)?
                self.etag = common.head.etag;
                self.managed = common.managed;
                self.create_time = common.create_time;
                self.update_time = common.update_time;
                self.native_words = common.native_words;
                self.details = common.details.map(|details| match details {
                    Details::Nsx(nsx) => pb::$part::Details::Nsx(nsx),
                    Details::Openstack(openstack) => pb::$part::Details::Openstack(openstack),
                });
                self.native = common.native;
            }
        }
    };
}
pub(super) use wire;

/// Converts a resource of `backend`.
///
/// # Errors
/// `Internal` if the resource is not of kind `W`.
pub fn say<W: Wire>(backend: &BackendName, resource: Resource) -> Result<W> {
    let spec = resource.spec;
    let Some(mut message) = W::say(spec.settings, backend) else {
        let what = format!("the {} that was read is something else", W::KIND.noun());
        return Err(Error::internal(what).on(backend));
    };
    message.add(Common {
        head: Head {
            name: name_in(backend, W::KIND.collection(), Some(resource.id)),
            display_name: spec.display_name,
            description: spec.description,
            availability_zone: spec.availability_zone.unwrap_or_default(),
            etag: resource.etag,
        },
        managed: resource.managed,
        create_time: resource.create_time.map(timestamp),
        update_time: resource.update_time.map(timestamp),
        native_words: native::fields(resource.native_words),
        details: resource.details.map(details),
        native: native::fields(resource.native),
    });
    Ok(message)
}

/// Returns the name of a backend's resource. Empty without an id.
pub fn name_in(backend: &BackendName, collection: Collection, id: Option<String>) -> String {
    match id {
        Some(id) if !id.is_empty() => format!("{backend}/{}/{id}", collection.segment()),
        _ => String::new(),
    }
}

fn details(details: ResourceDetails) -> Details {
    match details {
        ResourceDetails::Nsx(nsx) => Details::Nsx(pb::NsxResourceDetails {
            revision: nsx.revision,
            create_user: nsx.create_user,
            protection: nsx.protection,
            system_owned: nsx.system_owned,
        }),
        ResourceDetails::Openstack(openstack) => Details::Openstack(pb::OpenstackResourceDetails {
            project_id: openstack.project_id,
        }),
    }
}

/// A resource as a caller wants it.
#[derive(Debug)]
pub struct Wanted {
    /// The name as it was given.
    pub name: String,
    /// `None` if absent.
    pub etag: Option<String>,
    /// The other fields. A malformed value has a violation; it is unset if the model cannot hold it.
    pub spec: ResourceSpec,
    /// The fields that were given.
    pub set: BTreeSet<ResourceField>,
}

/// Reads the fields of `message` that are in `wanted`, or all of them. Skips output-only fields. Fields that are not
/// wanted cannot be violations either. Paths are relative to the resource.
///
/// References must point into `backend`. It is `None` if its own name was malformed.
pub fn read<W: Wire>(
    mut message: W,
    wanted: Option<&BTreeSet<ResourceField>>,
    backend: Option<&BackendName>,
    problems: &mut Problems,
) -> Wanted {
    let head = message.head();
    let mut fields = Fields {
        wanted,
        backend,
        set: BTreeSet::new(),
        problems,
    };
    let spec = ResourceSpec {
        display_name: fields.plain(ResourceField::DisplayName, head.display_name),
        description: fields.plain(ResourceField::Description, head.description),
        availability_zone: fields.text(ResourceField::AvailabilityZone, head.availability_zone),
        settings: message.settings(&mut fields),
    };
    Wanted {
        name: head.name,
        etag: Some(head.etag).filter(|etag| !etag.is_empty()),
        spec,
        set: fields.set,
    }
}

/// The fields of one message while it is read.
#[derive(Debug)]
pub struct Fields<'a> {
    /// The fields to read. `None` means all.
    wanted: Option<&'a BTreeSet<ResourceField>>,
    backend: Option<&'a BackendName>,
    /// The fields that have a value.
    set: BTreeSet<ResourceField>,
    problems: &'a mut Problems,
}

impl Fields<'_> {
    /// Reads a field. Passes its path to `read`. Returns the default if the field is not wanted.
    pub fn read<T: Default + PartialEq>(
        &mut self,
        field: ResourceField,
        read: impl FnOnce(&str, &mut Problems) -> T,
    ) -> T {
        if self.wanted.is_some_and(|wanted| !wanted.contains(&field)) {
            return T::default();
        }
        let value = read(field.path(), self.problems);
        if value != T::default() {
            self.set.insert(field);
        }
        value
    }

    /// Reads a field that cannot be malformed.
    pub fn plain<T: Default + PartialEq>(&mut self, field: ResourceField, value: T) -> T {
        self.read(field, |_, _| value)
    }

    /// Reads a text. An empty one is unset.
    pub fn text(&mut self, field: ResourceField, text: String) -> Option<String> {
        self.plain(field, Some(text).filter(|text| !text.is_empty()))
    }

    /// Reads a reference to a resource of the same backend.
    pub fn reference(
        &mut self,
        field: ResourceField,
        text: &str,
        collection: Collection,
    ) -> Option<String> {
        let backend = self.backend;
        self.read(field, |path, problems| {
            problems.reference(path, text, collection, backend)
        })
    }

    /// Reads an enum value.
    pub fn word<W: words::Word>(&mut self, field: ResourceField, number: i32) -> Option<W::Model> {
        self.read(field, |path, problems| {
            words::read::<W>(path, number, problems)
        })
    }

    /// Reads a list of enum values. UNSPECIFIED stands for a value that only the cloud has a name for. An unknown value
    /// adds a violation and is left out.
    pub fn words<W: words::Word>(
        &mut self,
        field: ResourceField,
        numbers: Vec<i32>,
    ) -> Vec<Option<W::Model>> {
        self.read(field, |path, problems| {
            let each = numbers.into_iter().enumerate();
            each.filter_map(|(index, number)| {
                let value = words::read::<W>(&format!("{path}[{index}]"), number, problems);
                (value.is_some() || number == 0).then_some(value)
            })
            .collect()
        })
    }
}
