//! One step of a write: creates, replaces or removes an object. If the answer is lost, the object is read instead. A
//! POST is recognized by the mark, a PUT by the nonce or by what it wanted, a DELETE by absence.

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

/// The collection name that steps use for peer endpoints, which have no resource names.
pub const PEERS: &str = "peerEndpoints";

/// The result of one write.
#[derive(Debug)]
pub struct Left {
    /// The object as NSX returned it.
    pub body: Body,
    /// The request id. `/state` takes it to report how far the write has come.
    pub request_id: Option<String>,
}

impl Left {
    /// Returns the result in the form that the ledger keeps.
    pub fn done(&self) -> dialect::Done {
        dialect::Done {
            id: self.body.id(),
            request_id: self.request_id.clone(),
        }
    }
}

/// Returns the NSX collection of a step's object.
///
/// # Errors
/// Fails if there is none: the step is not of this dialect.
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

///
/// # Errors
/// Fails if the step has no id yet.
pub fn id_of(step: &Step) -> Result<&str> {
    let id = step.id.as_deref().filter(|id| !id.is_empty());
    id.ok_or_else(|| Error::internal(format!("a step on `{}` has no id", step.collection)))
}

/// Creates one object. If the answer is lost, the object that carries the mark is the result.
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

/// Looks for the object that a POST created: the one that carries its mark, as far as lists show.
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

/// Replaces one object. If the answer is lost, the PUT was done if the object has its nonce, or has a new revision and
/// says what was written.
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

/// Reads what a PUT has left.
///
/// # Errors
/// `NotFound` if NSX says that the object does not exist.
pub async fn replaced(client: &Client, step: &Step, call: &Call) -> Result<Trace<Body>> {
    let now = read::object(client, place(step)?, id_of(step)?, call).await?;
    Ok(match memo::trace(step, &now) {
        Trace::Done(()) => Trace::Done(now),
        Trace::NotDone => Trace::NotDone,
        Trace::Unclear => Trace::Unclear,
        Trace::Covered => Trace::Covered,
    })
}

/// What to do about a DELETE that was refused and may have happened all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InDoubt {
    /// Find out, with proof, whether the object still exists.
    FindOut,
    /// Leave it to the caller, who sends the DELETE again. An object that is gone by then is as good.
    AskAgain,
}

/// Removes one object. If the answer is lost, the DELETE was done if the object is gone.
///
/// # Errors
/// `NotFound` if NSX says that the object does not exist.
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

/// Removes an object that nothing should use any more. An object that is gone already is as good.
///
/// Retries for a short while only, because the rest of the write waits for it. NSX answers the DELETE of a session
/// before everything has released what the session used, and what made the call fail may also refuse this DELETE. The
/// DELETE is sent again only if an answer says that it did nothing, or may not have. If there was no answer, `remove`
/// has found out what happened, or says that it could not.
///
/// # Errors
/// `InUse` if the object is still in use after that.
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

/// Reads the object in the answer to a successful write.
fn object(answer: &Answer) -> Result<Body> {
    let body = json::parse(&answer.body).ok().and_then(Body::of);
    body.filter(|body| !body.id().is_empty())
        .ok_or_else(|| error::broken(answer, "no object with an id"))
}

/// Sends one write and reads its answer. Returns the request id of a successful write even if the answer cannot be
/// read.
///
/// # Errors
/// Fails if the write certainly did not happen.
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
