//! Writes to what connections refer to: a part has no realization of its own, so a write to it is as far as it has come on
//! every connection that uses it.
//!
//! ```text
//!   token ──names the write──► stream: connections that use the part, some at a time
//!                                 │ each polled, and judged, as one with a write made elsewhere (`elsewhere`)
//!                                 ▼
//!                              tally: how many have it ──► what is said of all, and how it ends
//! ```

pub mod stream;
pub mod tally;
mod token;

pub use token::{PartToken, token};

use crate::model::{Collection, Connection, ResourceName, Selectors};

/// Whether a connection of the same backend refers to a part.
pub fn uses(connection: &Connection, part: &ResourceName) -> bool {
    let is = |id: &Option<String>| id.as_deref() == Some(&*part.id);
    match part.collection {
        Collection::Connections => false,
        Collection::IkePolicies => is(&connection.ike_policy),
        Collection::IpsecPolicies => is(&connection.ipsec_policy),
        Collection::DpdPolicies => is(&connection.dpd_policy),
        Collection::VpnServices => is(&connection.vpn_service),
        Collection::LocalEndpoints => is(&connection.local_endpoint),
        Collection::EndpointGroups => match &connection.selectors {
            Some(Selectors::EndpointGroups { local, peer }) => {
                **local == *part.id || **peer == *part.id
            }
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
