//! Settles steps whose plan has ended: finds out whether a step was done, undoes a step, and performs planned removals.
//! Every function may be called any number of times.

use crate::{
    core::{
        dialect::{self, Action, Call, Done, Step},
        error::{Error, ErrorKind, ErrorReason, Result},
    },
    dialects::{
        lost_write::Trace,
        nsx::{
            client::Client,
            manager::{
                error, read,
                write::{
                    memo,
                    object::{
                        InDoubt, PEERS, id_of, made, place, remove, remove_unused, replace,
                        replaced,
                    },
                },
            },
            mark,
        },
    },
};

/// Finds out whether a step was done whose answer was lost. The request id of such a write is lost, too.
pub async fn trace(client: &Client, step: &Step, call: &Call) -> Result<dialect::Trace> {
    let done = |id: String| {
        dialect::Trace::Done(Done {
            id,
            request_id: None,
        })
    };
    let collection = place(step)?;
    let traced = match step.action {
        Action::Create => made(client, step, call).await?,
        Action::Update => {
            let traced = replaced(client, step, call).await;
            let traced = read::proven(client, collection, traced, call).await;
            // An object that is gone shows nothing of the change.
            error::if_there(traced)?.unwrap_or(Trace::NotDone)
        }
        Action::Delete => {
            let there = read::there(client, collection, id_of(step)?, call).await;
            return Ok(match error::if_there(there)? {
                Some(_) => dialect::Trace::NotDone,
                None => done(id_of(step)?.to_owned()),
            });
        }
        Action::Reuse => return Ok(done(id_of(step)?.to_owned())),
    };
    Ok(match traced {
        Trace::Done(body) => done(body.id()),
        Trace::NotDone => dialect::Trace::NotDone,
        Trace::Unclear | Trace::Covered => dialect::Trace::Unclear,
    })
}

/// Undoes a step that was done.
///
/// # Errors
/// `InUse` if something uses what the step created. `NotExpressible` for a removal, and for a change of a peer
/// endpoint: NSX wants the key with every PUT, and the old key is not known.
pub async fn undo(client: &Client, step: &Step, call: &Call) -> Result<()> {
    match step.action {
        Action::Reuse => Ok(()),
        Action::Create => unmake(client, step, call).await,
        Action::Update if step.collection == PEERS => Err(lasting(
            "a peer endpoint cannot be changed back without its key, which NSX does not give out",
        )),
        Action::Update => put_back(client, step, call).await,
        Action::Delete => Err(lasting("what was removed cannot be made again as it was")),
    }
}

fn lasting(what: &str) -> Error {
    Error::new(ErrorKind::NotExpressible, ErrorReason::NotExpressible, what)
}

/// Removes what a step created, if it still carries the step's mark.
async fn unmake(client: &Client, step: &Step, call: &Call) -> Result<()> {
    let there = read::there(client, place(step)?, id_of(step)?, call).await;
    let there = error::if_there(there)?;
    let mark = step.mark.as_ref();
    let is_ours = there.is_some_and(|there| mark.is_some_and(|mark| mark::is(&there, mark)));
    if is_ours {
        remove_unused(client, step, call).await?;
    }
    Ok(())
}

/// Changes an object back. The step's nonce stays, so that a later trace still recognizes the step.
async fn put_back(client: &Client, step: &Step, call: &Call) -> Result<()> {
    let there = read::there(client, place(step)?, id_of(step)?, call).await;
    let Some(now) = error::if_there(there)? else {
        return Ok(());
    };
    let Some(body) = memo::put_back(step, &now) else {
        return Ok(());
    };
    let back = memo::replacing(&step.collection, &now, &body, Vec::new());
    replace(client, &back, &body, &[], call).await.map(|_| ())
}

/// Removes an object that is to go. Sends one DELETE only, because the caller repeats the call. A peer endpoint that
/// has lost the gateway's mark is not the gateway's to remove, and stays.
///
/// # Errors
/// `InUse` while something uses the object.
pub async fn remove_planned(client: &Client, step: &Step, call: &Call) -> Result<Done> {
    let (collection, id) = (place(step)?, id_of(step)?);
    let gone = |request_id| Done {
        id: id.to_owned(),
        request_id,
    };
    if step.collection == PEERS {
        let there = read::there(client, collection, id, call).await;
        let is_ours = error::if_there(there)?.is_some_and(|there| mark::is_on(&there));
        if !is_ours {
            return Ok(gone(None));
        }
    }
    let removed = remove(client, step, InDoubt::AskAgain, call).await;
    let removed = read::proven(client, collection, removed, call).await;
    Ok(gone(error::if_there(removed)?.flatten()))
}
