//! The routers that a VPN can attach to, and the subnets on them.

use crate::{
    core::{
        dialect::{Call, Page, PageRequest},
        error::Result,
    },
    dialects::openstack::{
        client::Client,
        error, read, translate,
        wire::{
            Body,
            kind::{PORTS, ROUTERS, SUBNETS},
        },
    },
    model::{Attachment, AttachmentKind},
};
use ipnet::IpNet;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The `device_owner` of ports that connect a router to a subnet: plain, distributed and highly available routers.
const OWNERS: [&str; 3] = [
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
];

/// Returns one page of routers and subnets, sorted by id.
///
/// Three LISTs tell which subnet is on which router, whatever the page size. Listing the ports of each router would
/// cost one request per router.
pub async fn list(client: &Client, request: &PageRequest, call: &Call) -> Result<Page<Attachment>> {
    let routers = read::all(client, &ROUTERS, &[], call).await?;
    let subnets = read::all(client, &SUBNETS, &[], call).await?;
    if routers.is_empty() && subnets.is_empty() {
        read::believe_none(client, call).await?;
    }
    let ports = match routers.is_empty() || subnets.is_empty() {
        true => Vec::new(),
        false => read::those(client, &PORTS, &owners(), call).await?,
    };
    let connected = Connected::by(&ports);
    let networks: BTreeMap<String, String> = subnets
        .iter()
        .filter_map(|subnet| Some((subnet.id(), subnet.text("cidr")?)))
        .collect();
    let mut found: Vec<Attachment> = routers
        .into_iter()
        .map(|body| router(body, &connected, &networks))
        .chain(subnets.into_iter().map(|body| subnet(body, &connected)))
        .collect();
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(page(found, request))
}

/// Returns the ids of the subnets on a router, by their network without host bits.
///
/// # Errors
/// A request fails.
pub async fn subnets_of(
    client: &Client,
    router: &str,
    call: &Call,
) -> Result<BTreeMap<IpNet, String>> {
    let ports = read::those(client, &PORTS, &owners(), call).await?;
    let connected = Connected::by(&ports);
    let ids = connected.by_router.get(router).cloned().unwrap_or_default();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let subnets = read::all(client, &SUBNETS, &[], call).await?;
    let on_router = subnets.iter().filter(|subnet| ids.contains(&subnet.id()));
    Ok(on_router
        .filter_map(|subnet| Some((network(subnet)?, subnet.id())))
        .collect())
}

/// Returns the networks of subnets, without host bits, by subnet id. `field` is the field of the connection that
/// needs them.
///
/// # Errors
/// `ReferenceNotFound` if a subnet does not exist or the account is not shown it; any error of a request.
pub async fn networks_of(
    client: &Client,
    ids: &[String],
    field: &str,
    call: &Call,
) -> Result<BTreeMap<String, IpNet>> {
    // This many ids make a URL of 2,000 characters.
    const AT_ONCE: usize = 50;
    let mut shown = BTreeMap::new();
    for ids in ids.chunks(AT_ONCE).filter(|ids| ids.len() > 1) {
        let narrow: Vec<(&'static str, String)> = ids.iter().map(|id| ("id", id.clone())).collect();
        let rows = read::those(client, &SUBNETS, &narrow, call).await?;
        shown.extend(rows.iter().map(|row| (row.id(), network(row))));
    }
    let mut networks = BTreeMap::new();
    for id in ids {
        let read = match shown.remove(id).flatten() {
            Some(network) => Some(network),
            None => {
                let fields = ["id", "cidr"];
                let row = read::row(client, &SUBNETS, id, &fields, call).await?;
                row.ok().as_ref().and_then(network)
            }
        };
        let Some(network) = read else {
            return Err(error::not_there(&SUBNETS, id, field));
        };
        networks.insert(id.clone(), network);
    }
    Ok(networks)
}

fn network(subnet: &Body) -> Option<IpNet> {
    translate::network(&subnet.text("cidr")?)
}

fn page(mut found: Vec<Attachment>, request: &PageRequest) -> Page<Attachment> {
    if let Some(after) = &request.after {
        found.retain(|attachment| attachment.id > *after);
    }
    let size = request.size.max(1) as usize;
    let has_more = found.len() > size;
    found.truncate(size);
    let next = found.last().map(|last| last.id.clone());
    Page {
        items: found,
        next: next.filter(|_| has_more),
    }
}

fn owners() -> Vec<(&'static str, String)> {
    let owner = |owner: &&str| ("device_owner", (*owner).to_owned());
    OWNERS.iter().map(owner).collect()
}

/// Which subnets are on which routers.
#[derive(Default)]
struct Connected {
    by_router: BTreeMap<String, BTreeSet<String>>,
    by_subnet: BTreeMap<String, BTreeSet<String>>,
}

impl Connected {
    /// Reads the ports, skipping those that connect no router: filters are not trusted.
    fn by(ports: &[Body]) -> Connected {
        let mut found = Connected::default();
        for port in ports {
            let owner = port.text("device_owner").unwrap_or_default();
            let Some(router) = port.text("device_id").filter(|id| !id.is_empty()) else {
                continue;
            };
            if !OWNERS.contains(&owner.as_str()) {
                continue;
            }
            for subnet in parts(port.object().get("fixed_ips"), "subnet_id") {
                let on_router = found.by_router.entry(router.clone()).or_default();
                on_router.insert(subnet.clone());
                let routers = found.by_subnet.entry(subnet).or_default();
                routers.insert(router.clone());
            }
        }
        found
    }
}

fn router(body: Body, connected: &Connected, networks: &BTreeMap<String, String>) -> Attachment {
    let gateway = body
        .object()
        .get("external_gateway_info")
        .filter(|gateway| gateway.as_object().is_some_and(|it| !it.is_empty()));
    let addresses = gateway.map_or_else(Vec::new, |gateway| {
        parts(gateway.get("external_fixed_ips"), "ip_address")
    });
    let unusable = gateway.is_none().then(|| {
        "it has no gateway to an external network, so no VPN service can be on it".to_owned()
    });
    let subnets = connected.by_router.get(&body.id()).into_iter().flatten();
    Attachment {
        kind: AttachmentKind::Router,
        id: body.id(),
        display_name: body.text("name").unwrap_or_default(),
        addresses,
        networks: subnets.filter_map(|id| networks.get(id).cloned()).collect(),
        parent_id: None,
        unusable,
        native: body.into_object(),
    }
}

fn subnet(body: Body, connected: &Connected) -> Attachment {
    let routers = connected.by_subnet.get(&body.id());
    let mut routers = routers.into_iter().flatten();
    let (router, other) = (routers.next(), routers.next());
    let unusable = router.is_none().then(|| {
        "it is connected to no router, and a VPN service takes only subnets of its router"
            .to_owned()
    });
    Attachment {
        kind: AttachmentKind::Subnet,
        id: body.id(),
        display_name: body.text("name").unwrap_or_default(),
        addresses: Vec::new(),
        networks: body.text("cidr").into_iter().collect(),
        parent_id: router.filter(|_| other.is_none()).cloned(),
        unusable,
        native: body.into_object(),
    }
}

/// Returns the text under `key` of each object in a list.
fn parts(list: Option<&Value>, key: &str) -> Vec<String> {
    let objects = list.and_then(Value::as_array).into_iter().flatten();
    let text = |object: &Value| object.get(key)?.as_str().map(str::to_owned);
    objects.filter_map(text).collect()
}
