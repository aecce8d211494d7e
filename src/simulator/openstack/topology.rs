//! What a VPN is attached to: routers, their subnets, and the ports that connect these.
//!
//! The members of their rows are those of the Networking API reference, v2.0.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

/// Routers and subnets.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) routers: BTreeMap<String, Router>,
    pub(crate) subnets: BTreeMap<String, Subnet>,
}

#[derive(Clone, Debug)]
pub(crate) struct Router {
    pub(crate) project: String,
    pub(crate) name: String,
    /// The addresses of its gateway on the external network. Both are `None` without a gateway.
    pub(crate) gateway_v4: Option<String>,
    pub(crate) gateway_v6: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Subnet {
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) cidr: String,
    /// The router it is connected to, if any.
    pub(crate) router: Option<String>,
}

impl Router {
    pub(crate) fn has_gateway(&self) -> bool {
        self.gateway_v4.is_some() || self.gateway_v6.is_some()
    }

    /// One router as it is shown.
    pub(crate) fn row(&self, id: &str) -> Map<String, Value> {
        let gateway = if self.has_gateway() {
            json!({
                "network_id": EXTERNAL_NETWORK_ID,
                "enable_snat": true,
                "external_fixed_ips": self.gateway_ips(),
            })
        } else {
            Value::Null
        };
        row(json!({
            "id": id, "name": self.name, "tenant_id": self.project, "admin_state_up": true, "status": "ACTIVE",
            "external_gateway_info": gateway, "availability_zone_hints": [], "availability_zones": ["nova"],
            "description": "", "routes": [], "flavor_id": null, "tags": [], "created_at": MADE, "updated_at": MADE,
            "revision_number": 4, "project_id": self.project,
        }))
    }

    fn gateway_ips(&self) -> Vec<Value> {
        let addresses = [
            (&self.gateway_v4, EXTERNAL_SUBNET_V4_ID),
            (&self.gateway_v6, EXTERNAL_SUBNET_V6_ID),
        ];
        let fixed_ip = |(address, subnet): (&Option<String>, &str)| {
            let address = address.as_ref()?;
            Some(json!({"subnet_id": subnet, "ip_address": address}))
        };
        addresses.into_iter().filter_map(fixed_ip).collect()
    }

    /// The port of its gateway. It belongs to no project, so only an administrator sees it.
    fn gateway_port(&self, id: &str) -> Port {
        Port {
            id: other_end(id, 'a'),
            project: String::new(),
            device_id: id.to_owned(),
            device_owner: "network:router_gateway",
            network_id: EXTERNAL_NETWORK_ID.to_owned(),
            fixed_ips: Value::Array(self.gateway_ips()),
        }
    }
}

impl Subnet {
    /// One subnet as it is shown.
    pub(crate) fn row(&self, id: &str) -> Map<String, Value> {
        let version = if self.cidr.contains(':') { 6 } else { 4 };
        row(json!({
            "id": id, "name": self.name, "tenant_id": self.project, "network_id": other_end(id, 'b'),
            "ip_version": version, "subnetpool_id": null, "enable_dhcp": true, "ipv6_ra_mode": null,
            "ipv6_address_mode": null, "gateway_ip": self.gateway_ip(), "cidr": self.cidr, "allocation_pools": [],
            "host_routes": [], "dns_nameservers": [], "description": "", "service_types": [], "tags": [],
            "created_at": MADE, "updated_at": MADE, "revision_number": 0, "project_id": self.project,
        }))
    }

    /// The first address of the subnet, which the router has by default.
    fn gateway_ip(&self) -> String {
        let (network, _) = self.cidr.split_once('/').unwrap_or((&self.cidr, ""));
        match network.parse() {
            Ok(IpAddr::V4(network)) => IpAddr::V4((u32::from(network) + 1).into()).to_string(),
            Ok(IpAddr::V6(network)) => IpAddr::V6((u128::from(network) + 1).into()).to_string(),
            Err(_) => String::new(),
        }
    }

    /// The port that connects the router to the subnet, if there is one.
    fn interface(&self, id: &str) -> Option<Port> {
        Some(Port {
            id: other_end(id, 'c'),
            project: self.project.clone(),
            device_id: self.router.clone()?,
            device_owner: "network:router_interface",
            network_id: other_end(id, 'b'),
            fixed_ips: json!([{"subnet_id": id, "ip_address": self.gateway_ip()}]),
        })
    }
}

impl Network {
    /// Whether a subnet has an interface on a router.
    pub(crate) fn connected(&self, subnet: &str, router: &str) -> bool {
        let subnet = self.subnets.get(subnet);
        subnet.is_some_and(|subnet| subnet.router.as_deref() == Some(router))
    }

    /// The ports of all routers: interfaces and gateways.
    pub(crate) fn ports(&self) -> Vec<Port> {
        let interfaces = self
            .subnets
            .iter()
            .filter_map(|(id, subnet)| subnet.interface(id));
        let with_gateway = self.routers.iter().filter(|(_, it)| it.has_gateway());
        let gateways = with_gateway.map(|(id, router)| router.gateway_port(id));
        let mut ports: Vec<_> = interfaces.chain(gateways).collect();
        ports.sort_by(|one, other| one.id.cmp(&other.id));
        ports
    }
}

/// One port of a router.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) id: String,
    pub(crate) project: String,
    device_id: String,
    device_owner: &'static str,
    network_id: String,
    fixed_ips: Value,
}

impl Port {
    /// Whether the port is the interface of a router on a subnet.
    pub(crate) fn connects(&self, router: &str, subnet: &str) -> bool {
        self.device_id == router && self.fixed_ips[0]["subnet_id"] == subnet
    }

    /// One port as it is shown.
    pub(crate) fn row(&self) -> Map<String, Value> {
        let tail: String = self.id.chars().rev().take(4).collect();
        row(json!({
            "id": self.id, "name": "", "network_id": self.network_id, "tenant_id": self.project,
            "mac_address": format!("fa:16:3e:00:{}:{}", &tail[..2], &tail[2..]),
            "admin_state_up": true, "status": "ACTIVE", "device_id": self.device_id,
            "device_owner": self.device_owner, "fixed_ips": self.fixed_ips, "allowed_address_pairs": [],
            "extra_dhcp_opts": [], "security_groups": [], "description": "", "tags": [], "created_at": MADE,
            "updated_at": MADE, "revision_number": 2, "project_id": self.project,
        }))
    }
}

/// Derives a stable id for a dependent object: the same id with one digit replaced.
fn other_end(id: &str, digit: char) -> String {
    let mut other: String = id.to_owned();
    if let Some(at) = other.rfind('-') {
        other.replace_range(at + 1..=at + 1, digit.encode_utf8(&mut [0; 4]));
    }
    other
}

fn row(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}

/// Creation time of all rows.
const MADE: &str = "2026-01-15T09:00:00Z";
const EXTERNAL_NETWORK_ID: &str = "e0000000-0000-4000-8000-000000000001";
const EXTERNAL_SUBNET_V4_ID: &str = "e0000000-0000-4000-8000-000000000002";
const EXTERNAL_SUBNET_V6_ID: &str = "e0000000-0000-4000-8000-000000000003";
