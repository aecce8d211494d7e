//! One write for each request id (AIP-155), and its answer for a day.
//!
//! A write claims its id for as long as it is under way, be it with its call or with the settler; who comes with the same id
//! meanwhile waits. An answer is kept under the id of a write that succeeded, so that a repeat has the same; after a
//! failure nothing is, and the id runs anew.

use crate::{
    core::{
        error::{Error, ErrorReason, Result, Violation},
        ledger::{
            fingerprint::{Fingerprint, MacKey},
            record::Millis,
            shelf::{Shelf, put, remove, unavailable},
            turns::under_way,
        },
        request_id::Request,
        store::{RecordChange, StoreError},
    },
    model::BackendName,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// The request ids of one backend.
#[derive(Debug)]
pub struct Claims {
    prefix: String,
    key: MacKey,
    shelf: Arc<Shelf>,
    /// Those of writes under way. A std mutex: held for bookkeeping only, never across an await.
    live: Mutex<HashMap<String, Live>>,
}

#[derive(Debug)]
struct Live {
    print: Fingerprint,
    /// Closed when the write has ended.
    ended: watch::Receiver<()>,
}

/// Nobody else writes under the id for as long as it is held.
#[derive(Debug)]
pub struct Claim {
    claims: Arc<Claims>,
    print: Fingerprint,
    _ended: watch::Sender<()>,
}

impl Claim {
    /// The request.
    pub fn print(&self) -> &Fingerprint {
        &self.print
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.live().remove(&self.print.id);
    }
}

/// What there is under an id.
#[derive(Debug)]
pub enum Claimed {
    /// Nothing: it is this call's.
    Anew(Claim),
    /// The answer that was given before.
    Answered(Value),
}

/// An answer, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    method: String,
    mac: String,
    time: Millis,
    answer: Value,
}

impl Claims {
    /// Those of a backend.
    pub fn new(backend: &BackendName, key: MacKey, shelf: Arc<Shelf>) -> Arc<Claims> {
        Arc::new(Claims {
            prefix: format!("requests/{}/", backend.as_str()),
            key,
            shelf,
            live: Mutex::default(),
        })
    }

    /// Claims an id, once nobody else has it.
    ///
    /// # Errors
    /// `InvalidArgument` / `RequestIdReused` if it was given to another request; `Unavailable` / `WriteUnderWay` if the write
    /// under it does not end by `until`; `Unavailable` / `StoreUnavailable`.
    pub async fn claim(self: &Arc<Self>, request: &Request, until: Instant) -> Result<Claimed> {
        let print = self.key.fingerprint(request);
        loop {
            let mut ended = match self.try_claim(print.clone()) {
                Ok(claim) => {
                    let kept = self.kept(&print).await?;
                    return Ok(kept.map_or(Claimed::Anew(claim), Claimed::Answered));
                }
                Err(live) if is_other(&live.print.method, &live.print.mac, &print) => {
                    return Err(reused());
                }
                Err(live) => live.ended,
            };
            // Nothing is ever sent; it ends when the claim does.
            if timeout_at(until, ended.changed()).await.is_err() {
                return Err(under_way(
                    "the write with the same `request_id` has not ended",
                ));
            }
        }
    }

    /// Claims the id of a write that was begun in an earlier life.
    pub fn recall(self: &Arc<Self>, print: Fingerprint) -> Option<Claim> {
        self.try_claim(print).ok()
    }

    /// Claims an id, or answers who has it.
    fn try_claim(self: &Arc<Self>, print: Fingerprint) -> Result<Claim, Live> {
        let mut live = self.live();
        if let Some(there) = live.get(&print.id) {
            return Err(Live {
                print: there.print.clone(),
                ended: there.ended.clone(),
            });
        }
        let (sender, ended) = watch::channel(());
        let id = print.id.clone();
        live.insert(
            id,
            Live {
                print: print.clone(),
                ended,
            },
        );
        Ok(Claim {
            claims: Arc::clone(self),
            print,
            _ended: sender,
        })
    }

    /// The record by which a repeat of the request has this answer.
    pub fn answer(&self, print: &Fingerprint, answer: Value) -> RecordChange {
        let kept = Kept {
            method: print.method.clone(),
            mac: print.mac.clone(),
            time: Millis::now(),
            answer,
        };
        put(self.key_of(&print.id), &kept)
    }

    async fn kept(&self, print: &Fingerprint) -> Result<Option<Value>> {
        let key = self.key_of(&print.id);
        let records = self.shelf.read(&key).await;
        let records = records.map_err(|error| unavailable(&error))?;
        let Some((_, value)) = records.into_iter().find(|(found, _)| *found == key) else {
            return Ok(None);
        };
        let kept: Kept = serde_json::from_slice(&value)
            .map_err(|error| Error::internal(format!("a kept answer cannot be read: {error}")))?;
        if kept.time.elapsed() >= KEPT {
            return Ok(None);
        }
        if is_other(&kept.method, &kept.mac, print) {
            return Err(reused());
        }
        Ok(Some(kept.answer))
    }

    /// Forgets the answers that are old enough.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget_old(&self) -> Result<(), StoreError> {
        self.key.keep(&self.shelf).await?;
        let records = self.shelf.read(&self.prefix).await?.into_iter();
        let old = records.filter(|(_, value)| {
            let kept = serde_json::from_slice::<Kept>(value);
            kept.is_ok_and(|kept| kept.time.elapsed() >= KEPT)
        });
        let old: Vec<RecordChange> = old.map(|(key, _)| remove(key)).collect();
        if !old.is_empty() {
            self.shelf.write(old).await?;
        }
        Ok(())
    }

    fn key_of(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_other(method: &str, mac: &str, print: &Fingerprint) -> bool {
    (method, mac) != (print.method.as_str(), print.mac.as_str())
}

fn reused() -> Error {
    let why = "was given to another request; accepted is a new one, or that request unchanged";
    let mut error = Error::invalid(vec![Violation::new("request_id", why)]);
    error.reason = ErrorReason::RequestIdReused;
    error
}
