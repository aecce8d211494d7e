//! One connection that is, or was, watched: what its polls and writes make of what is said of it.
//!
//! A poll takes the lock twice: when it starts and when it is applied. How far it is in between is [`Polling`]'s.

use crate::{
    core::{
        clock,
        configured::Configured,
        dialect::Target,
        error::{Error, ErrorKind, ErrorReason, Result},
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
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// How many writes of one connection are remembered by what they wanted.
const WRITES_REMEMBERED: usize = 64;

/// One connection.
#[derive(Debug)]
pub struct Subject {
    name: ConnectionName,
    log: Arc<BackendLog>,
    configured: Arc<Configured>,
    /// A std mutex: held for bookkeeping only, never across an await.
    state: Mutex<State>,
    /// Counts polls that ended; wakes only those who wait for one.
    polled: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    knowledge: Knowledge,
    window: Window,
    polling: Polling,
    interests: Interests,
    /// Since when somebody does.
    watched: Instant,
    elsewhere: Elsewhere,
    /// When the last poll that saw anything began.
    observe_time: Option<SystemTime>,
    admin: Option<AdminState>,
    /// What each write wanted: (its number, intent).
    writes: Vec<(u64, Intent)>,
    /// It was listed, written or seen: tokens may name its writes and positions in its log.
    known: bool,
    touched: Instant,
}

impl State {
    /// Whether something is on its way, or somebody waits for an outcome.
    fn is_urgent(&self) -> bool {
        self.knowledge.unsettled() || self.interests.combined().outcome
    }

    /// What is at stake in the next poll.
    fn stake(&self) -> Stake {
        match self.polling.is_asked() {
            _ if self.is_urgent() => Stake::High,
            true => Stake::Asked,
            false => Stake::Low,
        }
    }

    /// Whether it is certainly not there any more.
    fn is_gone(&self) -> bool {
        self.knowledge.is_gone()
    }

    fn is_unused(&self) -> bool {
        self.interests.is_empty() && !self.polling.is_in_flight()
    }
}

/// What a poll that was applied leaves to do.
#[derive(Debug, Clone, Copy)]
pub struct Applied {
    /// When the next one is, and what is at stake in it; `None` if nobody watches.
    pub next: Option<(Planned, Stake)>,
    /// [`Subject::is_gone`].
    pub gone: bool,
}

impl Subject {
    /// A connection of which nothing is known.
    pub fn new(name: ConnectionName, log: Arc<BackendLog>, configured: Arc<Configured>) -> Subject {
        // It may have been known before and forgotten. So its log begins here and now, and its writes get numbers
        // that none of its writes ever had: there are never more writes than changes.
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
            polled: watch::Sender::new(0),
        }
    }

    /// A connection that was known before the process began, with the changes of it that were kept, in order.
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

    /// Its name.
    pub fn name(&self) -> &ConnectionName {
        &self.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Polls and writes.
impl Subject {
    /// Takes in a write that the cloud has accepted, and names it. The name outlives the process once
    /// [`Subject::wait_committed`] is over.
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

    /// What its delete removes beside it is not being removed any more, and these are left, as resource names. If none is,
    /// the delete is told to be over as soon as the connection itself is proven gone; else it has failed.
    pub fn parts_settled(&self, left: &[String]) {
        let mut state = self.state();
        if state.knowledge.parts_settled(left) {
            self.append(&mut state, None);
        }
    }

    /// Whether what its delete removes beside it is still being removed, as far as is known here.
    pub fn parts_remain(&self) -> bool {
        self.state().knowledge.parts_remain()
    }

    /// Has the next poll begin at `due` or earlier; `asked` if a call waits for it. Answers its number, and what is
    /// at stake in it.
    pub fn plan(&self, due: Instant, asked: bool) -> (u64, Stake) {
        let mut state = self.state();
        let number = state.polling.plan(due, asked);
        (number, state.stake())
    }

    /// Begins a poll, unless one is in flight: what to look for, and after how many writes.
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

    /// Ends a poll that began at `began_at` by the clock, and takes in what it brought; `jitter` is a factor of the
    /// time until the next one.
    pub fn apply_poll(&self, poll: &PollResult, began_at: SystemTime, jitter: f64) -> Applied {
        let settings = self.configured.poll();
        let mut state = self.state();
        if let Ok(sighting) = &poll.result {
            // It never goes back, whatever the clock does.
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
        self.polled.send_modify(|count| *count += 1);
        applied
    }
}

/// Who uses it.
impl Subject {
    /// Somebody watches it from now on, until [`Subject::release`].
    pub fn hold(&self, interest: Interest) {
        let mut state = self.state();
        state.touched = Instant::now();
        if state.interests.is_empty() {
            state.watched = state.touched;
        }
        state.interests.add(interest);
    }

    /// Somebody who watches it needs something else of its polls from now on.
    pub fn change_interest(&self, from: Interest, to: Interest) {
        let mut state = self.state();
        state.interests.add(to);
        state.interests.remove(from);
    }

    /// Somebody no longer watches it, nor these writes made elsewhere. Answers whether anybody still does.
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

    /// The cloud has it in its list, or it was written here.
    pub fn shown(&self) {
        self.state().known = true;
    }

    /// Whether somebody watches it.
    pub fn is_watched(&self) -> bool {
        !self.state().interests.is_empty()
    }

    /// At which interval it is to be asked while nothing goes wrong.
    pub fn usual_interval(&self) -> Duration {
        let settings = self.configured.poll();
        match self.state().is_urgent() {
            true => settings.fresh.min(settings.stable),
            false => settings.stable,
        }
    }

    /// Its backend was removed: has whoever watches it, or waits for a poll of it, see that.
    pub fn leave(&self) {
        self.polled.send_modify(|_| {});
        self.state().window.wake();
    }

    /// At which interval it is being asked, if somebody watches it.
    pub fn watched_interval(&self) -> Option<Duration> {
        let state = self.state();
        let interval = state.polling.effective_interval(Instant::now());
        (!state.interests.is_empty()).then_some(interval)
    }

    /// At which interval it is meant to be asked by now.
    pub fn meant_interval(&self) -> Duration {
        let settings = self.configured.poll();
        let slowest = settings.stable.max(settings.fresh);
        self.state().polling.meant_interval(slowest)
    }

    /// How long ago the last poll began that the cloud answered, for as long as somebody watches it.
    pub fn poll_age(&self) -> Duration {
        let state = self.state();
        state.polling.age(Instant::now(), state.watched)
    }

    /// Whether it may be forgotten at once: nobody watches it, no poll is in flight, and all that was ever told of it is
    /// that it is not there, or that nobody knows. Whatever else was told, somebody may come back for with a token.
    pub fn is_nothing(&self) -> bool {
        let state = self.state();
        state.is_unused() && !state.known
    }

    /// Whether it is certainly not there any more: our own delete is over, or two polls agreed that somebody else's is.
    pub fn is_gone(&self) -> bool {
        self.state().is_gone()
    }

    /// Since when nobody has used it. Never while something is being removed with it: somebody will tell how that ended.
    pub fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        let is_idle = state.is_unused() && !state.knowledge.parts_remain();
        is_idle.then_some(state.touched)
    }
}

/// What is known of its polls and writes.
impl Subject {
    /// What is said now, and whether it is current: from a poll that succeeded lately, covered the tunnel if
    /// that is wanted, and is the last. Lately is within the interval; for whoever waits for an outcome,
    /// within the fresh interval, because what was true half a minute ago must not end anything.
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

    /// When the next poll is worth its request for somebody who has just come: at once, unless the last one
    /// began a moment ago. However many come, they cost no more than one who stays.
    pub fn soonest_poll(&self) -> Instant {
        let state = self.state();
        let fresh = self.configured.poll().fresh;
        state.polling.soonest(Instant::now(), fresh)
    }

    /// The number of the poll that is under way, if it serves the purpose: whoever needs a poll may share it.
    pub fn poll_under_way(&self, tunnel: bool) -> Option<u64> {
        self.state().polling.in_flight_for(tunnel)
    }

    /// Waits until the poll of that number, or a later one, has ended and what it changed is committed.
    ///
    /// # Errors
    /// The poll's own error if it failed, `DeadlineExceeded` if it did not end in time, `BackendRemoved` if it will not.
    pub async fn poll_ended(&self, number: u64, deadline: Instant) -> Result<()> {
        let mut polled = self.polled.subscribe();
        let ended = async {
            // The sender lives in `self`.
            let ended = |_: &u64| self.has_ended(number) || self.configured.is_removed();
            let _ = polled.wait_for(ended).await;
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
            // Nobody polls it any more.
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

    /// What the write of that number wanted, if it is remembered.
    pub fn intent_of(&self, write: u64) -> Option<Intent> {
        self.state()
            .writes
            .iter()
            .find(|(number, _)| *number == write)
            .map(|(_, intent)| *intent)
    }

    /// How the polling is doing; the budget is told by whoever knows it.
    pub fn pulse(&self, budget_used: f64) -> Pulse {
        let state = self.state();
        let (now, time) = (Instant::now(), clock::now());
        state
            .polling
            .pulse(now, time, state.observe_time, budget_used)
    }

    /// Told of every poll.
    pub fn subscribe_polls(&self) -> watch::Receiver<u64> {
        self.polled.subscribe()
    }
}

/// Writes made elsewhere that somebody waits for.
impl Subject {
    /// Has the cloud asked about these, too, until [`Subject::release`].
    ///
    /// # Errors
    /// `LimitExceeded` if too many others of this connection are waited for.
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

    /// Whether the cloud was asked about the connection since somebody began to wait for these.
    pub fn has_seen_elsewhere(&self, writes: &[ForeignWrite]) -> bool {
        self.state().elsewhere.has_seen(writes)
    }

    /// What is known of these means beside `verdict` on what was said at `revision`. It goes with the newest only.
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

    /// What is said of the connection, for whoever asks about these.
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
