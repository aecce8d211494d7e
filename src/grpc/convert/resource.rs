//! What all resources beside connections have in common: how a message becomes a resource that somebody wants, field by
//! field, and how a resource becomes a message.

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

/// A message of the contract that is one kind of resource.
pub trait Wire: Sized {
    /// Which kind.
    const KIND: ResourceKind;

    /// The field of requests that holds it: paths in it begin with this.
    const PART: &'static str;

    /// Where it is in a request that makes it with a connection: `parts.ike_policy`.
    const IN_PARTS: &'static str;

    /// The resource name.
    fn name(&self) -> &str;

    /// Takes out what every kind has and a caller may write.
    fn head(&mut self) -> Head;

    /// Reads what only this kind has.
    fn settings(self, fields: &mut Fields<'_>) -> Settings;

    /// Says what only this kind has. `None` if they are the settings of another kind.
    fn say(settings: Settings, backend: &BackendName) -> Option<Self>;

    /// Adds what every kind has.
    fn add(&mut self, common: Common);
}

/// What a caller may write of every kind.
#[derive(Debug, Default)]
pub struct Head {
    /// `name`
    pub name: String,
    /// `display_name`
    pub display_name: String,
    /// `description`
    pub description: String,
    /// `availability_zone`; empty if the kind has none.
    pub availability_zone: String,
    /// `etag`
    pub etag: String,
}

/// What every kind says of itself.
#[derive(Debug, Default)]
pub struct Common {
    /// What can be written of it.
    pub head: Head,
    /// `managed`
    pub managed: bool,
    /// `create_time`
    pub create_time: Option<prost_types::Timestamp>,
    /// `update_time`
    pub update_time: Option<prost_types::Timestamp>,
    /// `native_words`
    pub native_words: Option<prost_types::Struct>,
    /// `details`
    pub details: Option<Details>,
    /// `native`
    pub native: Option<prost_types::Struct>,
}

/// What only one of the two worlds has.
#[derive(Debug)]
pub enum Details {
    /// `nsx`
    Nsx(pb::NsxResourceDetails),
    /// `openstack`
    Openstack(pb::OpenstackResourceDetails),
}

/// Has a message of the contract be a kind of resource. `inward` reads its settings, `outward` says them, and
/// `availability_zone` is named where there is one.
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

/// A resource of `backend` as its cloud has it.
///
/// # Errors
/// `Internal` if it is of another kind than was asked for.
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

/// The name of something of a backend; empty without an id.
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
    /// `name`, as it was given.
    pub name: String,
    /// `etag`; `None` if it was not given.
    pub etag: Option<String>,
    /// The rest. What is malformed is noted, and left unset where the model has no place for it.
    pub spec: ResourceSpec,
    /// The fields that were given.
    pub set: BTreeSet<ResourceField>,
}

/// Reads the fields of `message` that are in `wanted`, or all of them; output-only fields are passed over, and what is
/// not wanted cannot be wrong either. Paths are relative to the resource.
///
/// `backend` is where references must point; `None` if its own name was malformed.
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

/// The fields of one message, while they are read.
#[derive(Debug)]
pub struct Fields<'a> {
    /// Which are read; `None` is all of them.
    wanted: Option<&'a BTreeSet<ResourceField>>,
    backend: Option<&'a BackendName>,
    /// Which have a value.
    set: BTreeSet<ResourceField>,
    problems: &'a mut Problems,
}

impl Fields<'_> {
    /// Reads a field, whose path `read` is told. Unset if it is not wanted.
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

    /// A field that cannot be malformed.
    pub fn plain<T: Default + PartialEq>(&mut self, field: ResourceField, value: T) -> T {
        self.read(field, |_, _| value)
    }

    /// Text that is unset if it is empty.
    pub fn text(&mut self, field: ResourceField, text: String) -> Option<String> {
        self.plain(field, Some(text).filter(|text| !text.is_empty()))
    }

    /// A reference to something in the same backend.
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

    /// A value of an enum.
    pub fn word<W: words::Word>(&mut self, field: ResourceField, number: i32) -> Option<W::Model> {
        self.read(field, |path, problems| {
            words::read::<W>(path, number, problems)
        })
    }

    /// A list of values of an enum, in which UNSPECIFIED stands for what only the cloud has a word for. What nobody knows is
    /// noted and left out.
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
