//! Plans writes of connections: one step for the session and one for its peer endpoint.
//!
//! The peer endpoint holds the key. A create makes it before the session that names it. An update changes it after the
//! session, because that change cannot be undone.

use crate::{
    core::{
        dialect::{Action, Call, Done, Made, Mark, Plan, Proof, Step, Warning, Written},
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
        etag,
    },
    dialects::nsx::{
        body::Body,
        client::Client,
        manager::{
            error, read, translate,
            wire::SESSIONS,
            write::{
                memo::replacing_with_nonce,
                object::{InDoubt, Left, PEERS, make, remove, remove_unused, replace},
                refusals, service,
            },
        },
        mark,
    },
    model::{Connection, ConnectionChange, ConnectionSpec, Field, NewConnection, name::Collection},
};
use async_trait::async_trait;
use serde_json::{Map, Value};

/// Plans to create a peer endpoint and a session with it.
///
/// # Errors
/// Fails if a service is given that the local endpoint does not belong to.
pub async fn create<'a>(
    client: &'a Client,
    wanted: NewConnection,
    mark: Mark,
    call: &Call,
) -> Result<Box<dyn Plan<Written> + 'a>> {
    let refused = service::refuse_create(client, &wanted.spec, call).await?;
    if !refused.is_empty() {
        return Err(Error::not_expressible(refused));
    }
    let [session, peer] = translate::written(&wanted);
    let step = |collection, fields, bears_key| Step {
        fields,
        mark: Some(mark.clone()),
        bears_key,
        ..Step::new(Action::Create, collection, None)
    };
    let bears_key = translate::psk(&wanted.spec).is_some();
    Ok(Box::new(Making {
        client,
        steps: [
            step(PEERS, peer, bears_key),
            step(Collection::Connections.segment(), session, false),
        ],
        spec: wanted.spec,
        mark,
        left: Vec::new(),
    }))
}

struct Making<'a> {
    client: &'a Client,
    spec: ConnectionSpec,
    mark: Mark,
    /// The steps of the peer endpoint and of the session.
    steps: [Step; 2],
    /// The results of the steps performed so far.
    left: Vec<Left>,
}

#[async_trait]
impl Plan<Written> for Making<'_> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    async fn perform(&mut self, index: usize, made: &Made, call: &Call) -> Result<Done> {
        let spec = translate::with_parts(&self.spec, made);
        let (body, doing) = match self.left.first() {
            None => (
                translate::new_peer_endpoint(&spec, &self.mark),
                "making the peer endpoint",
            ),
            Some(peer) => (
                translate::new_session(&spec, &peer.body.id(), &self.mark),
                "making the session",
            ),
        };
        let secrets: Vec<&str> = translate::psk(&spec).into_iter().collect();
        let left = make(self.client, &self.steps[index], &body, &secrets, call)
            .await
            .map_err(|error| error.during(doing))?;
        let done = left.done();
        self.left.push(left);
        Ok(done)
    }

    fn written(self: Box<Self>) -> Written {
        let [peer, session] = &self.left[..] else {
            panic!("both steps were performed")
        };
        Written {
            id: session.body.id(),
            connection: Some(translate::connection(&session.body, Some(&peer.body))),
            proof: proof([peer, session]),
            warnings: Vec::new(),
        }
    }
}

/// Plans to change what differs: the session first, then the peer endpoint.
pub async fn update<'a>(
    client: &'a Client,
    id: &str,
    change: ConnectionChange,
    call: &Call,
) -> Result<Box<dyn Plan<Written> + 'a>> {
    let (session, peer) = read::session_with_peer(client, id, call).await?;
    let etag = translate::etag(&session, peer.as_ref());
    etag::check(change.etag.as_deref(), &etag)?;
    let change = change.without(&translate::connection(&session, peer.as_ref()));
    let mut refused = service::refuse_update(client, &session, &change, call).await?;
    refused.extend(refusals::new_service(&change));
    let [new_session, new_peer] = changed(&session, peer.as_ref(), &change, refused)?;
    let (mut steps, mut bodies) = (Vec::new(), Vec::new());
    if let Some(mut body) = new_session {
        let collection = Collection::Connections.segment();
        let fields = translate::changed_in_session(&session, &change);
        steps.push(replacing_with_nonce(
            collection, &session, &mut body, fields,
        ));
        bodies.push(body);
    }
    if let (Some(peer), Some(mut body)) = (&peer, new_peer) {
        let fields = translate::changed_in_peer_endpoint(peer, &change);
        steps.push(replacing_with_nonce(PEERS, peer, &mut body, fields));
        bodies.push(body);
    }
    Ok(Box::new(Changing {
        client,
        change,
        steps,
        bodies,
        session,
        peer,
        request_ids: Vec::new(),
    }))
}

struct Changing<'a> {
    client: &'a Client,
    change: ConnectionChange,
    steps: Vec<Step>,
    /// The body that each step writes, including the key. Null stands for the id of an object that does not exist yet.
    bodies: Vec<Map<String, Value>>,
    /// The session and the peer endpoint as last read or written.
    session: Body,
    peer: Option<Body>,
    /// The request ids of the steps performed so far.
    request_ids: Vec<Option<String>>,
}

#[async_trait]
impl Plan<Written> for Changing<'_> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    async fn perform(&mut self, index: usize, made: &Made, call: &Call) -> Result<Done> {
        let step = &self.steps[index];
        let body = translate::complete(self.bodies[index].clone(), &self.change, made)?;
        let secrets: Vec<&str> = translate::psk(&self.change.values).into_iter().collect();
        let is_of_peer = step.collection == PEERS;
        let doing = match is_of_peer {
            true => "changing the peer endpoint",
            false => "changing the session",
        };
        let left = replace(self.client, step, &body, &secrets, call)
            .await
            .map_err(|error| error.during(doing))?;
        let done = left.done();
        self.request_ids.push(left.request_id);
        match is_of_peer {
            true => self.peer = Some(left.body),
            false => self.session = left.body,
        }
        Ok(done)
    }

    fn written(self: Box<Self>) -> Written {
        Written {
            id: self.session.id(),
            connection: Some(translate::connection(&self.session, self.peer.as_ref())),
            warnings: warnings(&self.change, self.peer.as_ref()),
            proof: proven_by(self.request_ids),
        }
    }
}

/// Returns the new session and the new peer endpoint, or `None` for one that needs no change. The peer endpoint may be
/// missing if the change does not concern it.
///
/// # Errors
/// Every violation, including those already in `refused`.
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

/// Plans to remove a session, and its peer endpoint if the gateway created it.
pub async fn delete<'a>(
    client: &'a Client,
    id: &str,
    etag: Option<&str>,
    call: &Call,
) -> Result<Box<dyn Plan<Written> + 'a>> {
    let (session, peer) = read::session_with_peer(client, id, call).await?;
    let there = translate::connection(&session, peer.as_ref());
    etag::check(etag, &there.etag)?;
    let collection = Collection::Connections.segment();
    let mut steps = vec![Step::new(Action::Delete, collection, Some(id.to_owned()))];
    if let Some(peer) = peer.filter(mark::is_on) {
        steps.push(Step::new(Action::Delete, PEERS, Some(peer.id())));
    }
    Ok(Box::new(Removing {
        client,
        there,
        steps,
        request_id: None,
    }))
}

struct Removing<'a> {
    client: &'a Client,
    there: Connection,
    /// The steps of the session and, if it goes too, of its peer endpoint.
    steps: Vec<Step>,
    /// The request id of the session's DELETE.
    request_id: Option<String>,
}

#[async_trait]
impl Plan<Written> for Removing<'_> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn there(&self) -> Option<&Connection> {
        Some(&self.there)
    }

    async fn perform(&mut self, index: usize, _made: &Made, call: &Call) -> Result<Done> {
        let step = &self.steps[index];
        let request_id = if step.collection == PEERS {
            let removed = remove_unused(self.client, step, call).await;
            removed.map_err(|error| error.during("removing the peer endpoint"))?
        } else {
            let removed = remove(self.client, step, InDoubt::FindOut, call).await;
            let removed = read::proven(self.client, SESSIONS, removed, call).await;
            // Another client may have removed the session first. The peer endpoint is removed all the same.
            let request_id = error::if_there(removed)?.flatten();
            self.request_id.clone_from(&request_id);
            request_id
        };
        Ok(Done {
            id: step.id.clone().unwrap_or_default(),
            request_id,
        })
    }

    fn written(self: Box<Self>) -> Written {
        Written {
            id: self.there.id,
            connection: None,
            proof: proven_by([self.request_id]),
            warnings: Vec::new(),
        }
    }
}

/// Returns how a later poll can prove that it covers all of these writes.
fn proof<'a>(left: impl IntoIterator<Item = &'a Left>) -> Proof {
    proven_by(left.into_iter().map(|left| left.request_id.clone()))
}

fn proven_by(request_ids: impl IntoIterator<Item = Option<String>>) -> Proof {
    let ids: Option<Vec<String>> = request_ids.into_iter().collect();
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
