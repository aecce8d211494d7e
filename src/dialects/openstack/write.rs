//! Making, changing and removing connections.
//!
//! A write is sent once. If its answer is lost, what there is now is looked at instead: by the mark after a
//! POST, by what was wanted after a PUT, by absence after a DELETE.

use crate::{
    core::{
        dialect::{Call, Mark, Proof, Warning, Written},
        error::{Error, ErrorKind, ErrorReason, Result},
    },
    dialects::openstack::{
        client::{Answered, Ask, CONNECTIONS, Client, SERVICES},
        error::{self, Asked},
        mark, read, status, translate,
        variant::Variant,
        wire::{Body, ONE},
    },
    model::{ConnectionChange, ConnectionSpec, Field},
    rest::{client::Sent, json, patience::Patience},
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
    let ask = Ask::post([CONNECTIONS], &HashMap::from([(ONE, body)]));
    let body = match send(client, ask, Asked::Create, &secrets, call).await? {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let is_it = |row: &Body| match variant.description {
                true => mark::is(&row.text("description").unwrap_or_default(), mark),
                false => !before.contains(&row.id()) && translate::may_be(row, spec),
            };
            let said_failed = lost.said_failed;
            let mut found = find(client, is_it, lost, call).await;
            if let Err(error) = &mut found {
                if said_failed
                    && let Some(cause) = missing_service(client, spec, &secrets, call).await
                {
                    return Err(cause);
                }
                let mark = ("mark", mark.as_str().to_owned());
                error.context.metadata.push(mark);
            }
            found?
        }
        Outcome::Missing(_, refused) => return Err(error::api_absent(refused)),
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
    check_etag(change.etag.as_deref(), &before, variant)?;
    let Some(body) =
        translate::changes(&before, change, variant).map_err(Error::not_expressible)?
    else {
        return Ok(updated(before, Proof::Nothing, change, variant));
    };
    let secrets: Vec<&str> = translate::psk(&change.values).into_iter().collect();
    let descriptive = translate::is_descriptive(&body);
    let ask = Ask::put([CONNECTIONS, id], &HashMap::from([(ONE, body)]));
    let after = match send(client, ask, Asked::Change, &secrets, call).await? {
        Outcome::Done(body) => body,
        Outcome::Missing(answered, refused) => {
            read::absent(client, id, &answered, refused, call).await?;
            return Err(error::not_found());
        }
        Outcome::Lost(lost) => {
            let is_as_wanted = |now: &Body| {
                translate::shows(change)
                    && matches!(translate::changes(now, change, variant), Ok(None))
            };
            changed(client, id, is_as_wanted, lost, call).await?
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
    if etag.is_some_and(|etag| !etag.is_empty()) {
        check_etag(etag, &present(client, id, call).await?, client.variant())?;
    }
    let lost = match client
        .send(Ask::delete([CONNECTIONS, id]), &call.hurried())
        .await
    {
        Ok(answered) if error::says_removed(&answered.answer) => None,
        Ok(answered) if answered.answer.is_success() => Some(Lost {
            because: error::broken(&answered.answer, "neither nothing nor JSON"),
            said_failed: false,
        }),
        Ok(answered) => {
            let because = error::refused(&answered.answer, Asked::Remove, &[]);
            if error::is_missing(&answered.answer) {
                read::absent(client, id, &answered, because, call).await?;
                return Err(error::not_found());
            }
            if !error::is_in_doubt(&answered.answer) {
                return Err(because);
            }
            let said_failed = error::says_failed(&answered.answer);
            Some(Lost {
                because,
                said_failed,
            })
        }
        Err(none) if none.sent == Sent::No => return Err(none.error),
        Err(none) => Some(Lost {
            because: none.error,
            said_failed: false,
        }),
    };
    if let Some(lost) = lost {
        removed(client, id, lost, call).await?;
    }
    Ok(Written {
        id: id.to_owned(),
        connection: None,
        proof: Proof::AnyStatus,
        warnings: Vec::new(),
    })
}

/// What became of a write.
enum Outcome {
    Done(Body),
    Lost(Lost),
    /// 404 without a word about what the connection refers to.
    Missing(Answered, Error),
}

/// A write of which it is not known from its answer whether it happened.
struct Lost {
    because: Error,
    /// The cloud itself said that it failed.
    said_failed: bool,
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
    let answered = match client.send(ask, &call.hurried()).await {
        Ok(answered) => answered,
        Err(none) if none.sent == Sent::No => return Err(none.error),
        Err(none) => {
            return Ok(Outcome::Lost(Lost {
                because: none.error,
                said_failed: false,
            }));
        }
    };
    let answer = &answered.answer;
    if answer.is_success() {
        let body = json::parse(&answer.body).ok();
        let body = body.and_then(|value| Body::under(ONE, value));
        return Ok(match body.filter(|body| !body.id().is_empty()) {
            Some(body) => Outcome::Done(body),
            None => Outcome::Lost(Lost {
                because: error::broken(answer, "no connection with an id"),
                said_failed: false,
            }),
        });
    }
    let because = error::refused(answer, asked, secrets);
    if error::is_in_doubt(answer) {
        let said_failed = error::says_failed(answer);
        return Ok(Outcome::Lost(Lost {
            because,
            said_failed,
        }));
    }
    if error::is_missing(answer) && because.reason != ErrorReason::ReferenceNotFound {
        return Ok(Outcome::Missing(answered, because));
    }
    Err(because)
}

/// Finds out whether a PUT changed a connection though its answer was lost: if it is as was wanted.
async fn changed(
    client: &Client,
    id: &str,
    is_as_wanted: impl Fn(&Body) -> bool,
    lost: Lost,
    call: &Call,
) -> Result<Body> {
    let call = call.finding_out();
    let mut patience = Patience::until(call.deadline);
    loop {
        match read::row(client, id, &[], &call).await {
            Ok(Ok(now)) if is_as_wanted(&now) => return Ok(now),
            Ok(Ok(_)) if lost.said_failed => return Err(lost.because),
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(error::not_found()),
            Err(error) if error.is_outage() => {}
            Err(_) => break,
        }
        if !patience.next().await {
            break;
        }
    }
    let what = "the connection was changed";
    Err(error::ambiguous(&lost.because, what))
}

/// Finds out whether a DELETE removed a connection though its answer was lost: if it is gone.
async fn removed(client: &Client, id: &str, lost: Lost, call: &Call) -> Result<()> {
    let call = call.finding_out();
    let mut patience = Patience::until(call.deadline);
    loop {
        match read::row(client, id, &["id"], &call).await {
            Ok(Err(_)) => return Ok(()),
            Ok(Ok(_)) if lost.said_failed => return Err(lost.because),
            Ok(Ok(_)) => {}
            Err(error) if error.is_outage() => {}
            Err(_) => break,
        }
        if !patience.next().await {
            break;
        }
    }
    let what = "the connection was removed";
    Err(error::ambiguous(&lost.because, what))
}

/// Looks for what a POST made whose answer was lost. It is never sent again.
async fn find(
    client: &Client,
    is_it: impl Fn(&Body) -> bool,
    lost: Lost,
    call: &Call,
) -> Result<Body> {
    let unknown = |because: &Error| error::ambiguous(because, "the connection was made");
    let call = call.finding_out();
    let mut patience = Patience::until(call.deadline);
    loop {
        match find_once(client, &is_it, &call).await {
            Ok(Found::One(body)) => return Ok(body),
            Ok(Found::Several(ids)) => return Err(many(&lost.because, &ids)),
            Ok(Found::None) if lost.said_failed => return Err(lost.because),
            Ok(Found::None) => {}
            Err(error) if error.is_outage() => {}
            Err(_) => return Err(unknown(&lost.because)),
        }
        if !patience.next().await {
            return Err(unknown(&lost.because));
        }
    }
}

enum Found {
    None,
    One(Body),
    Several(Vec<String>),
}

async fn find_once(client: &Client, is_it: impl Fn(&Body) -> bool, call: &Call) -> Result<Found> {
    let rows = read::all(client, &FOUND_BY, call).await?;
    let ids: Vec<String> = rows.iter().filter(|row| is_it(row)).map(Body::id).collect();
    Ok(match ids.as_slice() {
        [] => Found::None,
        [id] => match read::row(client, id, &[], call).await? {
            Ok(body) => Found::One(body),
            // Removed again between the two requests.
            Err(_) => Found::None,
        },
        _ => Found::Several(ids),
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
fn many(because: &Error, ids: &[String]) -> Error {
    let mut error = error::ambiguous(because, "which of several connections was made");
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

fn check_etag(etag: Option<&str>, now: &Body, variant: &Variant) -> Result<()> {
    match etag.filter(|etag| !etag.is_empty()) {
        Some(etag) if etag != translate::etag(now, variant) => Err(Error::new(
            ErrorKind::Stale,
            ErrorReason::StaleEtag,
            "the connection was changed since the `etag` was read",
        )),
        _ => Ok(()),
    }
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
