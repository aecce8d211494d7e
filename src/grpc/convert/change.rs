//! The fields that an update changes: those its mask names, or without a mask those that are set.

use crate::{
    grpc::{
        convert::{CONNECTION, Problems, spec::spec},
        pb,
    },
    model::{BackendName, ConnectionChange, ConnectionSpec, Field, Selectors},
};
use std::collections::BTreeSet;

/// The path that stands for every field.
const EVERYTHING: &str = "*";

/// Every path a mask may name.
const PATHS: [&str; 21] = [
    EVERYTHING,
    "display_name",
    "description",
    "admin_enabled",
    "vpn_service",
    "local_endpoint",
    "ike_policy",
    "ipsec_policy",
    "dpd_policy",
    "peer",
    "peer.address",
    "peer.id",
    "peer.psk",
    "peer.certificate",
    "dpd",
    "initiation",
    "policy_based",
    "route_based",
    "mtu",
    "tcp_mss_clamping",
    "availability_zone",
];

/// Reads a change of a connection of `backend`. Ignores values that the mask does not name, so they cannot be
/// violations either.
///
/// An absent or empty mask stands for every field that is set. A path that is named but unset returns to its default;
/// if it has none, that is a violation. `*` stands for every field, set or not, except an absent key: the key stays,
/// because no caller can read it back. `*` does not check for missing values, because the existing connection may lack
/// them too; the dialect checks that.
pub fn change(
    mut connection: pb::Connection,
    mask: Option<prost_types::FieldMask>,
    backend: Option<&BackendName>,
    problems: &mut Problems,
) -> ConnectionChange {
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    let etag = std::mem::take(&mut connection.etag);
    let etag = (!etag.is_empty()).then_some(etag);
    let read = |connection, problems: &mut Problems| {
        problems.within(CONNECTION, |problems| spec(connection, backend, problems))
    };
    if paths.is_empty() {
        let values = read(connection, problems);
        let set = Field::ALL.into_iter();
        let fields = set.filter(|field| field.is_set(&values)).collect();
        return ConnectionChange {
            fields,
            values,
            etag,
            ..ConnectionChange::default()
        };
    }

    let mut named = Named::default();
    for (index, path) in paths.iter().enumerate() {
        named.note(index, path, problems);
    }
    let authenticated = connection
        .peer
        .as_ref()
        .is_some_and(|peer| peer.authentication.is_some());
    leave_only(&named.fields, &mut connection);
    let values = read(connection, problems);
    problems.within(CONNECTION, |problems| {
        named.check_defaults(&values, authenticated, problems);
    });
    if (named.whole_peer || named.everything) && !authenticated {
        // The mask names the whole peer, but no key is given, so the existing key stays.
        named.fields.remove(&Field::Authentication);
    }
    ConnectionChange {
        fields: named.fields,
        values,
        etag,
        ..ConnectionChange::default()
    }
}

/// The paths of a mask.
#[derive(Default)]
struct Named {
    fields: BTreeSet<Field>,
    /// Whether the mask has `*`.
    everything: bool,
    /// Whether the mask names `peer` itself, not its parts.
    whole_peer: bool,
    /// `peer.psk` or `peer.certificate`, if the mask names one of them.
    authentication: Option<&'static str>,
    /// `policy_based`, `route_based` or both.
    selectors: BTreeSet<&'static str>,
}

impl Named {
    fn note(&mut self, index: usize, path: &str, problems: &mut Problems) {
        let field = match path {
            EVERYTHING => {
                self.everything = true;
                self.fields.extend(Field::ALL);
                return;
            }
            "vpn_service" => Field::VpnService,
            "display_name" => Field::DisplayName,
            "description" => Field::Description,
            "admin_enabled" => Field::AdminEnabled,
            "local_endpoint" => Field::LocalEndpoint,
            "ike_policy" => Field::IkePolicy,
            "ipsec_policy" => Field::IpsecPolicy,
            "dpd_policy" => Field::DpdPolicy,
            "peer" => {
                self.whole_peer = true;
                self.fields
                    .extend([Field::PeerAddress, Field::PeerId, Field::Authentication]);
                return;
            }
            "peer.address" => Field::PeerAddress,
            "peer.id" => Field::PeerId,
            "peer.psk" => {
                self.authentication = Some("peer.psk");
                Field::Authentication
            }
            "peer.certificate" => {
                self.authentication = Some("peer.certificate");
                Field::Authentication
            }
            "dpd" => Field::Dpd,
            "initiation" => Field::Initiation,
            "policy_based" => {
                self.selectors.insert("policy_based");
                Field::Selectors
            }
            "route_based" => {
                self.selectors.insert("route_based");
                Field::Selectors
            }
            "mtu" => Field::Mtu,
            "tcp_mss_clamping" => Field::TcpMssClamping,
            "availability_zone" => Field::AvailabilityZone,
            _ => {
                problems.add(
                    format!("update_mask.paths[{index}]"),
                    format!("must be one of {}", PATHS.join(", ")),
                );
                return;
            }
        };
        self.fields.insert(field);
    }

    /// Adds violations for fields that are named, unset and without a default.
    fn check_defaults(
        &self,
        values: &ConnectionSpec,
        authenticated: bool,
        problems: &mut Problems,
    ) {
        let address = self.fields.contains(&Field::PeerAddress) && !self.everything;
        if address && values.peer_address.is_empty() {
            problems.add("peer.address", "is named by the mask and has no default");
        }
        if let Some(path) = self.authentication
            && !authenticated
        {
            problems.add(path, "is named by the mask and has no default");
        }
        let given = values.selectors.as_ref().map(|selectors| match selectors {
            Selectors::Rules(_) | Selectors::EndpointGroups { .. } => "policy_based",
            Selectors::RouteBased(_) => "route_based",
        });
        if let Some(named) = self.selectors.first()
            && given.is_none_or(|given| !self.selectors.contains(given))
        {
            problems.add(*named, "is named by the mask and has no default");
        }
    }
}

/// Unsets the fields that will not change.
fn leave_only(fields: &BTreeSet<Field>, connection: &mut pb::Connection) {
    let mut peer = connection.peer.take().unwrap_or_default();
    for field in Field::ALL.iter().filter(|field| !fields.contains(field)) {
        match field {
            Field::DisplayName => connection.display_name.clear(),
            Field::Description => connection.description.clear(),
            Field::AdminEnabled => connection.admin_enabled = None,
            Field::VpnService => connection.vpn_service.clear(),
            Field::LocalEndpoint => connection.local_endpoint.clear(),
            Field::IkePolicy => connection.ike_policy.clear(),
            Field::IpsecPolicy => connection.ipsec_policy.clear(),
            Field::DpdPolicy => connection.dpd_policy.clear(),
            Field::PeerAddress => peer.address.clear(),
            Field::PeerId => peer.id.clear(),
            Field::Authentication => peer.authentication = None,
            Field::Dpd => connection.dpd = None,
            Field::Initiation => connection.initiation = 0,
            Field::Selectors => connection.selectors = None,
            Field::Mtu => connection.mtu = None,
            Field::TcpMssClamping => connection.tcp_mss_clamping = None,
            Field::AvailabilityZone => connection.availability_zone.clear(),
        }
    }
    connection.peer = Some(peer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::error::Result,
        grpc::convert::fields_at_fault,
        model::{Authentication, Initiation},
    };

    fn read(connection: pb::Connection, paths: Option<&[&str]>) -> Result<ConnectionChange> {
        let backend: BackendName = "a".parse().unwrap();
        let mask = paths.map(|paths| prost_types::FieldMask {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        });
        let mut problems = Problems::default();
        let read = change(connection, mask, Some(&backend), &mut problems);
        problems.finish(Some(read))
    }

    fn peer(address: &str, key: Option<&str>) -> pb::Connection {
        pb::Connection {
            peer: Some(pb::Peer {
                address: address.to_owned(),
                authentication: key.map(|key| pb::peer::Authentication::Psk(key.to_owned())),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn without_a_mask_what_is_set_changes() {
        let connection = pb::Connection {
            display_name: "new".to_owned(),
            admin_enabled: Some(false),
            initiation: pb::Initiation::OnDemand.into(),
            etag: "e".to_owned(),
            managed: true,
            ..peer("192.0.2.1", None)
        };
        for mask in [None, Some(&[][..])] {
            let change = read(connection.clone(), mask).unwrap();
            assert_eq!(
                Vec::from_iter(change.fields),
                [
                    Field::DisplayName,
                    Field::AdminEnabled,
                    Field::PeerAddress,
                    Field::Initiation
                ]
            );
            assert_eq!(change.values.initiation, Some(Initiation::OnDemand));
            assert_eq!(change.etag.as_deref(), Some("e"));
        }
        assert!(
            read(pb::Connection::default(), None)
                .unwrap()
                .fields
                .is_empty()
        );
    }

    #[test]
    fn what_is_named_and_unset_goes_back_to_its_default() {
        let change = read(
            pb::Connection {
                mtu: Some(1400),
                ..Default::default()
            },
            Some(&["description", "admin_enabled", "dpd", "mtu", "peer.id"]),
        )
        .unwrap();
        assert_eq!(
            Vec::from_iter(change.fields),
            [
                Field::Description,
                Field::AdminEnabled,
                Field::PeerId,
                Field::Dpd,
                Field::Mtu
            ]
        );
        assert_eq!(change.values.admin_enabled, None);
        assert_eq!(change.values.mtu, Some(1400));
    }

    #[test]
    fn what_is_not_named_is_not_read() {
        let change = read(
            pb::Connection {
                display_name: "ignored".to_owned(),
                description: "new".to_owned(),
                ike_policy: "nonsense".to_owned(),
                ..peer("not an address", Some(""))
            },
            Some(&["description"]),
        )
        .unwrap();
        assert_eq!(change.values.description, "new");
        assert_eq!(change.values.display_name, "");
    }

    #[test]
    fn an_unknown_path_is_answered_with_the_known_ones() {
        let error = read(
            pb::Connection::default(),
            Some(&["description", "dpd.interval", "peer.*", "vpn_service"]),
        )
        .unwrap_err();
        let violations = &error.context.violations;
        assert_eq!(violations.len(), 2);
        assert_eq!(violations[0].field, "update_mask.paths[1]");
        assert!(violations[0].description.contains("peer.psk, "));
        assert_eq!(violations[1].field, "update_mask.paths[2]");
    }

    #[test]
    fn every_listed_path_is_accepted() {
        for path in PATHS {
            let mut problems = Problems::default();
            Named::default().note(0, path, &mut problems);
            assert!(problems.finish(Some(())).is_ok(), "{path}");
        }
    }

    #[test]
    fn the_whole_peer_without_a_key_keeps_the_key() {
        let change = read(peer("192.0.2.1", None), Some(&["peer"])).unwrap();
        assert_eq!(
            Vec::from_iter(change.fields),
            [Field::PeerAddress, Field::PeerId]
        );

        let change = read(peer("192.0.2.1", Some("k")), Some(&["peer"])).unwrap();
        assert!(change.fields.contains(&Field::Authentication));
        assert!(matches!(
            change.values.authentication,
            Some(Authentication::Psk(_))
        ));
    }

    #[test]
    fn everything_is_every_field_but_a_key_that_is_not_given() {
        let but_the_key: Vec<Field> = Field::ALL
            .into_iter()
            .filter(|field| *field != Field::Authentication)
            .collect();
        for connection in [peer("192.0.2.1", None), pb::Connection::default()] {
            let change = read(connection, Some(&["*"])).unwrap();
            assert_eq!(Vec::from_iter(change.fields), but_the_key);
        }
        let change = read(peer("192.0.2.1", Some("k")), Some(&["mtu", "*"])).unwrap();
        assert_eq!(Vec::from_iter(change.fields), Field::ALL);
    }

    #[test]
    fn what_has_no_default_must_be_given() {
        let nothing = pb::Connection::default;
        for (paths, expected) in [
            (&["peer"][..], &["connection.peer.address"][..]),
            (&["peer.psk"], &["connection.peer.psk"]),
            (&["*", "peer.psk"], &["connection.peer.psk"]),
            (&["peer.certificate"], &["connection.peer.certificate"]),
            (&["policy_based"], &["connection.policy_based"]),
            (
                &["peer.address", "route_based"],
                &["connection.peer.address", "connection.route_based"],
            ),
        ] {
            assert_eq!(fields_at_fault(read(nothing(), Some(paths))), expected);
        }
        assert_eq!(
            fields_at_fault(read(peer("192.0.2.1", Some("")), Some(&["peer.psk"]))),
            ["connection.peer.psk"]
        );
    }

    #[test]
    fn the_kind_of_selectors_must_be_the_named_one() {
        let connection = pb::Connection {
            selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
                rules: vec![pb::PolicyRule::default()],
                ..Default::default()
            })),
            ..Default::default()
        };
        assert!(read(connection.clone(), Some(&["policy_based"])).is_ok());
        assert_eq!(
            fields_at_fault(read(connection, Some(&["route_based"]))),
            ["connection.route_based"]
        );
    }
}
