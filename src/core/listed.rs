//! What can be listed: connections, other resources, and attachments.

use crate::{
    core::filter::restriction::Restriction,
    model::{
        Attachment, BackendName, Collection, Connection, Resource, ResourceKind, ResourceName,
        Settings,
    },
};

/// A kind of list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listable {
    Connections,
    Resources(ResourceKind),
    /// Objects that a VPN can be attached to.
    Attachments,
}

impl Listable {
    pub const ALL: [Listable; 8] = [
        Listable::Connections,
        Listable::Resources(ResourceKind::IkePolicy),
        Listable::Resources(ResourceKind::IpsecPolicy),
        Listable::Resources(ResourceKind::DpdPolicy),
        Listable::Resources(ResourceKind::VpnService),
        Listable::Resources(ResourceKind::LocalEndpoint),
        Listable::Resources(ResourceKind::EndpointGroup),
        Listable::Attachments,
    ];

    /// Returns the plural noun.
    pub fn plural(self) -> &'static str {
        match self {
            Listable::Connections => "connections",
            Listable::Resources(kind) => match kind {
                ResourceKind::IkePolicy => "IKE policies",
                ResourceKind::IpsecPolicy => "IPsec policies",
                ResourceKind::DpdPolicy => "DPD policies",
                ResourceKind::VpnService => "VPN services",
                ResourceKind::LocalEndpoint => "local endpoints",
                ResourceKind::EndpointGroup => "endpoint groups",
            },
            Listable::Attachments => "attachments",
        }
    }

    /// Returns the collection segment of resource names; `attachments` for attachments.
    pub fn segment(self) -> &'static str {
        match self {
            Listable::Connections => Collection::Connections.segment(),
            Listable::Resources(kind) => kind.collection().segment(),
            Listable::Attachments => "attachments",
        }
    }
}

/// An item of a list.
pub trait Listed {
    fn id(&self) -> &str;

    fn display_name(&self) -> &str;

    /// Reports whether the item, in `backend`, meets a restriction. A restriction of a field that it lacks is not met.
    fn meets(&self, backend: &BackendName, restriction: &Restriction) -> bool;
}

impl Listed for Connection {
    fn id(&self) -> &str {
        &self.id
    }

    fn display_name(&self) -> &str {
        &self.display_name
    }

    fn meets(&self, backend: &BackendName, restriction: &Restriction) -> bool {
        match restriction {
            Restriction::DisplayName(wanted) => wanted.is_met_by(&self.display_name),
            Restriction::PeerAddress(wanted) => wanted.is_met_by_address(&self.peer.address),
            Restriction::AdminEnabled(wanted) => self.admin_enabled == Some(*wanted),
            Restriction::Managed(wanted) => self.managed == *wanted,
            Restriction::VpnService(name) => is(name, backend, self.vpn_service.as_deref()),
            Restriction::LocalEndpoint(name) => is(name, backend, self.local_endpoint.as_deref()),
            _ => false,
        }
    }
}

impl Listed for Resource {
    fn id(&self) -> &str {
        &self.id
    }

    fn display_name(&self) -> &str {
        &self.spec.display_name
    }

    fn meets(&self, backend: &BackendName, restriction: &Restriction) -> bool {
        match (restriction, &self.spec.settings) {
            (Restriction::DisplayName(wanted), _) => wanted.is_met_by(&self.spec.display_name),
            (Restriction::Managed(wanted), _) => self.managed == *wanted,
            (Restriction::AdminEnabled(wanted), Settings::VpnService(service)) => {
                service.admin_enabled == Some(*wanted)
            }
            (Restriction::Router(id), Settings::VpnService(service)) => service.router == *id,
            (Restriction::VpnService(name), Settings::LocalEndpoint(endpoint)) => {
                is(name, backend, endpoint.vpn_service.as_deref())
            }
            (Restriction::Address(wanted), Settings::LocalEndpoint(endpoint)) => {
                wanted.is_met_by_address(&endpoint.address)
            }
            (Restriction::EndpointType(wanted), Settings::EndpointGroup(group)) => {
                group.endpoint_type == Some(*wanted)
            }
            _ => false,
        }
    }
}

impl Listed for Attachment {
    fn id(&self) -> &str {
        &self.id
    }

    fn display_name(&self) -> &str {
        &self.display_name
    }

    fn meets(&self, _backend: &BackendName, restriction: &Restriction) -> bool {
        match restriction {
            Restriction::DisplayName(wanted) => wanted.is_met_by(&self.display_name),
            Restriction::Kind(wanted) => self.kind == *wanted,
            Restriction::Usable(wanted) => self.unusable.is_none() == *wanted,
            Restriction::ParentId(id) => self.parent_id.as_deref().unwrap_or_default() == id,
            _ => false,
        }
    }
}

fn is(name: &ResourceName, backend: &BackendName, id: Option<&str>) -> bool {
    name.backend == *backend && Some(&*name.id) == id
}
