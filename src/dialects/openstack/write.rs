//! Making, changing and removing connections.
//!
//! A write is sent once. If its answer is lost, what there is now is looked at instead: by the mark after a
//! POST, by what was wanted after a PUT, by absence after a DELETE.

mod sent;

pub use sent::{Write, changed, find, object, removed, send};

use crate::{
    core::{
        dialect::{Call, Mark, Proof, Warning, Written},
        error::{Error, ErrorReason, Result},
        etag,
    },
    dialects::{
        lost_write::{Doubt, Outcome},
        openstack::{
            client::{Ask, Client},
            error::{self, Asked},
            mark, read, status, translate,
            variant::Variant,
            wire::{
                Body,
                kind::{CONNECTIONS, SERVICES},
            },
        },
    },
    model::{ConnectionChange, ConnectionSpec, Field},
    rest::answer::Answer,
};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

/// What a connection is found by after a lost answer.
const FOUND_BY: [&str; 5] = ["id", "description", "name", "vpnservice_id", "peer_address"];

fn connection(answer: &Answer) -> Result<Body> {
    object(&CONNECTIONS, answer)
}

/// Makes a connection.
pub async fn create(
    client: &Client,
    spec: &ConnectionSpec,
    mark: &Mark,
    call: &Call,
) -> Result<Written> {
    let variant = client.variant();
    // Where no mark can be left, what was there before cannot be what this call makes.
    let before = match variant.description {
        true => HashSet::new(),
        false => {
            let rows = read::all(client, &CONNECTIONS, &FOUND_BY, call).await?;
            rows.iter().map(Body::id).collect()
        }
    };
    let secrets: Vec<&str> = translate::psk(spec).into_iter().collect();
    let body = translate::new_connection(spec, mark, variant);
    let write = Write {
        kind: &CONNECTIONS,
        ask: Ask::post(
            CONNECTIONS.path(),
            &HashMap::from([(CONNECTIONS.one, body)]),
        ),
        asked: Asked::Create,
        id: None,
        secrets: &secrets,
    };
    let body = match send(client, write, connection, call).await? {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let is_it = |row: &Body| match variant.description {
                true => mark::is(&row.text("description").unwrap_or_default(), mark),
                false => !before.contains(&row.id()) && translate::may_be(row, spec),
            };
            let mut found = find(client, &CONNECTIONS, &FOUND_BY, is_it, &lost, call).await;
            if let Err(error) = &mut found {
                if lost.doubt == Doubt::Failed
                    && let Some(cause) = missing_service(client, spec, &secrets, call).await
                {
                    return Err(cause);
                }
                let mark = ("mark", mark.as_str().to_owned());
                error.context.metadata.push(mark);
            }
            found?
        }
    };
    Ok(Written {
        id: body.id(),
        connection: Some(translate::connection(body, variant)),
        // A new row has no status from before.
        proof: Proof::AnyStatus,
        warnings: create_warnings(spec),
    })
}

/// Changes what differs.
pub async fn update(
    client: &Client,
    id: &str,
    change: &ConnectionChange,
    call: &Call,
) -> Result<Written> {
    let variant = client.variant();
    let before = read::present(client, &CONNECTIONS, id, call).await?;
    etag::check(
        change.etag.as_deref(),
        &translate::etag(&CONNECTIONS, &before, variant),
    )?;
    let change = &change.without(&translate::connection(before.clone(), variant));
    let Some(body) =
        translate::changes(&before, change, variant).map_err(Error::not_expressible)?
    else {
        return Ok(updated(before, Proof::Nothing, change, variant));
    };
    let secrets: Vec<&str> = translate::psk(&change.values).into_iter().collect();
    let descriptive = translate::is_descriptive(&body);
    let write = Write {
        kind: &CONNECTIONS,
        ask: Ask::put(
            CONNECTIONS.path_of(id),
            &HashMap::from([(CONNECTIONS.one, body)]),
        ),
        asked: Asked::Change,
        id: Some(id),
        secrets: &secrets,
    };
    let after = match send(client, write, connection, call).await? {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let is_as_wanted = |now: &Body| {
                translate::shows(change)
                    && matches!(translate::changes(now, change, variant), Ok(None))
            };
            changed(client, &CONNECTIONS, id, is_as_wanted, &lost, call).await?
        }
    };
    let proof = match descriptive {
        true => Proof::Descriptive,
        // A PUT does not touch `status`: it may go on telling of what was before.
        false => Proof::StatusMustMove {
            native_state: status::native(after.status().as_deref()),
        },
    };
    Ok(updated(after, proof, change, variant))
}

/// Removes a connection. Nothing else was made for it.
pub async fn delete(client: &Client, id: &str, etag: Option<&str>, call: &Call) -> Result<Written> {
    if etag::given(etag).is_some() {
        let now = read::present(client, &CONNECTIONS, id, call).await?;
        etag::check(etag, &translate::etag(&CONNECTIONS, &now, client.variant()))?;
    }
    let write = Write {
        kind: &CONNECTIONS,
        ask: Ask::delete(CONNECTIONS.path_of(id)),
        asked: Asked::Remove,
        id: Some(id),
        secrets: &[],
    };
    let nothing = |answer: &Answer| error::removed(answer, error::broken);
    if let Outcome::Lost(lost) = send(client, write, nothing, call).await? {
        removed(client, &CONNECTIONS, id, &lost, call).await?;
    }
    Ok(Written {
        id: id.to_owned(),
        connection: None,
        proof: Proof::AnyStatus,
        warnings: Vec::new(),
    })
}

/// A service that is not there is no 404 of the connection's but a 500 without a word, so it is asked for.
async fn missing_service(
    client: &Client,
    spec: &ConnectionSpec,
    secrets: &[&str],
    call: &Call,
) -> Option<Error> {
    let id = spec.vpn_service.as_deref()?;
    let ask = Ask::get(SERVICES.path_of(id));
    let answered = client.send(ask, call).await.ok()?;
    let answer = &answered.answer;
    let cause = error::is_missing(answer)
        .then(|| error::write_refused(&CONNECTIONS, answer, Asked::Create, secrets))?;
    (cause.reason == ErrorReason::ReferenceNotFound).then_some(cause)
}

fn updated(body: Body, proof: Proof, change: &ConnectionChange, variant: &Variant) -> Written {
    let connection = translate::connection(body, variant);
    let touches = |field| change.fields.contains(&field);
    let mut warnings = Vec::new();
    if touches(Field::PeerAddress) {
        warnings.extend(resolved(&change.values));
        if !touches(Field::PeerId) && connection.peer.id != connection.peer.address {
            let message = format!(
                "the peer still has to identify itself as `{}`",
                connection.peer.id
            );
            warnings.push(warning("peer.id", message));
        }
    }
    Written {
        id: connection.id.clone(),
        connection: Some(connection),
        proof,
        warnings,
    }
}

fn create_warnings(spec: &ConnectionSpec) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = resolved(spec).into_iter().collect();
    if spec.admin_enabled == Some(false) {
        warnings.push(warning(
            "admin_enabled",
            "a connection made switched off stays PENDING_CREATE, takes no update, and can only be deleted",
        ));
    }
    warnings
}

fn resolved(spec: &ConnectionSpec) -> Option<Warning> {
    let is_name = spec.peer_address.parse::<IpAddr>().is_err();
    is_name.then(|| {
        let what = "the cloud resolves the host name once, now, and keeps the address";
        warning("peer.address", what)
    })
}

fn warning(field: &str, message: impl Into<String>) -> Warning {
    Warning {
        field: field.to_owned(),
        message: message.into(),
    }
}
