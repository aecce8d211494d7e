//! One record of each write, in the log on a target of its own: who asked for what, and what became of it. Of those that
//! were refused, too; not of those that were only tried.
//!
//! Like [`Client`] it goes along with the work. A write goes on when its caller goes away, so its record is written when
//! nobody is at it any more. One that did not end with its call has a second record when it has ended, maybe in another
//! life of the gateway: both have the id of the write.

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

/// The target of the records in the log.
pub const TARGET: &str = "isthmus::audit";

/// The longest text of a caller's that is shown, in characters. A name has fewer; what is no name can have any.
const LONGEST: usize = 256;

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// What is to become of it.
    pub action: Action,
    /// The resource as its caller names it; of one that is to be made, where, and `-` as its id.
    pub resource: String,
    /// The `request_id` of the call; empty if it has none.
    pub request_id: String,
    /// Whether it is only tried.
    pub is_tried: bool,
}

/// What is to become of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Create,
    /// It is made or changed, or left alone.
    Apply,
    /// It is changed.
    Update,
    /// It is removed.
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

/// The name of what is to be made in this parent and has no id yet.
pub fn new_in(parent: &str, collection: &str) -> String {
    format!("{parent}/{collection}/-")
}

/// Who asked for a write that goes on without its call. Without anything if that was in another life: it is not kept.
#[derive(Debug, Default)]
pub struct Asker {
    action: Option<Action>,
    request_id: String,
    peer: Option<SocketAddr>,
}

/// How a write has ended that did not end with its call.
#[derive(Debug)]
pub struct Settled<'a> {
    /// The id of the write.
    pub write_id: &'a str,
    /// What became of its object, unless its caller asked for something else.
    pub action: &'static str,
    /// The name of its object.
    pub resource: &'a str,
    /// The cloud's ids of those of its requests that were done and not undone.
    pub upstream: Vec<&'a str>,
    /// In a word.
    pub result: &'static str,
    /// How long ago its call began.
    pub duration: Duration,
}

/// A record, which is written when it is dropped.
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
    /// The id of the write, if somebody goes on with it.
    write_id: Option<String>,
}

/// Does a write that is asked for, and has one record of it in the log however it ends.
///
/// # Errors
/// The one of the work.
pub async fn recorded<T>(asked: Asked, work: impl Future<Output = Result<T>>) -> Result<T> {
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
            // Unless it ends by itself.
            result: "CANCELLED",
            write_id: None,
        }),
    });
    let done = CURRENT.scope(Arc::clone(&record), work).await;
    record.end(&done);
    done
}

/// The same work with the record that is current here, for what goes on when its caller goes away.
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

/// Notes which object it is by now, and the cloud's id of a request of it.
pub fn note(resource: impl FnOnce() -> String, upstream: Option<&str>) {
    with(|noted| {
        noted.resource = resource();
        noted.upstream.extend(upstream.map(str::to_owned));
    });
}

/// Notes that it was done before, and its answer kept: nothing is written.
pub fn note_repeat() {
    with(|noted| noted.is_repeat = true);
}

/// Notes that somebody goes on with the write of this id, and answers who asked for it.
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
    /// Has the end of the write that was asked for in the log.
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

/// What is not empty.
fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn with(change: impl FnOnce(&mut Noted)) {
    // Nobody asked for what the gateway does by itself.
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

/// The cloud's id of the request that it refused.
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
