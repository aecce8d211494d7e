//! One step of a write: an object made, replaced or removed. If the answer is lost, what there is now is read instead: by
//! the mark after a POST, by the nonce or by what was wanted after a PUT, by absence after a DELETE.

use crate::{
    core::{
        dialect::{self, Call, Step},
        error::{Error, ErrorKind, ErrorReason, Result},
    },
    dialects::{
        lost_write::{Doubt, Outcome, Trace},
        nsx::{
            body::Body,
            client::{Ask, Client},
            manager::{
                error::{self, Asked},
                read,
                resources::kinds,
                wire::{PEER_ENDPOINTS, SESSIONS},
                write::memo,
            },
            mark,
            paging::Sureness,
        },
    },
    model::{ResourceKind, name::Collection},
    rest::{answer::Answer, backoff::Backoff, json},
};
use serde_json::{Map, Value};

/// What steps call peer endpoints, which have no resource names.
pub const PEERS: &str = "peerEndpoints";

/// What one write left.
#[derive(Debug)]
pub struct Left {
    /// The object as NSX gave it.
    pub body: Body,
    /// The id by which `/state` tells how far the write has come.
    pub request_id: Option<String>,
}

impl Left {
    /// The same for whoever keeps note.
    pub fn done(&self) -> dialect::Done {
        dialect::Done {
            id: self.body.id(),
            request_id: self.request_id.clone(),
        }
    }
}

/// The collection of NSX that the object of a step is in.
///
/// # Errors
/// If it is in none, so that the step is not of this dialect.
pub fn place(step: &Step) -> Result<&'static str> {
    let segment = step.collection.as_str();
    let mut kinds = ResourceKind::ALL.into_iter();
    if segment == PEERS {
        return Ok(PEER_ENDPOINTS);
    }
    if segment == Collection::Connections.segment() {
        return Ok(SESSIONS);
    }
    let kind = kinds.find(|kind| kind.collection().segment() == segment);
    kind.and_then(kinds::collection)
        .ok_or_else(|| Error::internal(format!("NSX has no collection for `{segment}`")))
}

/// The id in a step.
///
/// # Errors
/// If it has none yet.
pub fn id_of(step: &Step) -> Result<&str> {
    let id = step.id.as_deref().filter(|id| !id.is_empty());
    id.ok_or_else(|| Error::internal(format!("a step on `{}` has no id", step.collection)))
}

/// Makes one object. If the answer is lost, what carries the mark is what was made.
pub async fn make(
    client: &Client,
    step: &Step,
    body: &Map<String, Value>,
    secrets: &[&str],
    call: &Call,
) -> Result<Left> {
    let ask = Ask::post([place(step)?], body);
    let (outcome, request_id) = send(client, ask, Asked::Create, secrets, object, call).await?;
    let body = match outcome {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let call = call.until_known();
            let read = || made(client, step, &call);
            let backoff = Backoff::until(call.deadline);
            let found = lost.find_out("the object was made", backoff, read).await;
            found.map_err(|mut error| {
                if let (ErrorKind::Ambiguous, Some(mark)) = (error.kind, &step.mark) {
                    let mark = ("mark", mark.as_str().to_owned());
                    error.context.metadata.push(mark);
                }
                error
            })?
        }
    };
    Ok(Left { body, request_id })
}

/// What a POST has made, as far as lists show: what carries its mark.
pub async fn made(client: &Client, step: &Step, call: &Call) -> Result<Trace<Body>> {
    let Some(mark) = &step.mark else {
        return Ok(Trace::Covered);
    };
    let is_marked = |body: &Body| !body.id().is_empty() && mark::is(body, mark);
    let (found, sureness) = read::search(client, place(step)?, is_marked, 1, call).await?;
    Ok(match (found.into_iter().next(), sureness) {
        (Some(body), _) => Trace::Done(body),
        (None, Sureness::Sure | Sureness::Counted) => Trace::NotDone,
        (None, Sureness::Unsure) => Trace::Unclear,
    })
}

/// Replaces one object. If the answer is lost, it is done if the object has this write's nonce, or has moved on and says
/// what was written.
pub async fn replace(
    client: &Client,
    step: &Step,
    body: &Map<String, Value>,
    secrets: &[&str],
    call: &Call,
) -> Result<Left> {
    let ask = Ask::put([place(step)?, id_of(step)?], body);
    let (outcome, request_id) = send(client, ask, Asked::Change, secrets, object, call).await?;
    let body = match outcome {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let call = call.until_known();
            let read = || replaced(client, step, &call);
            let backoff = Backoff::until(call.deadline);
            lost.find_out("the object was changed", backoff, read)
                .await?
        }
    };
    Ok(Left { body, request_id })
}

/// What a PUT has left, as far as the object shows.
///
/// # Errors
/// `NotFound` if NSX says that the object is not there.
pub async fn replaced(client: &Client, step: &Step, call: &Call) -> Result<Trace<Body>> {
    let now = read::object(client, place(step)?, id_of(step)?, call).await?;
    Ok(match memo::trace(step, &now) {
        Trace::Done(()) => Trace::Done(now),
        Trace::NotDone => Trace::NotDone,
        Trace::Unclear => Trace::Unclear,
        Trace::Covered => Trace::Covered,
    })
}

/// What follows a DELETE that was refused and may have happened all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InDoubt {
    /// It is found out, and proven, whether the object is there.
    FindOut,
    /// The caller asks once more: that it is gone by then is as good.
    AskAgain,
}

/// Removes one object. If the answer is lost, it is done if the object is gone.
///
/// # Errors
/// `NotFound` if NSX says that the object is not there.
pub async fn remove(
    client: &Client,
    step: &Step,
    in_doubt: InDoubt,
    call: &Call,
) -> Result<Option<String>> {
    let (collection, id) = (place(step)?, id_of(step)?);
    let ask = Ask::delete([collection, id]);
    let nothing = |answer: &Answer| error::removed(answer, error::broken);
    let (outcome, request_id) = send(client, ask, Asked::Remove, &[], nothing, call).await?;
    let lost = match outcome {
        Outcome::Done(()) => return Ok(request_id),
        Outcome::Lost(lost) => lost,
    };
    let call = call.until_known();
    let backoff = match in_doubt {
        InDoubt::FindOut => Backoff::until(call.deadline),
        InDoubt::AskAgain if lost.doubt != Doubt::Unanswered => return Err(lost.because),
        InDoubt::AskAgain => Backoff::brief(call.deadline),
    };
    let read = || async {
        let now = match in_doubt {
            InDoubt::FindOut => read::there(client, collection, id, &call).await,
            InDoubt::AskAgain => read::object(client, collection, id, &call).await,
        };
        Ok(match error::if_there(now)? {
            Some(_) => Trace::NotDone,
            None => Trace::Done(None),
        })
    };
    lost.find_out("the object was removed", backoff, read).await
}

/// Removes what nothing should use any more. Gone already is as good.
///
/// Tries for a short while, since what else there is to tell waits for it: NSX answers a DELETE of a session before
/// everything has let go of what it used, and what refused the call that made the object may well refuse this, too. It
/// is sent again only where an answer says that it did nothing, or may not have; without an answer `remove` has found
/// out, or says that it could not.
///
/// # Errors
/// `InUse` if it is used after that while still.
pub async fn remove_unused(client: &Client, step: &Step, call: &Call) -> Result<Option<String>> {
    let mut backoff = Backoff::brief(call.deadline);
    loop {
        let removed = remove(client, step, InDoubt::AskAgain, call).await;
        let removed = read::proven(client, place(step)?, removed, call).await;
        let error = match error::if_there(removed) {
            Ok(request_id) => return Ok(request_id.flatten()),
            Err(error) => error,
        };
        let may_pass = error.reason == ErrorReason::InUse || error.is_outage();
        if !may_pass || !backoff.next().await {
            return Err(error);
        }
    }
}

/// The object in an answer that grants a write.
fn object(answer: &Answer) -> Result<Body> {
    let body = json::parse(&answer.body).ok().and_then(Body::of);
    body.filter(|body| !body.id().is_empty())
        .ok_or_else(|| error::broken(answer, "no object with an id"))
}

/// Sends one write and reads its answer; with the request id of one that is granted, be it readable or not.
///
/// # Errors
/// If it certainly did not happen.
async fn send<T>(
    client: &Client,
    ask: Ask<'_>,
    asked: Asked,
    secrets: &[&str],
    read: impl FnOnce(&Answer) -> Result<T>,
    call: &Call,
) -> Result<(Outcome<T>, Option<String>)> {
    let answer = match client.send(ask, &call.hurried()).await {
        Ok(answer) => answer,
        Err(none) => return Ok((Outcome::unanswered(none.error, none.sent)?, None)),
    };
    if answer.is_success() {
        return Ok((Outcome::granted(read(&answer)), error::request_id(&answer)));
    }
    let because = error::refused(&answer, asked, secrets);
    Ok((Outcome::refused(because, error::doubt(&answer))?, None))
}
