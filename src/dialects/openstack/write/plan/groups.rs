//! The endpoint groups that hold the networks of rules with both sides.

use crate::{
    core::{
        dialect::{Call, Mark},
        error::{Error, Result},
    },
    dialects::openstack::{
        client::Client,
        mark, read,
        translate::{self, Product},
        variant::Variant,
        wire::{
            Body,
            kind::{CONNECTIONS, ENDPOINT_GROUPS},
        },
    },
    model::{
        Field, ResourceKind, ResourceSpec, Settings,
        topology::{EndpointGroup, EndpointType},
    },
};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// One of the two groups of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The subnets on this side.
    Local,
    /// The networks on the peer's side.
    Peer,
}

impl Side {
    /// Both, in the order in which they are created.
    pub const BOTH: [Side; 2] = [Side::Local, Side::Peer];

    /// Returns the field of a connection that references this group.
    pub fn key(self) -> &'static str {
        match self {
            Side::Local => "local_ep_group_id",
            Side::Peer => "peer_ep_group_id",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Side::Local => "local",
            Side::Peer => "peer",
        }
    }
}

/// Returns the local and the peer group for these networks, in a connection of this name.
pub fn wanted(
    product: &Product,
    subnets: Vec<String>,
    name: &str,
    variant: &Variant,
) -> [ResourceSpec; 2] {
    let peer = product.destinations.iter().map(IpNet::to_string).collect();
    [
        spec(Side::Local, name, subnets, variant),
        spec(Side::Peer, name, peer, variant),
    ]
}

fn spec(side: Side, name: &str, endpoints: Vec<String>, variant: &Variant) -> ResourceSpec {
    let endpoint_type = match side {
        Side::Local => EndpointType::Subnet,
        Side::Peer => EndpointType::Cidr,
    };
    ResourceSpec {
        display_name: display_name(side, name, variant),
        settings: Settings::EndpointGroup(EndpointGroup {
            endpoint_type: Some(endpoint_type),
            endpoints,
        }),
        ..ResourceSpec::none(ResourceKind::EndpointGroup)
    }
}

/// Returns the connection's name, cut to fit, followed by the side.
fn display_name(side: Side, name: &str, variant: &Variant) -> String {
    let takes = variant.capabilities.takes(ResourceKind::EndpointGroup);
    let most = takes.map_or(0, |takes| *takes.display_name.end());
    let end = side.word();
    let room = most.saturating_sub(end.len() + 1);
    let begin: String = name.chars().take(room).collect();
    match begin.trim_end() {
        "" => end.to_owned(),
        begin => format!("{begin} {end}"),
    }
}

/// Reports whether an existing group equals what creating `spec` would give.
pub fn is_as_wanted(group: &Body, spec: &ResourceSpec) -> bool {
    let Settings::EndpointGroup(wanted) = &spec.settings else {
        return false;
    };
    let is_local = wanted.endpoint_type == Some(EndpointType::Subnet);
    let word = if is_local { "subnet" } else { "cidr" };
    let has_type = group
        .text("type")
        .is_some_and(|it| it.trim().eq_ignore_ascii_case(word));
    let plain = |text: &str| match text.parse::<IpNet>() {
        Ok(network) => network.trunc().to_string(),
        Err(_) => text.to_owned(),
    };
    let there = group.object().get("endpoints").map(translate::elements);
    let there = there.unwrap_or_default();
    let there: BTreeSet<String> = there
        .iter()
        .filter_map(|it| it.as_str())
        .map(plain)
        .collect();
    let wanted: BTreeSet<String> = wanted.endpoints.iter().map(|it| plain(it)).collect();
    has_type && there == wanted
}

/// Returns the group with this id, or `None` if it does not exist.
///
/// # Errors
/// The read fails.
pub async fn there(client: &Client, id: &str, call: &Call) -> Result<Option<Body>> {
    let row = read::row(client, &ENDPOINT_GROUPS, id, &[], call).await?;
    Ok(row.ok())
}

/// Returns the ids of the groups to remove among those that a connection no longer references: groups that were created
/// together with a connection and that no other connection uses.
///
/// # Errors
/// The read fails.
pub async fn that_go(
    client: &Client,
    connection: &str,
    left: &[Body],
    call: &Call,
) -> Result<Vec<String>> {
    let is_joint = |group: &&Body| {
        let description = group.text("description").unwrap_or_default();
        mark::split(&description).1.is_some_and(Mark::is_joint)
    };
    let joint: Vec<String> = left.iter().filter(is_joint).map(Body::id).collect();
    if joint.is_empty() {
        return Ok(joint);
    }
    let fields = ["id", Side::Local.key(), Side::Peer.key()];
    let others = read::all(client, &CONNECTIONS, &fields, call).await?;
    let others = || others.iter().filter(|row| row.id() != connection);
    let is_used = |group: &String| {
        let refers = |row: &Body| {
            Side::BOTH
                .iter()
                .any(|side| row.text(side.key()).as_ref() == Some(group))
        };
        others().any(refers)
    };
    Ok(joint.into_iter().filter(|group| !is_used(group)).collect())
}

/// Renames the fields of a group's refusal to the connection's field.
pub fn as_rules(mut error: Error) -> Error {
    for violation in &mut error.context.violations {
        violation.field = Field::Selectors.path().to_owned();
    }
    error
}
