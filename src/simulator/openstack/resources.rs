//! What the VPN plugin does with every kind except connections, and how all kinds are deleted.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::simulator::chance;
use crate::simulator::openstack::connections::not_connected;
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::reply::{Refusal, python_dict};
use crate::simulator::openstack::row::Row;
use crate::simulator::openstack::state::{Caller, Cloud};
use crate::simulator::openstack::validate::{integer, is_cidr, is_uuid};
use crate::simulator::openstack::variant::{Series, Variant};

/// Creates a policy, a service or a group. Returns the row as the answer to the POST shows it.
pub(crate) fn create(
    cloud: &mut Cloud,
    caller: &Caller,
    kind: Kind,
    given: Map<String, Value>,
) -> Result<Row, Refusal> {
    let mut wanted = Row::new(given);
    match kind {
        Kind::VpnService => place_service(cloud, caller, &mut wanted)?,
        Kind::EndpointGroup => check_endpoints(cloud, &wanted)?,
        Kind::IkePolicy | Kind::IpsecPolicy | Kind::Connection => {
            let lifetime = wanted.fields.get("lifetime");
            wanted.set(
                "lifetime",
                merged_lifetime(&json!({"units": "seconds", "value": 3600}), lifetime),
            );
        }
    }
    in_database(cloud, &wanted)?;
    let project = wanted.fields.remove("tenant_id").unwrap_or_default();
    let mut fields = Map::new();
    fields.insert("id".to_owned(), json!(chance::uuid().to_string()));
    fields.insert("tenant_id".to_owned(), project.clone());
    for name in order(kind) {
        fields.insert(
            (*name).to_owned(),
            wanted.fields.remove(*name).unwrap_or_default(),
        );
    }
    fields.insert("project_id".to_owned(), project);
    fields.extend(wanted.fields);
    let answer = Row::new(fields);
    store(cloud, kind, answer.clone());
    Ok(answer)
}

/// Updates a policy, a service or a group. A policy cannot change while a connection uses it.
pub(crate) fn update(
    cloud: &mut Cloud,
    caller: &Caller,
    kind: Kind,
    id: &str,
    mut given: Map<String, Value>,
) -> Result<Row, Refusal> {
    let mut row = cloud.visible(caller, kind, id)?.clone();
    match kind {
        Kind::IkePolicy | Kind::IpsecPolicy => in_use(cloud, kind, id)?,
        Kind::VpnService => row.updatable()?,
        Kind::EndpointGroup | Kind::Connection => {}
    }
    if let Some(lifetime) = given.remove("lifetime") {
        let stored = row.fields.get("lifetime").cloned().unwrap_or_default();
        row.set("lifetime", merged_lifetime(&stored, Some(&lifetime)));
    }
    row.fields.extend(given);
    in_database(cloud, &row)?;
    store(cloud, kind, row.clone());
    Ok(row)
}

/// Deletes one object of any kind, immediately and in any state, unless it is in use.
pub(crate) fn delete(
    cloud: &mut Cloud,
    caller: &Caller,
    kind: Kind,
    id: &str,
) -> Result<(), Refusal> {
    cloud.visible(caller, kind, id)?;
    in_use(cloud, kind, id)?;
    cloud.remove(kind, id);
    Ok(())
}

/// Refuses an object that a connection uses: 409, for endpoint groups 400.
fn in_use(cloud: &Cloud, kind: Kind, id: &str) -> Result<(), Refusal> {
    let used = |attributes: &[&str]| {
        attributes
            .iter()
            .any(|attribute| cloud.user_of(attribute, id).is_some())
    };
    match kind {
        Kind::IkePolicy if used(&["ikepolicy_id"]) => {
            let message = format!(
                "IKEPolicy {id} is in use by existing IPsecSiteConnection and can't be updated or deleted"
            );
            Err(Refusal::new(409, "IKEPolicyInUse", message))
        }
        Kind::IpsecPolicy if used(&["ipsecpolicy_id"]) => {
            let message = format!(
                "IPsecPolicy {id} is in use by existing IPsecSiteConnection and can't be updated or deleted"
            );
            Err(Refusal::new(409, "IPsecPolicyInUse", message))
        }
        Kind::VpnService if used(&["vpnservice_id"]) => Err(Refusal::new(
            409,
            "VPNServiceInUse",
            format!("VPNService {id} is still in use"),
        )),
        Kind::EndpointGroup if used(&["local_ep_group_id", "peer_ep_group_id"]) => {
            let message = format!("Endpoint group {id} is in use and cannot be deleted");
            Err(Refusal::new(400, "EndpointGroupInUse", message))
        }
        _ => Ok(()),
    }
}

/// Places a service on its router and copies the router's gateway addresses.
fn place_service(cloud: &Cloud, caller: &Caller, wanted: &mut Row) -> Result<(), Refusal> {
    let router_id = wanted.text("router_id").to_owned();
    let router = cloud
        .network
        .routers
        .get(&router_id)
        .filter(|router| caller.reaches(&router.project));
    let Some(router) = router else {
        return Err(Refusal::new(
            404,
            "RouterNotFound",
            format!("Router {router_id} could not be found"),
        ));
    };
    let subnet = wanted.text("subnet_id").to_owned();
    if !router.has_gateway() {
        let message = format!("Router {router_id} has no external network gateway set");
        return Err(Refusal::new(400, "RouterIsNotExternal", message));
    }
    if !subnet.is_empty() && !cloud.network.connected(&subnet, &router_id) {
        return Err(not_connected(&subnet, &router_id));
    }
    let mut services = cloud.rows(Kind::VpnService);
    if cloud.one_service_per_router && services.any(|row| row.text("router_id") == router_id) {
        return Err(match cloud.variant {
            Variant::Otc => Refusal::new(400, "VPC.1026", "The VPN gateway already exists."),
            _ => {
                let message = format!("Router {router_id} already has a VPN service");
                Refusal::new(409, "VPNServiceExists", message)
            }
        });
    }
    wanted.set("external_v4_ip", router.gateway_v4.clone());
    wanted.set("external_v6_ip", router.gateway_v6.clone());
    wanted.set("status", "PENDING_CREATE");
    Ok(())
}

fn check_endpoints(cloud: &Cloud, wanted: &Row) -> Result<(), Refusal> {
    let kind = wanted.text("type");
    let endpoints = wanted
        .fields
        .get("endpoints")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if endpoints.is_empty() {
        // The message shows the request as a Python dictionary.
        let project = wanted.fields.get("tenant_id").cloned().unwrap_or_default();
        let [kind, name, description] =
            ["type", "name", "description"].map(|key| wanted.text(key).into());
        let shown = python_dict([
            ("type", &kind),
            ("project_id", &project),
            ("tenant_id", &project),
            ("name", &name),
            ("description", &description),
            ("endpoints", &json!([])),
        ]);
        let message = format!("No endpoints specified for endpoint group '{shown}'");
        return Err(Refusal::new(
            400,
            "MissingEndpointForEndpointGroup",
            message,
        ));
    }
    let invalid = |endpoint: &str, why: &str| {
        let message = format!("Endpoint '{endpoint}' is invalid for group type '{kind}': {why}");
        Refusal::new(400, "InvalidEndpointInEndpointGroup", message)
    };
    let mut seen = HashSet::new();
    for endpoint in endpoints
        .iter()
        .map(|endpoint| endpoint.as_str().unwrap_or_default())
    {
        match kind {
            "cidr" if !is_cidr(endpoint) => return Err(invalid(endpoint, "Invalid CIDR")),
            "subnet" | "network" | "router" if !is_uuid(endpoint) => {
                return Err(invalid(endpoint, "Invalid UUID"));
            }
            _ if !seen.insert(endpoint) => {
                return Err(invalid(endpoint, "Endpoints have to be unique"));
            }
            "subnet" if !cloud.network.subnets.contains_key(endpoint) => {
                let message = format!("Subnet {endpoint} in endpoint group does not exist");
                return Err(Refusal::new(
                    400,
                    "NonExistingSubnetInEndpointGroup",
                    message,
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses what the database refuses although the API layer accepted it.
///
/// The 2026.2 schema has neither `sha1` (the API's own default) nor `3des`.
fn in_database(cloud: &Cloud, row: &Row) -> Result<(), Refusal> {
    let stock = cloud.variant == Variant::Neutron;
    let dropped =
        row.text("auth_algorithm") == "sha1" || row.text("encryption_algorithm") == "3des";
    if stock && cloud.series == Series::V2026_2 && dropped {
        return Err(Refusal::internal());
    }
    row.fits_charset()
}

fn merged_lifetime(stored: &Value, given: Option<&Value>) -> Value {
    let member = |name: &str| {
        given
            .and_then(|given| given.get(name))
            .unwrap_or(&stored[name])
            .clone()
    };
    json!({"units": member("units"), "value": member("value")})
}

/// Stores a row. The answer to the write echoes a lifetime given as a string. Every later answer has a number.
fn store(cloud: &mut Cloud, kind: Kind, mut row: Row) {
    if let Some(value) = row
        .fields
        .get_mut("lifetime")
        .and_then(|lifetime| lifetime.get_mut("value"))
        && let Some(number) = integer(value)
    {
        *value = Value::from(number);
    }
    cloud.insert(kind, row);
}

/// The attributes in the order of Neutron's answers, between `tenant_id` and `project_id`.
fn order(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::IkePolicy => &[
            "name",
            "description",
            "auth_algorithm",
            "encryption_algorithm",
            "phase1_negotiation_mode",
            "lifetime",
            "ike_version",
            "pfs",
        ],
        Kind::IpsecPolicy => &[
            "name",
            "description",
            "transform_protocol",
            "auth_algorithm",
            "encryption_algorithm",
            "encapsulation_mode",
            "lifetime",
            "pfs",
        ],
        Kind::VpnService => &[
            "name",
            "description",
            "subnet_id",
            "router_id",
            "flavor_id",
            "admin_state_up",
            "external_v4_ip",
            "external_v6_ip",
            "status",
        ],
        Kind::EndpointGroup => &["name", "description", "type", "endpoints"],
        Kind::Connection => &[],
    }
}
