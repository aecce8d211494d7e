//! Finishes or undoes writes that did not end with their call. The same code runs after a failure and after a restart.
//! Its requests come last in the account's rate limit, and it gives up only after a day.
//!
//! A step that was sent and has no answer is traced. If every step that can be undone is done, the write goes on and
//! removals are retried until they are proven. Otherwise the steps done are undone, last first: the caller, which could
//! supply the rest and the key, is gone.

use crate::{
    core::{
        audit::{self, Asker, Settled},
        dialect::{Action, Call, Trace},
        error::{Error, ErrorKind, ErrorReason, Result},
        ledger::{
            UnfinishedState,
            book::Held,
            record::{Entry, StepState},
            shelf::unavailable,
        },
        store::RecordChange,
        writes::desk::Writes,
    },
    spans,
};
use opentelemetry::trace::SpanContext;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Initial backoff between two attempts; it doubles up to the backend's `stable` poll interval.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The gateway gives up a write after this time.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// The least number of attempts by this process before the gateway gives up.
const LEAST_ATTEMPTS: u32 = 3;
/// How long a request can be in flight, in backend timeouts.
const ON_ITS_WAY: u32 = 2;
/// The timeout of one attempt, in backend timeouts.
const TIMEOUTS: u32 = 3;
/// The message of a write that is abandoned because the backend is configured for another place.
const ELSEWHERE: &str =
    "it was begun in another cloud, region or project than the backend is configured for now";

/// A write that did not end with its call.
#[derive(Debug)]
pub struct Case {
    pub(super) entry: Entry,
    /// What no other write may touch until this one has ended.
    held: Held,
    /// The changes that are yet to be stored.
    pending: Vec<RecordChange>,
    /// Whether nothing is left to do but store those changes.
    over: bool,
    since: Instant,
    attempts: u32,
    why: String,
    /// The answer its caller would have received.
    pub(super) answer: Option<Value>,
    /// The span of the write, if its trace is kept.
    origin: Option<SpanContext>,
    asker: Asker,
}

impl Case {
    /// Returns the case of a write that is in the ledger; `why` says why it did not end.
    pub fn new(entry: Entry, held: Held, why: String) -> Case {
        Case {
            asker: audit::go_on(&entry.id),
            entry,
            held,
            pending: Vec::new(),
            over: false,
            since: Instant::now(),
            attempts: 0,
            why,
            answer: None,
            origin: spans::kept(),
        }
    }

    /// Adds changes that are yet to be stored. Nothing else is left to do, unless removals `remain`.
    pub fn pending(mut self, changes: Vec<RecordChange>, remain: bool) -> Case {
        self.pending = changes;
        self.over = !remain;
        self
    }

    /// Returns the span of one attempt. Each attempt is a trace of its own, since it may come hours after the one
    /// before. It is linked to the write, and kept if the write's trace is.
    fn span(&self, backend: &str) -> Span {
        let entry = &self.entry;
        let span = spans::root(self.origin.is_some(), || {
            tracing::info_span!(
                parent: None,
                "settle",
                isthmus.backend = backend,
                isthmus.action = entry.action.as_str(),
                isthmus.collection = entry.collection(),
                isthmus.write.id = entry.id,
                isthmus.attempt = self.attempts + 1,
                otel.status_code = Empty,
                error.type = Empty,
            )
        });
        if let Some(origin) = &self.origin {
            span.add_link(origin.clone());
        }
        span
    }
}

impl Writes {
    /// Takes over a write and works on it until it has ended.
    pub fn hand_over(self: &Arc<Self>, mut case: Case) {
        let more = self.ledger.take_turns(&case.entry);
        case.held.turns.extend(more);
        if !case.over {
            self.ledger.tell(&case.entry, &case.why);
        }
        if !case.over && case.entry.answered {
            let name = case.entry.name(self.name());
            let left = case.entry.leftover_names(self.name());
            tracing::info!(%name, ?left, "a write has ended except for what is left to be removed; the gateway keeps removing it");
        } else if !case.over {
            let (entry, why) = (&case.entry, case.why.as_str());
            let (name, action) = (entry.name(self.name()), entry.action.as_str());
            tracing::warn!(%name, action, why, "a write did not end with its call; it is finished or undone now");
        }
        let (writes, cancel) = (Arc::clone(self), self.cancel.clone());
        let (name, id) = (case.entry.name(self.name()), case.entry.id.clone());
        let (backend, is_open) = (Arc::clone(self.backend()), !case.over);
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    if is_open && backend.configured().is_removed() {
                        tracing::warn!(%name, write = id, "the backend of a write that has not ended was removed; with a store, the write continues when the backend is back");
                    }
                }
                () = writes.settle(case) => {}
            }
        });
    }

    /// Takes over the writes that an earlier process left. The resources they name stay locked until each write ends.
    pub fn recall(self: &Arc<Self>, entries: Vec<Entry>) {
        let remaining: Vec<_> = entries.iter().filter_map(Entry::object_id).collect();
        for subject in self.poller.with_parts_remaining() {
            // The record of this delete is gone, so all its removals are proven.
            if !remaining.contains(&&*subject.name().id) {
                subject.parts_settled(&[]);
            }
        }
        for entry in entries {
            let removes = entry.kind.is_none() && entry.action == Action::Delete;
            let print = entry.request.clone().filter(|_| !entry.answered);
            let held = Held {
                claim: print.and_then(|print| self.ledger.claims.recall(print)),
                turns: Vec::new(),
                removing: entry
                    .object
                    .as_ref()
                    .filter(|_| removes)
                    .map(|id| self.ledger.removing(id)),
                site: entry.site.clone(),
                under_way: None,
            };
            let why = "the gateway ended during the write".to_owned();
            self.hand_over(Case::new(entry, held, why));
        }
    }

    async fn settle(mut self: Arc<Self>, mut case: Case) {
        let mut pause = FIRST_PAUSE;
        loop {
            // Settling can take a day, during which the backend may get another dialect.
            self = self.renewed();
            let longest = self.backend().settings().poll.stable.max(FIRST_PAUSE);
            let span;
            let attempt = {
                // The semaphore is never closed.
                let _place = self.places.acquire().await;
                span = case.span(self.name().as_str());
                let attempt = self.attempt_to_end(&mut case);
                attempt.instrument(span.clone()).await
            };
            let Err(why) = attempt else {
                self.ledger.settled(&case.entry);
                return;
            };
            span.record("otel.status_code", "ERROR");
            span.record("error.type", why.reason.as_str());
            drop(span);
            tracing::debug!(write = case.entry.id, error = %why, "a write that did not end with its call has still not ended");
            case.attempts += 1;
            case.why = why.to_string();
            if !case.over {
                self.ledger.tell(&case.entry, &case.why);
            }
            sleep(why.context.retry_after.map_or(pause, |it| it.min(longest))).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Makes one attempt.
    ///
    /// # Errors
    /// Why the write has not ended.
    async fn attempt_to_end(&self, case: &mut Case) -> Result<()> {
        self.flush(case).await?;
        if case.over {
            return Ok(());
        }
        if case.entry.home.is_elsewhere(&self.dialect().home()) {
            // The write left nothing in this cloud. A trace would wrongly find it undone, and an id may be that of
            // another object.
            self.end(case, UnfinishedState::Abandoned, ELSEWHERE).await;
            return self.flush(case).await;
        }
        let call = Call::poll(self.backend().settings().timeout * TIMEOUTS);
        let ended = self.find_out(case, &call).await;
        let ended = match ended {
            Ok(()) if case.entry.goes_on() => self.go_on(case, &call).await,
            Ok(()) => self.go_back(&mut case.entry, &call).await,
            Err(error) => Err(error),
        };
        let ended = ended.map_err(|error| error.on(self.name()));
        let tired = case.entry.begun.elapsed() >= GIVE_UP && case.attempts >= LEAST_ATTEMPTS;
        let (state, message) = match ended {
            Ok((state, message)) => (state, message),
            Err(error) if tired => (UnfinishedState::Abandoned, error.to_string()),
            Err(error) => return Err(error),
        };
        self.end(case, state, &message).await;
        self.flush(case).await
    }

    /// Traces the steps that were sent and have no answer, except deletes, which are repeated.
    async fn find_out(&self, case: &mut Case, call: &Call) -> Result<()> {
        let grace = self.backend().settings().timeout * ON_ITS_WAY;
        for step in &mut case.entry.steps {
            let StepState::Sent { at } = step.state else {
                continue;
            };
            if step.step.action == Action::Delete {
                continue;
            }
            // Compares the time of day, since an earlier process may have sent the step, and the monotonic clock, in
            // case the time of day was set back.
            let waited = at.elapsed().max(case.since.elapsed());
            let traced = self
                .backend()
                .record_result(self.dialect().trace(&step.step, call).await);
            step.state = match traced? {
                Trace::Done(done) => StepState::Done(done),
                Trace::NotDone if waited >= grace => StepState::Undone,
                // What it changed, such as a key, can be neither read nor taken back. The rest is undone, and an
                // operator has to look.
                Trace::Unclear if waited >= grace && step.step.action == Action::Update => {
                    StepState::Stuck
                }
                Trace::NotDone | Trace::Unclear => {
                    let why = "it is not known yet whether a request without an answer took effect";
                    let error = Error::new(ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous, why);
                    return Err(match waited < grace {
                        true => error.retry_after(grace - waited),
                        false => error,
                    });
                }
            };
        }
        Ok(())
    }

    /// Finishes a write of which only removals are left.
    async fn go_on(&self, case: &mut Case, call: &Call) -> Result<(UnfinishedState, String)> {
        let removed = self.remove_rest(&mut case.entry, call).await;
        if let Err(error) = &removed
            && !case.entry.is_accepted()
            && is_refused(error)
        {
            // The caller would have received this error.
            for step in &mut case.entry.steps {
                step.state = StepState::Undone;
            }
            return Ok((UnfinishedState::Undone, error.to_string()));
        }
        if case.entry.is_accepted() && !case.entry.answered && case.answer.is_none() {
            case.answer = Some(self.finish(&case.entry, call).await?);
        }
        removed?;
        Ok((UnfinishedState::Finished, String::new()))
    }

    /// Removes what is left to be removed, as far as the cloud allows.
    ///
    /// # Errors
    /// The first failed removal.
    pub(super) async fn remove_rest(&self, entry: &mut Entry, call: &Call) -> Result<()> {
        let mut why = None;
        for place in entry.to_remove() {
            let step = entry.steps[place].with_id();
            let removed = self.dialect().remove(&step, call).await;
            match self.backend().record_result(removed) {
                Ok(done) => entry.steps[place].state = StepState::Done(done),
                Err(error) if !entry.is_accepted() => return Err(error),
                Err(error)
                    if error.reason == ErrorReason::InUse
                        && self.is_used(&step, entry, call).await? =>
                {
                    tracing::info!(backend = self.name().as_str(), collection = step.collection, id = ?step.id, "a part that was to be removed stays: somebody else uses it by now");
                    entry.steps[place].state = StepState::Stays;
                }
                Err(error) => {
                    let outage = error.is_outage();
                    why.get_or_insert(error);
                    if outage {
                        break;
                    }
                }
            }
        }
        why.map_or(Ok(()), Err)
    }

    /// Undoes what was done, last first.
    async fn go_back(&self, entry: &mut Entry, call: &Call) -> Result<(UnfinishedState, String)> {
        if !entry.undoing && entry.steps.iter().any(|it| it.is_done()) {
            // From here on the write is only undone, whatever a trace finds after a restart.
            entry.undoing = true;
            let record = self.ledger.record(entry);
            let kept = self.ledger.shelf().write(vec![record]).await;
            kept.map_err(|error| unavailable(&error))?;
        }
        for place in (0..entry.steps.len()).rev() {
            if !entry.steps[place].is_done() {
                continue;
            }
            let step = entry.steps[place].with_id();
            let undone = self.dialect().undo(&step, call).await;
            entry.steps[place].state = match self.backend().record_result(undone) {
                Ok(()) => StepState::Undone,
                Err(error) if error.kind == ErrorKind::NotExpressible => StepState::Stuck,
                Err(error)
                    if error.reason == ErrorReason::InUse
                        && step.action == Action::Create
                        && self.is_used(&step, entry, call).await? =>
                {
                    StepState::Stays
                }
                Err(error) => return Err(error),
            };
        }
        let stuck = entry.steps.iter().any(|it| it.state == StepState::Stuck);
        Ok(match stuck {
            true => {
                let why = "what it may have changed cannot be told or changed back";
                (UnfinishedState::Abandoned, why.to_owned())
            }
            false => (UnfinishedState::Undone, String::new()),
        })
    }

    /// Reports the end of a write to the log and the watch, and queues the changes to store.
    async fn end(&self, case: &mut Case, state: UnfinishedState, message: &str) {
        let entry = &case.entry;
        let name = entry.name(self.name());
        let left = entry.leftover_names(self.name());
        match state {
            UnfinishedState::Abandoned => {
                tracing::error!(%name, action = entry.action.as_str(), ?left, message, "a write was given up");
            }
            _ => {
                let for_s = entry.begun.elapsed().as_secs();
                let (action, state) = (entry.action.as_str(), state.as_str());
                tracing::info!(%name, action, state, for_s, "a write that did not end with its call has ended");
            }
        }
        case.asker.settled(&Settled {
            write_id: &entry.id,
            action: entry.action.as_str(),
            resource: &name,
            upstream: entry.upstream_ids(),
            result: state.as_str(),
            duration: entry.begun.elapsed(),
        });
        if !entry.answered {
            self.count(entry.action, state.as_str());
        }
        self.tell_watch(entry, state, &left).await;
        let told = entry.answered && state == UnfinishedState::Finished;
        let mut changes = self.ledger.end(entry, (!told).then_some((state, message)));
        if state == UnfinishedState::Finished
            && let (Some(claim), Some(answer)) = (&case.held.claim, case.answer.take())
        {
            changes.push(self.ledger.claims.answer(claim.print(), answer));
        }
        case.pending = changes;
        case.over = true;
    }

    async fn tell_watch(&self, entry: &Entry, state: UnfinishedState, left: &[String]) {
        let (None, Action::Delete, Some(id)) = (entry.kind, entry.action, entry.object_id()) else {
            return;
        };
        if state == UnfinishedState::Undone {
            return;
        }
        if let Ok(name) = self.connection_name(id) {
            let subject = self.subject(&name);
            subject.parts_settled(left);
            if subject.is_watched() {
                self.poller.poll_soon(&subject);
            }
            subject.wait_committed().await;
        }
    }

    /// Stores the pending changes.
    async fn flush(&self, case: &mut Case) -> Result<()> {
        if case.pending.is_empty() {
            return Ok(());
        }
        let kept = self.ledger.shelf().write(case.pending.clone()).await;
        kept.map_err(|error| unavailable(&error).on(self.name()))?;
        case.pending.clear();
        Ok(())
    }
}

/// Reports whether the cloud certainly refused the removal for a reason that the gateway should not override by
/// retrying.
fn is_refused(error: &Error) -> bool {
    error.reason == ErrorReason::InUse
        || matches!(
            error.kind,
            ErrorKind::PermissionDenied
                | ErrorKind::NotExpressible
                | ErrorKind::InvalidArgument
                | ErrorKind::Stale
        )
}
