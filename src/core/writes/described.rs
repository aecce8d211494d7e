//! What a description says of a connection that is there. Pure.

use crate::{
    core::dialect::Warning,
    model::{Connection, ConnectionChange, ConnectionSpec, Field},
};
use std::net::IpAddr;

/// What of a connection that is there is to be as `wanted` says: every field that it gives a value. The key is spared unless
/// `write_key`.
pub fn change(
    wanted: &ConnectionSpec,
    there: &Connection,
    write_key: bool,
) -> (ConnectionChange, Vec<Warning>) {
    let given = Field::ALL.into_iter().filter(|it| it.is_set(wanted));
    let mut change = ConnectionChange {
        fields: given.collect(),
        values: wanted.clone(),
        spare_key: !write_key,
        ..ConnectionChange::default()
    };
    let mut warnings = Vec::new();
    let moves = change.fields.contains(&Field::PeerAddress);
    if moves && is_resolved(&wanted.peer_address, &there.peer.address) {
        change.fields.remove(&Field::PeerAddress);
        warnings.push(Warning {
            field: Field::PeerAddress.path().to_owned(),
            message: format!(
                "the cloud resolved a host name when the connection was made: the peer is still at `{}`",
                there.peer.address
            ),
        });
    } else if moves && there.peer.id == there.peer.address {
        // It identifies itself by its address, and goes on doing so.
        change.fields.insert(Field::PeerId);
    }
    (change, warnings)
}

/// Whether an address that was read may be the one that the cloud found for a host name.
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
        let (change, _) = change(wanted, there, false);
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
        let (spared, _) = change(&wanted, &there, false);
        let (written, _) = change(&wanted, &there, true);
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
        let (change, warnings) = change(&wanted, &there("192.0.2.1", "peer.example"), false);
        assert!(change.fields.is_empty());
        assert_eq!(warnings[0].field, "peer.address");
        // A cloud that keeps the name is asked whether it is the same.
        let kept = there("other.example", "x");
        assert_eq!(fields(&wanted, &kept), [Field::PeerAddress]);
    }
}
