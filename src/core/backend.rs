//! One configured backend: its dialect, its settings, and how it is doing.

use crate::{
    core::{
        clock,
        dialect::{
            Call, Capabilities, Dialect, Page, PageRequest, Pages, Priority, Target, Tell, Usage,
        },
        error::{Error, ErrorKind, ErrorReason, Result},
        settings::BackendSettings,
    },
    model::{Attachment, BackendName, Connection, Resource, ResourceKind},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, time::Instant};

/// One account in one project of one cloud.
#[derive(Debug)]
pub struct Backend {
    settings: BackendSettings,
    dialect: Arc<dyn Dialect>,
    health: Mutex<Health>,
    /// Told whenever the backend begins or ceases to answer.
    serving: watch::Sender<Serving>,
}

/// Whether a backend answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Serving {
    /// Not asked yet.
    #[default]
    NotAsked,
    /// It answers.
    Yes,
    /// It does not.
    No,
}

/// How a backend is doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    /// Whether it answers.
    pub serving: Serving,
    /// Why it does not.
    pub reason: Option<ErrorReason>,
    /// Why it does not, for people.
    pub message: String,
    /// When it last answered.
    pub last_success: Option<SystemTime>,
    /// The same by a clock that does not jump, for how long ago it was.
    pub answered: Option<Instant>,
    asked: Option<Instant>,
}

/// A backend as `BackendService` tells of it.
#[derive(Debug, Clone)]
pub struct BackendSummary {
    /// Its name.
    pub name: BackendName,
    /// What it can express.
    pub capabilities: Capabilities,
    /// How it is doing.
    pub health: Health,
    /// Whether writes are refused.
    pub read_only: bool,
    /// How much of its budget is used.
    pub usage: Usage,
    /// Connections being watched.
    pub watched: usize,
    /// The longest interval at which one of them is polled.
    pub longest_interval: Duration,
}

impl Backend {
    /// A backend that was not asked anything yet.
    pub fn new(settings: BackendSettings, dialect: Arc<dyn Dialect>) -> Backend {
        Backend {
            settings,
            dialect,
            health: Mutex::default(),
            serving: watch::Sender::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &BackendName {
        &self.settings.name
    }

    /// Its settings.
    pub fn settings(&self) -> &BackendSettings {
        &self.settings
    }

    /// What it can express.
    pub fn capabilities(&self) -> &Capabilities {
        self.dialect.capabilities()
    }

    /// Its dialect, for calls whose results go through [`Backend::record_result`].
    pub fn dialect(&self) -> &Arc<dyn Dialect> {
        &self.dialect
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        self.lock_health().clone()
    }

    /// Told whenever it begins or ceases to answer.
    pub fn subscribe_serving(&self) -> watch::Receiver<Serving> {
        self.serving.subscribe()
    }

    /// How long nobody has asked it anything.
    pub fn silent_for(&self) -> Duration {
        self.lock_health()
            .asked
            .map_or(Duration::MAX, |asked| asked.elapsed())
    }

    /// The same for a call whose caller chose the deadline: that it passed, be it while the account's budget was used
    /// up, tells nothing of the backend.
    ///
    /// # Errors
    /// The one it was given.
    pub fn record_caller_result<T>(&self, result: Result<T>) -> Result<T> {
        match result {
            Err(error)
                if error.kind == ErrorKind::DeadlineExceeded
                    || error.reason == ErrorReason::LimitExceeded =>
            {
                Err(error.on(self.name()))
            }
            result => self.record_result(result),
        }
    }

    /// Takes note of how a call went, names the backend in its error, and passes it on.
    ///
    /// # Errors
    /// The one it was given.
    pub fn record_result<T>(&self, result: Result<T>) -> Result<T> {
        self.record(result, is_trouble)
    }

    fn record<T>(&self, result: Result<T>, is_trouble: impl Fn(&Error) -> bool) -> Result<T> {
        let result = result.map_err(|error| error.on(self.name()));
        let trouble = result.as_ref().err().filter(|error| is_trouble(error));
        let mut health = self.lock_health();
        health.asked = Some(Instant::now());
        match trouble {
            Some(error) => {
                health.serving = Serving::No;
                health.reason = Some(error.reason);
                health.message = error.to_string();
            }
            None => {
                health.serving = Serving::Yes;
                health.reason = None;
                health.message.clear();
                health.last_success = Some(clock::now());
                health.answered = health.asked;
            }
        }
        let serving = health.serving;
        drop(health);
        self.serving
            .send_if_modified(|known| std::mem::replace(known, serving) != serving);
        result
    }

    /// Finds out whether it answers.
    pub async fn probe(&self) {
        let call = Call::poll(self.settings.timeout);
        let probed = self.dialect.probe(&call).await;
        // It asks for nothing that could be wrong, so whatever is refused, the backend is of no use. That is
        // noted as its health; there is nobody else to tell.
        let _ = self.record(probed, |_| true);
    }

    /// Polls connections, for whom the priority says.
    pub async fn poll(
        &self,
        targets: &[Target],
        priority: Priority,
        tell: Tell<'_>,
    ) -> Option<Vec<String>> {
        // A poll may need several requests, one after the other. It keeps its turn while the account is paused: who
        // gave up and came back would find others there first, and be paused again on their account.
        let paused = self.dialect.usage().paused_for.unwrap_or_default();
        let call = Call {
            priority,
            ..Call::poll(self.settings.timeout * 3 + paused)
        };
        let tell = |place: usize, seen| tell(place, self.record_result(seen));
        self.dialect.poll_around(targets, &call, &tell).await
    }

    /// Reads one page of connections.
    ///
    /// # Errors
    /// As [`Dialect::list`], or if the list does not go on.
    pub async fn list(&self, request: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        let page = self.dialect.list(request, call).await;
        self.record_page(page, request, call)
    }

    /// Reads one page of resources of a kind that its capabilities name.
    ///
    /// # Errors
    /// As [`Resources::list`](crate::core::dialect::Resources::list), or if the list does not go on.
    pub async fn list_resources(
        &self,
        kind: ResourceKind,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Resource>> {
        let page = self.dialect.resources().list(kind, request, call).await;
        self.record_page(page, request, call)
    }

    /// Reads one page of what a VPN can be attached to.
    ///
    /// # Errors
    /// As [`Resources::attachments`](crate::core::dialect::Resources::attachments), or if the list does not go on.
    pub async fn list_attachments(
        &self,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Attachment>> {
        let page = self.dialect.resources().attachments(request, call).await;
        self.record_page(page, request, call)
    }

    fn record_page<T>(
        &self,
        page: Result<Page<T>>,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<T>> {
        let page = page.and_then(|page| {
            let goes_on = page.next.is_none() || page.next > request.after;
            goes_on.then_some(page).ok_or_else(|| {
                Error::new(
                    ErrorKind::Unavailable,
                    ErrorReason::UpstreamBrokenAnswer,
                    "the list does not go on",
                )
            })
        });
        match (page, call.priority) {
            // Nothing was asked, so nothing is known of how it is doing.
            (Err(error), _) if error.reason == ErrorReason::KindAbsent => {
                Err(error.on(self.name()))
            }
            (page, Priority::Caller(_)) => self.record_caller_result(page),
            (page, Priority::Login | Priority::Outcome | Priority::Asked | Priority::Stable) => {
                self.record_result(page)
            }
        }
    }

    /// The ids of all connections.
    ///
    /// # Errors
    /// As a page fails, or if the list does not end.
    pub async fn list_ids(&self, deadline: Instant) -> Result<Vec<String>> {
        let (mut ids, mut pages) = (Vec::new(), Pages::all());
        let call = Call {
            deadline,
            ..Call::poll(self.settings.timeout)
        };
        loop {
            let request = match pages.next_page() {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(ids),
                // A list without an end is the cloud's fault. That there is a page to ask for is no answer of it.
                Err(endless) => return self.record_result(Err(endless)),
            };
            let read = pages.read(self.list(&request, &call).await?);
            ids.extend(read.into_iter().map(|connection| connection.id));
        }
    }

    fn lock_health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error tells that the backend is not doing well, and not that a request was wrong.
fn is_trouble(error: &Error) -> bool {
    match error.kind {
        ErrorKind::Unavailable
        | ErrorKind::Throttled
        | ErrorKind::DeadlineExceeded
        | ErrorKind::BackendAuth
        | ErrorKind::Internal => true,
        ErrorKind::InvalidArgument
        | ErrorKind::NotExpressible
        | ErrorKind::NotFound
        | ErrorKind::FailedPrecondition
        | ErrorKind::Stale
        | ErrorKind::PermissionDenied
        | ErrorKind::QuotaExceeded
        | ErrorKind::Ambiguous
        | ErrorKind::Unimplemented
        | ErrorKind::OutOfRange => error.reason == ErrorReason::ApiAbsent,
    }
}
