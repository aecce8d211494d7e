//! What connections refer to: six kinds of resource with the same manners.

use crate::model::{
    name::Collection,
    policy::{DpdPolicy, IkePolicy, IpsecPolicy},
    topology::{EndpointGroup, LocalEndpoint, VpnService},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, time::SystemTime};

/// A kind of resource beside connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResourceKind {
    /// [`IkePolicy`]
    IkePolicy,
    /// [`IpsecPolicy`]
    IpsecPolicy,
    /// [`DpdPolicy`]
    DpdPolicy,
    /// [`VpnService`]
    VpnService,
    /// [`LocalEndpoint`]
    LocalEndpoint,
    /// [`EndpointGroup`]
    EndpointGroup,
}

impl ResourceKind {
    /// Every kind, in the order in which they can be made.
    pub const ALL: [ResourceKind; 6] = [
        ResourceKind::IkePolicy,
        ResourceKind::IpsecPolicy,
        ResourceKind::DpdPolicy,
        ResourceKind::VpnService,
        ResourceKind::LocalEndpoint,
        ResourceKind::EndpointGroup,
    ];

    /// Where its resource names are.
    pub fn collection(self) -> Collection {
        match self {
            ResourceKind::IkePolicy => Collection::IkePolicies,
            ResourceKind::IpsecPolicy => Collection::IpsecPolicies,
            ResourceKind::DpdPolicy => Collection::DpdPolicies,
            ResourceKind::VpnService => Collection::VpnServices,
            ResourceKind::LocalEndpoint => Collection::LocalEndpoints,
            ResourceKind::EndpointGroup => Collection::EndpointGroups,
        }
    }

    /// What people call one of them.
    pub fn noun(self) -> &'static str {
        match self {
            ResourceKind::IkePolicy => "IKE policy",
            ResourceKind::IpsecPolicy => "IPsec policy",
            ResourceKind::DpdPolicy => "DPD policy",
            ResourceKind::VpnService => "VPN service",
            ResourceKind::LocalEndpoint => "local endpoint",
            ResourceKind::EndpointGroup => "endpoint group",
        }
    }

    /// The fields that exist for this kind and can be written somewhere, in the order of the contract. What one backend
    /// takes of them is in its capabilities.
    pub fn fields(self) -> &'static [ResourceField] {
        use ResourceField as F;
        match self {
            ResourceKind::IkePolicy => &[
                F::DisplayName,
                F::Description,
                F::IkeVersion,
                F::NegotiationMode,
                F::EncryptionAlgorithms,
                F::IntegrityAlgorithms,
                F::PrfAlgorithms,
                F::DhGroups,
                F::Lifetime,
                F::AvailabilityZone,
            ],
            ResourceKind::IpsecPolicy => &[
                F::DisplayName,
                F::Description,
                F::TransformProtocol,
                F::EncapsulationMode,
                F::EncryptionAlgorithms,
                F::IntegrityAlgorithms,
                F::PerfectForwardSecrecy,
                F::DhGroups,
                F::Lifetime,
                F::DfPolicy,
                F::AvailabilityZone,
            ],
            ResourceKind::DpdPolicy => &[
                F::DisplayName,
                F::Description,
                F::Enabled,
                F::ProbeMode,
                F::ProbeInterval,
                F::RetryCount,
            ],
            ResourceKind::VpnService => &[
                F::DisplayName,
                F::Description,
                F::AdminEnabled,
                F::Router,
                F::Subnet,
                F::Flavor,
                F::BypassRules,
                F::IkeLogLevel,
                F::HaSync,
                F::AvailabilityZone,
            ],
            ResourceKind::LocalEndpoint => &[
                F::DisplayName,
                F::Description,
                F::VpnService,
                F::Address,
                F::LocalId,
                F::Certificate,
                F::TrustedAuthorities,
                F::RevocationLists,
            ],
            ResourceKind::EndpointGroup => &[
                F::DisplayName,
                F::Description,
                F::EndpointType,
                F::Endpoints,
            ],
        }
    }
}

macro_rules! fields {
    ($($field:ident = $path:literal),+ $(,)?) => {
        /// A field of a resource that can be written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ResourceField { $(#[doc = concat!("`", $path, "`")] $field),+ }

        impl ResourceField {
            /// The path in the proto, relative to the resource.
            pub fn path(self) -> &'static str {
                match self { $(ResourceField::$field => $path),+ }
            }
        }
    };
}

fields! {
    DisplayName = "display_name",
    Description = "description",
    AvailabilityZone = "availability_zone",
    IkeVersion = "ike_version",
    NegotiationMode = "negotiation_mode",
    EncryptionAlgorithms = "encryption_algorithms",
    IntegrityAlgorithms = "integrity_algorithms",
    PrfAlgorithms = "prf_algorithms",
    DhGroups = "dh_groups",
    Lifetime = "lifetime",
    TransformProtocol = "transform_protocol",
    EncapsulationMode = "encapsulation_mode",
    PerfectForwardSecrecy = "perfect_forward_secrecy",
    DfPolicy = "df_policy",
    Enabled = "enabled",
    ProbeMode = "probe_mode",
    ProbeInterval = "probe_interval",
    RetryCount = "retry_count",
    AdminEnabled = "admin_enabled",
    Router = "router",
    Subnet = "subnet",
    Flavor = "flavor",
    BypassRules = "bypass_rules",
    IkeLogLevel = "ike_log_level",
    HaSync = "ha_sync",
    VpnService = "vpn_service",
    Address = "address",
    LocalId = "local_id",
    Certificate = "certificate",
    TrustedAuthorities = "trusted_authorities",
    RevocationLists = "revocation_lists",
    EndpointType = "type",
    Endpoints = "endpoints",
}

/// A resource as a caller wants it. References are the cloud's own ids, already of the right backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSpec {
    /// A name for people.
    pub display_name: String,
    /// Free text, without the gateway's mark.
    pub description: String,
    /// The availability zone it is made in (k5).
    pub availability_zone: Option<String>,
    /// What only its kind has.
    pub settings: Settings,
}

/// What only one kind of resource has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settings {
    /// Of an IKE policy.
    IkePolicy(IkePolicy),
    /// Of an IPsec policy.
    IpsecPolicy(IpsecPolicy),
    /// Of a DPD policy.
    DpdPolicy(DpdPolicy),
    /// Of a VPN service.
    VpnService(VpnService),
    /// Of a local endpoint.
    LocalEndpoint(LocalEndpoint),
    /// Of an endpoint group.
    EndpointGroup(EndpointGroup),
}

impl Settings {
    /// Which kind has them.
    pub fn kind(&self) -> ResourceKind {
        match self {
            Settings::IkePolicy(_) => ResourceKind::IkePolicy,
            Settings::IpsecPolicy(_) => ResourceKind::IpsecPolicy,
            Settings::DpdPolicy(_) => ResourceKind::DpdPolicy,
            Settings::VpnService(_) => ResourceKind::VpnService,
            Settings::LocalEndpoint(_) => ResourceKind::LocalEndpoint,
            Settings::EndpointGroup(_) => ResourceKind::EndpointGroup,
        }
    }

    /// Those of a kind with nothing said.
    pub fn none(kind: ResourceKind) -> Settings {
        match kind {
            ResourceKind::IkePolicy => Settings::IkePolicy(IkePolicy::default()),
            ResourceKind::IpsecPolicy => Settings::IpsecPolicy(IpsecPolicy::default()),
            ResourceKind::DpdPolicy => Settings::DpdPolicy(DpdPolicy::default()),
            ResourceKind::VpnService => Settings::VpnService(VpnService::default()),
            ResourceKind::LocalEndpoint => Settings::LocalEndpoint(LocalEndpoint::default()),
            ResourceKind::EndpointGroup => Settings::EndpointGroup(EndpointGroup::default()),
        }
    }
}

impl ResourceSpec {
    /// One with nothing said.
    pub fn none(kind: ResourceKind) -> ResourceSpec {
        ResourceSpec {
            display_name: String::new(),
            description: String::new(),
            availability_zone: None,
            settings: Settings::none(kind),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> ResourceKind {
        self.settings.kind()
    }
}

/// What an update changes: the named fields get the values in `values`; a named field whose value is unset there goes
/// back to its default. A list that equals the one that is there, `None`s included, changes nothing; an immutable field
/// that equals what is there is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// Which fields change.
    pub fields: BTreeSet<ResourceField>,
    /// Their new values; the rest of it means nothing.
    pub values: ResourceSpec,
    /// What the caller believes is current. `None`: whatever it is.
    pub etag: Option<String>,
}

/// A resource as its cloud has it.
///
/// `None` and empty mean that the cloud did not say, or said something that has no place in the model; that is then found
/// in `native`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// The cloud's own id.
    pub id: String,
    /// What can be written of it, as it is; the gateway's mark removed.
    pub spec: ResourceSpec,
    /// Changes whenever it changes.
    pub etag: String,
    /// Whether the gateway's mark is on it.
    pub managed: bool,
    /// Whether that mark is of what was made together with other objects.
    pub joint: bool,
    /// When it was made, where the cloud tells.
    pub create_time: Option<SystemTime>,
    /// When it was changed last, where the cloud tells.
    pub update_time: Option<SystemTime>,
    /// The cloud's own words for the enums of `spec`, by the path of their field: a text, or a list of them.
    pub native_words: Map<String, Value>,
    /// What only this kind of cloud has.
    pub details: Option<ResourceDetails>,
    /// What has no home above, secrets aside.
    pub native: Map<String, Value>,
}

/// What only one kind of cloud tells of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourceDetails {
    /// NSX.
    Nsx(NsxResourceDetails),
    /// OpenStack in all variants.
    Openstack(OpenstackResourceDetails),
}

/// What only NSX tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NsxResourceDetails {
    /// `_revision`
    pub revision: i64,
    /// `_create_user`
    pub create_user: String,
    /// `_protection`
    pub protection: String,
    /// `_system_owned`
    pub system_owned: bool,
}

/// What only OpenStack tells; text as the cloud gave it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpenstackResourceDetails {
    /// `project_id`, or `tenant_id` where there is only that.
    pub project_id: String,
}
