//! What an update changes, and which of its fields already have the wanted value.

use crate::model::{
    connection::{
        Authentication, Connection, ConnectionSpec, PolicyRule, Selectors, TunnelInterface,
    },
    resource::ResourceKind,
};
use std::collections::BTreeSet;

/// An update of a connection. Each field in `fields` takes its value from `values`. A field that is unset there returns
/// to its default.
#[derive(Debug, Clone, Default)]
pub struct ConnectionChange {
    pub fields: BTreeSet<Field>,
    /// New values. Only the fields in `fields` count.
    pub values: ConnectionSpec,
    /// The etag that the caller believes is current. `None` skips the check.
    pub etag: Option<String>,
    /// Whether to write the key in `values` only if another change cannot be written without it. No client can read the
    /// key that is in place, so the gateway cannot tell whether the two differ.
    pub spare_key: bool,
    /// Kinds of part that the same write creates just before this change. Their references change to the new parts,
    /// whose ids are unknown when the change is planned and are filled in when the plan runs. Their fields need not be
    /// in `fields`, and their values in `values` do not count.
    pub made: BTreeSet<ResourceKind>,
}

/// A writable field of a connection.
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

    /// The field's path in the proto, relative to `Connection`.
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

    /// Returns the field that a path of `Connection`, or of something inside it, belongs to. Returns `None` if that
    /// field cannot be written.
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

    /// The kind of part that this field references, or `None` if it is not a reference.
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

    /// Whether `values` sets this field.
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

    /// Whether the wanted value equals the one that was read. Never true for a PSK, since no key can be read.
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
    /// Returns the change without the fields that already have the wanted value.
    ///
    /// Fields that will reference a part yet to be created stay. A named field that is unset also stays: it returns to
    /// its default, and a field that reads as unset may hold a value of the cloud that the model does not know. Only a
    /// change that replaces everything leaves such a field alone.
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

    /// Whether this field will reference a part that is created by the same write and has no id yet.
    pub fn is_to_be_made(&self, field: Field) -> bool {
        let kind = field.refers_to();
        kind.is_some_and(|kind| self.made.contains(&kind))
    }

    /// Whether the change replaces everything that can be written, except perhaps the key.
    fn is_whole(&self) -> bool {
        let mut rest = Field::ALL.iter().filter(|it| !self.fields.contains(it));
        rest.all(|field| *field == Field::Authentication)
    }
}

/// Compares selectors. An id counts only if the caller gives one, because the cloud may choose the ids.
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
        // A rule without an id matches the existing rule with the same networks.
        let Some(Selectors::Rules(rules)) = &mut values.selectors else {
            panic!("rules")
        };
        rules[0].id = None;
        assert_eq!(left([Field::Selectors], values.clone()), []);
        values.selectors = Some(Selectors::Rules(Vec::new()));
        assert_eq!(left([Field::Selectors], values), [Field::Selectors]);
    }

    /// A field that is unset and reads as unset may hold a value of the cloud that the model does not know. A caller
    /// who replaces everything with what was read leaves it alone. A caller who names the field wants its default.
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
