//! Making, changing and removing connections: two objects that are kept together.

pub mod object;
mod orphans;
mod service;

pub use orphans::Orphans;

use crate::{
    core::{
        dialect::{Call, Mark, Proof, Warning, Written},
        error::{Error, ErrorKind, ErrorReason, Leftover, Result, Violation},
        etag,
    },
    dialects::nsx::{
        body::Body,
        client::Client,
        manager::{
            read, translate,
            wire::{PEER_ENDPOINTS, SESSIONS},
            write::object::{Done, InDoubt, Put, make, remove, remove_unused, replace},
        },
        mark,
    },
    model::{ConnectionChange, ConnectionSpec, Field},
};
use serde_json::{Map, Value};

/// Makes a peer endpoint and a session with it.
pub async fn create(
    client: &Client,
    spec: &ConnectionSpec,
    mark: &Mark,
    call: &Call,
) -> Result<Written> {
    let refused = service::refuse_create(client, spec, call).await?;
    if !refused.is_empty() {
        return Err(Error::not_expressible(refused));
    }
    let secrets: Vec<&str> = translate::psk(spec).into_iter().collect();
    let body = translate::new_peer_endpoint(spec, mark);
    let peer = make(client, PEER_ENDPOINTS, &body, mark, &secrets, call)
        .await
        .map_err(|error| error.during("making the peer endpoint"))?;
    let peer_id = peer.body.id();
    let body = translate::new_session(spec, &peer_id, mark);
    match make(client, SESSIONS, &body, mark, &secrets, call).await {
        Ok(session) => Ok(Written {
            id: session.body.id(),
            connection: Some(translate::connection(&session.body, Some(&peer.body))),
            proof: proof([&peer, &session]),
            warnings: Vec::new(),
        }),
        Err(mut error) => {
            // A session that may come to be needs its peer endpoint.
            let stays = error.kind == ErrorKind::Ambiguous
                || remove_unused(client, PEER_ENDPOINTS, &peer_id, call)
                    .await
                    .is_err();
            if stays {
                error.context.leftovers.push(leftover(&peer.body));
            }
            Err(error.during("making the session"))
        }
    }
}

/// Changes what differs: the peer endpoint first, then the session.
pub async fn update(
    client: &Client,
    id: &str,
    change: &ConnectionChange,
    call: &Call,
) -> Result<Written> {
    let (session, peer) = read::session_with_peer(client, id, call).await?;
    let etag = translate::etag(&session, peer.as_ref());
    etag::check(change.etag.as_deref(), &etag)?;
    let change = &change.without(&translate::connection(&session, peer.as_ref()));
    let refused = service::refuse_update(client, &session, change, call).await?;
    let [new_session, new_peer] = changed(&session, peer.as_ref(), change, refused)?;

    let secrets: Vec<&str> = translate::psk(&change.values).into_iter().collect();
    let put = |collection, before, body| Put {
        collection,
        before,
        body,
        secrets: &secrets,
    };
    let peer_done = match (&peer, new_peer) {
        (Some(peer), Some(body)) => {
            let as_wanted = |now: &Body| translate::peer_endpoint_is_as_wanted(now, change);
            let done = replace(client, put(PEER_ENDPOINTS, peer, body), as_wanted, call).await;
            Some(done.map_err(|error| error.during("changing the peer endpoint"))?)
        }
        _ => None,
    };
    let session_done = match new_session {
        Some(body) => {
            let as_wanted =
                |now: &Body| matches!(translate::changed_session(now, change), Ok(None));
            let done = replace(client, put(SESSIONS, &session, body), as_wanted, call).await;
            Some(done.map_err(|mut error| {
                if peer_done.is_some() {
                    error
                        .message
                        .push_str("; its peer endpoint was changed already");
                }
                error.during("changing the session")
            })?)
        }
        None => None,
    };
    let proof = proof(peer_done.iter().chain(&session_done));
    let peer = peer_done.map(|done| done.body).or(peer);
    let session = session_done.map_or(session, |done| done.body);
    Ok(Written {
        id: id.to_owned(),
        connection: Some(translate::connection(&session, peer.as_ref())),
        proof,
        warnings: warnings(change, peer.as_ref()),
    })
}

/// The session and the peer endpoint as they are to be; `None` for one that is so already. There may be no peer endpoint
/// if nothing of the change concerns it.
///
/// # Errors
/// Everything that stands against it, with what is `refused` before.
fn changed(
    session: &Body,
    peer: Option<&Body>,
    change: &ConnectionChange,
    mut refused: Vec<Violation>,
) -> Result<[Option<Map<String, Value>>; 2]> {
    let new_session = translate::changed_session(session, change).unwrap_or_else(|violations| {
        refused.extend(violations);
        None
    });
    let new_peer = match peer {
        Some(peer) => translate::changed_peer_endpoint(peer, change),
        None if translate::concerns_peer_endpoint(change) => {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                ErrorReason::ReferenceNotFound,
                "the connection's peer endpoint is not there",
            ));
        }
        None => Ok(None),
    };
    match new_peer {
        Ok(new_peer) if refused.is_empty() => Ok([new_session, new_peer]),
        Ok(_) => Err(Error::not_expressible(refused)),
        Err(malformed) => {
            refused.extend(malformed);
            Err(Error::invalid(refused))
        }
    }
}

/// Removes a session, and its peer endpoint if the gateway made it.
///
/// # Errors
/// If it cannot be known whether the session was removed, the peer endpoint stays and is named as a leftover.
pub async fn delete(client: &Client, id: &str, etag: Option<&str>, call: &Call) -> Result<Written> {
    let (session, peer) = read::session_with_peer(client, id, call).await?;
    etag::check(etag, &translate::etag(&session, peer.as_ref()))?;
    let peer = peer.filter(mark::is_on);
    let removed = remove(client, SESSIONS, id, InDoubt::FindOut, call).await;
    let request_id = read::proven(client, SESSIONS, removed, call)
        .await
        .map_err(|mut error| {
            if error.kind == ErrorKind::Ambiguous {
                error.context.leftovers.extend(peer.as_ref().map(leftover));
            }
            error
        })?;
    let mut warnings = Vec::new();
    if let Some(peer) = peer {
        let removed = remove_unused(client, PEER_ENDPOINTS, &peer.id(), call).await;
        if let Err(error) = removed {
            warnings.push(Warning {
                field: "peer".to_owned(),
                message: format!(
                    "the peer endpoint `{}` could not be removed: {error}",
                    peer.id()
                ),
            });
        }
    }
    Ok(Written {
        id: id.to_owned(),
        connection: None,
        proof: request_id.map_or(Proof::RequestIdMissing, |id| Proof::RequestIds(vec![id])),
        warnings,
    })
}

fn leftover(peer: &Body) -> Leftover {
    Leftover {
        kind: "peer-endpoint".to_owned(),
        id: peer.id(),
    }
}

/// How a later poll can tell that it speaks for all of these.
fn proof<'a>(written: impl IntoIterator<Item = &'a Done>) -> Proof {
    let ids: Option<Vec<String>> = written
        .into_iter()
        .map(|done| done.request_id.clone())
        .collect();
    match ids {
        Some(ids) if ids.is_empty() => Proof::Nothing,
        Some(ids) => Proof::RequestIds(ids),
        None => Proof::RequestIdMissing,
    }
}

fn warnings(change: &ConnectionChange, peer: Option<&Body>) -> Vec<Warning> {
    let moved =
        change.fields.contains(&Field::PeerAddress) && !change.fields.contains(&Field::PeerId);
    let id = peer
        .and_then(|peer| peer.text("peer_id"))
        .unwrap_or_default();
    if moved && id != change.values.peer_address {
        vec![Warning {
            field: "peer.id".to_owned(),
            message: format!("the peer still has to identify itself as `{id}`"),
        }]
    } else {
        Vec::new()
    }
}
