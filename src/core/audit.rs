//! Writes one audit record per write, under its own log target: who asked for what, and what became of it. Refused
//! writes are included; validations are not.
//!
//! Like [`Client`], the record follows the work. A write goes on when its caller goes away, so the record is written
//! when the last reference to it is dropped. A write that did not end with its call has a second record when it has
//! ended, maybe in another process. Both records have the id of the write.

use crate::core::{
    client::Client,
    error::{Error, Result},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{task_local, time::Instant};

task_local! {
    static CURRENT: Arc<Record>;
}

/// The log target of the records.
pub const TARGET: &str = "isthmus::audit";

/// The most characters shown of a caller's text. Names are shorter; invalid ones can have any length.
const LONGEST: usize = 256;

/// What a caller asks for.
#[derive(Debug)]
pub struct Asked {
    pub action: Action,
    /// The resource as its caller names it. A resource to be created has its parent's name, with `-` as its id.
    pub resource: String,
    /// The `request_id` of the call; empty if it has none.
    pub request_id: String,
    /// Whether the write is only validated.
    pub is_tried: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create,
    /// Creates, changes, or leaves alone.
    Apply,
    Update,
    Delete,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Apply => "apply",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// Returns the name of a resource to be created in this parent.
pub fn new_in(parent: &str, collection: &str) -> String {
    format!("{parent}/{collection}/-")
}

/// The caller of a write that goes on without its call. All fields are empty if an earlier process had the call, since
/// this is not stored.
#[derive(Debug, Default)]
pub struct Asker {
    action: Option<Action>,
    request_id: String,
    peer: Option<SocketAddr>,
}

/// The end of a write that did not end with its call.
#[derive(Debug)]
pub struct Settled<'a> {
    pub write_id: &'a str,
    /// The action on the object, used if the caller's action is unknown.
    pub action: &'static str,
    /// The name of the object.
    pub resource: &'a str,
    /// The cloud's request ids of the steps that were done and not undone.
    pub upstream: Vec<&'a str>,
    /// The result in a word.
    pub result: &'static str,
    /// The time since the call began.
    pub duration: Duration,
}

/// A record that is written when it is dropped.
#[derive(Debug)]
struct Record {
    action: Action,
    request_id: String,
    peer: Option<SocketAddr>,
    begun: Instant,
    /// A std mutex: held for bookkeeping only, never across an await.
    noted: Mutex<Noted>,
}

#[derive(Debug)]
struct Noted {
    resource: String,
    upstream: Vec<String>,
    is_repeat: bool,
    result: &'static str,
    /// The id of the write, if the settler takes over.
    write_id: Option<String>,
}

/// Performs a write and writes exactly one record of it, however it ends.
///
/// # Errors
/// Those of the work.
pub fn recorded<T>(
    asked: Asked,
    work: impl Future<Output = Result<T>>,
) -> impl Future<Output = Result<T>> {
    // The futures of writes are large, and each layer that takes one by value would hold it twice.
    let work = Box::pin(work);
    async move {
        if asked.is_tried {
            return work.await;
        }
        let record = Arc::new(Record {
            action: asked.action,
            request_id: shown(&asked.request_id),
            peer: Client::current().and_then(|client| client.peer),
            begun: Instant::now(),
            noted: Mutex::new(Noted {
                resource: shown(&asked.resource),
                upstream: Vec::new(),
                is_repeat: false,
                // The result if the work is dropped before it ends.
                result: "CANCELLED",
                write_id: None,
            }),
        });
        let done = CURRENT.scope(Arc::clone(&record), work).await;
        record.end(&done);
        done
    }
}

/// Carries the current record along with work that goes on when its caller goes away.
pub fn carried<T, F: Future<Output = Result<T>>>(work: F) -> impl Future<Output = Result<T>> {
    let record = CURRENT.try_with(Arc::clone).ok();
    async move {
        let Some(record) = record else {
            return work.await;
        };
        let done = CURRENT.scope(Arc::clone(&record), work).await;
        record.end(&done);
        done
    }
}

/// Records the object as it is known by then, and the cloud's id of a request.
pub fn note(resource: impl FnOnce() -> String, upstream: Option<&str>) {
    with(|noted| {
        noted.resource = resource();
        noted.upstream.extend(upstream.map(str::to_owned));
    });
}

/// Records that the write was done before and its stored answer is returned: nothing is written.
pub fn note_repeat() {
    with(|noted| noted.is_repeat = true);
}

/// Records that the settler takes over the write of this id, and returns the caller.
pub fn go_on(write_id: &str) -> Asker {
    with(|noted| noted.write_id = Some(write_id.to_owned()));
    let asker = CURRENT.try_with(|record| Asker {
        action: Some(record.action),
        request_id: record.request_id.clone(),
        peer: record.peer,
    });
    asker.unwrap_or_default()
}

impl Asker {
    /// Logs the end of the write.
    pub fn settled(&self, end: &Settled<'_>) {
        tracing::info!(
            target: TARGET,
            peer = self.peer.map(tracing::field::display),
            action = self.action.map_or(end.action, Action::as_str),
            resource = end.resource,
            request_id = given(&self.request_id),
            upstream_request_ids = given(&end.upstream.join(",")),
            write_id = end.write_id,
            result = end.result,
            duration_ms = end.duration.as_millis() as u64,
            "the end of a write"
        );
    }
}

/// Returns the text unless it is empty.
fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn with(change: impl FnOnce(&mut Noted)) {
    // The gateway's own work has no record.
    let _ = CURRENT.try_with(|record| change(&mut record.lock()));
}

fn shown(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

impl Record {
    fn end<T>(&self, done: &Result<T>) {
        let mut noted = self.lock();
        noted.result = match done {
            Ok(_) => "OK",
            Err(error) => error.reason.as_str(),
        };
        let refused = done.as_ref().err().and_then(upstream_id);
        if let Some(id) = refused.filter(|id| !noted.upstream.contains(id)) {
            noted.upstream.push(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the cloud's id of the request that it refused.
fn upstream_id(error: &Error) -> Option<String> {
    let upstream = error.context.upstream.as_ref()?;
    Some(upstream.request_id.clone()).filter(|id| !id.is_empty())
}

impl Drop for Record {
    fn drop(&mut self) {
        let noted = self.noted.get_mut().unwrap_or_else(PoisonError::into_inner);
        tracing::info!(
            target: TARGET,
            peer = self.peer.map(tracing::field::display),
            action = self.action.as_str(),
            resource = noted.resource,
            request_id = given(&self.request_id),
            upstream_request_ids = given(&noted.upstream.join(",")),
            write_id = noted.write_id,
            repeat = noted.is_repeat.then_some(true),
            result = noted.result,
            duration_ms = self.begun.elapsed().as_millis() as u64,
            "a write"
        );
    }
}
