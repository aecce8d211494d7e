//! Decides what rules with both sides become. With a subnet in the VPN service they become the peer's networks,
//! without one two endpoint groups.

use crate::{
    core::{
        dialect::Call,
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
    },
    dialects::openstack::{
        client::Client,
        error, read,
        resources::attachments,
        translate::{self, Inside, Product, SUBNET_OF_PART, Writing},
        wire::kind::SERVICES,
        write::plan::groups,
    },
    model::{
        Field, NewConnection, PolicyRule, ResourceKind, ResourceSpec, Selectors, Settings,
        topology::VpnService,
    },
};
use ipnet::IpNet;
use std::collections::BTreeMap;

/// The VPN service of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Service<'a> {
    /// An existing service, by id.
    There(&'a str),
    /// A service that the same call creates.
    New(&'a VpnService),
}

#[derive(Debug)]
pub enum Form {
    /// The local and the peer group.
    Groups(Box<[ResourceSpec; 2]>),
    /// One rule without sources: the VPN service's subnet is the local side.
    Inside(PolicyRule),
}

/// Returns what these rules become in a connection of this name.
///
/// # Errors
/// The rules that do not fit, by their fields; the service does not exist; a read fails.
pub async fn form(
    client: &Client,
    service: Service<'_>,
    rules: &[PolicyRule],
    (name, writing): (&str, Writing),
    call: &Call,
) -> Result<Form> {
    let on = match service {
        Service::New(it) => Place::of_part(it),
        Service::There(id) => Place::of_service(client, id, call).await?,
    };
    let variant = client.variant();
    match &on.subnet {
        Some(_) if !variant.peer_cidrs => Err(refused(on.field, ONLY_GROUPS)),
        Some(subnet) => {
            let wanted = translate::inside(rules).map_err(Error::not_expressible)?;
            is_local_side(client, &wanted, (&on, subnet), writing, call).await?;
            Ok(Form::Inside(wanted.rule()))
        }
        None if !variant.capabilities.endpoint_groups => Err(refused(on.field, NO_SUBNET)),
        None => {
            let product = translate::product(rules).map_err(Error::not_expressible)?;
            let there = attachments::subnets_of(client, &on.router, call).await?;
            let subnets = local_subnets(&product, &on.router, &there, writing)?;
            let groups = groups::wanted(&product, subnets, name, variant);
            Ok(Form::Groups(Box::new(groups)))
        }
    }
}

/// Sets the subnet of a VPN service that is created with the connection to the one that the rules name, if the
/// service needs a subnet. The rules lose their sources then. The subnet of an existing service is read when the
/// connection is planned.
///
/// # Errors
/// The rules that do not fit, by their fields; a read fails.
pub async fn attach(
    client: &Client,
    mut wanted: NewConnection,
    call: &Call,
) -> Result<NewConnection> {
    let rules = match &wanted.spec.selectors {
        Some(Selectors::Rules(rules)) if translate::first_with_sources(rules).is_some() => rules,
        _ => return Ok(wanted),
    };
    let part = wanted.parts.get_mut(&ResourceKind::VpnService);
    let Some(Settings::VpnService(service)) = part.map(|part| &mut part.settings) else {
        return Ok(wanted);
    };
    let variant = client.variant();
    let on = Place::of_part(service);
    if !variant.peer_cidrs || (on.subnet.is_none() && variant.capabilities.endpoint_groups) {
        return Ok(wanted);
    }
    let inside = translate::inside(rules).map_err(Error::not_expressible)?;
    let writing = Writing::New;
    match &on.subnet {
        Some(subnet) => is_local_side(client, &inside, (&on, subnet), writing, call).await?,
        None => {
            let there = attachments::subnets_of(client, &on.router, call).await?;
            let Some(id) = there.get(&inside.source) else {
                return Err(elsewhere(
                    vec![not_on(&on.router, &inside, &there)],
                    writing,
                ));
            };
            service.subnet = Some(id.clone());
        }
    }
    wanted.spec.selectors = Some(Selectors::Rules(vec![inside.rule()]));
    Ok(wanted)
}

/// Why rules with both sides cannot be attached.
const ONLY_GROUPS: &str = "must be without a subnet: connections of this cloud have endpoint groups, which Neutron takes beside no other service";
const NO_SUBNET: &str =
    "must have a subnet: it is the only local side that a connection of this cloud can have";

/// Where a VPN service is attached.
struct Place {
    router: String,
    subnet: Option<String>,
    /// The field to name in errors.
    field: &'static str,
}

impl Place {
    fn of_part(service: &VpnService) -> Place {
        Place {
            router: service.router.clone(),
            subnet: service.subnet.clone().filter(|id| !id.is_empty()),
            field: SUBNET_OF_PART,
        }
    }

    async fn of_service(client: &Client, id: &str, call: &Call) -> Result<Place> {
        let (fields, field) = (["id", "router_id", "subnet_id"], Field::VpnService.path());
        let Ok(service) = read::row(client, &SERVICES, id, &fields, call).await? else {
            return Err(error::not_there(&SERVICES, id, field));
        };
        Ok(Place {
            router: service.text("router_id").unwrap_or_default(),
            subnet: service.text("subnet_id").filter(|id| !id.is_empty()),
            field,
        })
    }
}

/// Checks that the only local network is the service's subnet.
async fn is_local_side(
    client: &Client,
    wanted: &Inside,
    (on, subnet): (&Place, &String),
    writing: Writing,
    call: &Call,
) -> Result<()> {
    let only = std::slice::from_ref(subnet);
    let networks = attachments::networks_of(client, only, on.field, call).await?;
    let Some(there) = networks.get(subnet) else {
        return Err(Error::internal("a subnet without its network"));
    };
    if *there == wanted.source {
        return Ok(());
    }
    // If no subnet on the router has the network, another service would not help either.
    let on_router = attachments::subnets_of(client, &on.router, call).await?;
    if !on_router.contains_key(&wanted.source) {
        return Err(elsewhere(
            vec![not_on(&on.router, wanted, &on_router)],
            writing,
        ));
    }
    let what = format!(
        "have `{}`, and the subnet of the VPN service is `{there}` (`{subnet}`), which is the local side of all its connections \
         and cannot be changed on OpenStack",
        wanted.source
    );
    Err(refused(&wanted.path, &what))
}

/// Returns the ids of the subnets that have the local networks.
fn local_subnets(
    product: &Product,
    router: &str,
    there: &BTreeMap<IpNet, String>,
    writing: Writing,
) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    let mut ids = Vec::new();
    for (network, path) in &product.sources {
        match there.get(network) {
            Some(id) => ids.push(id.clone()),
            None => violations.push(Violation::new(path, no_subnet(network, router, there))),
        }
    }
    match violations.is_empty() {
        true => Ok(ids),
        false => Err(elsewhere(violations, writing)),
    }
}

fn not_on(router: &str, wanted: &Inside, there: &BTreeMap<IpNet, String>) -> Violation {
    Violation::new(&wanted.path, no_subnet(&wanted.source, router, there))
}

fn no_subnet(network: &IpNet, router: &str, there: &BTreeMap<IpNet, String>) -> String {
    const MOST: usize = 16;
    let known: Vec<String> = there.keys().take(MOST).map(IpNet::to_string).collect();
    let known = match (known.is_empty(), there.len() > MOST) {
        (true, _) => "none that the gateway's account is shown".to_owned(),
        (false, false) => known.join(", "),
        (false, true) => format!("{}, and more", known.join(", ")),
    };
    format!(
        "have `{network}`, which is no subnet of the VPN service's router `{router}`: its subnets are {known}"
    )
}

/// The error for local networks that no subnet of the router has. Recreating the connection would not help, so an
/// update reports a missing reference rather than a fixed field.
fn elsewhere(violations: Vec<Violation>, writing: Writing) -> Error {
    let mut error = Error::not_expressible(violations);
    if writing == Writing::Change {
        error.kind = ErrorKind::FailedPrecondition;
        error.reason = ErrorReason::ReferenceNotFound;
    }
    error
}

fn refused(field: &str, what: &str) -> Error {
    Error::not_expressible(vec![Violation::new(field, what)])
}
