//! Translates the selectors of an existing connection into networks on both sides, in place of ids that mean
//! something only in this cloud.

use crate::{
    core::{dialect::Call, error::Result},
    dialects::openstack::{
        client::Client,
        error, read,
        resources::attachments,
        translate,
        wire::kind::{ENDPOINT_GROUPS, SERVICES},
    },
    model::{Connection, Field, PolicyRule, Selectors},
};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// Returns the selectors that a description of this connection needs: one rule with the sorted local and peer
/// networks.
///
/// # Errors
/// `ReferenceNotFound` if a group or a subnet does not exist; any error of a request.
pub async fn as_networks(
    client: &Client,
    there: &Connection,
    call: &Call,
) -> Result<Option<Selectors>> {
    let rule = match &there.selectors {
        Some(Selectors::EndpointGroups { local, peer }) => {
            let (of_local, of_peer) = ("local_endpoint_group", "peer_endpoint_group");
            let (local, peer) = tokio::try_join!(
                endpoints(client, local, of_local, call),
                endpoints(client, peer, of_peer, call)
            )?;
            PolicyRule {
                sources: local_networks(client, local, call).await?,
                destinations: in_order(peer),
                ..PolicyRule::default()
            }
        }
        Some(Selectors::Rules(rules)) => {
            let destinations = rules.iter().flat_map(|rule| rule.destinations.clone());
            PolicyRule {
                sources: of_service(client, there, call).await?,
                destinations: in_order(destinations.collect()),
                ..PolicyRule::default()
            }
        }
        other => return Ok(other.clone()),
    };
    Ok(Some(Selectors::Rules(vec![rule])))
}

/// Returns the contract's path of one endpoint group of a connection.
fn path(side: &str) -> String {
    format!("{}.{side}", Field::Selectors.path())
}

/// Returns the endpoints of a group.
async fn endpoints(client: &Client, id: &str, side: &str, call: &Call) -> Result<Vec<String>> {
    let fields = ["id", "endpoints"];
    let Ok(group) = read::row(client, &ENDPOINT_GROUPS, id, &fields, call).await? else {
        return Err(error::not_there(&ENDPOINT_GROUPS, id, &path(side)));
    };
    let endpoints = group.object().get("endpoints").map(translate::elements);
    let endpoints = endpoints.unwrap_or_default();
    let texts = endpoints.iter().filter_map(|it| it.as_str());
    Ok(texts.map(str::to_owned).collect())
}

/// Returns the networks of a local group: those of its subnets, and endpoints that are networks already.
async fn local_networks(
    client: &Client,
    endpoints: Vec<String>,
    call: &Call,
) -> Result<Vec<String>> {
    let is_network = |text: &String| translate::network(text).is_some();
    let (mut networks, subnets): (Vec<String>, Vec<String>) =
        endpoints.into_iter().partition(is_network);
    let field = path("local_endpoint_group");
    let found = attachments::networks_of(client, &subnets, &field, call).await?;
    networks.extend(found.values().map(IpNet::to_string));
    Ok(in_order(networks))
}

/// Returns the network of the service's subnet, or nothing if the service has none.
async fn of_service(client: &Client, there: &Connection, call: &Call) -> Result<Vec<String>> {
    let Some(id) = there.vpn_service.as_deref() else {
        return Ok(Vec::new());
    };
    let (fields, field) = (["id", "subnet_id"], Field::VpnService.path());
    let Ok(service) = read::row(client, &SERVICES, id, &fields, call).await? else {
        return Err(error::not_there(&SERVICES, id, field));
    };
    let subnet = service.text("subnet_id").filter(|id| !id.is_empty());
    let subnet: Vec<String> = subnet.into_iter().collect();
    let found = attachments::networks_of(client, &subnet, field, call).await?;
    Ok(found.values().map(IpNet::to_string).collect())
}

/// Sorts networks and normalizes their spelling. The cloud returns them in its database's order.
fn in_order(texts: Vec<String>) -> Vec<String> {
    let (networks, others): (Vec<_>, Vec<_>) = texts
        .into_iter()
        .map(|text| translate::network(&text).ok_or(text))
        .partition(|it| it.is_ok());
    let networks: BTreeSet<IpNet> = networks.into_iter().flatten().collect();
    let others = others.into_iter().filter_map(std::result::Result::err);
    networks
        .iter()
        .map(IpNet::to_string)
        .chain(others)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_come_in_their_order_and_what_is_none_stays() {
        let texts = ["10.2.0.0/16", "any", "10.10.0.9/24", "10.2.0.0/16"];
        let found = in_order(texts.map(str::to_owned).to_vec());
        assert_eq!(found, ["10.2.0.0/16", "10.10.0.0/24", "any"]);
    }
}
