//! Making, changing and removing connections: two objects that are kept together.
//!
//! A write is sent once. If its answer is lost, what there is now is looked at instead: by the mark after a
//! POST, by the nonce or by what was wanted after a PUT, by absence after a DELETE.

mod orphans;

pub use orphans::Orphans;

use crate::{
    core::{
        dialect::{Call, Mark, Proof, Warning, Written},
        error::{Error, ErrorKind, ErrorReason, Leftover, Result},
    },
    dialects::nsx::{
        client::{Ask, Client, PEER_ENDPOINTS, SESSIONS},
        error::{self, Asked},
        mark::{self, Nonce},
        read::{self, Sureness},
        translate,
        wire::Body,
    },
    model::{ConnectionChange, ConnectionSpec, Field},
    rest::{client::Sent, json, patience::Patience},
};
use serde_json::{Map, Value};

/// Makes a peer endpoint and a session with it.
pub async fn create(
    client: &Client,
    spec: &ConnectionSpec,
    mark: &Mark,
    call: &Call,
) -> Result<Written> {
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
    check_etag(change.etag.as_deref(), &session, peer.as_ref())?;
    let new_session =
        translate::changed_session(&session, change).map_err(Error::not_expressible)?;
    let new_peer = match &peer {
        Some(peer) => translate::changed_peer_endpoint(peer, change).map_err(Error::invalid)?,
        None if translate::concerns_peer_endpoint(change) => {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                ErrorReason::ReferenceNotFound,
                "the connection's peer endpoint is not there",
            ));
        }
        None => None,
    };

    let secrets: Vec<&str> = translate::psk(&change.values).into_iter().collect();
    let mut written = Vec::new();
    let peer = match (peer, new_peer) {
        (Some(peer), Some(body)) => {
            let as_wanted = |now: &Body| translate::peer_endpoint_is_as_wanted(now, change);
            let put = Put {
                collection: PEER_ENDPOINTS,
                before: &peer,
                body,
                secrets: &secrets,
            };
            let done = replace(client, put, as_wanted, call)
                .await
                .map_err(|error| error.during("changing the peer endpoint"))?;
            written.push(done.clone());
            Some(done.body)
        }
        (peer, _) => peer,
    };
    let session = match new_session {
        Some(body) => {
            let as_wanted =
                |now: &Body| matches!(translate::changed_session(now, change), Ok(None));
            let put = Put {
                collection: SESSIONS,
                before: &session,
                body,
                secrets: &secrets,
            };
            let done = replace(client, put, as_wanted, call)
                .await
                .map_err(|mut error| {
                    if !written.is_empty() {
                        error
                            .message
                            .push_str("; its peer endpoint was changed already");
                    }
                    error.during("changing the session")
                })?;
            written.push(done.clone());
            done.body
        }
        None => session,
    };
    Ok(Written {
        id: id.to_owned(),
        connection: Some(translate::connection(&session, peer.as_ref())),
        proof: proof(&written),
        warnings: warnings(change, peer.as_ref()),
    })
}

/// Removes a session, and its peer endpoint if the gateway made it.
///
/// # Errors
/// If it cannot be known whether the session was removed, the peer endpoint stays and is named as a leftover.
pub async fn delete(client: &Client, id: &str, etag: Option<&str>, call: &Call) -> Result<Written> {
    let (session, peer) = read::session_with_peer(client, id, call).await?;
    check_etag(etag, &session, peer.as_ref())?;
    let peer = peer.filter(mark::is_on);
    let removed = remove(client, SESSIONS, id, Doubt::Looked, call).await;
    let request_id = read::proven(client, removed, call)
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

/// What one write left.
#[derive(Debug, Clone)]
struct Done {
    body: Body,
    request_id: Option<String>,
}

/// How a later look can tell that it speaks for all of these.
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

/// Makes one object. If the answer is lost, what carries the mark is what was made.
async fn make(
    client: &Client,
    collection: &'static str,
    body: &Map<String, Value>,
    mark: &Mark,
    secrets: &[&str],
    call: &Call,
) -> Result<Done> {
    let lost = match send(
        client,
        Ask::post([collection], body),
        Asked::Create,
        secrets,
        call,
    )
    .await?
    {
        Outcome::Done(done) => return Ok(done),
        Outcome::Lost(lost) => lost,
    };
    let is_marked = |body: &Body| !body.id().is_empty() && mark::is(body, mark);
    let call = call.finding_out();
    let mut patience = Patience::until(call.deadline);
    loop {
        let found = read::search(client, collection, is_marked, 1, &call).await;
        match found.map(|(found, sureness)| (found.into_iter().next(), sureness)) {
            Ok((Some(body), _)) => return Ok(lost.found(body)),
            // The cloud said that it failed, and shows nothing to the contrary.
            Ok((None, Sureness::Sure | Sureness::Counted)) if lost.said_failed => {
                return Err(lost.because);
            }
            Ok((None, _)) => {}
            Err(error) if error.is_outage() => {}
            Err(_) => break,
        }
        if !patience.next().await {
            break;
        }
    }
    let mut error = error::ambiguous(&lost.because, "the object was made");
    error
        .context
        .metadata
        .push(("mark", mark.as_str().to_owned()));
    Err(error)
}

struct Put<'a> {
    collection: &'static str,
    before: &'a Body,
    body: Map<String, Value>,
    secrets: &'a [&'a str],
}

/// Replaces one object. If the answer is lost, it is done if the object has this write's nonce, or has moved on and
/// `as_wanted` says that it is what was written. That must not say so of what cannot be read.
async fn replace(
    client: &Client,
    mut put: Put<'_>,
    as_wanted: impl Fn(&Body) -> bool,
    call: &Call,
) -> Result<Done> {
    let nonce = Nonce::put(&mut put.body);
    let id = put.before.id();
    let ask = Ask::put([put.collection, &id], &put.body);
    let lost = match send(client, ask, Asked::Change, put.secrets, call).await? {
        Outcome::Done(done) => return Ok(done),
        Outcome::Lost(lost) => lost,
    };
    let call = call.finding_out();
    let mut patience = Patience::until(call.deadline);
    loop {
        match read::object(client, put.collection, &id, &call).await {
            Ok(now) if nonce.as_ref().is_some_and(|nonce| nonce.is_on(&now)) => {
                return Ok(lost.found(now));
            }
            Ok(now) if now.revision() == put.before.revision() => {
                if lost.said_failed {
                    return Err(lost.because);
                }
            }
            Ok(now) if as_wanted(&now) => return Ok(lost.found(now)),
            Err(error) if error.is_outage() => {}
            Ok(_) | Err(_) => break,
        }
        if !patience.next().await {
            break;
        }
    }
    Err(error::ambiguous(&lost.because, "the object was changed"))
}

/// How it is found out what became of a DELETE that was answered 5xx.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// By looking whether the object is there.
    Looked,
    /// By asking once more, which its caller does: that it is gone by then is as good.
    AskedAgain,
}

/// Removes one object. If the answer is lost, it is done if the object is gone.
async fn remove(
    client: &Client,
    collection: &'static str,
    id: &str,
    doubt: Doubt,
    call: &Call,
) -> Result<Option<String>> {
    let (because, said_failed) = match client
        .send(Ask::delete([collection, id]), &call.hurried())
        .await
    {
        Ok(answer) if error::says_removed(&answer) => return Ok(error::request_id(&answer)),
        Ok(answer) if answer.is_success() => {
            (error::broken(&answer, "neither nothing nor JSON"), false)
        }
        Ok(answer) => {
            let refused = error::refused(&answer, Asked::Remove, &[]);
            if !error::is_in_doubt(&answer) || doubt == Doubt::AskedAgain {
                return Err(refused);
            }
            (refused, error::says_failed(&answer))
        }
        Err(unanswered) if unanswered.sent == Sent::No => return Err(unanswered.error),
        Err(unanswered) => (unanswered.error, false),
    };
    let call = call.finding_out();
    let mut patience = match doubt {
        Doubt::Looked => Patience::until(call.deadline),
        Doubt::AskedAgain => Patience::brief(call.deadline),
    };
    loop {
        let now = match collection {
            SESSIONS => read::session(client, id, &call).await,
            _ => read::object(client, collection, id, &call).await,
        };
        match now {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Ok(_) if said_failed => return Err(because),
            Ok(_) => {}
            Err(error) if error.is_outage() => {}
            Err(_) => break,
        }
        if !patience.next().await {
            break;
        }
    }
    Err(error::ambiguous(&because, "the object was removed"))
}

/// Removes what nothing should use any more. Gone already is as good.
///
/// With a little patience, since what else there is to tell waits for it: NSX answers a DELETE of a session before everything has let go of what it used, and what
/// refused the call that made the object may well refuse this, too. It is sent again only where an answer says
/// that it did nothing, or may not have; without an answer `remove` has found out, or says that it could not.
async fn remove_unused(
    client: &Client,
    collection: &'static str,
    id: &str,
    call: &Call,
) -> Result<()> {
    let mut patience = Patience::brief(call.deadline);
    loop {
        let error = match remove(client, collection, id, Doubt::AskedAgain, call).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) => error,
        };
        let may_pass = error.reason == ErrorReason::InUse || error.is_outage();
        if !may_pass || !patience.next().await {
            return Err(error);
        }
    }
}

enum Outcome {
    Done(Done),
    Lost(Lost),
}

/// A write of which it is not known from its answer whether it happened.
struct Lost {
    because: Error,
    request_id: Option<String>,
    /// The cloud itself said that it failed.
    said_failed: bool,
}

impl Lost {
    /// It happened all the same, and this is what it left.
    fn found(self, body: Body) -> Done {
        Done {
            body,
            request_id: self.request_id,
        }
    }
}

/// Sends one write and reads its answer.
///
/// # Errors
/// If it certainly did not happen.
async fn send(
    client: &Client,
    ask: Ask<'_>,
    asked: Asked,
    secrets: &[&str],
    call: &Call,
) -> Result<Outcome> {
    let answer = match client.send(ask, &call.hurried()).await {
        Ok(answer) => answer,
        Err(unanswered) if unanswered.sent == Sent::No => return Err(unanswered.error),
        Err(unanswered) => {
            return Ok(Outcome::Lost(Lost {
                because: unanswered.error,
                request_id: None,
                said_failed: false,
            }));
        }
    };
    let request_id = error::request_id(&answer);
    if answer.is_success() {
        let body = json::parse(&answer.body).ok().and_then(Body::of);
        return Ok(match body.filter(|body| !body.id().is_empty()) {
            Some(body) => Outcome::Done(Done { body, request_id }),
            None => Outcome::Lost(Lost {
                because: error::broken(&answer, "no object with an id"),
                request_id,
                said_failed: false,
            }),
        });
    }
    let because = error::refused(&answer, asked, secrets);
    if error::is_in_doubt(&answer) {
        return Ok(Outcome::Lost(Lost {
            because,
            request_id: None,
            said_failed: error::says_failed(&answer),
        }));
    }
    Err(because)
}

fn check_etag(etag: Option<&str>, session: &Body, peer: Option<&Body>) -> Result<()> {
    match etag.filter(|etag| !etag.is_empty()) {
        Some(etag) if etag != translate::etag(session, peer) => Err(Error::new(
            ErrorKind::Stale,
            ErrorReason::StaleEtag,
            "the connection was changed since the `etag` was read",
        )),
        _ => Ok(()),
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
