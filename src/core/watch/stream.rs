//! A watch over one connection: a cursor over its log.
//!
//! ```text
//!   open ──► SNAPSHOT ──► FOLLOWING ──► ended (outcome, or an error with its reason)
//!                            │  ▲
//!                            └──┘ change, heartbeat
//! ```
//!
//! A stream has no queue and no task: `next` reads what the log has after the cursor, or waits.

use crate::{
    core::{
        error::{Error, ErrorKind, ErrorReason, Result},
        notifier::Follower,
        watch::{
            counts::{Kind, Open},
            interest::Interest,
            judge::{Terms, Verdict},
            log::Observation,
            poller::Poller,
            polling::Pulse,
            subject::Subject,
            token::ResumeToken,
            watching::Watching,
        },
    },
    model::{ConnectionName, RealizationState, Reason},
};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// A reader more than this many changes behind skips ahead.
pub const CONFLATE_BEYOND: usize = 16;

/// One message of a watch.
#[derive(Debug, Clone)]
pub struct WatchEvent {
    pub kind: EventKind,
    /// The outcome; on the last message only.
    pub outcome: Option<Outcome>,
    /// How many changes were left out before this one.
    pub coalesced: u64,
    /// The position to resume from after this message.
    pub position: Position,
}

impl WatchEvent {
    /// Returns the position to resume from after this message, as text.
    pub fn resume_token(&self) -> String {
        self.position.token()
    }
}

/// The position of a stream in the log of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub name: ConnectionName,
    /// The epoch of the log.
    pub epoch: u64,
    /// The last revision that was sent, or that the stream skips.
    pub revision: u64,
}

impl Position {
    /// Returns the resume token that names the position.
    pub fn token(&self) -> String {
        ResumeToken::new(self.name.to_string(), self.epoch, self.revision).encode()
    }
}

#[derive(Debug, Clone)]
pub enum EventKind {
    /// The present status, and whether it is stale.
    Snapshot(Arc<Observation>, bool),
    /// A new status.
    Change(Arc<Observation>),
    /// Nothing changed for a while.
    Heartbeat(Pulse),
}

/// How a watch ended by its own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The goal was reached.
    Succeeded(Option<Reason>),
    /// A confirmed failure.
    Failed(Reason),
    /// The cloud cannot tell, and no proof can still come.
    Undetermined(Reason),
}

impl Outcome {
    /// Returns the outcome as a word, and its reason.
    pub fn told(&self) -> (&'static str, Option<&Reason>) {
        match self {
            Outcome::Succeeded(reason) => ("succeeded", reason.as_ref()),
            Outcome::Failed(reason) => ("failed", Some(reason)),
            Outcome::Undetermined(reason) => ("undetermined", Some(reason)),
        }
    }
}

/// A watch over one connection. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    poller: Arc<Poller>,
    subject: Arc<Subject>,
    /// Keeps the connection polled until the watch is dropped.
    watching: Watching,
    terms: Option<Terms>,
    /// The number of the write that the watch is bound to; 0 if none.
    bound: u64,
    heartbeat: Duration,
    appended: Follower,
    polled: Follower,
    /// Whether the log may hold entries after the cursor, or a poll may have ended that was not judged.
    has_news: bool,
    /// The last revision that was sent, or that the stream skips.
    cursor: u64,
    phase: Phase,
    /// Whether the last status sent was known to be current and has been judged.
    judged: bool,
    last_sent: Instant,
    /// Elapses when a heartbeat may be due. Reset only once it has elapsed, so that a change costs no timer.
    silence: Option<Pin<Box<Sleep>>>,
    _open: Open,
}

#[derive(Debug)]
enum Phase {
    Snapshot(Arc<Observation>, bool),
    Following,
    Ended,
}

/// The parameters of a watch, parsed and checked.
#[derive(Debug)]
pub struct Opening {
    pub poller: Arc<Poller>,
    pub subject: Arc<Subject>,
    /// Keeps the connection polled.
    pub watching: Watching,
    /// What the watch waits for; `None` watches forever.
    pub terms: Option<Terms>,
    /// The number of the write that the watch is bound to; 0 if none.
    pub bound: u64,
    /// The longest time between two messages.
    pub heartbeat: Duration,
    /// The position to resume from; `None` begins with a snapshot.
    pub resume: Option<u64>,
    /// Whether the present status is current, so that it may be judged.
    pub current: bool,
}

impl Watch {
    /// Starts with a snapshot, or after the position of a resume token.
    pub fn open(opening: Opening) -> Watch {
        let appended = opening.subject.follow();
        let polled = opening.subject.follow_polls();
        let last = opening.subject.latest();
        let (cursor, phase) = match opening.resume {
            Some(revision) => (revision, Phase::Following),
            None => (last.revision, Phase::Snapshot(last, !opening.current)),
        };
        Watch {
            _open: opening.poller.counts().open(Kind::Connection),
            poller: opening.poller,
            subject: opening.subject,
            watching: opening.watching,
            terms: opening.terms,
            bound: opening.bound,
            heartbeat: opening.heartbeat,
            appended,
            polled,
            has_news: true,
            cursor,
            phase,
            judged: opening.current && opening.resume.is_none(),
            last_sent: Instant::now(),
            silence: None,
        }
    }

    /// Returns the status of the connection with that of the awaited foreign writes.
    pub fn overlay(&self, seen: Arc<Observation>) -> Arc<Observation> {
        self.watching.overlay(seen)
    }

    /// Returns the position to resume from after the last message.
    pub fn position(&self) -> Position {
        Position {
            name: self.subject.name().clone(),
            epoch: self.poller.log().shared().epoch(),
            revision: self.cursor,
        }
    }

    /// Returns the next message, or `None` after the last. An error is the last message.
    pub async fn next(&mut self) -> Option<Result<WatchEvent>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for what [`Watch::next`] returns.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WatchEvent>>> {
        let Some(result) = ready!(self.advance(cx)) else {
            return Poll::Ready(None);
        };
        let now = Instant::now();
        match &result {
            Ok(event) if event.outcome.is_none() => self.last_sent = now,
            _ => self.phase = Phase::Ended,
        }
        if let Ok(event) = &result {
            self.count(event, now);
        }
        Poll::Ready(Some(result))
    }

    fn count(&self, event: &WatchEvent, now: Instant) {
        let counts = self.poller.counts();
        if let EventKind::Change(entry) = &event.kind {
            let lag = entry.wire.found.map(|found| now.duration_since(found));
            counts.delivered(lag, event.coalesced);
        }
        if let Some((how, why)) = event.outcome.as_ref().map(Outcome::told) {
            counts.ended(how, why);
        }
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WatchEvent>>> {
        match std::mem::replace(&mut self.phase, Phase::Following) {
            Phase::Ended => {
                self.phase = Phase::Ended;
                return Poll::Ready(None);
            }
            Phase::Snapshot(entry, stale) => {
                let outcome = if self.judged {
                    self.outcome(&entry)
                } else {
                    None
                };
                let event = self.event(EventKind::Snapshot(entry, stale), outcome, 0);
                return Poll::Ready(Some(Ok(event)));
            }
            Phase::Following => {}
        }
        loop {
            self.has_news |= self.appended.poll_changed(cx).is_ready();
            if self.judges_polls() {
                self.has_news |= self.polled.poll_changed(cx).is_ready();
            } else {
                self.polled.deregister();
            }
            if !self.has_news {
                ready!(self.poll_silence(cx));
                let pulse = self.pulse();
                let event = self.event(EventKind::Heartbeat(pulse), None, 0);
                return Poll::Ready(Some(Ok(event)));
            }
            self.has_news = false;
            if let Some(result) = self.look() {
                return Poll::Ready(Some(result));
            }
        }
    }

    /// Looks at everything that a notification can announce.
    fn look(&mut self) -> Option<Result<WatchEvent>> {
        match self.subject.after(self.cursor) {
            Err(compacted) => return Some(Err(compacted.into())),
            Ok(entries) if entries.is_empty() => {}
            Ok(entries) => return Some(self.change(&entries)),
        }
        // The removal is reported after everything said before it.
        if let Err(removed) = self.poller.backend().configured().check() {
            return Some(Err(removed));
        }
        self.judge_late().map(Ok)
    }

    /// Ready when nothing was sent for a heartbeat interval.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.last_sent + self.heartbeat;
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            if silence.is_elapsed() {
                silence.as_mut().reset(due);
            }
            ready!(silence.as_mut().poll(cx));
            if silence.deadline() >= due {
                return Poll::Ready(());
            }
        }
    }

    /// Sends the first of `entries`. A reader too far behind skips ahead to the latest failure before the entry that
    /// ends the watch, or before the newest if none does; without such a failure, to that entry.
    fn change(&mut self, entries: &[Arc<Observation>]) -> Result<WatchEvent> {
        self.judged = true;
        let deciding = entries
            .iter()
            .position(|entry| self.outcome(entry).is_some());
        let last = deciding.unwrap_or(entries.len() - 1);
        let chosen = if last < CONFLATE_BEYOND {
            0
        } else {
            let failure = entries[..last]
                .iter()
                .rposition(|entry| entry.status.state == RealizationState::Failed);
            failure.unwrap_or(last)
        };
        let entry = Arc::clone(&entries[chosen]);
        if entry.status.login_lost {
            return Err(Error::new(
                ErrorKind::Unavailable,
                ErrorReason::UpstreamAuth,
                "the cloud has refused the gateway's login for too long",
            )
            .on(self.poller.backend().name()));
        }
        self.cursor = entry.revision;
        // A foreign write is judged by what polls say beside the log.
        self.has_news = chosen + 1 < entries.len() || self.judges_polls();
        let outcome = self.outcome(&entry);
        Ok(self.event(EventKind::Change(entry), outcome, chosen as u64))
    }

    /// Reports whether a poll that does not change the status can decide the watch: because the last status sent was
    /// not known to be current, or because the watch awaits foreign writes.
    fn judges_polls(&self) -> bool {
        !self.judged || !self.watching.elsewhere().is_empty()
    }

    /// Judges the last status sent, once a poll has confirmed it.
    fn judge_late(&mut self) -> Option<WatchEvent> {
        if !self.judges_polls() {
            return None;
        }
        let (last, current) = self.subject.current(Interest::default());
        // A newer status is sent first, and judged then.
        let last = last.filter(|last| current && last.revision == self.cursor)?;
        self.judged = true;
        let outcome = self.outcome(&last)?;
        let pulse = self.pulse();
        Some(self.event(EventKind::Heartbeat(pulse), Some(outcome), 0))
    }

    fn pulse(&self) -> Pulse {
        self.subject.pulse(self.poller.budget_used())
    }

    fn outcome(&self, entry: &Observation) -> Option<Outcome> {
        match self.watching.judge(entry, self.terms?, self.bound) {
            Verdict::GoesOn => None,
            Verdict::Success(reason) => Some(Outcome::Succeeded(reason)),
            Verdict::Failure(reason) => Some(Outcome::Failed(reason)),
            Verdict::Undetermined(reason) => Some(Outcome::Undetermined(reason)),
        }
    }

    fn event(&self, kind: EventKind, outcome: Option<Outcome>, coalesced: u64) -> WatchEvent {
        WatchEvent {
            kind,
            outcome,
            coalesced,
            position: self.position(),
        }
    }
}
