//! One write of an object of any kind, and how to find out its outcome if the answer does not tell.
//!
//! A write is sent once. If its answer is lost, the dialect reads the current state instead: the mark after a POST,
//! the wanted values after a PUT, absence after a DELETE.

use crate::{
    core::{
        dialect::{Call, Step},
        error::{Error, ErrorKind, ErrorReason, Result},
    },
    dialects::{
        lost_write::{Lost, Outcome, Trace},
        openstack::{
            client::{Ask, Client},
            error::{self, Asked},
            read,
            wire::{Body, kind::Kind},
            write::made::is_made_by,
        },
    },
    rest::{answer::Answer, backoff::Backoff, json},
};

pub struct Write<'a> {
    pub kind: &'static Kind,
    pub ask: Ask<'a>,
    pub asked: Asked,
    /// The object to change or remove; `None` for a POST.
    pub id: Option<&'a str>,
    /// The keys in the body, withheld from error messages.
    pub secrets: &'a [&'a str],
}

/// Sends one write and reads its answer.
///
/// # Errors
/// The write certainly did not happen.
pub async fn send<T>(
    client: &Client,
    write: Write<'_>,
    read: impl FnOnce(&Answer) -> Result<T>,
    call: &Call,
) -> Result<Outcome<T>> {
    let answered = match client.send(write.ask, &call.hurried()).await {
        Ok(answered) => answered,
        Err(none) => return Outcome::unanswered(none.error, none.sent),
    };
    let answer = &answered.answer;
    if answer.is_success() {
        return Ok(Outcome::granted(read(answer)));
    }
    let because = error::write_refused(write.kind, answer, write.asked, write.secrets);
    // A 404 may be about a referenced object; a DELETE references nothing.
    let is_itself = write.id.is_some() && error::says_gone(write.kind, answer).is_some();
    let is_reference = because.reason == ErrorReason::ReferenceNotFound && !is_itself;
    if error::is_missing(answer) && (write.asked == Asked::Remove || !is_reference) {
        let Some(id) = write.id else {
            return Err(error::api_absent(because));
        };
        read::absent(client, write.kind, id, &answered, because, call).await?;
        return Err(error::not_found(write.kind));
    }
    Outcome::refused(because, error::doubt(answer))
}

/// Returns the object in the answer to a successful write.
///
/// # Errors
/// The answer has no object with an id.
pub fn object(kind: &Kind, answer: &Answer) -> Result<Body> {
    let body = json::parse(&answer.body).ok();
    body.and_then(|value| Body::under(kind.one, value))
        .filter(|body| !body.id().is_empty())
        .ok_or_else(|| error::broken(answer, &format!("no {} with an id", kind.noun)))
}

/// Finds out whether a PUT with a lost answer changed the object: whether it has the wanted values.
///
/// # Errors
/// As for [`Lost::find_out`].
pub async fn changed(
    client: &Client,
    kind: &Kind,
    id: &str,
    is_as_wanted: impl Fn(&Body) -> bool,
    lost: &Lost,
    call: &Call,
) -> Result<Body> {
    let call = call.until_known();
    let read = || async {
        Ok(match read::row(client, kind, id, &[], &call).await? {
            Ok(now) if is_as_wanted(&now) => Trace::Done(Some(now)),
            Ok(_) => Trace::NotDone,
            // Another client has removed it since.
            Err(_) => Trace::Done(None),
        })
    };
    let backoff = Backoff::until(call.deadline);
    let now = lost
        .find_out(&format!("the {} was changed", kind.noun), backoff, read)
        .await?;
    now.ok_or_else(|| error::not_found(kind))
}

/// Finds out whether a DELETE with a lost answer removed the object: whether it is gone.
async fn removed(client: &Client, kind: &Kind, id: &str, lost: &Lost, call: &Call) -> Result<()> {
    let call = call.until_known();
    let read = || async {
        Ok(match read::row(client, kind, id, &["id"], &call).await? {
            Ok(_) => Trace::NotDone,
            Err(_) => Trace::Done(()),
        })
    };
    let backoff = Backoff::until(call.deadline);
    lost.find_out(&format!("the {} was removed", kind.noun), backoff, read)
        .await
}

/// Removes an object.
///
/// # Errors
/// `NotFound` if it is gone already; any other error if it was not removed; `Ambiguous` if that cannot be known.
pub async fn remove(client: &Client, kind: &'static Kind, id: &str, call: &Call) -> Result<()> {
    let write = Write {
        kind,
        ask: Ask::delete(kind.path_of(id)),
        asked: Asked::Remove,
        id: Some(id),
        secrets: &[],
    };
    let nothing = |answer: &Answer| error::removed(answer, error::broken);
    match send(client, write, nothing, call).await? {
        Outcome::Done(()) => Ok(()),
        Outcome::Lost(lost) => removed(client, kind, id, &lost, call).await,
    }
}

/// Looks for what the POST of this step created, whose answer was lost. The POST is never sent again.
///
/// # Errors
/// As for [`Lost::find_out`].
pub async fn find(
    client: &Client,
    kind: &Kind,
    step: &Step,
    lost: &Lost,
    call: &Call,
) -> Result<Body> {
    let call = call.until_known();
    let read = || find_once(client, kind, step, &call);
    let backoff = Backoff::until(call.deadline);
    let made = format!("the {} was made", kind.noun);
    let found = lost.find_out(&made, backoff, read);
    match found.await? {
        Found::One(body) => Ok(body),
        Found::Several(ids) => Err(many(kind, lost, &ids)),
    }
}

enum Found {
    One(Body),
    Several(Vec<String>),
}

async fn find_once(client: &Client, kind: &Kind, step: &Step, call: &Call) -> Result<Trace<Found>> {
    let ids = made(client, kind, step, call).await?;
    Ok(match ids.as_slice() {
        [] => Trace::NotDone,
        [id] => match read::row(client, kind, id, &[], call).await? {
            Ok(body) => Trace::Done(Found::One(body)),
            // Removed between the two requests.
            Err(_) => Trace::NotDone,
        },
        _ => Trace::Done(Found::Several(ids)),
    })
}

/// Returns the ids of the objects that the POST of this step may have created.
///
/// # Errors
/// The LIST fails.
pub async fn made(client: &Client, kind: &Kind, step: &Step, call: &Call) -> Result<Vec<String>> {
    let rows = read::all(client, kind, kind.found_by, call).await?;
    let made = rows.iter().filter(|row| is_made_by(step, row));
    Ok(made.map(Body::id).collect())
}

/// The error if several objects could be what the POST created, which happens only where the cloud has no room for a
/// mark. ABORTED and not UNKNOWN: the caller can look at the candidates and decide.
fn many(kind: &Kind, lost: &Lost, ids: &[String]) -> Error {
    let mut error = lost.ambiguous(&format!("which {} of several was made", kind.noun));
    let named = ids.join(", ");
    error.message = format!("{}; these have what was asked for: {named}", error.message);
    error.kind = ErrorKind::Stale;
    error.context.metadata.push(("candidates", named));
    error
}
