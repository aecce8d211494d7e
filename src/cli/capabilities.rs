//! The capabilities of a backend as text for people.

use crate::{
    cli::{columns::value, json, kinds::Kind, text::clean},
    grpc::pb::{Capabilities, ResourceCapabilities},
};
use prost_reflect::{Kind as FieldKind, ReflectMessage};

/// Returns the capabilities of connections, and other features, in words.
pub fn words(can: &Capabilities) -> Vec<&'static str> {
    [
        (can.route_based, "route-based"),
        (can.inline_policy_rules, "inline policy rules"),
        (can.endpoint_groups, "endpoint groups"),
        (can.certificates, "certificates"),
        (can.inline_dpd, "inline dpd"),
        (can.mtu, "mtu"),
        (can.tcp_mss_clamping, "tcp mss clamping"),
        (can.on_demand_initiation, "on-demand initiation"),
        (can.admin_disable, "admin disable"),
        (can.atomic_etag, "atomic etag"),
        (can.nodes, "nodes"),
        (can.write_tracking, "write tracking"),
        (can.tunnel_statistics, "tunnel statistics"),
        (can.connection_marks, "a mark on connections"),
        (can.availability_zones, "availability zones"),
    ]
    .into_iter()
    .filter_map(|(can, word)| can.then_some(word))
    .collect()
}

/// Returns the kinds of resource with their fields, required ones marked by a star, and below them the values that
/// their enums accept. Each line has a label and a text; an empty label continues the kind above.
pub fn kinds(can: &Capabilities) -> Vec<(String, String)> {
    can.resources.iter().flat_map(of_kind).collect()
}

fn of_kind(resource: &ResourceCapabilities) -> Vec<(String, String)> {
    let people = Kind::of(&resource.collection)
        .map_or(clean(&resource.collection), |kind| kind.people().to_owned());
    let fields = resource.fields.iter().map(|field| {
        let star = if resource.required_fields.contains(field) {
            "*"
        } else {
            ""
        };
        clean(field) + star
    });
    let mut lines = vec![(people, fields.collect::<Vec<_>>().join(", "))];
    let resource = json::dynamic("ResourceCapabilities", resource);
    for field in resource.descriptor().fields() {
        let values = value(&resource, field.name());
        if matches!(field.kind(), FieldKind::Enum(_)) && !values.is_empty() {
            let label = field.name().replace('_', " ");
            lines.push((String::new(), format!("{label}: {values}")));
        }
    }
    lines
}
