//! Making, changing and removing connections.
//!
//! A write is sent once. If its answer is lost, what there is now is looked at instead: by the mark after a
//! POST, by what was wanted after a PUT, by absence after a DELETE.

use crate::{
    core::{
        dialect::{Call, Mark, Proof, Warning, Written},
        error::{Error, ErrorKind, ErrorReason, Result},
    },
    dialects::{
        etag,
        lost_write::{Doubt, Lost, Outcome, Trace},
        openstack::{
            client::{Ask, CONNECTIONS, Client, SERVICES},
            error::{self, Asked},
            mark, read, status, translate,
            variant::Variant,
            wire::{Body, ONE},
        },
    },
    model::{ConnectionChange, ConnectionSpec, Field},
    rest::{answer::Answer, backoff::Backoff, json},
};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

/// What a connection is found by after a lost answer.
const FOUND_BY: [&str; 5] = ["id", "description", "name", "vpnservice_id", "peer_address"];

/// Makes a connection.
pub async fn create(
    client: &Client,
    spec: &ConnectionSpec,
    mark: &Mark,
    call: &Call,
) -> Result<Written> {
    let variant = client.variant();
    // Where no mark can be left, what was there before cannot be what this call makes.
    let before = match variant.description {
        true => HashSet::new(),
        false => {
            let rows = read::all(client, &FOUND_BY, call).await?;
            rows.iter().map(Body::id).collect()
        }
    };
    let secrets: Vec<&str> = translate::psk(spec).into_iter().collect();
    let body = translate::new_connection(spec, mark, variant);
    let write = Write {
        ask: Ask::post([CONNECTIONS], &HashMap::from([(ONE, body)])),
        asked: Asked::Create,
        id: None,
        secrets: &secrets,
    };
    let body = match send(client, write, connection, call).await? {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let is_it = |row: &Body| match variant.description {
                true => mark::is(&row.text("description").unwrap_or_default(), mark),
                false => !before.contains(&row.id()) && translate::may_be(row, spec),
            };
            let mut found = find(client, is_it, &lost, call).await;
            if let Err(error) = &mut found {
                if lost.doubt == Doubt::Failed
                    && let Some(cause) = missing_service(client, spec, &secrets, call).await
                {
                    return Err(cause);
                }
                let mark = ("mark", mark.as_str().to_owned());
                error.context.metadata.push(mark);
            }
            found?
        }
    };
    Ok(Written {
        id: body.id(),
        connection: Some(translate::connection(body, variant)),
        // A new row has no status from before.
        proof: Proof::AnyStatus,
        warnings: create_warnings(spec),
    })
}

/// Changes what differs.
pub async fn update(
    client: &Client,
    id: &str,
    change: &ConnectionChange,
    call: &Call,
) -> Result<Written> {
    let variant = client.variant();
    let before = present(client, id, call).await?;
    etag::check(change.etag.as_deref(), &translate::etag(&before, variant))?;
    let change = &change.without(&translate::connection(before.clone(), variant));
    let Some(body) =
        translate::changes(&before, change, variant).map_err(Error::not_expressible)?
    else {
        return Ok(updated(before, Proof::Nothing, change, variant));
    };
    let secrets: Vec<&str> = translate::psk(&change.values).into_iter().collect();
    let descriptive = translate::is_descriptive(&body);
    let write = Write {
        ask: Ask::put([CONNECTIONS, id], &HashMap::from([(ONE, body)])),
        asked: Asked::Change,
        id: Some(id),
        secrets: &secrets,
    };
    let after = match send(client, write, connection, call).await? {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let is_as_wanted = |now: &Body| {
                translate::shows(change)
                    && matches!(translate::changes(now, change, variant), Ok(None))
            };
            changed(client, id, is_as_wanted, &lost, call).await?
        }
    };
    let proof = match descriptive {
        true => Proof::Descriptive,
        // A PUT does not touch `status`: it may go on telling of what was before.
        false => Proof::StatusMustMove {
            native_state: status::native(after.status().as_deref()),
        },
    };
    Ok(updated(after, proof, change, variant))
}

/// Removes a connection. Nothing else was made for it.
pub async fn delete(client: &Client, id: &str, etag: Option<&str>, call: &Call) -> Result<Written> {
    if etag::given(etag).is_some() {
        let now = present(client, id, call).await?;
        etag::check(etag, &translate::etag(&now, client.variant()))?;
    }
    let write = Write {
        ask: Ask::delete([CONNECTIONS, id]),
        asked: Asked::Remove,
        id: Some(id),
        secrets: &[],
    };
    let nothing = |answer: &Answer| error::removed(answer, error::broken);
    if let Outcome::Lost(lost) = send(client, write, nothing, call).await? {
        removed(client, id, &lost, call).await?;
    }
    Ok(Written {
        id: id.to_owned(),
        connection: None,
        proof: Proof::AnyStatus,
        warnings: Vec::new(),
    })
}

/// One write.
struct Write<'a> {
    ask: Ask<'a>,
    asked: Asked,
    /// The connection it is sent to; `None` if it makes one.
    id: Option<&'a str>,
    /// The keys in its body.
    secrets: &'a [&'a str],
}

/// Sends one write and reads its answer.
///
/// # Errors
/// If it certainly did not happen.
async fn send<T>(
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
    let because = error::refused(answer, write.asked, write.secrets);
    // A 404 may be about what the connection refers to; a removal carries nothing that refers.
    let is_reference = because.reason == ErrorReason::ReferenceNotFound;
    if error::is_missing(answer) && (write.asked == Asked::Remove || !is_reference) {
        let Some(id) = write.id else {
            return Err(error::api_absent(because));
        };
        read::absent(client, id, &answered, because, call).await?;
        return Err(error::not_found());
    }
    Outcome::refused(because, error::doubt(answer))
}

/// The connection in an answer that grants a write.
fn connection(answer: &Answer) -> Result<Body> {
    let body = json::parse(&answer.body).ok();
    body.and_then(|value| Body::under(ONE, value))
        .filter(|body| !body.id().is_empty())
        .ok_or_else(|| error::broken(answer, "no connection with an id"))
}

/// Finds out whether a PUT changed a connection though its answer was lost: if it is as was wanted.
async fn changed(
    client: &Client,
    id: &str,
    is_as_wanted: impl Fn(&Body) -> bool,
    lost: &Lost,
    call: &Call,
) -> Result<Body> {
    let call = call.until_known();
    let read = || async {
        Ok(match read::row(client, id, &[], &call).await? {
            Ok(now) if is_as_wanted(&now) => Trace::Done(Some(now)),
            Ok(_) => Trace::NotDone,
            // Somebody has removed it since.
            Err(_) => Trace::Done(None),
        })
    };
    let backoff = Backoff::until(call.deadline);
    let now = lost.find_out("the connection was changed", backoff, read);
    now.await?.ok_or_else(error::not_found)
}

/// Finds out whether a DELETE removed a connection though its answer was lost: if it is gone.
async fn removed(client: &Client, id: &str, lost: &Lost, call: &Call) -> Result<()> {
    let call = call.until_known();
    let read = || async {
        Ok(match read::row(client, id, &["id"], &call).await? {
            Ok(_) => Trace::NotDone,
            Err(_) => Trace::Done(()),
        })
    };
    let backoff = Backoff::until(call.deadline);
    lost.find_out("the connection was removed", backoff, read)
        .await
}

/// Looks for what a POST made whose answer was lost. It is never sent again.
async fn find(
    client: &Client,
    is_it: impl Fn(&Body) -> bool,
    lost: &Lost,
    call: &Call,
) -> Result<Body> {
    let call = call.until_known();
    let read = || find_once(client, &is_it, &call);
    let backoff = Backoff::until(call.deadline);
    let found = lost.find_out("the connection was made", backoff, read);
    match found.await? {
        Found::One(body) => Ok(body),
        Found::Several(ids) => Err(many(lost, &ids)),
    }
}

enum Found {
    One(Body),
    Several(Vec<String>),
}

async fn find_once(
    client: &Client,
    is_it: impl Fn(&Body) -> bool,
    call: &Call,
) -> Result<Trace<Found>> {
    let rows = read::all(client, &FOUND_BY, call).await?;
    let ids: Vec<String> = rows.iter().filter(|row| is_it(row)).map(Body::id).collect();
    Ok(match ids.as_slice() {
        [] => Trace::NotDone,
        [id] => match read::row(client, id, &[], call).await? {
            Ok(body) => Trace::Done(Found::One(body)),
            // Removed again between the two requests.
            Err(_) => Trace::NotDone,
        },
        _ => Trace::Done(Found::Several(ids)),
    })
}

/// A service that is not there is no 404 of the connection's but a 500 without a word, so it is asked for.
async fn missing_service(
    client: &Client,
    spec: &ConnectionSpec,
    secrets: &[&str],
    call: &Call,
) -> Option<Error> {
    let id = spec.vpn_service.as_deref()?;
    let ask = Ask::get([SERVICES, id]);
    let answered = client.send(ask, call).await.ok()?;
    let answer = &answered.answer;
    let cause =
        error::is_missing(answer).then(|| error::refused(answer, Asked::Create, secrets))?;
    (cause.reason == ErrorReason::ReferenceNotFound).then_some(cause)
}

/// More than one could be what was made, and this cloud leaves no room for a mark. ABORTED and not UNKNOWN:
/// the caller can look at the candidates and decide.
fn many(lost: &Lost, ids: &[String]) -> Error {
    let mut error = lost.ambiguous("which of several connections was made");
    let named = ids.join(", ");
    error.message = format!(
        "{}; these have its name, service and peer address: {named}",
        error.message
    );
    error.kind = ErrorKind::Stale;
    error.context.metadata.push(("candidates", named));
    error
}

async fn present(client: &Client, id: &str, call: &Call) -> Result<Body> {
    read::row(client, id, &[], call)
        .await?
        .map_err(|_| error::not_found())
}

fn updated(body: Body, proof: Proof, change: &ConnectionChange, variant: &Variant) -> Written {
    let connection = translate::connection(body, variant);
    let touches = |field| change.fields.contains(&field);
    let mut warnings = Vec::new();
    if touches(Field::PeerAddress) {
        warnings.extend(resolved(&change.values));
        if !touches(Field::PeerId) && connection.peer.id != connection.peer.address {
            let message = format!(
                "the peer still has to identify itself as `{}`",
                connection.peer.id
            );
            warnings.push(warning("peer.id", message));
        }
    }
    Written {
        id: connection.id.clone(),
        connection: Some(connection),
        proof,
        warnings,
    }
}

fn create_warnings(spec: &ConnectionSpec) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = resolved(spec).into_iter().collect();
    if spec.admin_enabled == Some(false) {
        warnings.push(warning(
            "admin_enabled",
            "a connection made switched off stays PENDING_CREATE, takes no update, and can only be deleted",
        ));
    }
    warnings
}

fn resolved(spec: &ConnectionSpec) -> Option<Warning> {
    let is_name = spec.peer_address.parse::<IpAddr>().is_err();
    is_name.then(|| {
        let what = "the cloud resolves the host name once, now, and keeps the address";
        warning("peer.address", what)
    })
}

fn warning(field: &str, message: impl Into<String>) -> Warning {
    Warning {
        field: field.to_owned(),
        message: message.into(),
    }
}
