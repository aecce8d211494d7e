//! One write for each request id (AIP-155), and its answer for a day.
//!
//! A write claims its request id while it is in flight, in its call or with the settler. Another request with the same
//! id waits. The answer of a successful write is stored under the id, and a repeat receives it. After a failure nothing
//! is stored, and a repeat runs anew.

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

#[derive(Debug)]
pub struct Claims {
    prefix: String,
    key: MacKey,
    shelf: Arc<Shelf>,
    /// The claims of writes in flight. A std mutex: held for bookkeeping only, never across an await.
    live: Mutex<HashMap<String, Live>>,
}

#[derive(Debug)]
struct Live {
    print: Fingerprint,
    /// Closes when the write has ended.
    ended: watch::Receiver<()>,
}

/// Keeps other writes from using the request id until dropped.
#[derive(Debug)]
pub struct Claim {
    claims: Arc<Claims>,
    print: Fingerprint,
    _ended: watch::Sender<()>,
}

impl Claim {
    pub fn print(&self) -> &Fingerprint {
        &self.print
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.live().remove(&self.print.id);
    }
}

/// The result of claiming a request id.
#[derive(Debug)]
pub enum Claimed {
    /// The id is free; the call now holds it.
    Anew(Claim),
    /// The write was done before, with this answer.
    Answered(Value),
}

/// A stored answer.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    method: String,
    mac: String,
    time: Millis,
    answer: Value,
}

impl Claims {
    pub fn new(backend: &BackendName, key: MacKey, shelf: Arc<Shelf>) -> Arc<Claims> {
        Arc::new(Claims {
            prefix: format!("requests/{}/", backend.as_str()),
            key,
            shelf,
            live: Mutex::default(),
        })
    }

    /// Claims a request id, waiting for a write in flight that holds it.
    ///
    /// # Errors
    /// `InvalidArgument` / `RequestIdReused` if another request used the id; `Unavailable` / `WriteUnderWay` if the
    /// write that holds the id does not end by `until`; `Unavailable` / `StoreUnavailable`.
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
            // Nothing is ever sent on this channel; it closes when the claim is dropped.
            if timeout_at(until, ended.changed()).await.is_err() {
                return Err(under_way(
                    "the write with the same `request_id` has not ended",
                ));
            }
        }
    }

    /// Claims the id of a write that an earlier process began. Returns `None` if the id is claimed already.
    pub fn recall(self: &Arc<Self>, print: Fingerprint) -> Option<Claim> {
        self.try_claim(print).ok()
    }

    /// Claims an id, or returns the claim that holds it.
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

    /// Returns the change that stores the answer for repeats of the request.
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

    /// Removes the expired answers.
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
