//! A connection that is, or was, watched: turns its polls and writes into its status.
//!
//! A poll takes the lock twice: when it starts and when it is applied. [`Polling`] tracks the poll in between.

use crate::{
    core::{
        clock,
        configured::Configured,
        dialect::Target,
        error::{Error, ErrorKind, ErrorReason, Result},
        notifier::{Follower, Notifier},
        watch::{
            admin_state::AdminState,
            due_queue::{Planned, Stake},
            elsewhere::{Elsewhere, ForeignWrite, MAX_AWAITED},
            interest::{Interest, Interests},
            judge::{Terms, Verdict},
            knowledge::{Knowledge, Memory, PollResult, Write},
            log::{Observation, backend::BackendLog, observation::Revision, window::Window},
            polling::{Finished, Polling, Pulse},
            status::ConnectionStatus,
            token::WriteToken,
        },
    },
    model::{ConnectionName, Intent, RealizationState},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, timeout_at};

/// Maximum number of writes of one connection whose intent is remembered.
const WRITES_REMEMBERED: usize = 64;

/// A watched connection.
#[derive(Debug)]
pub struct Subject {
    name: ConnectionName,
    log: Arc<BackendLog>,
    configured: Arc<Configured>,
    /// A std mutex: held for bookkeeping only, never across an await.
    state: Mutex<State>,
    /// Notified when a poll ends.
    polled: Arc<Notifier>,
}

#[derive(Debug)]
struct State {
    knowledge: Knowledge,
    window: Window,
    polling: Polling,
    interests: Interests,
    /// When the first of the present watchers arrived.
    watched: Instant,
    elsewhere: Elsewhere,
    /// When the last poll that saw anything began, by the wall clock.
    observe_time: Option<SystemTime>,
    admin: Option<AdminState>,
    /// The intent of each remembered write, as (write number, intent).
    writes: Vec<(u64, Intent)>,
    /// Whether the connection was listed, written or seen, so that tokens may name its writes and positions in its log.
    known: bool,
    touched: Instant,
}

impl State {
    /// Reports whether a write is in progress or a watch waits for an outcome.
    fn is_urgent(&self) -> bool {
        self.knowledge.unsettled() || self.interests.combined().outcome
    }

    /// Returns the stake of the next poll.
    fn stake(&self) -> Stake {
        match self.polling.is_asked() {
            _ if self.is_urgent() => Stake::High,
            true => Stake::Asked,
            false => Stake::Low,
        }
    }

    /// Reports whether the connection is certainly gone.
    fn is_gone(&self) -> bool {
        self.knowledge.is_gone()
    }

    fn is_unused(&self) -> bool {
        self.interests.is_empty() && !self.polling.is_in_flight()
    }
}

/// What to do after a poll was applied.
#[derive(Debug, Clone, Copy)]
pub struct Applied {
    /// The next poll and its stake; `None` if nobody watches.
    pub next: Option<(Planned, Stake)>,
    /// [`Subject::is_gone`].
    pub gone: bool,
}

impl Subject {
    /// Creates a connection of which nothing is known.
    pub fn new(name: ConnectionName, log: Arc<BackendLog>, configured: Arc<Configured>) -> Subject {
        // The connection may have been known before and forgotten. Its log begins at the latest revision, so that its
        // new writes get numbers that none of its earlier writes had: there are never more writes than changes.
        let base = log.shared().latest();
        let now = Instant::now();
        Subject {
            name,
            state: Mutex::new(State {
                knowledge: Knowledge::counting_from(base),
                window: Window::of_connection(base),
                polling: Polling::new(configured.poll().fresh, now),
                interests: Interests::default(),
                watched: now,
                elsewhere: Elsewhere::default(),
                observe_time: None,
                admin: None,
                writes: Vec::new(),
                known: false,
                touched: now,
            }),
            log,
            configured,
            polled: Arc::default(),
        }
    }

    /// Restores a connection from before a restart. `changes` are its stored changes, in order.
    pub fn recalled(
        changes: &[Arc<Observation>],
        latest: &Observation,
        memory: Memory,
        log: Arc<BackendLog>,
        configured: Arc<Configured>,
    ) -> Subject {
        let subject = Subject::new(latest.name.clone(), log, configured);
        let mut state = subject.state();
        state.knowledge = Knowledge::recalled(latest.status.clone(), &memory, Instant::now());
        state.window = Window::recovered(changes);
        state.observe_time = latest.observe_time;
        state.writes = memory.wanted;
        state.known = true;
        drop(state);
        subject
    }

    pub fn name(&self) -> &ConnectionName {
        &self.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Polls and writes.
impl Subject {
    /// Records a write that the cloud has accepted and returns a token that names it. The token outlives the process
    /// once [`Subject::wait_committed`] has returned.
    pub fn wrote(&self, write: &Write) -> WriteToken {
        let mut state = self.state();
        state.knowledge.wrote(write);
        let number = state.knowledge.writes();
        state.writes.push((number, write.intent));
        if state.writes.len() > WRITES_REMEMBERED {
            state.writes.remove(0);
        }
        state.admin = None;
        state.touched = Instant::now();
        state.polling.hurry(self.configured.poll().fresh);
        self.append(&mut state, None);
        drop(state);
        WriteToken::new(self.name.to_string(), self.log.shared().epoch(), number)
    }

    /// Records that the removal of the parts that a delete removes with the connection has ended, and that the parts in
    /// `left`, as resource names, remain. If none remain, the delete is reported done as soon as the connection itself
    /// is proven gone; otherwise it has failed.
    pub fn parts_settled(&self, left: &[String]) {
        let mut state = self.state();
        if state.knowledge.parts_settled(left) {
            self.append(&mut state, None);
        }
    }

    /// Reports whether, as far as is known here, parts that a delete removes with the connection are still being
    /// removed.
    pub fn parts_remain(&self) -> bool {
        self.state().knowledge.parts_remain()
    }

    /// Plans the next poll at `due` or earlier; `asked` if a call waits for it. Returns the poll's number and stake.
    pub fn plan(&self, due: Instant, asked: bool) -> (u64, Stake) {
        let mut state = self.state();
        let number = state.polling.plan(due, asked);
        (number, state.stake())
    }

    /// Starts a poll unless one is in flight. Returns its target and the number of writes done before it.
    pub fn start_poll(&self) -> Option<(Target, u64)> {
        let mut state = self.state();
        let now = Instant::now();
        let want_tunnel = state.interests.combined().tunnel;
        if !state.polling.start(now, want_tunnel) {
            return None;
        }
        let (number, at_rest) = (state.polling.begun(), !state.is_urgent());
        state.admin = state.admin.filter(|it| it.holds(number, at_rest, now));
        let target = Target {
            id: self.name.id.to_string(),
            request_ids: state.knowledge.outstanding().to_vec(),
            want_tunnel,
            admin_enabled: state.admin.map(|known| known.enabled),
            deleting: state.knowledge.intent() == Intent::Deleted,
            elsewhere: state.elsewhere.take_turn(),
        };
        Some((target, state.knowledge.writes()))
    }

    /// Ends a poll that began at `began_at` by the wall clock, and applies its result. `jitter` scales the time until
    /// the next poll.
    pub fn apply_poll(&self, poll: &PollResult, began_at: SystemTime, jitter: f64) -> Applied {
        let settings = self.configured.poll();
        let mut state = self.state();
        if let Ok(sighting) = &poll.result {
            // The time never goes back, even if the wall clock does.
            state.observe_time = state.observe_time.max(Some(began_at));
            if let Some(enabled) = sighting.admin_enabled {
                let number = state.polling.begun();
                let told = AdminState::told(state.admin, enabled, number, poll.begun);
                state.admin = Some(told);
            }
        }
        state.elsewhere.apply_poll(poll, &settings);
        let changed = state.knowledge.apply_poll(poll, &settings);
        if changed {
            self.append(&mut state, Some(poll.ended));
        }
        let finished = Finished {
            begun: poll.begun,
            ended: poll.ended,
            error: poll.result.as_ref().err(),
            changed,
            urgent: state.is_urgent(),
            watched: !state.interests.is_empty(),
            jitter,
        };
        let next = state.polling.finish(&finished, &settings);
        let applied = Applied {
            next: next.map(|planned| (planned, state.stake())),
            gone: state.is_gone(),
        };
        drop(state);
        self.polled.notify();
        applied
    }
}

/// Watchers.
impl Subject {
    /// Adds a watcher, until [`Subject::release`].
    pub fn hold(&self, interest: Interest) {
        let mut state = self.state();
        state.touched = Instant::now();
        if state.interests.is_empty() {
            state.watched = state.touched;
        }
        state.interests.add(interest);
    }

    /// Replaces the interest of a watcher.
    pub fn change_interest(&self, from: Interest, to: Interest) {
        let mut state = self.state();
        state.interests.add(to);
        state.interests.remove(from);
    }

    /// Removes a watcher and the foreign writes that it waited for. Reports whether any watcher remains.
    pub fn release(&self, interest: Interest, elsewhere: &[ForeignWrite]) -> bool {
        let mut state = self.state();
        state.interests.remove(interest);
        state.elsewhere.release(elsewhere);
        state.touched = Instant::now();
        if state.interests.is_empty() {
            state.polling.cancel();
        }
        !state.interests.is_empty()
    }

    /// Records that the cloud lists the connection, or that it was written here.
    pub fn shown(&self) {
        self.state().known = true;
    }

    /// Reports whether any watcher remains.
    pub fn is_watched(&self) -> bool {
        !self.state().interests.is_empty()
    }

    /// Returns the poll interval while nothing goes wrong.
    pub fn usual_interval(&self) -> Duration {
        let settings = self.configured.poll();
        match self.state().is_urgent() {
            true => settings.fresh.min(settings.stable),
            false => settings.stable,
        }
    }

    /// Wakes the watchers and the waiters for a poll after the backend was removed.
    pub fn leave(&self) {
        self.polled.notify();
        self.state().window.wake();
    }

    /// Returns the actual poll interval, or `None` if nobody watches.
    pub fn watched_interval(&self) -> Option<Duration> {
        let state = self.state();
        let interval = state.polling.effective_interval(Instant::now());
        (!state.interests.is_empty()).then_some(interval)
    }

    /// Returns the intended poll interval.
    pub fn meant_interval(&self) -> Duration {
        let settings = self.configured.poll();
        let slowest = settings.stable.max(settings.fresh);
        self.state().polling.meant_interval(slowest)
    }

    /// Returns how long ago the last poll that the cloud answered began, or the first of the present watchers arrived
    /// if that is later.
    pub fn poll_age(&self) -> Duration {
        let state = self.state();
        state.polling.age(Instant::now(), state.watched)
    }

    /// Reports whether the connection may be forgotten at once: nobody watches it, no poll is in flight, and it was
    /// only ever reported as nonexistent or unknown. A client may return with a token for anything else.
    pub fn is_nothing(&self) -> bool {
        let state = self.state();
        state.is_unused() && !state.known
    }

    /// Reports whether the connection is certainly gone: the delete through this gateway is over, or two polls agreed
    /// that another client deleted it.
    pub fn is_gone(&self) -> bool {
        self.state().is_gone()
    }

    /// Returns since when the connection has been unused, or `None` if it is in use or its delete still waits for
    /// parts.
    pub fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        let is_idle = state.is_unused() && !state.knowledge.parts_remain();
        is_idle.then_some(state.touched)
    }
}

/// What is known of polls and writes.
impl Subject {
    /// Returns the latest observation, and whether it is current: the last poll succeeded recently and covered the
    /// tunnel if that is wanted. Recently means within the interval or, for a watch that waits for an outcome, within
    /// `fresh`, because a state from half a minute ago must not end a watch. ACCEPTED is current without a poll.
    /// Nothing is current before it is committed.
    pub fn current(&self, interest: Interest) -> (Option<Arc<Observation>>, bool) {
        let state = self.state();
        let (last, all_committed) = self.newest(&state);
        let lately = interest.outcome.then(|| self.configured.poll().fresh);
        let polled = state
            .polling
            .is_current(Instant::now(), lately, interest.tunnel);
        let written_and_unseen = last
            .as_ref()
            .is_some_and(|entry| entry.status.state == RealizationState::Accepted);
        (last, (polled || written_and_unseen) && all_committed)
    }

    /// Returns the earliest time at which a poll for a new watcher is worth its request: at once, unless the last one
    /// began within `fresh`. Any number of watchers that come and go cost no more polls than one that stays.
    pub fn soonest_poll(&self) -> Instant {
        let state = self.state();
        let fresh = self.configured.poll().fresh;
        state.polling.soonest(Instant::now(), fresh)
    }

    /// Returns the number of the poll in flight, if it covers the tunnel where `tunnel` asks for it.
    pub fn poll_under_way(&self, tunnel: bool) -> Option<u64> {
        self.state().polling.in_flight_for(tunnel)
    }

    /// Waits until poll `number`, or a later one, has ended and its changes are committed.
    ///
    /// # Errors
    /// The error of the last poll if it failed; `DeadlineExceeded` if the poll did not end in time; `BackendRemoved` if
    /// it never will.
    pub async fn poll_ended(&self, number: u64, deadline: Instant) -> Result<()> {
        let mut polled = self.polled.follow();
        let ended = async {
            while !self.has_ended(number) && !self.configured.is_removed() {
                polled.changed().await;
            }
            self.wait_committed().await;
        };
        if timeout_at(deadline, ended).await.is_err() {
            return Err(Error::new(
                ErrorKind::DeadlineExceeded,
                ErrorReason::Deadline,
                "the cloud was not looked at in time",
            ));
        }
        if !self.has_ended(number) {
            // The backend was removed, and its polls with it.
            self.configured.check()?;
        }
        self.state()
            .polling
            .last_error()
            .cloned()
            .map_or(Ok(()), Err)
    }

    fn has_ended(&self, number: u64) -> bool {
        self.state().polling.ended() >= number
    }

    /// Returns the intent of a write, if it is remembered.
    pub fn intent_of(&self, write: u64) -> Option<Intent> {
        self.state()
            .writes
            .iter()
            .find(|(number, _)| *number == write)
            .map(|(_, intent)| *intent)
    }

    /// Returns the state of the polling; the caller supplies `budget_used`.
    pub fn pulse(&self, budget_used: f64) -> Pulse {
        let state = self.state();
        let (now, time) = (Instant::now(), clock::now());
        state
            .polling
            .pulse(now, time, state.observe_time, budget_used)
    }

    /// Returns a follower that is woken by every ended poll.
    pub fn follow_polls(&self) -> Follower {
        self.polled.follow()
    }
}

/// Awaited writes made by other clients.
impl Subject {
    /// Has the polls ask about these writes too, until [`Subject::release`].
    ///
    /// # Errors
    /// `LimitExceeded` if too many other writes of this connection are awaited.
    pub fn await_elsewhere(&self, writes: &[ForeignWrite]) -> Result<()> {
        if self.state().elsewhere.await_all(writes) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Throttled,
            ErrorReason::LimitExceeded,
            format!(
                "{MAX_AWAITED} writes made elsewhere are waited for at this connection already"
            ),
        )
        .retry_after(self.configured.poll().confirm_failure)
        .resource(self.name.to_string()))
    }

    /// Reports whether a poll has covered each of these foreign writes since a watch began to await it.
    pub fn has_seen_elsewhere(&self, writes: &[ForeignWrite]) -> bool {
        self.state().elsewhere.has_seen(writes)
    }

    /// Combines `verdict`, on the observation at `revision`, with what is known of these writes. Writes made by other
    /// clients are judged with the newest observation only; for an older one the watch goes on.
    pub fn judge_elsewhere(
        &self,
        writes: &[ForeignWrite],
        revision: Revision,
        terms: Terms,
        verdict: Verdict,
    ) -> Verdict {
        let state = self.state();
        match revision < state.window.latest() {
            true => Verdict::GoesOn,
            false => state.elsewhere.judge(writes, terms, verdict),
        }
    }

    /// Returns the status of the connection for a client that asks about these writes.
    pub fn overlay_elsewhere(
        &self,
        writes: &[ForeignWrite],
        status: &ConnectionStatus,
    ) -> ConnectionStatus {
        self.state().elsewhere.overlay(writes, status)
    }
}

mod observations;
#[cfg(test)]
mod tests;
