//! What is not VPN: the index, extensions, quotas, routers and subnets. All of it is only read.

use http::Method;
use serde_json::{Map, Value, json};

use crate::simulator::openstack::call::NeutronCall;
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::listing;
use crate::simulator::openstack::reply::{Refusal, Reply};
use crate::simulator::openstack::state::{Caller, Cloud, Router, Subnet};

/// GET /v2.0/.
pub(crate) fn index(origin: &str) -> Reply {
    let resource = |name: &str, collection: &str| {
        let links = json!([{"rel": "self", "href": format!("{origin}/v2.0/{collection}")}]);
        json!({"name": name, "collection": collection, "links": links})
    };
    let resources = [
        resource("subnet", "subnets"),
        resource("router", "routers"),
        resource("extension", "extensions"),
    ];
    Reply::json(200, json!({"resources": resources}))
}

/// GET /v2.0/extensions.
pub(crate) fn extensions(cloud: &Cloud) -> Reply {
    let present = EXTENSIONS
        .iter()
        .filter(|extension| extension.present(cloud));
    let present: Vec<_> = present.map(Extension::describe).collect();
    Reply::json(200, json!({"extensions": present}))
}

/// GET /v2.0/extensions/{alias}; an absent one is the one 404 that is plain text.
pub(crate) fn extension(cloud: &Cloud, alias: &str) -> Reply {
    let found = EXTENSIONS
        .iter()
        .find(|extension| extension.alias == alias && extension.present(cloud));
    match found {
        Some(extension) => Reply::json(200, json!({"extension": extension.describe()})),
        None => {
            let body = format!(
                "404 Not Found\n\nThe resource could not be found.\n\n Extension with alias {alias} does not exist  "
            );
            Reply::text(404, "text/plain; charset=UTF-8", body)
        }
    }
}

struct Extension {
    alias: &'static str,
    name: &'static str,
    description: &'static str,
    updated: &'static str,
    /// Whether it belongs to the VPN plugin.
    vpn: bool,
}

impl Extension {
    fn present(&self, cloud: &Cloud) -> bool {
        let groups = self.alias != "vpn-endpoint-groups" || cloud.variant.has(Kind::EndpointGroup);
        groups && !(self.vpn && cloud.vpn_absent)
    }

    fn describe(&self) -> Value {
        json!({
            "name": self.name, "alias": self.alias, "description": self.description, "updated": self.updated,
            "links": [],
        })
    }
}

const EXTENSIONS: [Extension; 3] = [
    Extension {
        alias: "vpnaas",
        name: "VPN service",
        description: "Extension for VPN service",
        updated: "2013-05-29T10:00:00-00:00",
        vpn: true,
    },
    Extension {
        alias: "vpn-endpoint-groups",
        name: "VPN Endpoint Groups",
        description: "VPN endpoint groups support",
        updated: "2015-08-04T10:00:00-00:00",
        vpn: true,
    },
    Extension {
        alias: "pagination",
        name: "Pagination support",
        description: "Extension that indicates that pagination is enabled.",
        updated: "2016-06-12T00:00:00-00:00",
        vpn: false,
    },
];

/// GET /v2.0/quotas/{project}, the VPN kinds only; -1 is no limit.
pub(crate) fn quota(
    cloud: &Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    project: &str,
) -> Result<Reply, Refusal> {
    readable(call)?;
    if !caller.reaches(project) {
        return Err(Refusal::new(
            403,
            "PolicyNotAuthorized",
            "rule:get_quota is disallowed by policy",
        ));
    }
    let mut quota = Map::new();
    for kind in Kind::ALL {
        let limit = cloud.quotas.get(&(project.to_owned(), kind));
        quota.insert(
            kind.singular().to_owned(),
            limit.map_or(json!(-1), |limit| json!(limit)),
        );
    }
    Ok(Reply::json(200, json!({"quota": quota})))
}

/// GET /v2.0/routers. Any role in the project may read routers and subnets, `reader` too.
pub(crate) fn routers(
    cloud: &Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
) -> Result<Reply, Refusal> {
    let rows = cloud
        .network
        .routers
        .iter()
        .filter(|(_, router)| caller.reaches(&router.project));
    read_list(
        call,
        "routers",
        rows.map(|(id, router)| describe_router(id, router)),
    )
}

/// GET /v2.0/routers/{id}.
pub(crate) fn router(
    cloud: &Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    id: &str,
) -> Result<Reply, Refusal> {
    let found = cloud
        .network
        .routers
        .get(id)
        .filter(|router| caller.reaches(&router.project));
    let absent = || {
        Refusal::new(
            404,
            "RouterNotFound",
            format!("Router {id} could not be found"),
        )
    };
    read_one(
        call,
        "router",
        describe_router(id, found.ok_or_else(absent)?),
    )
}

/// GET /v2.0/subnets.
pub(crate) fn subnets(
    cloud: &Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
) -> Result<Reply, Refusal> {
    let rows = cloud
        .network
        .subnets
        .iter()
        .filter(|(_, subnet)| caller.reaches(&subnet.project));
    read_list(
        call,
        "subnets",
        rows.map(|(id, subnet)| describe_subnet(id, subnet)),
    )
}

/// GET /v2.0/subnets/{id}.
pub(crate) fn subnet(
    cloud: &Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    id: &str,
) -> Result<Reply, Refusal> {
    let found = cloud
        .network
        .subnets
        .get(id)
        .filter(|subnet| caller.reaches(&subnet.project));
    let absent = || {
        Refusal::new(
            404,
            "SubnetNotFound",
            format!("Subnet {id} could not be found."),
        )
    };
    read_one(
        call,
        "subnet",
        describe_subnet(id, found.ok_or_else(absent)?),
    )
}

fn read_list(
    call: &NeutronCall<'_>,
    name: &str,
    rows: impl Iterator<Item = Value>,
) -> Result<Reply, Refusal> {
    readable(call)?;
    let fields = call.query.fields();
    let rows: Vec<_> = rows.map(|row| trimmed(&fields, row)).collect();
    Ok(Reply::json(200, json!({name: rows})))
}

fn read_one(call: &NeutronCall<'_>, name: &str, row: Value) -> Result<Reply, Refusal> {
    readable(call)?;
    Ok(Reply::json(
        200,
        json!({name: trimmed(&call.query.fields(), row)}),
    ))
}

/// Only GET is simulated here.
fn readable(call: &NeutronCall<'_>) -> Result<(), Refusal> {
    if matches!(*call.method, Method::GET | Method::HEAD) {
        Ok(())
    } else {
        Err(Refusal::hidden())
    }
}

fn trimmed(fields: &[&str], row: Value) -> Value {
    match row {
        Value::Object(row) => Value::Object(listing::only(fields, row)),
        other => other,
    }
}

fn describe_router(id: &str, router: &Router) -> Value {
    let addresses = [&router.gateway_v4, &router.gateway_v6]
        .into_iter()
        .flatten();
    let addresses: Vec<_> = addresses
        .map(|address| json!({"ip_address": address}))
        .collect();
    let gateway = if router.has_gateway() {
        json!({"external_fixed_ips": addresses})
    } else {
        Value::Null
    };
    json!({
        "id": id, "name": router.name, "tenant_id": router.project, "project_id": router.project,
        "admin_state_up": true, "status": "ACTIVE", "external_gateway_info": gateway,
    })
}

fn describe_subnet(id: &str, subnet: &Subnet) -> Value {
    let version = if subnet.cidr.contains(':') { 6 } else { 4 };
    json!({
        "id": id, "name": subnet.name, "tenant_id": subnet.project, "project_id": subnet.project,
        "ip_version": version, "cidr": subnet.cidr,
    })
}
