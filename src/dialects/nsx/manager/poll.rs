//! Polls a connection: how far its writes have come, whether it still exists, and its tunnel.
//!
//! ```text
//!   /state, for each request id ──200──► the worst of their states ──► with /status, if asked for
//!          │ 400 / 110199 ───────────► DISABLED
//!          │ 404 / 600 or 202
//!          ▼
//!   the session ──200──► UNKNOWN / STATE_NOT_FOUND
//!          │ 404 / 600 or 202
//!          ▼
//!   the collection ──200──► DELETED
//!          └───── 404 ────► error API_ABSENT
//! ```
//!
//! Every other answer, at any step, is an error and says nothing about the connection. A 404 in words other than NSX's
//! own is an error, too, after a request to the collection has shown whether the API exists at all.

use crate::{
    core::{
        dialect::{Call, Target},
        error::Result,
    },
    dialects::nsx::{
        body::Body,
        client::{Ask, Client},
        manager::{
            error::{self, Asked},
            read, status,
            wire::{SESSIONS, State, Status},
        },
    },
    model::{RealizationState, Sighting, Tunnel},
};
use futures_util::future::{join_all, join3};

/// The most request ids that one poll covers.
const MOST_REQUEST_IDS: usize = 4;

pub async fn poll(client: &Client, target: &Target, call: &Call) -> Result<Sighting> {
    let tunnel = async {
        match target.want_tunnel && !target.deleting {
            true => tunnel(client, &target.id, call).await,
            false => Ok(None),
        }
    };
    let (asked, tunnel, elsewhere) = join3(
        states(client, target, call),
        tunnel,
        elsewhere(client, target, call),
    )
    .await;
    let (states, request_ids) = asked?;

    let (mut seen, mut not_there) = (Vec::new(), None);
    for said in states {
        match said {
            Said::State(sighting) => seen.push(*sighting),
            Said::NotThere(words) => not_there = Some(words),
        }
    }
    let unknown = not_there.is_some();
    let words = not_there.unwrap_or_default();
    // If `/state` does not know the session, or the gateway does not know whether it is enabled, the session itself
    // tells.
    let session = if unknown || (target.admin_enabled.is_none() && !target.deleting) {
        Some(session(client, &target.id, call).await?)
    } else {
        None
    };
    let sighting = match (status::worst(seen), &session) {
        (None, Some(None)) => {
            // A 404 counts only if the collection answers: without the API, everything is 404.
            read::probe(client, call).await?;
            return Ok(Sighting {
                request_ids,
                ..status::gone(&words)
            });
        }
        // The session is removed first. Its nodes still have to follow.
        (Some(seen), Some(None)) => status::while_deleting(seen),
        (Some(seen), _) if !unknown => Sighting {
            request_ids,
            ..seen
        },
        (_, _) => status::state_not_found(&words),
    };
    let mut sighting = with_tunnel(sighting, elsewhere, tunnel)?;
    if target.deleting {
        sighting = status::while_deleting(sighting);
    }
    let session = session.flatten();
    sighting.admin_enabled = session.map(|session| session.boolean("enabled").unwrap_or(true));
    Ok(sighting)
}

/// Adds what the nodes say about the tunnel to the sighting of the connection, and to that of each write made
/// elsewhere.
///
/// # Errors
/// Fails if the connection is realized and the tunnel's status is not known, because nothing else can judge the tunnel.
fn with_tunnel(
    sighting: Sighting,
    elsewhere: Vec<(String, Sighting)>,
    tunnel: Result<Option<Tunnel>>,
) -> Result<Sighting> {
    let tunnel = match tunnel {
        Err(error) if sighting.state == RealizationState::Realized => return Err(error),
        tunnel => tunnel.unwrap_or_default(),
    };
    let judged = |seen: Sighting| match &tunnel {
        Some(tunnel) => status::with_tunnel(seen, tunnel.clone()),
        None => seen,
    };
    let elsewhere = elsewhere.into_iter().map(|(id, seen)| (id, judged(seen)));
    Ok(Sighting {
        elsewhere: elsewhere.collect(),
        ..judged(sighting)
    })
}

/// Asks `/state` about each write in question. Returns the answers and the request ids they cover.
///
/// The newest write comes first. While it is in progress, it does not matter how far the earlier ones have come. Each
/// id costs a request: a create has two writes, and fifty creates at a time would use half of what NSX allows an
/// account.
async fn states(client: &Client, target: &Target, call: &Call) -> Result<(Vec<Said>, Vec<String>)> {
    let ids = request_ids(target);
    let newest = ids.last().map(String::as_str);
    let first = state(client, &target.id, newest, call).await?;
    let under_way = matches!(
        &first,
        Said::State(seen) if matches!(
            seen.state,
            RealizationState::Pending | RealizationState::InProgress
        )
    );
    let Some((newest, before)) = ids.split_last() else {
        return Ok((vec![first], ids));
    };
    if under_way {
        return Ok((vec![first], vec![newest.clone()]));
    }
    let others = before
        .iter()
        .map(|id| state(client, &target.id, Some(id), call));
    let mut all = join_all(others)
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    all.push(first);
    Ok((all, ids))
}

/// Asks `/state` about each write made elsewhere that a watch waits for. A write that cannot be asked about, because
/// this manager does not know it, says nothing about the connection and is left out.
async fn elsewhere(client: &Client, target: &Target, call: &Call) -> Vec<(String, Sighting)> {
    let asked = target.elsewhere.iter().map(async |id| {
        let said = state(client, &target.id, Some(id), call).await.ok()?;
        let seen = match said {
            Said::State(seen) => *seen,
            Said::NotThere(words) => status::state_not_found(&words),
        };
        Some((id.clone(), seen))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// The answer of `/state`.
enum Said {
    State(Box<Sighting>),
    /// The manager does not know the session. The text is the manager's own.
    NotThere(String),
}

async fn state(client: &Client, id: &str, request_id: Option<&str>, call: &Call) -> Result<Said> {
    let mut ask = Ask::get([SESSIONS, id, "state"]);
    if let Some(request_id) = request_id {
        ask = ask.with("request_id", request_id);
    }
    let answer = client.send(ask, call).await.map_err(|it| it.error)?;
    if let Some(message) = error::service_disabled(&answer) {
        return Ok(Said::State(status::service_disabled(&message).into()));
    }
    if let Some(words) = error::says_gone(&answer) {
        return Ok(Said::NotThere(words));
    }
    if error::is_missing(&answer) {
        // These are not NSX's words; the API may not exist at all.
        read::probe(client, call).await?;
    }
    let value = error::granted(&answer, Asked::Read, &[])?;
    let state = State::of(value).ok_or_else(|| error::broken(&answer, "no state"))?;
    Ok(Said::State(status::of_state(&state).into()))
}

/// Asks the nodes for the present state of the tunnel. Returns `None` if NSX knows of no tunnel.
async fn tunnel(client: &Client, id: &str, call: &Call) -> Result<Option<Tunnel>> {
    let ask = Ask::get([SESSIONS, id, "status"]).with("source", "realtime");
    let answer = client.send(ask, call).await.map_err(|it| it.error)?;
    if error::says_gone(&answer).is_some() || error::service_disabled(&answer).is_some() {
        return Ok(None);
    }
    let value = error::granted(&answer, Asked::Read, &[])?;
    let status = Status::of(value).ok_or_else(|| error::broken(&answer, "no status"))?;
    Ok(Some(status::tunnel(&status, true)))
}

/// Reads the session. Returns `None` if NSX itself says that it does not exist.
async fn session(client: &Client, id: &str, call: &Call) -> Result<Option<Body>> {
    error::if_there(read::object(client, SESSIONS, id, call).await)
}

fn request_ids(target: &Target) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in target.request_ids.iter().take(MOST_REQUEST_IDS) {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids
}
