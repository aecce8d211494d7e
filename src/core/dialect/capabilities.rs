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

/// What a backend can express. What each means is told in `backend_service.proto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The dialect's name.
    pub dialect: &'static str,
    /// The variant's name; empty if the dialect has none.
    pub variant: &'static str,
    /// Route-based connections.
    pub route_based: bool,
    /// Policy rules with both sides inside the connection.
    pub inline_policy_rules: bool,
    /// Endpoint groups.
    pub endpoint_groups: bool,
    /// Authentication by certificate.
    pub certificates: bool,
    /// DPD inside the connection.
    pub inline_dpd: bool,
    /// DPD by reference.
    pub dpd_policies: bool,
    /// `mtu`.
    pub mtu: bool,
    /// `tcp_mss_clamping`.
    pub tcp_mss_clamping: bool,
    /// `Initiation::OnDemand`.
    pub on_demand_initiation: bool,
    /// `availability_zone`.
    pub availability_zones: bool,
    /// `admin_enabled = false`.
    pub admin_disable: bool,
    /// The cloud itself checks the etag.
    pub atomic_etag: bool,
    /// The cloud tells of nodes.
    pub nodes: bool,
    /// The cloud can tell which write a state speaks for.
    pub write_tracking: bool,
    /// Connections in one poll request.
    pub look_batch: usize,
    /// The kinds of resource beside connections, and what each takes. What is not here does not exist.
    pub resources: &'static [ResourceCapabilities],
    /// `GetTunnelStatistics`.
    pub tunnel_statistics: bool,
    /// Connections carry the gateway's mark, so that it can be told which it made.
    pub connection_marks: bool,
}

impl Capabilities {
    /// What a kind of resource takes; `None` if there is no such kind.
    pub fn takes(&self, kind: ResourceKind) -> Option<&'static ResourceCapabilities> {
        self.resources.iter().find(|it| it.kind == kind)
    }
}

/// What one kind of resource takes. A list of values that is empty says that the field is not taken. What each means is
/// told in `backend_service.proto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceCapabilities {
    /// The kind.
    pub kind: ResourceKind,
    /// The fields that can be set.
    pub fields: &'static [ResourceField],
    /// Those of them that must be set.
    pub required: &'static [ResourceField],
    /// Those of them that cannot be changed later.
    pub immutable: &'static [ResourceField],
    /// `ike_version`
    pub ike_versions: &'static [IkeVersion],
    /// `negotiation_mode`
    pub negotiation_modes: &'static [NegotiationMode],
    /// `encryption_algorithms`
    pub encryption: &'static [EncryptionAlgorithm],
    /// `integrity_algorithms`
    pub integrity: &'static [IntegrityAlgorithm],
    /// `prf_algorithms`
    pub prf: &'static [PrfAlgorithm],
    /// `dh_groups`
    pub dh_groups: &'static [DhGroup],
    /// `transform_protocol`
    pub transform_protocols: &'static [TransformProtocol],
    /// `encapsulation_mode`
    pub encapsulation_modes: &'static [EncapsulationMode],
    /// `df_policy`
    pub df_policies: &'static [DfPolicy],
    /// `type`
    pub endpoint_types: &'static [EndpointType],
    /// The most algorithms, and groups, in one list.
    pub max_algorithms: usize,
    /// `lifetime.time`, in seconds.
    pub lifetime_seconds: Option<RangeInclusive<u64>>,
    /// `lifetime.kilobytes`
    pub lifetime_kilobytes: bool,
    /// Characters of `display_name`.
    pub display_name: RangeInclusive<usize>,
    /// Characters of `description`.
    pub max_description: usize,
    /// `perfect_forward_secrecy` can be false.
    pub pfs_optional: bool,
}

impl ResourceCapabilities {
    /// A kind that takes nothing yet: where a table of them begins.
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
