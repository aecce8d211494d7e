//! The fields that a filter may name and what each takes: one table per kind of list.

use crate::{
    core::{
        filter::restriction::{Restriction, Wanted},
        listed::Listable,
    },
    model::{
        Collection, ResourceKind, ResourceName,
        algorithm::Named,
        topology::{AttachmentKind, EndpointType},
    },
};

/// A field that a filter may name.
#[derive(Debug)]
pub struct Field {
    pub path: &'static str,
    pub takes: Takes,
}

/// What a field takes, and the restriction that results.
#[derive(Debug)]
pub enum Takes {
    /// `=` or `:` and any text.
    Text(fn(Wanted) -> Restriction),
    /// `=` and true or false.
    Truth(fn(bool) -> Restriction),
    /// `=` and the name of a resource of this collection.
    Name(Collection, fn(ResourceName) -> Restriction),
    /// `=` and the cloud's own id.
    Id(fn(String) -> Restriction),
    /// `=` and the name of an enum value.
    Word {
        /// Returns the valid names.
        names: fn() -> Vec<&'static str>,
        /// Returns the restriction for a name, or `None` if it is not valid.
        read: fn(&str) -> Option<Restriction>,
    },
}

const DISPLAY_NAME: Field = field("display_name", Takes::Text(Restriction::DisplayName));
const MANAGED: Field = field("managed", Takes::Truth(Restriction::Managed));
const ADMIN_ENABLED: Field = field("admin_enabled", Takes::Truth(Restriction::AdminEnabled));
const VPN_SERVICE: Field = field(
    "vpn_service",
    Takes::Name(Collection::VpnServices, Restriction::VpnService),
);

const CONNECTIONS: &[Field] = &[
    DISPLAY_NAME,
    field("peer.address", Takes::Text(Restriction::PeerAddress)),
    ADMIN_ENABLED,
    MANAGED,
    VPN_SERVICE,
    field(
        "local_endpoint",
        Takes::Name(Collection::LocalEndpoints, Restriction::LocalEndpoint),
    ),
];
const POLICIES: &[Field] = &[DISPLAY_NAME, MANAGED];
const VPN_SERVICES: &[Field] = &[
    DISPLAY_NAME,
    MANAGED,
    ADMIN_ENABLED,
    field("router", Takes::Id(Restriction::Router)),
];
const LOCAL_ENDPOINTS: &[Field] = &[
    DISPLAY_NAME,
    field("address", Takes::Text(Restriction::Address)),
    MANAGED,
    VPN_SERVICE,
];
const ENDPOINT_GROUPS: &[Field] = &[
    DISPLAY_NAME,
    MANAGED,
    field(
        "type",
        Takes::Word {
            names: names::<EndpointType>,
            read: |name| EndpointType::of_name(name).map(Restriction::EndpointType),
        },
    ),
];
const ATTACHMENTS: &[Field] = &[
    DISPLAY_NAME,
    field(
        "kind",
        Takes::Word {
            names: names::<AttachmentKind>,
            read: |name| AttachmentKind::of_name(name).map(Restriction::Kind),
        },
    ),
    field("usable", Takes::Truth(Restriction::Usable)),
    field("parent_id", Takes::Id(Restriction::ParentId)),
];

/// Returns the fields of a list, in the order in which they are listed in errors.
pub fn fields(of: Listable) -> &'static [Field] {
    match of {
        Listable::Connections => CONNECTIONS,
        Listable::Resources(
            ResourceKind::IkePolicy | ResourceKind::IpsecPolicy | ResourceKind::DpdPolicy,
        ) => POLICIES,
        Listable::Resources(ResourceKind::VpnService) => VPN_SERVICES,
        Listable::Resources(ResourceKind::LocalEndpoint) => LOCAL_ENDPOINTS,
        Listable::Resources(ResourceKind::EndpointGroup) => ENDPOINT_GROUPS,
        Listable::Attachments => ATTACHMENTS,
    }
}

/// Says what is accepted, in errors.
pub fn accepted(of: Listable) -> String {
    let mut each: Vec<(String, Vec<String>)> = Vec::new();
    for field in fields(of) {
        let takes = field.takes.told();
        let path = format!("`{}`", field.path);
        match each.iter_mut().find(|(known, _)| *known == takes) {
            Some((_, paths)) => paths.push(path),
            None => each.push((takes, vec![path])),
        }
    }
    let each: Vec<String> = each
        .into_iter()
        .map(|(takes, paths)| format!("{} with {takes}", paths.join(" or ")))
        .collect();
    format!(
        "accepted are restrictions joined by AND: {}; values with other characters than letters, digits and \
         -._/:@+% stand in double quotes",
        each.join(", ")
    )
}

impl Takes {
    fn told(&self) -> String {
        match self {
            Takes::Text(_) => "`=` (equals) or `:` (contains, whatever the case)".to_owned(),
            Takes::Truth(_) => "`=` and true or false".to_owned(),
            Takes::Name(..) => "`=` and a resource name".to_owned(),
            Takes::Id(_) => "`=` and an id".to_owned(),
            Takes::Word { names, .. } => format!("`=` and {}", names().join(" or ")),
        }
    }
}

const fn field(path: &'static str, takes: Takes) -> Field {
    Field { path, takes }
}

fn names<T: Named>() -> Vec<&'static str> {
    T::ALL.iter().map(|value| value.as_str()).collect()
}
