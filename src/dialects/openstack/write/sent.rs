//! One write of an object of any kind, and what became of it if its answer does not tell.
//!
//! A write is sent once. If its answer is lost, what there is now is looked at instead: by the mark after a
//! POST, by what was wanted after a PUT, by absence after a DELETE.

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

/// One write.
pub struct Write<'a> {
    /// What is written.
    pub kind: &'static Kind,
    /// The request.
    pub ask: Ask<'a>,
    /// What is asked by it.
    pub asked: Asked,
    /// The object it is sent to; `None` if it makes one.
    pub id: Option<&'a str>,
    /// The keys in its body.
    pub secrets: &'a [&'a str],
}

/// Sends one write and reads its answer.
///
/// # Errors
/// If it certainly did not happen.
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
    // A 404 may be about what the object refers to; a removal carries nothing that refers.
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

/// The object in an answer that grants a write.
///
/// # Errors
/// If there is none.
pub fn object(kind: &Kind, answer: &Answer) -> Result<Body> {
    let body = json::parse(&answer.body).ok();
    body.and_then(|value| Body::under(kind.one, value))
        .filter(|body| !body.id().is_empty())
        .ok_or_else(|| error::broken(answer, &format!("no {} with an id", kind.noun)))
}

/// Finds out whether a PUT changed an object though its answer was lost: if it is as was wanted.
///
/// # Errors
/// As [`Lost::find_out`].
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
            // Somebody has removed it since.
            Err(_) => Trace::Done(None),
        })
    };
    let backoff = Backoff::until(call.deadline);
    let now = lost
        .find_out(&format!("the {} was changed", kind.noun), backoff, read)
        .await?;
    now.ok_or_else(|| error::not_found(kind))
}

/// Finds out whether a DELETE removed an object though its answer was lost: if it is gone.
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

/// Removes an object; one that is gone is removed.
///
/// # Errors
/// If it is not, or it cannot be known.
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

/// Looks for what the POST of this step made, whose answer was lost. It is never sent again.
///
/// # Errors
/// As [`Lost::find_out`].
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
            // Removed again between the two requests.
            Err(_) => Trace::NotDone,
        },
        _ => Trace::Done(Found::Several(ids)),
    })
}

/// The ids of what may be what the POST of this step made.
///
/// # Errors
/// As the LIST fails.
pub async fn made(client: &Client, kind: &Kind, step: &Step, call: &Call) -> Result<Vec<String>> {
    let rows = read::all(client, kind, kind.found_by, call).await?;
    let made = rows.iter().filter(|row| is_made_by(step, row));
    Ok(made.map(Body::id).collect())
}

/// More than one could be what was made, and this cloud leaves no room for a mark. ABORTED and not UNKNOWN:
/// the caller can look at the candidates and decide.
fn many(kind: &Kind, lost: &Lost, ids: &[String]) -> Error {
    let mut error = lost.ambiguous(&format!("which {} of several was made", kind.noun));
    let named = ids.join(", ");
    error.message = format!("{}; these have what was asked for: {named}", error.message);
    error.kind = ErrorKind::Stale;
    error.context.metadata.push(("candidates", named));
    error
}
