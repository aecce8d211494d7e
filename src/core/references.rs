//! What a connection references.

use crate::model::{Connection, ResourceKind, ResourceName, Selectors};

/// Returns what a connection references, in the order in which it can be removed once nothing uses it.
pub fn references(connection: &Connection) -> impl Iterator<Item = (ResourceKind, &str)> {
    let [local, peer] = match &connection.selectors {
        Some(Selectors::EndpointGroups { local, peer }) => [Some(local), Some(peer)],
        _ => [None, None],
    };
    let each = [
        (
            ResourceKind::LocalEndpoint,
            connection.local_endpoint.as_ref(),
        ),
        (ResourceKind::EndpointGroup, local),
        (ResourceKind::EndpointGroup, peer),
        (ResourceKind::IkePolicy, connection.ike_policy.as_ref()),
        (ResourceKind::IpsecPolicy, connection.ipsec_policy.as_ref()),
        (ResourceKind::DpdPolicy, connection.dpd_policy.as_ref()),
        (ResourceKind::VpnService, connection.vpn_service.as_ref()),
    ];
    let given = each.into_iter();
    given.filter_map(|(kind, id)| Some((kind, id?.as_str())))
}

/// Reports whether a connection of the same backend references a part.
pub fn uses(connection: &Connection, part: &ResourceName) -> bool {
    let is =
        |(kind, id): (ResourceKind, &str)| kind.collection() == part.collection && *id == *part.id;
    references(connection).any(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Collection;

    #[test]
    fn a_connection_uses_what_it_refers_to_by_its_own_kind_of_name() {
        let connection = Connection {
            ike_policy: Some("1".to_owned()),
            ipsec_policy: Some("2".to_owned()),
            dpd_policy: Some("3".to_owned()),
            vpn_service: Some("4".to_owned()),
            local_endpoint: Some("5".to_owned()),
            selectors: Some(Selectors::EndpointGroups {
                local: "6".to_owned(),
                peer: "7".to_owned(),
            }),
            ..Connection::default()
        };
        for (collection, ids) in [
            (Collection::IkePolicies, "1"),
            (Collection::IpsecPolicies, "2"),
            (Collection::DpdPolicies, "3"),
            (Collection::VpnServices, "4"),
            (Collection::LocalEndpoints, "5"),
            (Collection::EndpointGroups, "67"),
        ] {
            for id in "1234567".chars() {
                let name = format!("backends/a/{}/{id}", collection.segment());
                let part = ResourceName::parse(collection, &name).unwrap();
                assert_eq!(uses(&connection, &part), ids.contains(id), "{name}");
            }
        }
    }
}
