//! A connection described with its parts: writable fields only, without the key.

use crate::{
    grpc::{
        convert::{
            connection::connection,
            resource::{Common, Head, Wire},
        },
        pb,
    },
    model::{
        Authentication, BackendName, Connection, ConnectionSpec, NewConnection, Peer, ResourceKind,
        ResourceSpec, Selectors, Settings, TunnelInterface,
    },
};

/// Converts a description of the connection with this name. `name` is empty if the connection does not exist.
pub fn site(backend: &BackendName, name: &str, described: NewConnection) -> pb::Site {
    let mut parts = pb::Parts::default();
    for (kind, spec) in described.parts {
        match kind {
            ResourceKind::IkePolicy => parts.ike_policy = part(backend, spec),
            ResourceKind::IpsecPolicy => parts.ipsec_policy = part(backend, spec),
            ResourceKind::DpdPolicy => parts.dpd_policy = part(backend, spec),
            ResourceKind::VpnService => parts.vpn_service = part(backend, spec),
            ResourceKind::LocalEndpoint => parts.local_endpoint = part(backend, spec),
            // Endpoint groups are not parts: the rules of the connection hold their contents.
            ResourceKind::EndpointGroup => {}
        }
    }
    pb::Site {
        connection: Some(pb::Connection {
            name: name.to_owned(),
            ..connection(backend, as_read(described.spec))
        }),
        parts: Some(parts),
    }
}

/// Returns the connection that a read would return if it held writable fields only.
fn as_read(spec: ConnectionSpec) -> Connection {
    Connection {
        display_name: spec.display_name,
        description: spec.description,
        admin_enabled: spec.admin_enabled,
        vpn_service: spec.vpn_service,
        local_endpoint: spec.local_endpoint,
        ike_policy: spec.ike_policy,
        ipsec_policy: spec.ipsec_policy,
        dpd_policy: spec.dpd_policy,
        peer: Peer {
            address: spec.peer_address,
            id: spec.peer_id.unwrap_or_default(),
            certificate: matches!(spec.authentication, Some(Authentication::Certificate)),
            psk_set: false,
        },
        dpd: spec.dpd,
        initiation: spec.initiation,
        selectors: spec.selectors.map(written),
        mtu: spec.mtu,
        tcp_mss_clamping: spec.tcp_mss_clamping,
        availability_zone: spec.availability_zone,
        ..Connection::default()
    }
}

/// Removes the ids that only a cloud assigns.
fn written(selectors: Selectors) -> Selectors {
    match selectors {
        Selectors::RouteBased(interfaces) => {
            let without = |it| TunnelInterface { id: None, ..it };
            Selectors::RouteBased(interfaces.into_iter().map(without).collect())
        }
        other => other,
    }
}

/// Converts a part to what its service accepts: without a name and without output-only fields.
fn part<W: Wire>(backend: &BackendName, mut spec: ResourceSpec) -> Option<W> {
    if let Settings::VpnService(service) = &mut spec.settings {
        service.external_addresses.clear();
        service.native_state.clear();
    }
    let mut part = W::say(spec.settings, backend)?;
    part.add(Common {
        head: Head {
            display_name: spec.display_name,
            description: spec.description,
            availability_zone: spec.availability_zone.unwrap_or_default(),
            ..Head::default()
        },
        ..Common::default()
    });
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        grpc::convert::apply::Apply,
        model::{
            Collection, ConnectionName, Psk, samples,
            topology::{LocalEndpoint, VpnService},
        },
    };
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const NAME: &str = "backends/a/connections/c";

    fn backend() -> BackendName {
        "a".parse().unwrap()
    }

    fn parts(given: impl IntoIterator<Item = Settings>) -> BTreeMap<ResourceKind, ResourceSpec> {
        let part = |settings: Settings| {
            let spec = ResourceSpec {
                display_name: "its name".to_owned(),
                settings,
                ..ResourceSpec::none(ResourceKind::IkePolicy)
            };
            (spec.kind(), spec)
        };
        given.into_iter().map(part).collect()
    }

    #[test]
    fn what_only_a_cloud_says_of_a_part_is_left_out() {
        let service = VpnService {
            router: "r".to_owned(),
            external_addresses: vec!["198.51.100.1".to_owned()],
            native_state: "ACTIVE".to_owned(),
            ..VpnService::default()
        };
        let endpoint = LocalEndpoint {
            address: "198.51.100.1".to_owned(),
            ..LocalEndpoint::default()
        };
        let described = NewConnection {
            parts: parts([
                Settings::VpnService(service),
                Settings::LocalEndpoint(endpoint),
            ]),
            ..NewConnection::default()
        };
        let parts = site(&backend(), NAME, described).parts.unwrap();
        assert_eq!(
            parts.vpn_service,
            Some(pb::VpnService {
                display_name: "its name".to_owned(),
                router: "r".to_owned(),
                ..Default::default()
            })
        );
        assert_eq!(
            parts.local_endpoint,
            Some(pb::LocalEndpoint {
                display_name: "its name".to_owned(),
                address: "198.51.100.1".to_owned(),
                ..Default::default()
            })
        );
        assert_eq!(parts.ike_policy, None);
    }

    #[test]
    fn a_key_is_never_in_it() {
        let described = NewConnection::alone(ConnectionSpec {
            authentication: Some(Authentication::Psk(Psk::new("canary".to_owned()))),
            ..ConnectionSpec::default()
        });
        let said = site(&backend(), "", described).connection.unwrap();
        assert_eq!(said.peer, Some(pb::Peer::default()));
        assert_eq!(said.name, "");
    }

    proptest! {
        /// The answer is a valid request: it has no output-only fields, and all that was described.
        #[test]
        fn what_is_described_can_be_applied(read in samples::connection()) {
            let spec = samples::sent_back(&read);
            let parts = parts([]);
            let said = site(&backend(), NAME, NewConnection { parts, ..NewConnection::alone(spec.clone()) });
            let request = pb::ApplyConnectionRequest {
                parent: backend().to_string(),
                connection: said.connection,
                parts: said.parts,
                ..Default::default()
            };
            let apply = Apply::read(request, |_, _| Vec::new()).expect("accepted");
            let name = ConnectionName::parse(Collection::Connections, NAME).unwrap();
            prop_assert_eq!(apply.description.name, Some(name));
            let wanted = apply.description.wanted;
            prop_assert_eq!(format!("{:#?}", wanted.spec), format!("{spec:#?}"));
            prop_assert!(wanted.parts.is_empty());
        }
    }
}
