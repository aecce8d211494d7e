//! Which fields of a connection are written with its session, and which with its peer endpoint; to be told of a plan.

use crate::{
    dialects::nsx::{
        body::Body,
        manager::translate::{
            outward::{changed_session, peer_endpoint_is_as_wanted},
            references::reference,
            words::psk,
        },
    },
    model::{Authentication, ConnectionChange, ConnectionSpec, Field, NewConnection, Selectors},
};
use std::collections::BTreeSet;

/// The paths that making a session and its peer endpoint writes.
pub fn written(wanted: &NewConnection) -> [Vec<String>; 2] {
    let is_written = |field: Field| {
        // What is said even where it is left open.
        let always = [Field::AdminEnabled, Field::PeerId, Field::Initiation];
        let is_part = reference(field).is_some_and(|(kind, _)| wanted.has(kind));
        always.contains(&field) || is_part || field.is_set(&wanted.spec)
    };
    let paths = |is_in: &dyn Fn(Field) -> bool| {
        let fields = Field::ALL.into_iter();
        let fields = fields.filter(|field| is_in(*field) && is_written(*field));
        fields.map(|field| path(field, &wanted.spec)).collect()
    };
    let in_peer = |field| field == Field::DisplayName || is_in_peer_endpoint(field);
    [paths(&is_in_session), paths(&in_peer)]
}

/// The paths of a change that its PUT of the session writes.
pub fn changed_in_session(session: &Body, change: &ConnectionChange) -> Vec<String> {
    let fields = change.fields.iter().copied().filter(|field| {
        is_in_session(*field)
            && matches!(
                changed_session(session, &alone(change, *field)),
                Ok(Some(_))
            )
    });
    fields.map(|field| path(field, &change.values)).collect()
}

/// The paths of a change that its PUT of the peer endpoint writes, among them that of a key that it has to bear.
pub fn changed_in_peer_endpoint(peer: &Body, change: &ConnectionChange) -> Vec<String> {
    let is_spare = change.spare_key && psk(&change.values).is_some();
    let is_written = |field: Field| match field {
        Field::Authentication if is_spare => true,
        field => !peer_endpoint_is_as_wanted(peer, &alone(change, field)),
    };
    let fields = change.fields.iter().copied();
    let fields = fields.filter(|field| is_in_peer_endpoint(*field) && is_written(*field));
    fields.map(|field| path(field, &change.values)).collect()
}

/// Whether the change is about anything that stands in the peer endpoint. A spare key alone is not.
pub fn concerns_peer_endpoint(change: &ConnectionChange) -> bool {
    let is_spare = |field| field == Field::Authentication && change.spare_key;
    let mut fields = change.fields.iter().copied();
    fields.any(|field| is_in_peer_endpoint(field) && !is_spare(field))
}

fn is_in_session(field: Field) -> bool {
    matches!(
        field,
        Field::DisplayName
            | Field::Description
            | Field::AdminEnabled
            | Field::LocalEndpoint
            | Field::Selectors
            | Field::TcpMssClamping
    )
}

fn is_in_peer_endpoint(field: Field) -> bool {
    matches!(
        field,
        Field::IkePolicy
            | Field::IpsecPolicy
            | Field::DpdPolicy
            | Field::PeerAddress
            | Field::PeerId
            | Field::Authentication
            | Field::Initiation
    )
}

/// The path of a field, of which two have two.
fn path(field: Field, values: &ConnectionSpec) -> String {
    let path = match (field, &values.selectors, &values.authentication) {
        (Field::Selectors, Some(Selectors::RouteBased(_)), _) => "route_based",
        (Field::Authentication, _, Some(Authentication::Certificate)) => "peer.certificate",
        _ => field.path(),
    };
    path.to_owned()
}

/// One field of a change.
fn alone(change: &ConnectionChange, field: Field) -> ConnectionChange {
    ConnectionChange {
        fields: BTreeSet::from([field]),
        ..change.clone()
    }
}
