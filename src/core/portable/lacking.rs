//! What a description must say to create a connection. For an existing connection all of it may be left out. Pure.

use crate::{
    core::{error::Violation, writes::joint::path},
    model::{NewConnection, ResourceField, ResourceKind, ResourceSpec, Settings},
};

const WHY: &str = "is required, because the connection is not there and is to be made";

/// Returns what a description lacks to create its connection, by paths in the request without `connection.`.
/// Requirements of a single backend are not included; that backend's dialect reports them.
pub fn lacking(wanted: &NewConnection) -> Vec<Violation> {
    let spec = &wanted.spec;
    let of_connection = [
        ("peer.address", spec.peer_address.is_empty(), ""),
        (
            "peer.psk",
            spec.authentication.is_none(),
            "; or `peer.certificate`",
        ),
        (
            "policy_based",
            spec.selectors.is_none(),
            "; or `route_based`",
        ),
    ];
    let missing = of_connection.into_iter().filter(|(_, lacks, _)| *lacks);
    let missing = missing.map(|(field, _, or)| Violation::new(field, format!("{WHY}{or}")));
    let of_parts = wanted.parts.iter().flat_map(|(kind, part)| {
        let fields = of_part(part, wanted.has(ResourceKind::VpnService)).into_iter();
        fields.map(|field| Violation::new(format!("{}.{}", path(*kind), field.path()), WHY))
    });
    missing.chain(of_parts).collect()
}

/// Returns what a part lacks to be created. `with_service` says whether its VPN service comes as a part too.
fn of_part(part: &ResourceSpec, with_service: bool) -> Vec<ResourceField> {
    let fields = match &part.settings {
        Settings::VpnService(service) => vec![(ResourceField::Router, service.router.is_empty())],
        Settings::LocalEndpoint(endpoint) => vec![
            (
                ResourceField::VpnService,
                endpoint.vpn_service.is_none() && !with_service,
            ),
            (ResourceField::Address, endpoint.address.is_empty()),
        ],
        _ => Vec::new(),
    };
    let missing = fields.into_iter().filter(|(_, lacks)| *lacks);
    missing.map(|(field, _)| field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Authentication, ConnectionSpec, Psk, Selectors};

    fn fields(wanted: &NewConnection) -> Vec<String> {
        lacking(wanted).into_iter().map(|it| it.field).collect()
    }

    fn with(kinds: &[ResourceKind]) -> NewConnection {
        let whole = ConnectionSpec {
            peer_address: "192.0.2.1".to_owned(),
            authentication: Some(Authentication::Psk(Psk::new("key".to_owned()))),
            selectors: Some(Selectors::Rules(Vec::new())),
            ..ConnectionSpec::default()
        };
        let parts = kinds.iter().map(|kind| (*kind, ResourceSpec::none(*kind)));
        NewConnection {
            parts: parts.collect(),
            ..NewConnection::alone(whole)
        }
    }

    #[test]
    fn a_connection_that_is_made_has_a_peer_a_key_and_selectors() {
        let nothing = NewConnection::default();
        assert_eq!(
            fields(&nothing),
            ["peer.address", "peer.psk", "policy_based"]
        );
        let told = lacking(&nothing);
        assert!(told[1].description.ends_with("or `peer.certificate`"));
        assert!(fields(&with(&[])).is_empty());
    }

    #[test]
    fn parts_that_are_made_are_attached_somewhere() {
        use ResourceKind::{DpdPolicy, IkePolicy, IpsecPolicy, LocalEndpoint, VpnService};
        assert!(fields(&with(&[IkePolicy, IpsecPolicy, DpdPolicy])).is_empty());
        assert_eq!(
            fields(&with(&[LocalEndpoint])),
            [
                "parts.local_endpoint.vpn_service",
                "parts.local_endpoint.address"
            ]
        );
        assert_eq!(
            fields(&with(&[VpnService, LocalEndpoint])),
            ["parts.vpn_service.router", "parts.local_endpoint.address"]
        );
    }
}
