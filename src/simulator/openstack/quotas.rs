//! Quotas: how many objects of each kind a project can have, and how many it has.

use http::Method;
use serde_json::{Map, Value, json};

use crate::simulator::openstack::call::NeutronCall;
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::reply::{Refusal, Reply, python_str};
use crate::simulator::openstack::state::{Caller, Cloud};
use crate::simulator::openstack::validate::integer;

/// Answers a request to /v2.0/quotas/{project}. A member can read its own quota. Only an administrator can write.
pub(crate) fn answer(
    cloud: &mut Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    project: &str,
) -> Result<Reply, Refusal> {
    match *call.method {
        Method::GET | Method::HEAD => {
            if !caller.reaches(project) {
                return Err(refused("get_quota"));
            }
        }
        Method::PUT if caller.is_admin() => update(cloud, project, call.body)?,
        Method::PUT => return Err(refused("update_quota")),
        Method::DELETE if caller.is_admin() => {
            reset(cloud, project)?;
            return Ok(Reply::empty(204));
        }
        Method::DELETE => return Err(refused("delete_quota")),
        _ => return Err(Refusal::hidden()),
    }
    let limits = resources(cloud, project)
        .into_iter()
        .map(|(name, limit, _)| (name.to_owned(), json!(limit)));
    let quota: Map<String, Value> = limits.collect();
    Ok(Reply::json(200, json!({"quota": quota})))
}

/// GET /v2.0/quotas/{project}/details.
pub(crate) fn details(
    cloud: &Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    project: &str,
) -> Result<Reply, Refusal> {
    if !matches!(*call.method, Method::GET | Method::HEAD) {
        return Err(Refusal::hidden());
    }
    if !caller.reaches(project) {
        return Err(refused("get_quota"));
    }
    let detail = |(name, limit, used): (&str, i64, usize)| {
        let detail = json!({"limit": limit, "used": used, "reserved": 0});
        (name.to_owned(), detail)
    };
    let quota: Map<String, Value> = resources(cloud, project).into_iter().map(detail).collect();
    Ok(Reply::json(200, json!({"quota": quota})))
}

fn refused(rule: &str) -> Refusal {
    let message = format!("rule:{rule} is disallowed by policy");
    Refusal::new(403, "PolicyNotAuthorized", message)
}

/// The counted resources, each with its limit (-1 is none) and its use. Beyond VPN these are Neutron's defaults and the
/// objects of a new project.
fn resources(cloud: &Cloud, project: &str) -> Vec<(&'static str, i64, usize)> {
    let network = &cloud.network;
    let routers = network.routers.values();
    let routers = routers.filter(|router| router.project == project).count();
    let subnets = network.subnets.values();
    let subnets = subnets.filter(|subnet| subnet.project == project).count();
    let ports = network.ports();
    let ports = ports.iter().filter(|port| port.project == project).count();
    let mut resources = vec![
        // Each subnet has its own network.
        ("network", 100, subnets),
        ("subnet", 100, subnets),
        ("subnetpool", -1, 0),
        ("port", -1, ports),
        ("router", 10, routers),
        ("floatingip", 50, 0),
        ("rbac_policy", 10, 0),
        ("security_group", 10, 1),
        ("security_group_rule", 100, 4),
    ];
    for kind in KINDS.into_iter().filter(|kind| cloud.variant.has(*kind)) {
        let limit = cloud.quotas.get(&(project.to_owned(), kind));
        let limit = limit.map_or(-1, |limit| i64::try_from(*limit).unwrap_or(i64::MAX));
        resources.push((kind.singular(), limit, cloud.used(kind, project)));
    }
    resources
}

/// Sets limits. A limit cannot be below the current use (`quota-check-limit-default`).
fn update(cloud: &mut Cloud, project: &str, body: &[u8]) -> Result<(), Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| {
        let message = "Malformed request body: Cannot understand JSON.";
        Refusal::new(400, "MalformedRequestBody", message)
    })?;
    let Some(wanted) = body["quota"].as_object() else {
        return Err(Refusal::bad_request(
            "Unable to find 'quota' in request body",
        ));
    };
    let mut limits = Vec::new();
    for (name, value) in wanted {
        let Some(kind) = KINDS.into_iter().find(|kind| kind.singular() == name) else {
            let message = format!("Unrecognized attribute(s) '{name}'");
            return Err(Refusal::bad_request(message));
        };
        let limit = integer(value).filter(|limit| *limit >= -1).ok_or_else(|| {
            let message = format!(
                "Invalid input for {name}. Reason: '{}' is not an integer.",
                python_str(value)
            );
            Refusal::bad_request(message)
        })?;
        let (limit, used) = (usize::try_from(limit).ok(), cloud.used(kind, project));
        if let Some(limit) = limit.filter(|limit| *limit < used) {
            let message = format!(
                "Quota limit {limit} for {name} must be greater than or equal to already used {used}"
            );
            return Err(Refusal::bad_request(message));
        }
        limits.push((kind, limit));
    }
    for (kind, limit) in limits {
        cloud.limit(project, kind, limit);
    }
    Ok(())
}

/// Removes every limit. 404 if there was none.
fn reset(cloud: &mut Cloud, project: &str) -> Result<(), Refusal> {
    let before = cloud.quotas.len();
    cloud.quotas.retain(|(limited, _), _| limited != project);
    if cloud.quotas.len() < before {
        return Ok(());
    }
    let message = format!("Quota for project {project} could not be found.");
    Err(Refusal::new(404, "TenantQuotaNotFound", message))
}

/// The kinds in the order of Neutron's answers.
const KINDS: [Kind; 5] = [
    Kind::IkePolicy,
    Kind::IpsecPolicy,
    Kind::EndpointGroup,
    Kind::VpnService,
    Kind::Connection,
];
