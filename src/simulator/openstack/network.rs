//! Routers, subnets and ports: what a client reads to find where a VPN can be attached. Any role in the project can
//! read them, including `reader`. There are only two writes, and a VPN can stand in the way of both.

use serde_json::{Map, Value, json};

use crate::simulator::openstack::call::NeutronCall;
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::listing::{self, ListContext, Shown};
use crate::simulator::openstack::reply::{Refusal, Reply};
use crate::simulator::openstack::state::{Caller, Cloud};
use crate::simulator::openstack::variant::{Series, Variant};

/// A collection below `/v2.0` that is not a VPN resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collection {
    Routers,
    Subnets,
    Ports,
}

impl Collection {
    /// The collection with this path segment.
    pub(crate) fn from_segment(segment: &str) -> Option<Self> {
        [Self::Routers, Self::Subnets, Self::Ports]
            .into_iter()
            .find(|collection| collection.plural() == segment)
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Routers => "routers",
            Self::Subnets => "subnets",
            Self::Ports => "ports",
        }
    }

    fn singular(self) -> &'static str {
        match self {
            Self::Routers => "router",
            Self::Subnets => "subnet",
            Self::Ports => "port",
        }
    }

    /// The attributes that `sort_key` can name. 2026.2 filters by the same ones (`is_sort_key` and `is_filter` in
    /// neutron-lib, `definitions/l3.py`, `subnet.py`, `port.py`).
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Routers => &[
                "id",
                "name",
                "admin_state_up",
                "status",
                "tenant_id",
                "project_id",
                "description",
            ],
            Self::Subnets => &[
                "id",
                "name",
                "ip_version",
                "network_id",
                "subnetpool_id",
                "cidr",
                "gateway_ip",
                "enable_dhcp",
                "tenant_id",
                "project_id",
                "description",
            ],
            Self::Ports => &[
                "id",
                "name",
                "network_id",
                "admin_state_up",
                "mac_address",
                "device_id",
                "device_owner",
                "status",
                "tenant_id",
                "project_id",
                "description",
                "fixed_ips",
            ],
        }
    }

    fn not_found(self, id: &str) -> Refusal {
        match self {
            Self::Routers => Refusal::new(
                404,
                "RouterNotFound",
                format!("Router {id} could not be found"),
            ),
            Self::Subnets => Refusal::new(
                404,
                "SubnetNotFound",
                format!("Subnet {id} could not be found."),
            ),
            Self::Ports => Refusal::new(
                404,
                "PortNotFound",
                format!("Port {id} could not be found."),
            ),
        }
    }

    /// The rows that the caller can see, ordered by id.
    fn rows(self, cloud: &Cloud, caller: &Caller) -> Vec<Shown> {
        let network = &cloud.network;
        let reached = |project: &str| caller.reaches(project);
        let rows: Vec<Shown> = match self {
            Self::Routers => {
                let routers = network.routers.iter();
                let routers = routers.filter(|(_, router)| reached(&router.project));
                routers.map(|(id, router)| router.row(id)).collect()
            }
            Self::Subnets => {
                let subnets = network.subnets.iter();
                let subnets = subnets.filter(|(_, subnet)| reached(&subnet.project));
                subnets.map(|(id, subnet)| subnet.row(id)).collect()
            }
            Self::Ports => {
                let ports = network.ports().into_iter();
                let ports = ports.filter(|port| reached(&port.project));
                ports.map(|port| port.row()).collect()
            }
        };
        rows.into_iter()
            .map(|row| told(cloud.variant, row))
            .collect()
    }
}

/// One row as this cloud shows it.
///
/// K5 has the members that Neutron had when K5 was built, and a zone on every row. It omits the addresses of a gateway
/// (answers in `takamitsu-iida/k5c`, `bin/k5-show-router.py`, `k5-show-subnet.py`, `k5-show-port.py`).
fn told(variant: Variant, mut row: Map<String, Value>) -> Shown {
    if variant == Variant::K5 {
        row.retain(|name, _| !NEWER_THAN_K5.contains(&name.as_str()));
        row.insert("availability_zone".to_owned(), json!("AZ1"));
        let gateway = row.get_mut("external_gateway_info");
        if let Some(gateway) = gateway.and_then(Value::as_object_mut) {
            gateway.remove("external_fixed_ips");
        }
    }
    row
}

const NEWER_THAN_K5: [&str; 13] = [
    "availability_zone_hints",
    "availability_zones",
    "created_at",
    "description",
    "flavor_id",
    "ipv6_address_mode",
    "ipv6_ra_mode",
    "project_id",
    "revision_number",
    "service_types",
    "subnetpool_id",
    "tags",
    "updated_at",
];

/// PUT of a router, which can only lose its gateway, or of its `remove_router_interface`. Both are refused while a VPN
/// needs the gateway or the interface.
pub(crate) fn disconnect(
    cloud: &mut Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    id: &str,
    action: Option<&str>,
) -> Result<Reply, Refusal> {
    let router = cloud.network.routers.get(id);
    if router.is_none_or(|router| !caller.reaches(&router.project)) {
        return Err(Collection::Routers.not_found(id));
    }
    let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
    match action {
        None if body == json!({"router": {"external_gateway_info": null}}) => {
            clear_gateway(cloud, id)?;
            read(cloud, caller, call, Collection::Routers, Some(id))
        }
        Some("remove_router_interface") => {
            let subnet = body["subnet_id"].as_str().unwrap_or_default();
            let removed = remove_interface(cloud, id, subnet)?;
            Ok(Reply::json(200, removed))
        }
        _ => Err(Refusal::hidden()),
    }
}

fn clear_gateway(cloud: &mut Cloud, id: &str) -> Result<(), Refusal> {
    let services = cloud.rows(Kind::VpnService);
    let services = services.filter(|service| service.text("router_id") == id);
    let services: Vec<_> = services.map(|service| service.text("id")).collect();
    if !services.is_empty() {
        let services = services.join(",");
        let message = format!("Router {id} is currently used by VPN services ({services})");
        return Err(Refusal::new(409, "RouterInUse", message));
    }
    if let Some(router) = cloud.network.routers.get_mut(id) {
        (router.gateway_v4, router.gateway_v6) = (None, None);
    }
    Ok(())
}

fn remove_interface(cloud: &mut Cloud, router: &str, subnet: &str) -> Result<Value, Refusal> {
    let ports = cloud.network.ports();
    let port = ports.iter().find(|port| port.connects(router, subnet));
    let Some(port) = port.map(|port| port.id.clone()) else {
        let message = format!("Router {router} has no interface on subnet {subnet}");
        return Err(Refusal::new(
            404,
            "RouterInterfaceNotFoundForSubnet",
            message,
        ));
    };
    let named = |kind: Kind, id: &str, attribute: &str| {
        let row = cloud
            .row(kind, id)
            .and_then(|row| row.fields.get(attribute));
        match row {
            Some(Value::Array(ids)) => ids.iter().any(|id| id == subnet),
            Some(id) => id == subnet,
            None => false,
        }
    };
    let user = cloud.rows(Kind::Connection).find(|row| {
        named(Kind::VpnService, row.text("vpnservice_id"), "subnet_id")
            || named(
                Kind::EndpointGroup,
                row.text("local_ep_group_id"),
                "endpoints",
            )
    });
    if let Some(user) = user {
        let user = user.text("id");
        let message = format!("Subnet {subnet} is used by ipsec site connection {user}");
        return Err(Refusal::new(
            409,
            "SubnetInUseByIPsecSiteConnection",
            message,
        ));
    }
    if let Some(subnet) = cloud.network.subnets.get_mut(subnet) {
        subnet.router = None;
    }
    Ok(json!({"id": router, "subnet_id": subnet, "subnet_ids": [subnet], "port_id": port}))
}

/// GET of a collection, or of one member.
pub(crate) fn read(
    cloud: &Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    collection: Collection,
    id: Option<&str>,
) -> Result<Reply, Refusal> {
    let mut rows = collection.rows(cloud, caller);
    if let Some(id) = id {
        let found = rows.iter().position(|row| row["id"] == id);
        let row = rows.swap_remove(found.ok_or_else(|| collection.not_found(id))?);
        let row = listing::only(&call.query.fields(), row);
        return Ok(Reply::json(200, json!({collection.singular(): row})));
    }
    let strict = cloud.variant == Variant::Neutron && cloud.series == Series::V2026_2;
    let href = format!("{}{}", call.origin, call.path_given);
    let place = ListContext {
        plural: collection.plural(),
        narrowed: true,
        sort_keys: collection.keys(),
        filters: strict.then(|| collection.keys()),
        page_cap: cloud.page_cap,
        href: &href,
    };
    Ok(Reply::json(200, listing::list(place, &call.query, rows)?))
}
