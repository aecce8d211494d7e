//! The six kinds of resource that connections reference, with the operations common to all of them.

use crate::model::{
    name::Collection,
    policy::{DpdPolicy, IkePolicy, IpsecPolicy},
    topology::{EndpointGroup, LocalEndpoint, VpnService},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, time::SystemTime};

/// A kind of resource other than a connection.
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
    /// Every kind, in an order in which they can be created.
    pub const ALL: [ResourceKind; 6] = [
        ResourceKind::IkePolicy,
        ResourceKind::IpsecPolicy,
        ResourceKind::DpdPolicy,
        ResourceKind::VpnService,
        ResourceKind::LocalEndpoint,
        ResourceKind::EndpointGroup,
    ];

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

    /// The human-readable name of the kind.
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

    /// Fields of this kind that some backend can write, in the order of the contract. A backend's capabilities say
    /// which of them it accepts.
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
        /// A writable field of a resource.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ResourceField { $(#[doc = concat!("`", $path, "`")] $field),+ }

        impl ResourceField {
            /// The field's path in the proto, relative to the resource.
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

/// A resource as a caller wants it. References are the ids that the cloud uses, on the same backend as the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSpec {
    /// Human-readable name.
    pub display_name: String,
    /// Free text, without the gateway's mark.
    pub description: String,
    /// Availability zone to create the resource in (k5).
    pub availability_zone: Option<String>,
    /// Fields that only this kind has.
    pub settings: Settings,
}

/// The fields of one kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settings {
    IkePolicy(IkePolicy),
    IpsecPolicy(IpsecPolicy),
    DpdPolicy(DpdPolicy),
    VpnService(VpnService),
    LocalEndpoint(LocalEndpoint),
    EndpointGroup(EndpointGroup),
}

impl Settings {
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

    /// Settings of this kind with every field unset.
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
    /// A spec of this kind with every field unset.
    pub fn none(kind: ResourceKind) -> ResourceSpec {
        ResourceSpec {
            display_name: String::new(),
            description: String::new(),
            availability_zone: None,
            settings: Settings::none(kind),
        }
    }

    pub fn kind(&self) -> ResourceKind {
        self.settings.kind()
    }
}

/// An update of a resource. Each field in `fields` takes its value from `values`. A field that is unset there returns
/// to its default. A list that equals the current one, `None` entries included, changes nothing. An immutable field is
/// accepted if it equals the current value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    pub fields: BTreeSet<ResourceField>,
    /// New values. Only the fields in `fields` count.
    pub values: ResourceSpec,
    /// The etag that the caller believes is current. `None` skips the check.
    pub etag: Option<String>,
}

/// A resource as its cloud reports it.
///
/// `None` or an empty value means that the cloud did not report the field, or reported a value that the model cannot
/// hold. Such a value is kept in `native`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// The id that the cloud uses.
    pub id: String,
    /// The writable fields as they are, with the gateway's mark removed.
    pub spec: ResourceSpec,
    /// Changes whenever the resource changes.
    pub etag: String,
    /// Whether the resource carries the gateway's mark.
    pub managed: bool,
    /// Whether that mark says that one call created the resource together with other objects.
    pub joint: bool,
    /// When the resource was created, if the cloud reports it.
    pub create_time: Option<SystemTime>,
    /// When the resource last changed, if the cloud reports it.
    pub update_time: Option<SystemTime>,
    /// The cloud's own words for the enums of `spec`, keyed by field path. A value is a text or a list of texts.
    pub native_words: Map<String, Value>,
    /// Fields that only this kind of cloud has.
    pub details: Option<ResourceDetails>,
    /// Fields of the cloud's answer that have no place above, without secrets.
    pub native: Map<String, Value>,
}

/// Fields of a resource that only one kind of cloud has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourceDetails {
    Nsx(NsxResourceDetails),
    /// OpenStack, all variants.
    Openstack(OpenstackResourceDetails),
}

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

/// Fields that only OpenStack has. Text is kept as the cloud gave it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpenstackResourceDetails {
    /// `project_id`, or `tenant_id` if the cloud gives only that.
    pub project_id: String,
}
