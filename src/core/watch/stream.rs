//! A watch of one connection: a cursor over its log.
//!
//! ```text
//!   open ──► SNAPSHOT ──► FOLLOWING ──► ended (outcome, or an error with its reason)
//!                            │  ▲
//!                            └──┘ change, heartbeat
//! ```
//!
//! There is no queue and no task per stream: `next` reads what the log has after the cursor, or waits.

use crate::{
    core::{
        error::{Error, ErrorKind, ErrorReason, Result},
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
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// A reader that is further behind than this many changes is brought forward.
pub const CONFLATE_BEYOND: usize = 16;

/// One message of a watch.
#[derive(Debug, Clone)]
pub struct WatchEvent {
    /// What happened.
    pub kind: EventKind,
    /// How it ended; on the last message only.
    pub outcome: Option<Outcome>,
    /// How many changes were left out before this one.
    pub coalesced: u64,
    /// Where to resume after this message.
    pub position: Position,
}

impl WatchEvent {
    /// Where to resume after this message, as text.
    pub fn resume_token(&self) -> String {
        self.position.token()
    }
}

/// Where a stream is in the log of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The connection.
    pub name: ConnectionName,
    /// The log's life.
    pub epoch: u64,
    /// The last revision that was sent, or is not to be sent.
    pub revision: u64,
}

impl Position {
    /// As a client hands it back.
    pub fn token(&self) -> String {
        ResumeToken::new(self.name.to_string(), self.epoch, self.revision).encode()
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// Where it stands; whether that is stale.
    Snapshot(Arc<Observation>, bool),
    /// Where it stands now.
    Change(Arc<Observation>),
    /// Nothing changed.
    Heartbeat(Pulse),
}

/// How a watch ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The goal was reached.
    Succeeded(Option<Reason>),
    /// The cloud says it failed.
    Failed(Reason),
    /// The cloud cannot tell, and nothing that would tell is to be expected.
    Undetermined(Reason),
}

impl Outcome {
    /// How, in a word, and why.
    pub fn told(&self) -> (&'static str, Option<&Reason>) {
        match self {
            Outcome::Succeeded(reason) => ("succeeded", reason.as_ref()),
            Outcome::Failed(reason) => ("failed", Some(reason)),
            Outcome::Undetermined(reason) => ("undetermined", Some(reason)),
        }
    }
}

/// A watch of one connection. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    poller: Arc<Poller>,
    subject: Arc<Subject>,
    /// Has the connection polled; given back when the watch is dropped.
    watching: Watching,
    terms: Option<Terms>,
    /// The number of the write it is bound to; 0 if to none.
    bound: u64,
    heartbeat: Duration,
    appended: watch::Receiver<u64>,
    polled: watch::Receiver<u64>,
    /// The last revision that was sent, or is not to be sent.
    cursor: u64,
    phase: Phase,
    /// What was sent last was known to be current, so that it may be judged.
    judged: bool,
    last_sent: Instant,
    _open: Open,
}

#[derive(Debug)]
enum Phase {
    Snapshot(Arc<Observation>, bool),
    Following,
    Ended,
}

/// What a watch is opened with, all parsed and checked.
#[derive(Debug)]
pub struct Opening {
    /// Whose poller.
    pub poller: Arc<Poller>,
    /// Which connection.
    pub subject: Arc<Subject>,
    /// Keeps it polled.
    pub watching: Watching,
    /// What is waited for; `None` goes on for ever.
    pub terms: Option<Terms>,
    /// The number of the write it is bound to; 0 if to none.
    pub bound: u64,
    /// The longest silence.
    pub heartbeat: Duration,
    /// Where to go on; `None` begins with a snapshot.
    pub resume: Option<u64>,
    /// Whether what is known now is current, so that it may be judged.
    pub current: bool,
}

impl Watch {
    /// Begins with a snapshot, or after the position of a resume token.
    pub fn open(opening: Opening) -> Watch {
        let appended = opening.subject.subscribe();
        let polled = opening.subject.subscribe_polls();
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
            cursor,
            phase,
            judged: opening.current && opening.resume.is_none(),
            last_sent: Instant::now(),
        }
    }

    /// What is said of the connection, for whoever watches for writes made elsewhere.
    pub fn overlay(&self, seen: Arc<Observation>) -> Arc<Observation> {
        self.watching.overlay(seen)
    }

    /// Where to resume after the last message.
    pub fn position(&self) -> Position {
        Position {
            name: self.subject.name().clone(),
            epoch: self.poller.log().shared().epoch(),
            revision: self.cursor,
        }
    }

    /// The next message; `None` after the last. An error is the last.
    pub async fn next(&mut self) -> Option<Result<WatchEvent>> {
        let result = self.advance().await?;
        let now = Instant::now();
        match &result {
            Ok(event) if event.outcome.is_none() => self.last_sent = now,
            _ => self.phase = Phase::Ended,
        }
        if let Ok(event) = &result {
            self.count(event, now);
        }
        Some(result)
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

    async fn advance(&mut self) -> Option<Result<WatchEvent>> {
        match std::mem::replace(&mut self.phase, Phase::Following) {
            Phase::Ended => {
                self.phase = Phase::Ended;
                return None;
            }
            Phase::Snapshot(entry, stale) => {
                let outcome = if self.judged {
                    self.outcome(&entry)
                } else {
                    None
                };
                return Some(Ok(self.event(
                    EventKind::Snapshot(entry, stale),
                    outcome,
                    0,
                )));
            }
            Phase::Following => {}
        }
        loop {
            self.appended.borrow_and_update();
            self.polled.borrow_and_update();
            match self.subject.after(self.cursor) {
                Err(compacted) => return Some(Err(compacted.into())),
                Ok(entries) if entries.is_empty() => {}
                Ok(entries) => return Some(self.change(&entries)),
            }
            // After everything that was said while it was there.
            if let Err(removed) = self.poller.backend().configured().check() {
                return Some(Err(removed));
            }
            if let Some(event) = self.judge_late() {
                return Some(Ok(event));
            }
            let silence = self.last_sent + self.heartbeat;
            tokio::select! {
                biased;
                // Both senders live in `subject`, which this watch holds.
                _ = self.appended.changed() => {}
                _ = self.polled.changed(), if self.judges_polls() => {}
                () = sleep_until(silence) => {
                    let pulse = self.pulse();
                    return Some(Ok(self.event(EventKind::Heartbeat(pulse), None, 0)));
                }
            }
        }
    }

    /// Sends the first of `entries`, or brings a reader forward that is too far behind: to the latest
    /// failure, to the first that ends the watch, or to the newest.
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
        let outcome = self.outcome(&entry);
        Ok(self.event(EventKind::Change(entry), outcome, chosen as u64))
    }

    /// Whether a poll that changes nothing of what is said can decide: what was sent before it was known to be
    /// current, or a write made elsewhere.
    fn judges_polls(&self) -> bool {
        !self.judged || !self.watching.elsewhere().is_empty()
    }

    /// Judges what was sent once a poll has said the same.
    fn judge_late(&mut self) -> Option<WatchEvent> {
        if !self.judges_polls() {
            return None;
        }
        let (last, current) = self.subject.current(Interest::default());
        // What came meanwhile is sent first, and judged then.
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
