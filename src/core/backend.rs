//! One configured backend: its dialect, its settings, and how it is doing.

use crate::{
    core::{
        clock,
        configured::Configured,
        dialect::{
            Call, Capabilities, Dialect, Page, PageRequest, Pages, Priority, Target, Tell, Usage,
        },
        error::{Error, ErrorKind, ErrorReason, Result},
        settings::BackendSettings,
        trouble::{Line, Troubles},
    },
    model::{Attachment, BackendName, Connection, Resource, ResourceKind},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, time::Instant};

/// One account in one project of one cloud, with its settings, its dialect and its health.
#[derive(Debug)]
pub struct Backend {
    name: BackendName,
    configured: Arc<Configured>,
    capabilities: Capabilities,
    /// Held for one copy only, never across an await.
    dialect: RwLock<Arc<dyn Dialect>>,
    known: Mutex<Known>,
    /// Notified when the backend starts or stops answering.
    serving: watch::Sender<Serving>,
    /// The number of its watched connections, which the watch counts.
    watched: OnceLock<Arc<AtomicUsize>>,
}

/// Whether a backend answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Serving {
    /// It was not asked yet.
    #[default]
    NotAsked,
    Yes,
    No,
}

/// The health of a backend.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    pub serving: Serving,
    /// Why it does not answer.
    pub reason: Option<ErrorReason>,
    /// Why it does not answer, for people.
    pub message: String,
    /// When it last answered, by the wall clock.
    pub last_success: Option<SystemTime>,
    /// When it last answered, by the monotonic clock, to measure how long ago that was.
    pub answered: Option<Instant>,
    asked: Option<Instant>,
}

/// What the results of calls say about a backend.
#[derive(Debug, Default)]
struct Known {
    health: Health,
    troubles: Troubles,
}

/// A backend as `BackendService` reports it.
#[derive(Debug, Clone)]
pub struct BackendSummary {
    pub name: BackendName,
    pub capabilities: Capabilities,
    pub health: Health,
    pub read_only: bool,
    /// The usage of its account's budget.
    pub usage: Usage,
    /// The number of connections being watched.
    pub watched: usize,
    /// The longest interval at which one of them is polled.
    pub longest_interval: Duration,
}

impl Backend {
    /// Returns a backend that was not asked anything yet, and logs it.
    pub fn new(settings: BackendSettings, dialect: Arc<dyn Dialect>) -> Backend {
        introduce(&settings, &*dialect);
        Backend {
            name: settings.name.clone(),
            configured: Arc::new(Configured::new(settings)),
            capabilities: dialect.capabilities().clone(),
            dialect: RwLock::new(dialect),
            known: Mutex::default(),
            serving: watch::Sender::default(),
            watched: OnceLock::new(),
        }
    }

    /// Sets the counter of watched connections, which the log reports.
    pub fn count_watched(&self, watched: Arc<AtomicUsize>) {
        // Called once, since each backend has one poller.
        let _ = self.watched.set(watched);
    }

    pub fn name(&self) -> &BackendName {
        &self.name
    }

    /// Returns the backend's configuration, which a reload may change.
    pub fn configured(&self) -> &Arc<Configured> {
        &self.configured
    }

    /// Returns the current settings.
    pub fn settings(&self) -> Arc<BackendSettings> {
        self.configured.settings()
    }

    /// Returns what the backend can express. It never changes.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Returns the current dialect, for calls whose results go through [`Backend::record_result`]. A caller that needs
    /// it several times for one task keeps it for that long.
    pub fn dialect(&self) -> Arc<dyn Dialect> {
        let dialect = self.dialect.read();
        Arc::clone(&dialect.unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the dialect by one with the same capabilities. What is in flight ends with the dialect it began with.
    pub fn change_dialect(&self, dialect: Arc<dyn Dialect>) {
        let mut now = self.dialect.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *now, dialect);
        drop(now);
        // This may drop the last reference, whose destructor must not run under the lock.
        drop(before);
    }

    pub fn health(&self) -> Health {
        self.lock().health.clone()
    }

    /// Returns a receiver that is notified when the backend starts or stops answering.
    pub fn subscribe_serving(&self) -> watch::Receiver<Serving> {
        self.serving.subscribe()
    }

    /// Returns the time since the backend was last asked anything.
    pub fn silent_for(&self) -> Duration {
        self.lock()
            .health
            .asked
            .map_or(Duration::MAX, |asked| asked.elapsed())
    }

    /// Like [`Backend::record_result`], for a call whose caller chose the deadline. A deadline that passed, perhaps
    /// while the account's budget was used up, says nothing about the backend.
    ///
    /// # Errors
    /// The error it was given, with the backend's name.
    pub fn record_caller_result<T>(&self, result: Result<T>) -> Result<T> {
        match result {
            Err(error)
                if error.kind == ErrorKind::DeadlineExceeded
                    || error.reason == ErrorReason::LimitExceeded =>
            {
                let line = self.lock().troubles.throttled(&error, Instant::now());
                self.tell(line, Some(&error));
                Err(error.on(self.name()))
            }
            result => self.record_result(result),
        }
    }

    /// Records the result of a call in the backend's health, adds the backend's name to an error, and returns the
    /// result.
    ///
    /// # Errors
    /// The error it was given, with the backend's name.
    pub fn record_result<T>(&self, result: Result<T>) -> Result<T> {
        self.record(result, is_trouble)
    }

    fn record<T>(&self, result: Result<T>, is_trouble: impl Fn(&Error) -> bool) -> Result<T> {
        let result = result.map_err(|error| error.on(self.name()));
        let trouble = result.as_ref().err().filter(|error| is_trouble(error));
        let now = Instant::now();
        let mut known = self.lock();
        let lines = match trouble {
            Some(error) => known.troubles.failed(error, now, clock::now()),
            None => known.troubles.answered(now),
        };
        let health = &mut known.health;
        health.asked = Some(now);
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
        drop(known);
        self.tell(lines, trouble);
        self.serving
            .send_if_modified(|known| std::mem::replace(known, serving) != serving);
        result
    }

    /// Checks whether the backend answers.
    pub async fn probe(&self) {
        let call = Call::poll(self.settings().timeout);
        let probed = self.dialect().probe(&call).await;
        // A probe contains nothing that could be wrong, so any refusal means that the backend is unusable. Only the
        // health records that; a probe has no caller to tell.
        let _ = self.record(probed, |_| true);
    }

    /// Polls connections with requests of this class.
    pub async fn poll(
        &self,
        targets: &[Target],
        priority: Priority,
        tell: Tell<'_>,
    ) -> Option<Vec<String>> {
        // A poll may need several requests in sequence. It keeps its place while the account is paused: giving up and
        // coming back would put it behind other requests, and it would be paused again on their account.
        let dialect = self.dialect();
        let paused = dialect.usage().paused_for.unwrap_or_default();
        let call = Call {
            priority,
            ..Call::poll(self.settings().timeout * 3 + paused)
        };
        let tell = |place: usize, seen| tell(place, self.record_result(seen));
        dialect.poll_around(targets, &call, &tell).await
    }

    /// Reads one page of connections.
    ///
    /// # Errors
    /// Those of [`Dialect::list`]; `Unavailable` if the cloud's next page does not come after this one.
    pub async fn list(&self, request: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        self.list_by(&*self.dialect(), request, call).await
    }

    /// Reads one page of resources of a kind that the capabilities name.
    ///
    /// # Errors
    /// Those of [`Resources::list`](crate::core::dialect::Resources::list); `Unavailable` if the cloud's next page does
    /// not come after this one.
    pub async fn list_resources(
        &self,
        kind: ResourceKind,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Resource>> {
        let dialect = self.dialect();
        let page = dialect.resources().list(kind, request, call).await;
        self.record_page(page, request, call)
    }

    /// Reads one page of attachments, the objects that a VPN can be attached to.
    ///
    /// # Errors
    /// Those of [`Resources::attachments`](crate::core::dialect::Resources::attachments); `Unavailable` if the cloud's
    /// next page does not come after this one.
    pub async fn list_attachments(
        &self,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Attachment>> {
        let dialect = self.dialect();
        let page = dialect.resources().attachments(request, call).await;
        self.record_page(page, request, call)
    }

    async fn list_by(
        &self,
        dialect: &dyn Dialect,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Connection>> {
        let page = dialect.list(request, call).await;
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
            // The cloud was not asked, so this says nothing about its health.
            (Err(error), _) if error.reason == ErrorReason::KindAbsent => {
                Err(error.on(self.name()))
            }
            (page, Priority::Caller(_)) => self.record_caller_result(page),
            (page, Priority::Login | Priority::Outcome | Priority::Asked | Priority::Stable) => {
                self.record_result(page)
            }
        }
    }

    /// Returns the ids of all connections.
    ///
    /// # Errors
    /// Those of a page; an error if the list does not end.
    pub async fn list_ids(&self, deadline: Instant) -> Result<Vec<String>> {
        let (mut ids, mut pages) = (Vec::new(), Pages::all());
        let call = Call {
            deadline,
            ..Call::poll(self.settings().timeout)
        };
        // All pages come from one dialect: a reload may switch to another account in between.
        let dialect = self.dialect();
        loop {
            let request = match pages.next_page() {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(ids),
                // A list without an end is the cloud's fault, so it counts as trouble. Another page to ask for is not
                // an answer.
                Err(endless) => return self.record_result(Err(endless)),
            };
            let read = pages.read(self.list_by(&*dialect, &request, &call).await?);
            ids.extend(read.into_iter().map(|connection| connection.id));
        }
    }

    /// Writes lines to the log; `trouble` is their cause.
    fn tell(&self, lines: impl IntoIterator<Item = Line>, trouble: Option<&Error>) {
        let backend = self.name().as_str();
        let why = trouble.map(tracing::field::display);
        for line in lines {
            let watched = self.watched.get().map_or(0, |count| count.load(Relaxed));
            match line {
                Line::Answers => tracing::info!(backend, "a backend answers"),
                Line::Away { since } => {
                    let reason = trouble.map(|error| error.reason.as_str());
                    let since = humantime::format_rfc3339_seconds(since);
                    tracing::warn!(backend, reason, %since, watched, why, "a backend does not answer");
                }
                Line::Back { reason, after } => {
                    let (reason, for_s) = (reason.as_str(), after.as_secs());
                    tracing::info!(backend, reason, for_s, watched, "a backend answers again");
                }
                Line::Rests { left } => {
                    let rest_s = left.as_secs();
                    let until = humantime::format_rfc3339_seconds(clock::now() + left);
                    tracing::warn!(backend, rest_s, %until, watched, why, "a backend refuses the gateway's login, which rests");
                }
                Line::UsedUp { by_cloud } => {
                    let usage = self.dialect().usage();
                    let (rate, waiting) = (tenths(usage.rate_limit), waiting(&usage));
                    let pause_s = usage.paused_for.unwrap_or_default().as_secs();
                    tracing::warn!(
                        backend,
                        by_cloud,
                        rate,
                        pause_s,
                        waiting,
                        "the budget of a backend is used up"
                    );
                }
                Line::Suffices { after } => {
                    let (rate, for_s) =
                        (tenths(self.dialect().usage().rate_limit), after.as_secs());
                    tracing::info!(
                        backend,
                        rate,
                        for_s,
                        "the budget of a backend suffices again"
                    );
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs that the backend exists, and how it is configured.
fn introduce(settings: &BackendSettings, dialect: &dyn Dialect) {
    let capabilities = dialect.capabilities();
    let variant = Some(capabilities.variant).filter(|variant| !variant.is_empty());
    tracing::info!(
        backend = settings.name.as_str(),
        dialect = capabilities.dialect,
        variant,
        at = dialect.place(),
        read_only = settings.read_only,
        fresh = %humantime::format_duration(settings.poll.fresh),
        stable = %humantime::format_duration(settings.poll.stable),
        "a backend"
    );
}

/// Rounds a rate to one decimal for the log.
fn tenths(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

/// Returns the number of requests waiting to be sent.
fn waiting(usage: &Usage) -> u32 {
    usage.outcome.waiting + usage.callers.waiting + usage.stable.waiting
}

/// Reports whether an error means that the backend is in trouble, rather than that the request was wrong.
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
