//! Which fields of a connection are written with its session, and which with its peer endpoint. Plans report them.

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

/// Returns the paths that creating a session and a peer endpoint writes, in this order.
pub fn written(wanted: &NewConnection) -> [Vec<String>; 2] {
    let is_written = |field: Field| {
        // Written even if the caller leaves them open.
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

/// Returns the paths of a change that its PUT of the session writes.
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

/// Returns the paths of a change that its PUT of the peer endpoint writes, including that of a key it has to carry.
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

/// Reports whether the change concerns a field of the peer endpoint. A spare key alone does not.
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

/// Returns the path of a field. Selectors and authentication have two each.
fn path(field: Field, values: &ConnectionSpec) -> String {
    let path = match (field, &values.selectors, &values.authentication) {
        (Field::Selectors, Some(Selectors::RouteBased(_)), _) => "route_based",
        (Field::Authentication, _, Some(Authentication::Certificate)) => "peer.certificate",
        _ => field.path(),
    };
    path.to_owned()
}

/// Reduces a change to one field.
fn alone(change: &ConnectionChange, field: Field) -> ConnectionChange {
    ConnectionChange {
        fields: BTreeSet::from([field]),
        ..change.clone()
    }
}
