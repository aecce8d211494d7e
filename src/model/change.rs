//! What an update changes, and what of it is so already.

use crate::model::{
    connection::{
        Authentication, Connection, ConnectionSpec, PolicyRule, Selectors, TunnelInterface,
    },
    resource::ResourceKind,
};
use std::collections::BTreeSet;

/// What an update changes: the named fields get the values in `values`; a named field whose value is
/// unset there goes back to its default.
#[derive(Debug, Clone, Default)]
pub struct ConnectionChange {
    /// Which fields change.
    pub fields: BTreeSet<Field>,
    /// Their new values; the rest of it means nothing.
    pub values: ConnectionSpec,
    /// What the caller believes is current. `None`: whatever it is.
    pub etag: Option<String>,
    /// The key in `values` is written only where the cloud takes another change not without it: whether it differs from
    /// the one that is there nobody can tell.
    pub spare_key: bool,
    /// The references that change to what the same write makes just before, which has no id yet when the change is planned:
    /// it is told when the plan is performed. Their fields need not be in `fields`, and what `values` has for them means nothing.
    pub made: BTreeSet<ResourceKind>,
}

/// A field of a connection that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// `display_name`
    DisplayName,
    /// `description`
    Description,
    /// `admin_enabled`
    AdminEnabled,
    /// `vpn_service`
    VpnService,
    /// `local_endpoint`
    LocalEndpoint,
    /// `ike_policy`
    IkePolicy,
    /// `ipsec_policy`
    IpsecPolicy,
    /// `dpd_policy`
    DpdPolicy,
    /// `peer.address`
    PeerAddress,
    /// `peer.id`
    PeerId,
    /// `peer.psk` or `peer.certificate`
    Authentication,
    /// `dpd`
    Dpd,
    /// `initiation`
    Initiation,
    /// `policy_based` or `route_based`
    Selectors,
    /// `mtu`
    Mtu,
    /// `tcp_mss_clamping`
    TcpMssClamping,
    /// `availability_zone`
    AvailabilityZone,
}

impl Field {
    /// Every field.
    pub const ALL: [Field; 17] = [
        Field::DisplayName,
        Field::Description,
        Field::AdminEnabled,
        Field::VpnService,
        Field::LocalEndpoint,
        Field::IkePolicy,
        Field::IpsecPolicy,
        Field::DpdPolicy,
        Field::PeerAddress,
        Field::PeerId,
        Field::Authentication,
        Field::Dpd,
        Field::Initiation,
        Field::Selectors,
        Field::Mtu,
        Field::TcpMssClamping,
        Field::AvailabilityZone,
    ];

    /// The path in the proto, relative to `Connection`.
    pub fn path(self) -> &'static str {
        match self {
            Field::DisplayName => "display_name",
            Field::Description => "description",
            Field::AdminEnabled => "admin_enabled",
            Field::VpnService => "vpn_service",
            Field::LocalEndpoint => "local_endpoint",
            Field::IkePolicy => "ike_policy",
            Field::IpsecPolicy => "ipsec_policy",
            Field::DpdPolicy => "dpd_policy",
            Field::PeerAddress => "peer.address",
            Field::PeerId => "peer.id",
            Field::Authentication => "peer.psk",
            Field::Dpd => "dpd",
            Field::Initiation => "initiation",
            Field::Selectors => "policy_based",
            Field::Mtu => "mtu",
            Field::TcpMssClamping => "tcp_mss_clamping",
            Field::AvailabilityZone => "availability_zone",
        }
    }

    /// The field that this path of `Connection`, or of a part of one, belongs to. `None`: of none that can be written.
    pub fn of(path: &str) -> Option<Field> {
        let mut parts = path.split(['.', '[']);
        Some(match (parts.next()?, parts.next()) {
            ("peer", Some("address")) => Field::PeerAddress,
            ("peer", Some("id")) => Field::PeerId,
            ("peer", Some("psk" | "certificate")) => Field::Authentication,
            ("policy_based" | "route_based", _) => Field::Selectors,
            (top, _) => return Field::ALL.into_iter().find(|it| it.path() == top),
        })
    }

    /// The kind of part that it refers to.
    pub fn refers_to(self) -> Option<ResourceKind> {
        match self {
            Field::VpnService => Some(ResourceKind::VpnService),
            Field::LocalEndpoint => Some(ResourceKind::LocalEndpoint),
            Field::IkePolicy => Some(ResourceKind::IkePolicy),
            Field::IpsecPolicy => Some(ResourceKind::IpsecPolicy),
            Field::DpdPolicy => Some(ResourceKind::DpdPolicy),
            _ => None,
        }
    }

    /// Whether `values` give it a value.
    pub fn is_set(self, values: &ConnectionSpec) -> bool {
        match self {
            Field::DisplayName => !values.display_name.is_empty(),
            Field::Description => !values.description.is_empty(),
            Field::AdminEnabled => values.admin_enabled.is_some(),
            Field::VpnService => values.vpn_service.is_some(),
            Field::LocalEndpoint => values.local_endpoint.is_some(),
            Field::IkePolicy => values.ike_policy.is_some(),
            Field::IpsecPolicy => values.ipsec_policy.is_some(),
            Field::DpdPolicy => values.dpd_policy.is_some(),
            Field::PeerAddress => !values.peer_address.is_empty(),
            Field::PeerId => values.peer_id.is_some(),
            Field::Authentication => values.authentication.is_some(),
            Field::Dpd => values.dpd.is_some(),
            Field::Initiation => values.initiation.is_some(),
            Field::Selectors => values.selectors.is_some(),
            Field::Mtu => values.mtu.is_some(),
            Field::TcpMssClamping => values.tcp_mss_clamping.is_some(),
            Field::AvailabilityZone => values.availability_zone.is_some(),
        }
    }

    /// Whether its value is the one that was read. A key never is, since none is read.
    fn is_as_read(self, values: &ConnectionSpec, there: &Connection) -> bool {
        match self {
            Field::DisplayName => values.display_name == there.display_name,
            Field::Description => values.description == there.description,
            Field::AdminEnabled => values.admin_enabled == there.admin_enabled,
            Field::VpnService => values.vpn_service == there.vpn_service,
            Field::LocalEndpoint => values.local_endpoint == there.local_endpoint,
            Field::IkePolicy => values.ike_policy == there.ike_policy,
            Field::IpsecPolicy => values.ipsec_policy == there.ipsec_policy,
            Field::DpdPolicy => values.dpd_policy == there.dpd_policy,
            Field::PeerAddress => values.peer_address == there.peer.address,
            Field::PeerId => values.peer_id.as_deref().unwrap_or_default() == there.peer.id,
            Field::Authentication => {
                matches!(values.authentication, Some(Authentication::Certificate))
                    && there.peer.certificate
            }
            Field::Dpd => values.dpd == there.dpd,
            Field::Initiation => values.initiation == there.initiation,
            Field::Selectors => match (&values.selectors, &there.selectors) {
                (Some(wanted), Some(there)) => are_same_selectors(wanted, there),
                (wanted, there) => wanted.is_none() && there.is_none(),
            },
            Field::Mtu => values.mtu == there.mtu,
            Field::TcpMssClamping => values.tcp_mss_clamping == there.tcp_mss_clamping,
            Field::AvailabilityZone => values.availability_zone == there.availability_zone,
        }
    }
}

impl ConnectionChange {
    /// The change without what is so already: what is given as it was read; with the fields of what is yet to be made. What is named and unset goes back to its
    /// default, which may differ from what reads as unset because nobody knows the cloud's word for it; only a change
    /// that replaces everything leaves that as it is.
    #[must_use]
    pub fn without(&self, there: &Connection) -> ConnectionChange {
        let values = &self.values;
        let whole = self.is_whole();
        let differs =
            |field: &Field| !field.is_as_read(values, there) || !(whole || field.is_set(values));
        let changes = |field: &Field| {
            self.is_to_be_made(*field) || (self.fields.contains(field) && differs(field))
        };
        ConnectionChange {
            fields: Field::ALL.into_iter().filter(changes).collect(),
            ..self.clone()
        }
    }

    /// Whether this field is to refer to what has no id yet.
    pub fn is_to_be_made(&self, field: Field) -> bool {
        let kind = field.refers_to();
        kind.is_some_and(|kind| self.made.contains(&kind))
    }

    /// Whether it replaces everything that can be written, though it may keep the key.
    fn is_whole(&self) -> bool {
        let mut rest = Field::ALL.iter().filter(|it| !self.fields.contains(it));
        rest.all(|field| *field == Field::Authentication)
    }
}

/// Ids are compared where they are wanted: a caller may leave to the cloud which they are.
fn are_same_selectors(wanted: &Selectors, there: &Selectors) -> bool {
    match (wanted, there) {
        (Selectors::Rules(wanted), Selectors::Rules(there)) => {
            let is_same = |(wanted, there): (&PolicyRule, &PolicyRule)| {
                let id = wanted.id.as_ref().and(there.id.clone());
                let there = there.clone();
                *wanted == PolicyRule { id, ..there }
            };
            wanted.len() == there.len() && wanted.iter().zip(there).all(is_same)
        }
        (Selectors::RouteBased(wanted), Selectors::RouteBased(there)) => {
            let is_same = |(wanted, there): (&TunnelInterface, &TunnelInterface)| {
                let id = wanted.id.as_ref().and(there.id.clone());
                let there = there.clone();
                *wanted == TunnelInterface { id, ..there }
            };
            wanted.len() == there.len() && wanted.iter().zip(there).all(is_same)
        }
        (wanted, there) => wanted == there,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Initiation, Peer, Psk};

    #[test]
    fn a_path_leads_to_its_field() {
        for field in Field::ALL {
            assert_eq!(Field::of(field.path()), Some(field));
        }
        for (path, field) in [
            ("peer.certificate", Field::Authentication),
            ("dpd.timeout", Field::Dpd),
            ("policy_based.rules[3].sources[0]", Field::Selectors),
            ("route_based.tunnel_interfaces[0]", Field::Selectors),
            ("tcp_mss_clamping.direction", Field::TcpMssClamping),
        ] {
            assert_eq!(Field::of(path), Some(field), "{path}");
        }
        for path in ["", "name", "peer", "peer.psk_set", "update_mask.paths[0]"] {
            assert_eq!(Field::of(path), None, "{path}");
        }
    }

    fn there() -> Connection {
        Connection {
            display_name: "branch".to_owned(),
            vpn_service: Some("service".to_owned()),
            peer: Peer {
                address: "198.51.100.20".to_owned(),
                id: "branch.example".to_owned(),
                ..Peer::default()
            },
            selectors: Some(Selectors::Rules(vec![PolicyRule {
                id: Some("7".to_owned()),
                sources: vec!["10.0.0.0/8".to_owned()],
                ..PolicyRule::default()
            }])),
            ..Connection::default()
        }
    }

    fn left(fields: impl IntoIterator<Item = Field>, values: ConnectionSpec) -> Vec<Field> {
        let change = ConnectionChange {
            fields: fields.into_iter().collect(),
            values,
            ..ConnectionChange::default()
        };
        Vec::from_iter(change.without(&there()).fields)
    }

    #[test]
    fn what_is_so_already_is_no_change() {
        let mut values = ConnectionSpec {
            display_name: "branch".to_owned(),
            vpn_service: Some("other".to_owned()),
            peer_address: "198.51.100.20".to_owned(),
            selectors: there().selectors,
            ..ConnectionSpec::default()
        };
        let named = [
            Field::DisplayName,
            Field::VpnService,
            Field::PeerAddress,
            Field::Selectors,
        ];
        assert_eq!(left(named, values.clone()), [Field::VpnService]);
        // A rule that names no id is the one with the same networks.
        let Some(Selectors::Rules(rules)) = &mut values.selectors else {
            panic!("rules")
        };
        rules[0].id = None;
        assert_eq!(left([Field::Selectors], values.clone()), []);
        values.selectors = Some(Selectors::Rules(Vec::new()));
        assert_eq!(left([Field::Selectors], values), [Field::Selectors]);
    }

    /// What is unset and was read as unset has a word in the cloud that nobody knows, or none: a caller who replaces
    /// everything by what was read leaves it alone, and one who names it wants its default.
    #[test]
    fn what_is_unset_stays_only_if_everything_is_replaced() {
        let named = left([Field::Initiation], ConnectionSpec::default());
        assert_eq!(named, [Field::Initiation]);
        let but_the_key = Field::ALL
            .into_iter()
            .filter(|field| *field != Field::Authentication);
        let whole = left(but_the_key, ConnectionSpec::default());
        assert!(!whole.contains(&Field::Initiation) && !whole.contains(&Field::Mtu));
        assert!(whole.contains(&Field::DisplayName) && whole.contains(&Field::PeerId));
    }

    #[test]
    fn what_is_yet_to_be_made_is_another() {
        let change = |kinds: &[ResourceKind]| ConnectionChange {
            made: kinds.iter().copied().collect(),
            ..ConnectionChange::default()
        };
        assert_eq!(change(&[]).without(&there()).fields, BTreeSet::new());
        // There is no IKE policy, and none is named.
        let kinds = [ResourceKind::IkePolicy, ResourceKind::VpnService];
        let left = change(&kinds).without(&there()).fields;
        assert_eq!(left, [Field::VpnService, Field::IkePolicy].into());
    }

    #[test]
    fn a_key_is_always_another() {
        let values = ConnectionSpec {
            authentication: Some(Authentication::Psk(Psk::new("canary"))),
            initiation: Some(Initiation::Both),
            ..ConnectionSpec::default()
        };
        assert_eq!(
            left([Field::Authentication, Field::Initiation], values),
            [Field::Authentication, Field::Initiation]
        );
    }
}
