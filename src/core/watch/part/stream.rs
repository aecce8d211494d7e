//! A watch of a write to a part. It watches the connections that use the part, some at a time, and treats the write as
//! a foreign write to each of them.
//!
//! It has no message queue and no task: `next` inspects the latest polls of the open connections, or waits for the next
//! one. The log does not contain its messages, so it cannot be resumed. A client that opens the watch again learns the
//! same.

use crate::{
    core::{
        error::{Error, ErrorKind, ErrorReason, Result},
        notifier::Follower,
        watch::{
            counts::{Kind, Open as Counted},
            elsewhere::ForeignWrite,
            interest::Interest,
            judge::{Terms, Verdict},
            log::{Observation, Wire},
            part::tally::{PartUse, Tally},
            poller::Poller,
            polling::Pulse,
            stream::Outcome,
            watching::Watching,
        },
    },
    model::{ConnectionName, Goal, Intent, RealizationState, ResourceName},
};
use futures_util::future::{select, select_all};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep_until};

/// How many connections are open at a time, per connection that one request to the cloud can show. The account's budget
/// paces their polls; this bounds memory, and how many outcome polls one watch can demand.
const OPEN_AT_A_TIME: usize = 64;
/// Upper limit of the number of connections that one request can show, for that product.
const SHOWN_TOGETHER: usize = 64;

/// The status of a write to a part.
#[derive(Debug, Clone)]
pub struct PartStatus {
    /// The combined status of the connections that use the part, under the part's name. Its revision counts the changes
    /// sent on this watch.
    pub observation: Observation,
    /// How many connections have the write.
    pub part_use: PartUse,
    /// Whether what is known of an open connection is older than promised.
    pub stale: bool,
}

/// One message of a watch.
#[derive(Debug, Clone)]
pub struct PartEvent {
    pub kind: PartEventKind,
    /// The outcome; on the last message only.
    pub outcome: Option<Outcome>,
}

#[derive(Debug, Clone)]
pub enum PartEventKind {
    /// The status when the watch opens.
    Snapshot(PartStatus),
    /// A new status.
    Change(PartStatus),
    /// Nothing changed for a while.
    Heartbeat(Pulse),
}

/// A watch of a write to a part. Dropping it ends it.
#[derive(Debug)]
pub struct PartWatch {
    poller: Arc<Poller>,
    name: ResourceName,
    writes: Vec<ForeignWrite>,
    terms: Terms,
    is_off: bool,
    interest: Interest,
    heartbeat: Duration,
    tally: Tally,
    /// The connections that are neither decided nor open, in the order of their turns.
    queue: VecDeque<ConnectionName>,
    open: Vec<Open>,
    /// Why the last connection could not be opened, and when to try the next.
    refused: Option<(Error, Instant)>,
    revision: u64,
    observe_time: Option<SystemTime>,
    /// The last status sent.
    told: Option<(RealizationState, PartUse)>,
    last_sent: Instant,
    ended: bool,
    _counted: Counted,
}

/// The parameters of a watch, parsed and checked.
#[derive(Debug)]
pub struct OpeningPart {
    pub poller: Arc<Poller>,
    pub name: ResourceName,
    /// The connections that use the part.
    pub connections: Vec<ConnectionName>,
    pub writes: Vec<ForeignWrite>,
    /// What the watch waits for on each connection.
    pub terms: Terms,
    /// Whether the part is a service that is switched off. Connections that are off with it then have the write.
    pub is_off: bool,
    /// What the watch needs of polls.
    pub interest: Interest,
    /// The longest time between two messages.
    pub heartbeat: Duration,
}

#[derive(Debug)]
struct Open {
    /// Keeps the connection polled until dropped.
    watching: Watching,
    appended: Follower,
    polled: Follower,
    since: Instant,
    /// Whether the connection was just opened, so that its state has not been inspected yet.
    is_new: bool,
}

impl Open {
    /// Reports whether the connection was opened, changed or polled since the last call.
    fn has_news(&mut self) -> bool {
        let (appended, polled) = (self.appended.take_change(), self.polled.take_change());
        std::mem::take(&mut self.is_new) || appended || polled
    }

    async fn changed(&mut self) {
        let (appended, polled) = (self.appended.changed(), self.polled.changed());
        select(std::pin::pin!(appended), std::pin::pin!(polled)).await;
        // `changed` marked the value as seen, so the news is noted here.
        self.is_new = true;
    }
}

impl PartWatch {
    /// Starts with a snapshot.
    pub fn open(opening: OpeningPart) -> PartWatch {
        PartWatch {
            _counted: opening.poller.counts().open(Kind::Part),
            poller: opening.poller,
            name: opening.name,
            writes: opening.writes,
            terms: opening.terms,
            is_off: opening.is_off,
            interest: opening.interest,
            heartbeat: opening.heartbeat,
            tally: Tally::new(opening.connections.iter().cloned()),
            queue: opening.connections.into(),
            open: Vec::new(),
            refused: None,
            revision: 0,
            observe_time: None,
            told: None,
            last_sent: Instant::now(),
            ended: false,
        }
    }

    /// Returns the next message, or `None` after the last. An error is the last message.
    pub async fn next(&mut self) -> Option<Result<PartEvent>> {
        if self.ended {
            return None;
        }
        let result = self.advance().await;
        self.ended = match &result {
            Ok(event) => event.outcome.is_some(),
            Err(_) => true,
        };
        if self.ended {
            self.open.clear();
        }
        self.last_sent = Instant::now();
        if let Ok(event) = &result {
            self.count(event);
        }
        Some(result)
    }

    fn count(&self, event: &PartEvent) {
        let counts = self.poller.counts();
        if let PartEventKind::Change(_) = &event.kind {
            // The change combines several polls, so it has no lag of its own.
            counts.delivered(None, 0);
        }
        if let Some((how, why)) = event.outcome.as_ref().map(Outcome::told) {
            counts.ended(how, why);
        }
    }

    async fn advance(&mut self) -> Result<PartEvent> {
        let backend = Arc::clone(self.poller.backend());
        let configured = backend.configured();
        loop {
            let there = configured.check();
            if there.is_ok() {
                self.make_room();
                self.fill();
            }
            // What was seen before the backend was removed is sent before the removal.
            self.look()?;
            let outcome = self.tally.outcome();
            let now = Some((self.tally.status().state, self.tally.part_use()));
            if now != self.told || outcome.is_some() {
                let is_first = std::mem::replace(&mut self.told, now).is_none();
                self.revision += 1;
                let status = self.status();
                let kind = match is_first {
                    true => PartEventKind::Snapshot(status),
                    false => PartEventKind::Change(status),
                };
                return Ok(PartEvent { kind, outcome });
            }
            there?;
            // Decided connections have made room.
            if !self.queue.is_empty() && self.has_room() {
                continue;
            }
            let (silence, turn) = (self.last_sent + self.heartbeat, self.next_turn());
            let opened = !self.open.is_empty();
            let news = async {
                let each = self.open.iter_mut().map(|open| Box::pin(open.changed()));
                select_all(each).await;
            };
            tokio::select! {
                biased;
                () = news, if opened => {}
                () = configured.removed() => {}
                () = sleep_until(turn.unwrap_or(silence)), if turn.is_some() => {}
                () = sleep_until(silence) => {
                    let kind = PartEventKind::Heartbeat(self.pulse());
                    return Ok(PartEvent { kind, outcome: None });
                }
            }
        }
    }

    /// Polls each connection once and records the results.
    ///
    /// # Errors
    /// The error of the first poll that fails; `DeadlineExceeded` if not all polls ended in time.
    pub async fn look_once(&mut self, deadline: Instant) -> Result<()> {
        while !self.queue.is_empty() {
            self.fill();
            if let Some((error, _)) = &self.refused {
                return Err(error.clone());
            }
            let poller = &self.poller;
            let numbers = self.open.iter();
            let numbers = numbers.map(|open| poller.poll_for_call(open.watching.subject()));
            let numbers: Vec<u64> = numbers.collect();
            for (open, number) in self.open.iter().zip(numbers) {
                open.watching.subject().poll_ended(number, deadline).await?;
            }
            self.look()?;
            self.open.clear();
        }
        Ok(())
    }

    pub fn status(&self) -> PartStatus {
        PartStatus {
            observation: Observation {
                name: self.name.clone(),
                epoch: self.poller.log().shared().epoch(),
                revision: self.revision,
                previous: self.revision.saturating_sub(1),
                observe_time: self.observe_time,
                status: self.tally.status(),
                wire: Wire::default(),
            },
            part_use: self.tally.part_use(),
            stale: self.pulse().stale,
        }
    }

    fn has_room(&self) -> bool {
        let together = self.poller.backend().capabilities().look_batch;
        let most = OPEN_AT_A_TIME * together.clamp(1, SHOWN_TOGETHER);
        let is_refused = self
            .refused
            .as_ref()
            .is_some_and(|(_, again)| *again > Instant::now());
        self.open.len() < most && !is_refused
    }

    /// Opens as many connections as there is room for.
    fn fill(&mut self) {
        while self.has_room() {
            let Some(name) = self.queue.pop_front() else {
                return;
            };
            match self.begin(&name) {
                Ok(open) => {
                    self.open.push(open);
                    self.refused = None;
                }
                Err(error) => {
                    let again = Instant::now() + self.poller.backend().settings().poll.fresh;
                    let error = error.on(self.poller.backend().name());
                    self.refused = Some((error, again));
                    self.queue.push_back(name);
                }
            }
        }
    }

    fn begin(&self, name: &ConnectionName) -> Result<Open> {
        let (subject, mut watching) = self.poller.watch(name, self.interest);
        watching.await_elsewhere(&self.writes)?;
        if subject.has_seen_elsewhere(&self.writes) {
            self.poller.poll_by(&subject, subject.soonest_poll());
        } else {
            // A poll in flight does not ask about the write.
            self.poller.poll_soon(&subject);
        }
        Ok(Open {
            appended: subject.follow(),
            polled: subject.follow_polls(),
            watching,
            since: Instant::now(),
            is_new: true,
        })
    }

    /// Returns how long an undecided connection keeps its place while others wait: twice the time in which everything
    /// that only time decides is decided.
    fn patience(&self) -> Duration {
        let poll = self.poller.backend().settings().poll;
        let longest = poll.quiet_after_update.max(poll.vanish_grace);
        (longest + poll.confirm_failure) * 2
    }

    /// Returns when something is due that no poll brings.
    fn next_turn(&self) -> Option<Instant> {
        if self.queue.is_empty() {
            return None;
        }
        let refused = self.refused.as_ref();
        let again = refused
            .map(|(_, again)| *again)
            .filter(|again| *again > Instant::now());
        let first = self.open.iter().map(|open| open.since).min();
        let first = first.map(|since| since + self.patience());
        again.into_iter().chain(first).min()
    }

    /// Sends connections that were open for long to the end of the queue, if others wait.
    fn make_room(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let patience = self.patience();
        let queue = &mut self.queue;
        self.open.retain(|open| {
            let stays = open.since.elapsed() < patience;
            if !stays {
                queue.push_back(open.watching.subject().name().clone());
            }
            stays
        });
    }

    /// Records what the polls of the open connections brought, and closes those that are decided.
    fn look(&mut self) -> Result<()> {
        let mut kept = Vec::with_capacity(self.open.len());
        for mut open in std::mem::take(&mut self.open) {
            if !open.has_news() || !self.take_in(&open)? {
                kept.push(open);
            }
        }
        self.open = kept;
        Ok(())
    }

    /// Records what is known of a connection. Reports whether it is decided.
    fn take_in(&mut self, open: &Open) -> Result<bool> {
        let subject = open.watching.subject();
        let (last, current) = subject.current(Interest::default());
        if last.as_ref().is_some_and(|last| last.status.login_lost) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                ErrorReason::UpstreamAuth,
                "the cloud has refused the gateway's login for too long",
            )
            .on(self.poller.backend().name()));
        }
        let Some(last) = last.filter(|_| current) else {
            return Ok(false);
        };
        let status = &last.status;
        let is_gone = status.state == RealizationState::Deleted && status.confirmed;
        if is_gone || status.intent == Intent::Deleted {
            self.tally.gone(subject.name());
            return Ok(true);
        }
        if !subject.has_seen_elsewhere(&self.writes) {
            return Ok(false);
        }
        self.observe_time = self.observe_time.max(last.observe_time);
        let said = open.watching.overlay(Arc::clone(&last));
        let off_with_it = self.is_off && said.status.state == RealizationState::Disabled;
        let verdict = match off_with_it && self.terms.goal == Goal::Config {
            true => Verdict::Success(said.status.reason.clone()),
            false => open.watching.judge(&last, self.terms, 0),
        };
        Ok(self.tally.seen(subject.name(), verdict, &said.status))
    }

    /// Returns the worst of each value over the polling of the open connections.
    fn pulse(&self) -> Pulse {
        let budget_used = self.poller.budget_used();
        let open = self.open.iter();
        let pulses = open.map(|open| open.watching.subject().pulse(budget_used));
        let worse = |one: Pulse, other: Pulse| Pulse {
            last_success: one.last_success.min(other.last_success),
            next_poll: match (one.next_poll, other.next_poll) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            stale: one.stale || other.stale,
            interval: one.interval.max(other.interval),
            last_error: one.last_error.or(other.last_error),
            budget_used,
        };
        pulses.reduce(worse).unwrap_or(Pulse {
            last_success: None,
            next_poll: None,
            stale: false,
            interval: self.poller.backend().settings().poll.fresh,
            last_error: None,
            budget_used,
        })
    }
}
