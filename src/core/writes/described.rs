//! How a description changes an existing connection. Pure.

use crate::{
    core::dialect::Warning,
    model::{Connection, ConnectionChange, ConnectionSpec, Field},
};
use std::net::IpAddr;

/// Returns a change of every field that the description sets. The key is spared unless `write_key`.
pub fn said(wanted: &ConnectionSpec, write_key: bool) -> ConnectionChange {
    let given = Field::ALL.into_iter().filter(|it| it.is_set(wanted));
    ConnectionChange {
        fields: given.collect(),
        values: wanted.clone(),
        spare_key: !write_key,
        ..ConnectionChange::default()
    }
}

/// Returns the change to make to `there`, and warnings about described fields that stay as they are.
pub fn change(said: ConnectionChange, there: &Connection) -> (ConnectionChange, Vec<Warning>) {
    let mut change = said;
    let mut warnings = Vec::new();
    let moves = change.fields.contains(&Field::PeerAddress);
    if moves && is_resolved(&change.values.peer_address, &there.peer.address) {
        change.fields.remove(&Field::PeerAddress);
        warnings.push(Warning {
            field: Field::PeerAddress.path().to_owned(),
            message: format!(
                "the peer is at `{}`, as the cloud may have resolved this host name when it was written: it is left there",
                there.peer.address
            ),
        });
    } else if moves && there.peer.id == there.peer.address {
        // The peer's id is its address, so it changes with the address.
        change.fields.insert(Field::PeerId);
    }
    (change, warnings)
}

/// Reports whether `there` may be the address that the cloud resolved the host name `wanted` to.
fn is_resolved(wanted: &str, there: &str) -> bool {
    wanted.parse::<IpAddr>().is_err() && there.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Initiation, Peer};

    fn there(address: &str, id: &str) -> Connection {
        Connection {
            peer: Peer {
                address: address.to_owned(),
                id: id.to_owned(),
                ..Peer::default()
            },
            ..Connection::default()
        }
    }

    fn at(address: &str) -> ConnectionSpec {
        ConnectionSpec {
            peer_address: address.to_owned(),
            ..ConnectionSpec::default()
        }
    }

    fn fields(wanted: &ConnectionSpec, there: &Connection) -> Vec<Field> {
        let (change, _) = change(said(wanted, false), there);
        change.fields.into_iter().collect()
    }

    #[test]
    fn what_is_not_said_is_left_as_it_is() {
        let wanted = ConnectionSpec {
            initiation: Some(Initiation::Both),
            ..ConnectionSpec::default()
        };
        let there = there("192.0.2.1", "192.0.2.1");
        assert_eq!(fields(&wanted, &there), [Field::Initiation]);
        let (spared, _) = change(said(&wanted, false), &there);
        let (written, _) = change(said(&wanted, true), &there);
        assert!(spared.spare_key && !written.spare_key);
    }

    #[test]
    fn a_peer_that_identifies_itself_by_its_address_goes_on_doing_so() {
        let (address, id) = (Field::PeerAddress, Field::PeerId);
        let wanted = at("192.0.2.9");
        assert_eq!(
            fields(&wanted, &there("192.0.2.1", "192.0.2.1")),
            [address, id]
        );
        assert_eq!(
            fields(&wanted, &there("192.0.2.1", "peer.example")),
            [address]
        );
    }

    #[test]
    fn an_address_that_the_cloud_found_for_a_host_name_is_left_alone() {
        let wanted = at("peer.example");
        let (change, warnings) = change(said(&wanted, false), &there("192.0.2.1", "peer.example"));
        assert!(change.fields.is_empty());
        assert_eq!(warnings[0].field, "peer.address");
        // If the cloud keeps host names, the dialect compares them.
        let kept = there("other.example", "x");
        assert_eq!(fields(&wanted, &kept), [Field::PeerAddress]);
    }
}
