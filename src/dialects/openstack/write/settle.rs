//! Settles a step that did not end with its call: traces, undoes or removes it. For connections and resources alike.

use crate::{
    core::{
        dialect::{Action, Call, Done, Step, Trace},
        error::{Error, ErrorKind, ErrorReason, Result},
    },
    dialects::{
        lost_write::Outcome,
        openstack::{
            client::{Ask, Client},
            error::Asked,
            mark, read,
            translate::{Values, is_same},
            wire::{
                Body,
                kind::{ENDPOINT_GROUPS, Kind},
            },
            write::sent::{self, Write, changed, object, send},
        },
        refusal::if_there,
    },
    rest::answer::Answer,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Reads whether a step that was sent was done.
///
/// # Errors
/// A read fails.
pub async fn trace(client: &Client, step: &Step, call: &Call) -> Result<Trace> {
    let kind = kind(step)?;
    match (step.action, &step.id) {
        (Action::Create, _) => {
            let ids = sent::made(client, kind, step, call).await?;
            Ok(match ids.as_slice() {
                [] => Trace::NotDone,
                [id] => Trace::Done(done(id)),
                _ => Trace::Unclear,
            })
        }
        (Action::Reuse, Some(id)) => Ok(Trace::Done(done(id))),
        (Action::Update, Some(id)) => match read::row(client, kind, id, &[], call).await? {
            Ok(now) => trace_change(client, (kind, step), id, &now, call).await,
            // Whatever the update wanted, the object is gone.
            Err(_) => Ok(Trace::NotDone),
        },
        (Action::Delete, Some(id)) => match read::row(client, kind, id, &["id"], call).await? {
            Ok(_) => Ok(Trace::NotDone),
            Err(_) => Ok(Trace::Done(done(id))),
        },
        (Action::Reuse | Action::Update | Action::Delete, None) => Err(without_id(step)),
    }
}

async fn trace_change(
    client: &Client,
    (kind, step): (&'static Kind, &Step),
    id: &str,
    now: &Body,
    call: &Call,
) -> Result<Trace> {
    let variant = client.variant();
    let values = values(step);
    let made = refers_to_made(client, step, &values, now, call).await?;
    let shows = !values.wanted.is_empty() || !values.made.is_empty();
    let are_there = values.wanted.is_empty() || values.are_wanted(kind, now, variant);
    Ok(match shows {
        true if are_there && made.iter().all(|(_, is)| *is) => Trace::Done(done(id)),
        true if values.are_before(kind, now, variant) => Trace::NotDone,
        true | false => Trace::Unclear,
    })
}

/// Undoes a step.
///
/// # Errors
/// `InUse`; `NotExpressible` if the step wrote a key, since the previous one is not known; any error of a request.
pub async fn undo(client: &Client, step: &Step, call: &Call) -> Result<()> {
    let kind = kind(step)?;
    let Some(id) = step.id.as_deref() else {
        return Err(without_id(step));
    };
    match step.action {
        Action::Create => remove_made(client, kind, id, step, call).await,
        Action::Update => put_back(client, kind, id, step, call).await,
        // Nothing was done, or nothing can be undone.
        Action::Reuse => Ok(()),
        Action::Delete => Err(Error::internal("what was removed is not made anew")),
    }
}

/// Performs a DELETE step. May be repeated: an object that is gone counts as removed.
///
/// # Errors
/// `InUse`; any error of the request.
pub async fn remove(client: &Client, step: &Step, call: &Call) -> Result<Done> {
    let Some(id) = step.id.as_deref() else {
        return Err(without_id(step));
    };
    if_there(sent::remove(client, kind(step)?, id, call).await)?;
    Ok(done(id))
}

/// Removes what a step created, unless its mark is gone: then another client has taken it over.
async fn remove_made(
    client: &Client,
    kind: &'static Kind,
    id: &str,
    step: &Step,
    call: &Call,
) -> Result<()> {
    if let Some(mark) = &step.mark {
        let row = read::row(client, kind, id, &["id", "description"], call).await?;
        let is_ours = |row: Body| mark::is(&row.text("description").unwrap_or_default(), mark);
        if !row.is_ok_and(is_ours) {
            return Ok(());
        }
    }
    if_there(sent::remove(client, kind, id, call).await)?;
    Ok(())
}

/// Restores the values that a step changed, except those that another client has changed since.
async fn put_back(
    client: &Client,
    kind: &'static Kind,
    id: &str,
    step: &Step,
    call: &Call,
) -> Result<()> {
    let variant = client.variant();
    let values = values(step);
    let Ok(now) = read::row(client, kind, id, &[], call).await? else {
        return Ok(());
    };
    let made = refers_to_made(client, step, &values, &now, call).await?;
    let is_ours = |key: &str| match values.wanted.get(key) {
        Some(wanted) => is_same(kind, key, wanted, &now, variant),
        None => match made.iter().find(|(other, _)| *other == key) {
            Some((_, refers)) => *refers,
            // A host name does not show what it resolved to. It counts as this step's if the other values are.
            None => values.wanted.is_empty() || values.are_wanted(kind, &now, variant),
        },
    };
    let differs = |key: &str, value: &Value| !is_same(kind, key, value, &now, variant);
    let before = values.before.iter();
    let back: Map<String, Value> = before
        .filter(|(key, value)| is_ours(key) && differs(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !back.is_empty() {
        send_back(client, (kind, id), back, call).await?;
    }
    match step.bears_key {
        true => Err(key_stays()),
        false => Ok(()),
    }
}

async fn send_back(
    client: &Client,
    (kind, id): (&'static Kind, &str),
    back: Map<String, Value>,
    call: &Call,
) -> Result<()> {
    let variant = client.variant();
    let body = HashMap::from([(kind.one, &back)]);
    let write = Write {
        kind,
        ask: Ask::put(kind.path_of(id), &body),
        asked: Asked::Change,
        id: Some(id),
        secrets: &[],
    };
    let read = |answer: &Answer| object(kind, answer);
    let put = match send(client, write, read, call).await {
        Ok(Outcome::Done(_)) => Ok(()),
        Ok(Outcome::Lost(lost)) => {
            let is_back = |now: &Body| {
                let mut back = back.iter();
                back.all(|(key, value)| is_same(kind, key, value, now, variant))
            };
            let found = changed(client, kind, id, is_back, &lost, call).await;
            found.map(drop)
        }
        Err(error) => Err(error),
    };
    // Gone in the meantime: there is nothing to restore.
    if_there(put)?;
    Ok(())
}

/// Returns, for each field that should reference what the same write created, whether it does: those objects carry
/// the step's mark.
async fn refers_to_made(
    client: &Client,
    step: &Step,
    values: &Values,
    now: &Body,
    call: &Call,
) -> Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for key in &values.made {
        let id = now.text(key).filter(|id| !id.is_empty());
        let is = match (id, &step.mark) {
            (Some(id), Some(mark)) => {
                let fields = ["id", "description"];
                let group = read::row(client, &ENDPOINT_GROUPS, &id, &fields, call).await?;
                let description = |group: Body| group.text("description").unwrap_or_default();
                group.is_ok_and(|group| mark::is(&description(group), mark))
            }
            _ => false,
        };
        found.push((key.clone(), is));
    }
    Ok(found)
}

fn values(step: &Step) -> Values {
    Values::deserialize(&step.memo).unwrap_or_default()
}

fn kind(step: &Step) -> Result<&'static Kind> {
    Kind::with_collection(&step.collection)
        .ok_or_else(|| Error::internal(format!("there are no {} here", step.collection)))
}

fn done(id: &str) -> Done {
    Done {
        id: id.to_owned(),
        request_id: None,
    }
}

fn without_id(step: &Step) -> Error {
    Error::internal(format!("a step of {} has no id", step.collection))
}

fn key_stays() -> Error {
    Error::new(
        ErrorKind::NotExpressible,
        ErrorReason::NotExpressible,
        "the key that was there before is not known, so that the new one stays",
    )
}
