//! Reading connections: a session, and the peer endpoint it names.

use crate::{
    core::{
        dialect::{Call, Page, PageRequest},
        error::{Error, ErrorKind, ErrorReason, Result},
    },
    dialects::nsx::{
        client::{Ask, Client, PEER_ENDPOINTS, SESSIONS},
        error::{self, Asked},
        translate,
        wire::{Body, ListPage},
    },
    model::Connection,
    rest::client::Answer,
};
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The largest page NSX gives out.
const LARGEST_PAGE: &str = "1000";
/// Up to so many peer endpoints are asked for one by one; for more, the list is read. A list costs NSX far
/// more than one object, and its account one request either way.
const FEW: usize = 3;

/// Finds out whether the collection of sessions is there and the login is accepted.
pub async fn probe(client: &Client, call: &Call) -> Result<()> {
    let ask = Ask::get([SESSIONS]).with("page_size", "1");
    let answer = client.send(ask, call).await.map_err(|it| it.error)?;
    let body = collection(&answer)?;
    list_page(&answer, body).map(|_| ())
}

/// One connection.
pub async fn get(client: &Client, id: &str, call: &Call) -> Result<Connection> {
    let (session, peer) = session_with_peer(client, id, call).await?;
    Ok(translate::connection(&session, peer.as_ref()))
}

/// A session and its peer endpoint, as far as it names one that is there.
pub async fn session_with_peer(
    client: &Client,
    id: &str,
    call: &Call,
) -> Result<(Body, Option<Body>)> {
    let session = object(client, SESSIONS, id, call).await?;
    let peer = match peer_endpoint_id(&session) {
        Some(peer) => peer_endpoint(client, &peer, call).await?,
        None => None,
    };
    Ok((session, peer))
}

/// One object of a collection.
///
/// # Errors
/// `NotFound` if NSX itself says that it is not there.
pub async fn object(client: &Client, collection: &str, id: &str, call: &Call) -> Result<Body> {
    let answer = client
        .send(Ask::get([collection, id]), call)
        .await
        .map_err(|it| it.error)?;
    let value = error::granted(&answer, Asked::Read, &[])?;
    Body::of(value).ok_or_else(|| error::broken(&answer, "no object"))
}

/// Every object of a collection that `wanted` accepts, up to `most` of them.
pub async fn search(
    client: &Client,
    collection: &str,
    wanted: impl Fn(&Body) -> bool,
    most: usize,
    call: &Call,
) -> Result<Vec<Body>> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = page(client, collection, LARGEST_PAGE, cursor.as_deref(), call).await?;
        found.extend(page.results.into_iter().filter(|body| wanted(body)));
        if found.len() >= most || page.cursor.is_none() {
            return Ok(found);
        }
        if page.cursor == cursor {
            return Err(Error::new(
                ErrorKind::Unavailable,
                ErrorReason::UpstreamBrokenAnswer,
                "the cloud's list does not go on",
            ));
        }
        cursor = page.cursor;
    }
}

/// One page of connections.
pub async fn list(client: &Client, request: &PageRequest, call: &Call) -> Result<Page> {
    let size = request.size.clamp(1, 1000).to_string();
    let page = page(client, SESSIONS, &size, request.token.as_deref(), call).await?;
    let peers = peers_of(client, &page.results, call).await?;
    let connections = page
        .results
        .iter()
        .filter(|session| !session.id().is_empty());
    let connections = connections.map(|session| {
        let peer = peer_endpoint_id(session).and_then(|id| peers.get(&id));
        translate::connection(session, peer)
    });
    Ok(Page {
        connections: connections.collect(),
        next: page.cursor,
    })
}

/// Reads the answer of a collection as such: if the collection is not there, there is no API.
pub fn collection(answer: &Answer) -> Result<Value> {
    let granted = error::granted(answer, Asked::Read, &[]);
    match error::is_nowhere(answer) {
        true => granted.map_err(error::api_absent),
        false => granted,
    }
}

/// The id of a session's peer endpoint, if it can stand in a path.
fn peer_endpoint_id(session: &Body) -> Option<String> {
    let id = session.text("peer_endpoint_id");
    id.filter(|id| !matches!(id.as_str(), "" | "." | ".."))
}

async fn peer_endpoint(client: &Client, id: &str, call: &Call) -> Result<Option<Body>> {
    match object(client, PEER_ENDPOINTS, id, call).await {
        Ok(peer) => Ok(Some(peer)),
        // Gone while its session stays, so the connection is shown without.
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn peers_of(
    client: &Client,
    sessions: &[Body],
    call: &Call,
) -> Result<HashMap<String, Body>> {
    let wanted: HashSet<String> = sessions.iter().filter_map(peer_endpoint_id).collect();
    let found = if wanted.len() <= FEW {
        let each = wanted.iter().map(|id| peer_endpoint(client, id, call));
        let found: Result<Vec<_>> = join_all(each).await.into_iter().collect();
        found?.into_iter().flatten().collect()
    } else {
        let is_wanted = |peer: &Body| wanted.contains(&peer.id());
        search(client, PEER_ENDPOINTS, is_wanted, wanted.len(), call).await?
    };
    Ok(found.into_iter().map(|peer| (peer.id(), peer)).collect())
}

async fn page(
    client: &Client,
    name: &str,
    size: &str,
    cursor: Option<&str>,
    call: &Call,
) -> Result<ListPage> {
    let mut ask = Ask::get([name]).with("page_size", size);
    if let Some(cursor) = cursor {
        ask = ask.with("cursor", cursor);
    }
    let answer = client.send(ask, call).await.map_err(|it| it.error)?;
    let body = collection(&answer).map_err(|error| match error.kind {
        ErrorKind::InvalidArgument if cursor.is_some() => {
            let mut wrong = error;
            wrong.reason = ErrorReason::WrongToken;
            wrong
        }
        _ => error,
    })?;
    list_page(&answer, body)
}

fn list_page(answer: &Answer, body: Value) -> Result<ListPage> {
    ListPage::of(body).ok_or_else(|| error::broken(answer, "no list"))
}
