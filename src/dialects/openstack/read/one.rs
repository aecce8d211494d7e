//! Reads one object, and decides what a 404 for it proves.

use crate::{
    core::{
        dialect::Call,
        error::{Error, Result},
    },
    dialects::openstack::{
        auth::Sight,
        client::{Answered, Ask, Client},
        error::{self, Asked},
        read::collection::{all_named, listed, probe, sees},
        translate,
        wire::{
            Body,
            kind::{CONNECTIONS, Kind},
        },
    },
    model::Connection,
};

pub async fn get(client: &Client, id: &str, call: &Call) -> Result<Connection> {
    let body = present(client, &CONNECTIONS, id, call).await?;
    Ok(translate::connection(body, client.variant()))
}

/// Returns one object with all fields.
///
/// # Errors
/// `NotFound` if it is proven that there is none; any other error if neither is proven.
pub async fn present(client: &Client, kind: &Kind, id: &str, call: &Call) -> Result<Body> {
    row(client, kind, id, &[], call)
        .await?
        .map_err(|_| error::not_found(kind))
}

/// Returns one object as the cloud has it, restricted to these fields if the cloud can filter. If it is proven that
/// there is none, returns the cloud's words that prove it.
///
/// # Errors
/// Neither is proven.
pub async fn row(
    client: &Client,
    kind: &Kind,
    id: &str,
    fields: &[&str],
    call: &Call,
) -> Result<Result<Body, String>> {
    one(client, kind, id, fields, Listed::Unasked, call).await
}

/// Like [`row`], for an object that a LIST of its collection has just not shown.
///
/// # Errors
/// As for [`row`].
pub async fn unlisted_row(
    client: &Client,
    kind: &Kind,
    id: &str,
    fields: &[&str],
    call: &Call,
) -> Result<Result<Body, String>> {
    one(client, kind, id, fields, Listed::Not, call).await
}

/// Whether the collection was asked for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Unasked,
    Not,
}

async fn one(
    client: &Client,
    kind: &Kind,
    id: &str,
    fields: &[&str],
    listed: Listed,
    call: &Call,
) -> Result<Result<Body, String>> {
    let mut ask = Ask::get(kind.path_of(id));
    if client.variant().narrows {
        ask = ask.with_each("fields", fields);
    }
    let answered = client.send(ask, call).await.map_err(|none| none.error)?;
    let value = match error::granted(&answered.answer, Asked::Read, &[]) {
        Err(refused) if error::is_missing(&answered.answer) => {
            // Boxed because every read's future has room for this, which is large and rare.
            let gone = Box::pin(gone(client, kind, id, &answered, refused, listed, call));
            return gone.await.map(Err);
        }
        granted => granted?,
    };
    let body = Body::under(kind.one, value);
    let body = body.ok_or_else(|| error::broken(&answered.answer, &format!("no {}", kind.noun)))?;
    Ok(Ok(body))
}

/// Decides what a 404 for one object proves. Returns the cloud's words if the object is gone.
///
/// ```text
///   404 ── in the API's own words for its kind
///    │        └──► the collection answers without it ──► the account provably sees ────► gone
///    │                  └── it shows it, or fails ─► error      └── it does not ────────► error: denied
///    └── anything else ──► the collection ── 404 ───────────────────────────────────────► error: API_ABSENT
///                               └── there: a policy hides, or something else answers ──► error
/// ```
///
/// # Errors
/// The 404 proves nothing.
pub async fn absent(
    client: &Client,
    kind: &Kind,
    id: &str,
    answered: &Answered,
    refused: Error,
    call: &Call,
) -> Result<String> {
    gone(client, kind, id, answered, refused, Listed::Unasked, call).await
}

async fn gone(
    client: &Client,
    kind: &Kind,
    id: &str,
    answered: &Answered,
    refused: Error,
    listed: Listed,
    call: &Call,
) -> Result<String> {
    let said = refused.context.upstream.clone().unwrap_or_default();
    let Some(words) = error::says_gone(kind, &answered.answer) else {
        probe(client, call).await?;
        return match error::is_hidden(&answered.answer) {
            true => Err(error::blind().upstream(said)),
            false => Err(error::proves_nothing(refused)),
        };
    };
    let shows_others = match listed {
        Listed::Not => false,
        Listed::Unasked => shows_others(client, kind, id, refused, call).await?,
    };
    match answered.sight {
        Sight::Sees => Ok(words),
        Sight::Doubtful | Sight::Unknown if shows_others || sees(client, call).await? => Ok(words),
        Sight::Doubtful | Sight::Unknown => Err(error::blind().upstream(said)),
    }
}

/// Reports whether the collection shows another object. Fails if the collection does not answer or shows this one.
async fn shows_others(
    client: &Client,
    kind: &Kind,
    id: &str,
    refused: Error,
    call: &Call,
) -> Result<bool> {
    let ask = match client.variant().narrows {
        true => Ask::get(kind.path()).with("id", id),
        false => Ask::get(kind.path()),
    };
    let (answered, page) = listed(client, kind, ask, &["id"], call).await?;
    let rows = all_named(&answered, page)?.rows;
    if rows.iter().any(|row| row.id() == id) {
        return Err(error::contradicted(refused));
    }
    Ok(!rows.is_empty())
}
