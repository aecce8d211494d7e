//! One object, made, replaced or removed. If the answer is lost, what there is now is read instead: by the mark after
//! a POST, by the nonce or by what was wanted after a PUT, by absence after a DELETE.

use crate::{
    core::{
        dialect::{Call, Mark},
        error::{ErrorKind, ErrorReason, Result},
    },
    dialects::{
        lost_write::{Doubt, Outcome, Trace},
        nsx::{
            body::Body,
            client::{Ask, Client},
            manager::{
                error::{self, Asked},
                read,
            },
            mark::{self, Nonce},
            paging::Sureness,
        },
    },
    rest::{answer::Answer, backoff::Backoff, json},
};
use serde_json::{Map, Value};

/// What one write left.
#[derive(Debug)]
pub struct Done {
    /// The object as NSX gave it.
    pub body: Body,
    /// The id by which `/state` tells how far the write has come.
    pub request_id: Option<String>,
}

/// Makes one object. If the answer is lost, what carries the mark is what was made.
pub async fn make(
    client: &Client,
    collection: &'static str,
    body: &Map<String, Value>,
    mark: &Mark,
    secrets: &[&str],
    call: &Call,
) -> Result<Done> {
    let ask = Ask::post([collection], body);
    let (outcome, request_id) = send(client, ask, Asked::Create, secrets, object, call).await?;
    let body = match outcome {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let is_marked = |body: &Body| !body.id().is_empty() && mark::is(body, mark);
            let call = call.until_known();
            let read = || async {
                let found = read::search(client, collection, is_marked, 1, &call).await?;
                let (found, sureness) = found;
                Ok(match (found.into_iter().next(), sureness) {
                    (Some(body), _) => Trace::Done(body),
                    (None, Sureness::Sure | Sureness::Counted) => Trace::NotDone,
                    (None, Sureness::Unsure) => Trace::Unclear,
                })
            };
            let backoff = Backoff::until(call.deadline);
            let found = lost.find_out("the object was made", backoff, read).await;
            found.map_err(|mut error| {
                if error.kind == ErrorKind::Ambiguous {
                    let mark = ("mark", mark.as_str().to_owned());
                    error.context.metadata.push(mark);
                }
                error
            })?
        }
    };
    Ok(Done { body, request_id })
}

/// What is to be put in place of an object.
pub struct Put<'a> {
    /// The collection it is in.
    pub collection: &'static str,
    /// The object as it was read.
    pub before: &'a Body,
    /// As it is to be.
    pub body: Map<String, Value>,
    /// The keys in it.
    pub secrets: &'a [&'a str],
}

/// Replaces one object. If the answer is lost, it is done if the object has this write's nonce, or has moved on and
/// `as_wanted` says that it is what was written. That must not say so of what cannot be read.
pub async fn replace(
    client: &Client,
    mut put: Put<'_>,
    as_wanted: impl Fn(&Body) -> bool,
    call: &Call,
) -> Result<Done> {
    let nonce = Nonce::put(&mut put.body);
    let id = put.before.id();
    let ask = Ask::put([put.collection, &id], &put.body);
    let (outcome, request_id) = send(client, ask, Asked::Change, put.secrets, object, call).await?;
    let body = match outcome {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let is_this_writes = |now: &Body| nonce.as_ref().is_some_and(|nonce| nonce.is_on(now));
            let call = call.until_known();
            let read = || async {
                let now = read::object(client, put.collection, &id, &call).await?;
                Ok(if is_this_writes(&now) {
                    Trace::Done(now)
                } else if now.revision() == put.before.revision() {
                    Trace::NotDone
                } else if as_wanted(&now) {
                    Trace::Done(now)
                } else {
                    Trace::Covered
                })
            };
            let backoff = Backoff::until(call.deadline);
            lost.find_out("the object was changed", backoff, read)
                .await?
        }
    };
    Ok(Done { body, request_id })
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
pub async fn remove(
    client: &Client,
    collection: &'static str,
    id: &str,
    in_doubt: InDoubt,
    call: &Call,
) -> Result<Option<String>> {
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
pub async fn remove_unused(
    client: &Client,
    collection: &'static str,
    id: &str,
    call: &Call,
) -> Result<()> {
    let mut backoff = Backoff::brief(call.deadline);
    loop {
        let removed = remove(client, collection, id, InDoubt::AskAgain, call).await;
        let Err(error) = error::if_there(removed) else {
            return Ok(());
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
