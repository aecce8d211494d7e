//! Capabilities of backends.

use crate::{
    core::dialect::{Capabilities, ResourceCapabilities},
    grpc::{
        convert::{
            time::duration,
            words::{Word, numbers},
        },
        pb,
    },
    model::ResourceField,
};
use std::time::Duration;

pub fn capabilities(capabilities: &Capabilities) -> pb::Capabilities {
    pb::Capabilities {
        route_based: capabilities.route_based,
        inline_policy_rules: capabilities.inline_policy_rules,
        endpoint_groups: capabilities.endpoint_groups,
        certificates: capabilities.certificates,
        inline_dpd: capabilities.inline_dpd,
        mtu: capabilities.mtu,
        tcp_mss_clamping: capabilities.tcp_mss_clamping,
        on_demand_initiation: capabilities.on_demand_initiation,
        admin_disable: capabilities.admin_disable,
        atomic_etag: capabilities.atomic_etag,
        nodes: capabilities.nodes,
        write_tracking: capabilities.write_tracking,
        look_batch: int(capabilities.look_batch),
        resources: capabilities.resources.iter().map(resource).collect(),
        tunnel_statistics: capabilities.tunnel_statistics,
        connection_marks: capabilities.connection_marks,
        availability_zones: capabilities.availability_zones,
    }
}

/// Converts the capabilities of one kind of resource.
fn resource(takes: &ResourceCapabilities) -> pb::ResourceCapabilities {
    let seconds = |seconds: &u64| duration(Duration::from_secs(*seconds));
    let lifetime = takes.lifetime_seconds.as_ref();
    pb::ResourceCapabilities {
        collection: takes.kind.collection().segment().to_owned(),
        fields: paths(takes.fields),
        required_fields: paths(takes.required),
        immutable_fields: paths(takes.immutable),
        ike_versions: all::<pb::IkeVersion>(takes.ike_versions),
        negotiation_modes: all::<pb::NegotiationMode>(takes.negotiation_modes),
        encryption_algorithms: all::<pb::EncryptionAlgorithm>(takes.encryption),
        integrity_algorithms: all::<pb::IntegrityAlgorithm>(takes.integrity),
        prf_algorithms: all::<pb::PrfAlgorithm>(takes.prf),
        dh_groups: all::<pb::DhGroup>(takes.dh_groups),
        transform_protocols: all::<pb::TransformProtocol>(takes.transform_protocols),
        encapsulation_modes: all::<pb::EncapsulationMode>(takes.encapsulation_modes),
        df_policies: all::<pb::DfPolicy>(takes.df_policies),
        endpoint_types: all::<pb::endpoint_group::Type>(takes.endpoint_types),
        max_algorithms: int(takes.max_algorithms),
        min_lifetime: lifetime.map(|range| seconds(range.start())),
        max_lifetime: lifetime.map(|range| seconds(range.end())),
        lifetime_kilobytes: takes.lifetime_kilobytes,
        max_display_name: int(*takes.display_name.end()),
        perfect_forward_secrecy_optional: takes.pfs_optional,
    }
}

fn paths(fields: &[ResourceField]) -> Vec<String> {
    fields.iter().map(|field| field.path().to_owned()).collect()
}

fn all<W: Word>(values: &[W::Model]) -> Vec<i32> {
    numbers::<W>(values.iter().copied().map(Some))
}

fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
