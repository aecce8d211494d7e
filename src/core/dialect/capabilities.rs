//! What a backend can express, as data.

use crate::model::{
    ResourceField, ResourceKind,
    algorithm::{
        DfPolicy, DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm,
        NegotiationMode, PrfAlgorithm, TransformProtocol,
    },
    topology::EndpointType,
};
use std::ops::RangeInclusive;

/// What a backend can express. `backend_service.proto` defines each capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    pub dialect: &'static str,
    /// Empty if the dialect has no variants.
    pub variant: &'static str,
    pub route_based: bool,
    /// Policy rules that name both sides inside the connection.
    pub inline_policy_rules: bool,
    pub endpoint_groups: bool,
    pub certificates: bool,
    /// DPD settings inside the connection.
    pub inline_dpd: bool,
    /// DPD settings as a referenced resource.
    pub dpd_policies: bool,
    pub mtu: bool,
    pub tcp_mss_clamping: bool,
    /// `Initiation::OnDemand`.
    pub on_demand_initiation: bool,
    pub availability_zones: bool,
    /// `admin_enabled = false`.
    pub admin_disable: bool,
    /// Whether the cloud itself checks the etag.
    pub atomic_etag: bool,
    /// Whether the cloud reports the state of each node.
    pub nodes: bool,
    /// Whether the cloud can tell which write a state speaks for.
    pub write_tracking: bool,
    /// The most connections in one poll request.
    pub look_batch: usize,
    /// The kinds of resource other than connections, and what each takes. A kind that is absent here does not exist.
    pub resources: &'static [ResourceCapabilities],
    /// Whether `GetTunnelStatistics` is supported.
    pub tunnel_statistics: bool,
    /// Whether connections carry the gateway's mark, which tells the connections that the gateway created from the
    /// rest.
    pub connection_marks: bool,
}

impl Capabilities {
    /// Returns what a kind of resource takes, or `None` if this backend has no such kind.
    pub fn takes(&self, kind: ResourceKind) -> Option<&'static ResourceCapabilities> {
        self.resources.iter().find(|it| it.kind == kind)
    }
}

/// What one kind of resource takes. Each list holds the accepted values of a field; an empty list means that the field
/// is not taken. `backend_service.proto` defines each capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceCapabilities {
    pub kind: ResourceKind,
    /// The fields that can be set.
    pub fields: &'static [ResourceField],
    /// The `fields` that must be set.
    pub required: &'static [ResourceField],
    /// The `fields` that cannot be changed later.
    pub immutable: &'static [ResourceField],
    pub ike_versions: &'static [IkeVersion],
    pub negotiation_modes: &'static [NegotiationMode],
    pub encryption: &'static [EncryptionAlgorithm],
    pub integrity: &'static [IntegrityAlgorithm],
    pub prf: &'static [PrfAlgorithm],
    pub dh_groups: &'static [DhGroup],
    pub transform_protocols: &'static [TransformProtocol],
    pub encapsulation_modes: &'static [EncapsulationMode],
    pub df_policies: &'static [DfPolicy],
    /// Accepted values of the field `type`.
    pub endpoint_types: &'static [EndpointType],
    /// The most algorithms, or groups, in one list.
    pub max_algorithms: usize,
    /// Range of `lifetime.time`, in seconds.
    pub lifetime_seconds: Option<RangeInclusive<u64>>,
    /// Whether `lifetime.kilobytes` is taken.
    pub lifetime_kilobytes: bool,
    /// Range of the length of `display_name`, in characters.
    pub display_name: RangeInclusive<usize>,
    /// Maximum length of `description`, in characters.
    pub max_description: usize,
    /// Whether `perfect_forward_secrecy` can be false.
    pub pfs_optional: bool,
}

impl ResourceCapabilities {
    /// Returns a kind that takes nothing, as the base of a table entry.
    pub const fn nothing(kind: ResourceKind) -> ResourceCapabilities {
        ResourceCapabilities {
            kind,
            fields: &[],
            required: &[],
            immutable: &[],
            ike_versions: &[],
            negotiation_modes: &[],
            encryption: &[],
            integrity: &[],
            prf: &[],
            dh_groups: &[],
            transform_protocols: &[],
            encapsulation_modes: &[],
            df_policies: &[],
            endpoint_types: &[],
            max_algorithms: 0,
            lifetime_seconds: None,
            lifetime_kilobytes: false,
            display_name: 0..=255,
            max_description: 255,
            pfs_optional: false,
        }
    }
}
