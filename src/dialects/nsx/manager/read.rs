//! Reads connections: a session, and the peer endpoint it names.

use crate::{
    core::{
        dialect::{Call, Page, PageRequest},
        error::{ErrorKind, Result},
        filter::{Filter, Restriction},
    },
    dialects::nsx::{
        body::Body,
        client::{Ask, Client},
        manager::{
            error::{self, Asked},
            translate,
            wire::{PEER_ENDPOINTS, SESSIONS},
        },
        paging::{ListPage, MOST_WALKS, Pages, Sureness},
    },
    model::Connection,
    rest::answer::Answer,
};
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many peer endpoints are read one by one. For more, the list is read. A list costs NSX far more than one object
/// does, and costs the account one request either way.
const FEW: usize = 3;

/// Checks that the collection of sessions exists and that the login is accepted.
pub async fn probe(client: &Client, call: &Call) -> Result<()> {
    probe_collection(client, SESSIONS, call).await
}

async fn probe_collection(client: &Client, collection: &str, call: &Call) -> Result<()> {
    let ask = Ask::get([collection]).with("page_size", "1");
    let answer = client.send(ask, call).await.map_err(|it| it.error)?;
    ListPage::granted(&answer, granted).map(|_| ())
}

pub async fn get(client: &Client, id: &str, call: &Call) -> Result<Connection> {
    let (session, peer) = session_with_peer(client, id, call).await?;
    Ok(translate::connection(&session, peer.as_ref()))
}

/// Reads a session and its peer endpoint, if it names one that exists.
pub async fn session_with_peer(
    client: &Client,
    id: &str,
    call: &Call,
) -> Result<(Body, Option<Body>)> {
    let session = session(client, id, call).await?;
    let peer = match peer_endpoint_id(&session) {
        Some(peer) => peer_endpoint(client, &peer, call).await?,
        None => None,
    };
    Ok((session, peer))
}

/// Reads a session.
///
/// # Errors
/// As [`there`].
pub async fn session(client: &Client, id: &str, call: &Call) -> Result<Body> {
    there(client, SESSIONS, id, call).await
}

/// Reads one object of a collection.
///
/// # Errors
/// `NotFound` if NSX itself says that the object does not exist, and its collection answers: without the API,
/// everything is 404.
pub async fn there(client: &Client, collection: &str, id: &str, call: &Call) -> Result<Body> {
    let found = object(client, collection, id, call).await;
    proven(client, collection, found, call).await
}

/// Confirms a `NotFound` error by asking the collection: it counts only if the collection answers.
pub async fn proven<T>(
    client: &Client,
    collection: &str,
    found: Result<T>,
    call: &Call,
) -> Result<T> {
    if matches!(&found, Err(error) if error.kind == ErrorKind::NotFound) {
        probe_collection(client, collection, call).await?;
    }
    found
}

/// Does the same as [`there`], but does not confirm a `NotFound`.
///
/// # Errors
/// `NotFound` if NSX itself says that the object does not exist.
pub async fn object(client: &Client, collection: &str, id: &str, call: &Call) -> Result<Body> {
    let answer = client
        .send(Ask::get([collection, id]), call)
        .await
        .map_err(|it| it.error)?;
    let value = error::granted(&answer, Asked::Read, &[])?;
    // An answer without an id describes no object.
    let body = Body::of(value).filter(|body| !body.id().is_empty());
    body.ok_or_else(|| error::broken(&answer, "no object"))
}

/// Finds the objects of a collection that `wanted` accepts, up to `most`. Also returns how certain it is that no other
/// object matches.
pub async fn search(
    client: &Client,
    collection: &str,
    wanted: impl Fn(&Body) -> bool,
    most: usize,
    call: &Call,
) -> Result<(Vec<Body>, Sureness)> {
    let mut found = Vec::new();
    let see = |page: Vec<Body>| {
        found.extend(page.into_iter().filter(|body| wanted(body)));
        found.len() >= most
    };
    let sureness = pages(collection, &[]).walk(client, see, call).await?;
    Ok((found, sureness))
}

/// Reads one page of connections, ordered by id.
pub async fn list(client: &Client, request: &PageRequest, call: &Call) -> Result<Page<Connection>> {
    let page = objects_of_service(client, SESSIONS, request, call).await?;
    let sessions = page.items;
    let peers = peers_of(client, &sessions, call).await?;
    let connections = sessions.iter().map(|session| {
        let peer = peer_endpoint_id(session).and_then(|id| peers.get(&id));
        translate::connection(session, peer)
    });
    Ok(Page {
        items: connections.collect(),
        next: page.next,
    })
}

/// Reads one page of a collection, ordered by id.
pub async fn objects(
    client: &Client,
    collection: &str,
    request: &PageRequest,
    call: &Call,
) -> Result<Page<Body>> {
    let pages = pages(collection, &[]);
    pages.by_id(client, request, call).await
}

/// Does the same for sessions and local endpoints, which NSX can filter by their service.
pub async fn objects_of_service(
    client: &Client,
    collection: &str,
    request: &PageRequest,
    call: &Call,
) -> Result<Page<Body>> {
    let service = service(&request.filter);
    let narrow: Vec<_> = service
        .map(|service| ("ipsec_vpn_service_id", service))
        .into_iter()
        .collect();
    let pages = pages(collection, &narrow);
    pages.by_id(client, request, call).await
}

/// Returns the service that the filter restricts the list to. NSX takes it as a query parameter.
fn service(filter: &Filter) -> Option<&str> {
    filter
        .restrictions()
        .iter()
        .find_map(|restriction| match restriction {
            Restriction::VpnService(name) => Some(&*name.id),
            _ => None,
        })
}

/// Reads an answer of a collection. If the collection does not exist, neither does the API.
fn granted(answer: &Answer) -> Result<Value> {
    let granted = error::granted(answer, Asked::Read, &[]);
    match error::is_missing(answer) {
        true => granted.map_err(error::api_absent),
        false => granted,
    }
}

/// Returns the id of a session's peer endpoint, if it can stand in a path.
fn peer_endpoint_id(session: &Body) -> Option<String> {
    let id = session.text("peer_endpoint_id");
    id.filter(|id| !matches!(id.as_str(), "" | "." | ".."))
}

async fn peer_endpoint(client: &Client, id: &str, call: &Call) -> Result<Option<Body>> {
    // If the peer endpoint is gone and its session is not, the connection is shown without it.
    error::if_there(object(client, PEER_ENDPOINTS, id, call).await)
}

/// Reads the peer endpoints of these sessions, by id.
///
/// A list of several pages may have skipped one, so any that is missing in the end is read on its own. Without its
/// peer, a connection would be missed by every filter on the peer.
async fn peers_of(
    client: &Client,
    sessions: &[Body],
    call: &Call,
) -> Result<BTreeMap<String, Body>> {
    let mut missing: BTreeSet<String> = sessions.iter().filter_map(peer_endpoint_id).collect();
    let mut found = BTreeMap::new();
    for _ in 0..MOST_WALKS {
        if missing.len() <= FEW {
            break;
        }
        let is_missing = |peer: &Body| missing.contains(&peer.id());
        let (peers, sureness) =
            search(client, PEER_ENDPOINTS, is_missing, missing.len(), call).await?;
        found.extend(peers.into_iter().map(|peer| (peer.id(), peer)));
        missing.retain(|id| !found.contains_key(id));
        match sureness {
            // The missing ones are gone while their sessions stay.
            Sureness::Sure => return Ok(found),
            Sureness::Counted => break,
            Sureness::Unsure => {}
        }
    }
    let each = missing.iter().map(|id| peer_endpoint(client, id, call));
    let each: Result<Vec<_>> = join_all(each).await.into_iter().collect();
    found.extend(each?.into_iter().flatten().map(|peer| (peer.id(), peer)));
    Ok(found)
}

fn pages<'a>(collection: &'a str, narrow: &'a [(&'a str, &'a str)]) -> Pages<'a> {
    Pages {
        api: None,
        collection,
        narrow,
        granted,
    }
}
