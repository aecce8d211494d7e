//! One connection that is, or was, watched: what is known of it, its log, and who waits for it.

use crate::{
    core::{
        clock,
        dialect::Target,
        error::{Error, ErrorKind, ErrorReason, Result},
        settings::PollSettings,
        watch::{
            elsewhere::{Elsewhere, MAX_AWAITED},
            judge::{Terms, Verdict, judge_bound},
            knowledge::{Knowledge, Look, Memory, View, Write},
            log::{
                Observation, Wire,
                backend::{BackendLog, Draft},
                observation::Revision,
                window::{Compacted, Window},
            },
            names::Names,
            pace,
            schedule::{Planned, Stake},
            token::WriteToken,
        },
    },
    model::{Assurance, ConnectionName, Intent, RealizationState, Reason, codes},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// How long what a look told of `admin_enabled` is passed on to save the next looks a request.
const ADMIN_STATE_FRESH: Duration = Duration::from_secs(60);
/// And for how many looks at a connection at rest, if that is longer, however late the budget lets them be: where
/// there are many connections each is looked at every few minutes only, and a second request each time would be half
/// of all requests.
const ADMIN_STATE_LOOKS: u64 = 6;
/// How many writes of one connection are remembered by what they wanted.
const WRITES_REMEMBERED: usize = 64;

/// One connection.
#[derive(Debug)]
pub struct Subject {
    name: ConnectionName,
    ring: Arc<BackendLog>,
    settings: PollSettings,
    /// Who knows it, and forgets it when nobody uses it any more.
    owner: Weak<Names>,
    /// A std mutex: held for bookkeeping only, never across an await.
    state: Mutex<State>,
    /// Counts looks; wakes only those who wait for one.
    looked: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    knowledge: Knowledge,
    log: Window,
    watchers: usize,
    tunnel_watchers: usize,
    outcome_watchers: usize,
    in_flight: bool,
    /// Whether a call waits for the next look.
    asked: bool,
    /// Somebody asked for a look while one was under way, which may have begun too early for them.
    again: bool,
    interval: Duration,
    next_look: Option<Instant>,
    /// By how much the last look was later than planned: the budget forces it.
    late: Duration,
    /// How many looks began and ended; they never overlap.
    looks_begun: u64,
    looks_ended: u64,
    last_begun: Option<Instant>,
    /// Whether the last look to begin asked for the tunnel.
    asked_tunnel: bool,
    last_success: Option<(Instant, SystemTime)>,
    last_error: Option<Error>,
    observe_time: Option<SystemTime>,
    changed: Instant,
    admin_enabled: Option<AdminState>,
    /// What each write wanted: (its number, intent).
    writes: Vec<(u64, Intent)>,
    elsewhere: Elsewhere,
    /// It was listed, written or seen: tokens may name its writes and positions in its log.
    known: bool,
    touched: Instant,
}

/// Whether a connection is switched on, as a look told.
#[derive(Debug, Clone, Copy)]
struct AdminState {
    enabled: bool,
    /// When that look began.
    seen: Instant,
    /// The number of the look at rest that asks again.
    again: u64,
}

impl State {
    /// What was planned and cannot be kept is told as it is.
    fn effective_interval(&self, now: Instant) -> Duration {
        let overdue = self
            .next_look
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.interval + self.late.max(overdue)
    }
}

/// How the polling of one connection is doing, for heartbeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// When the cloud last answered a look well.
    pub last_success: Option<SystemTime>,
    /// When it is asked next, about.
    pub next_look: Option<SystemTime>,
    /// Whether what is known is older than `interval` allows.
    pub stale: bool,
    /// At which interval it is being asked.
    pub interval: Duration,
    /// Why the last look failed.
    pub last_error: Option<ErrorReason>,
    /// The share of the account's budget that is being used, from 0 to 1.
    pub budget_used: f64,
}

/// What somebody who watches a connection needs of its looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interest {
    /// The tunnel.
    pub tunnel: bool,
    /// That they come quickly, because something is waited for.
    pub outcome: bool,
}

/// Keeps a connection being polled for as long as it is held.
#[derive(Debug)]
pub struct Watching {
    subject: Arc<Subject>,
    interest: Interest,
    /// Upstream ids of writes made elsewhere.
    elsewhere: Vec<String>,
}

impl Watching {
    /// Has a connection polled; for its owner, who wakes the poller.
    pub fn begin(subject: &Arc<Subject>, interest: Interest) -> Watching {
        let mut state = subject.state();
        state.watchers += 1;
        state.tunnel_watchers += usize::from(interest.tunnel);
        state.outcome_watchers += usize::from(interest.outcome);
        state.touched = Instant::now();
        drop(state);
        Watching {
            subject: Arc::clone(subject),
            interest,
            elsewhere: Vec::new(),
        }
    }

    /// Has the cloud asked about writes made elsewhere, too, for as long as this is held.
    ///
    /// # Errors
    /// `LimitExceeded` if too many others of this connection are waited for.
    pub fn await_elsewhere(&mut self, request_ids: &[String]) -> Result<()> {
        if !self.subject.state().elsewhere.await_all(request_ids) {
            return Err(Error::new(
                ErrorKind::Throttled,
                ErrorReason::LimitExceeded,
                format!(
                    "{MAX_AWAITED} upstream request ids of this connection are waited for already"
                ),
            )
            .retry_after(self.subject.settings.confirm_failure)
            .resource(self.subject.name().to_string()));
        }
        self.elsewhere = request_ids.to_vec();
        Ok(())
    }

    /// Which connection.
    pub fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    /// The writes made elsewhere that it waits for.
    pub fn elsewhere(&self) -> &[String] {
        &self.elsewhere
    }

    /// What is known means for whoever holds this. `None` where it cannot be judged by this observation: what the
    /// cloud says of writes made elsewhere goes with the newest only.
    pub fn judge(&self, seen: &Observation, terms: Terms, write: u64) -> Verdict {
        let verdict = judge_bound(&seen.view, terms, write);
        if self.elsewhere.is_empty() {
            return verdict;
        }
        let state = self.subject.state();
        if seen.sequence < state.log.latest() {
            return Verdict::GoesOn;
        }
        state.elsewhere.judge(&self.elsewhere, terms, verdict)
    }

    /// What is said of the connection, for whoever asks about writes made elsewhere.
    pub fn overlay(&self, seen: Arc<Observation>) -> Arc<Observation> {
        if self.elsewhere.is_empty() {
            return seen;
        }
        let view = self
            .subject
            .state()
            .elsewhere
            .overlay(&self.elsewhere, &seen.view);
        Arc::new(Observation {
            view,
            wire: Wire::default(),
            name: seen.name.clone(),
            ..*seen
        })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let end = || {
            let mut state = self.subject.state();
            state.watchers -= 1;
            state.tunnel_watchers -= usize::from(self.interest.tunnel);
            state.outcome_watchers -= usize::from(self.interest.outcome);
            state.elsewhere.release(&self.elsewhere);
            state.touched = Instant::now();
            if state.watchers == 0 {
                // Nothing is planned any more, so that whoever comes next finds nothing late.
                state.next_look = None;
            }
        };
        match self.subject.owner.upgrade() {
            Some(names) => names.release(&self.subject, end),
            None => end(),
        }
    }
}

impl Subject {
    /// A connection of which nothing is known.
    pub fn new(name: ConnectionName, ring: Arc<BackendLog>, settings: PollSettings) -> Subject {
        // It may have been known before and forgotten. So its log begins here and now, and its writes get numbers
        // that none of its writes ever had: there are never more writes than changes.
        let base = ring.log().latest();
        let knowledge = Knowledge::counting_from(base);
        Subject::with(name, ring, settings, knowledge, Window::of_connection(base))
    }

    /// A connection that was known before the process began, with the changes of it that were kept, in order.
    pub fn recalled(
        changes: &[Arc<Observation>],
        latest: &Observation,
        memory: Memory,
        ring: Arc<BackendLog>,
        settings: PollSettings,
    ) -> Subject {
        let knowledge = Knowledge::recalled(latest.view.clone(), &memory, Instant::now());
        let log = Window::recovered(changes);
        let subject = Subject::with(latest.name.clone(), ring, settings, knowledge, log);
        let mut state = subject.state();
        state.observe_time = latest.observe_time;
        state.writes = memory.wanted;
        state.known = true;
        drop(state);
        subject
    }

    fn with(
        name: ConnectionName,
        ring: Arc<BackendLog>,
        settings: PollSettings,
        knowledge: Knowledge,
        log: Window,
    ) -> Subject {
        let now = Instant::now();
        Subject {
            name,
            ring,
            settings,
            owner: Weak::new(),
            state: Mutex::new(State {
                knowledge,
                log,
                watchers: 0,
                tunnel_watchers: 0,
                outcome_watchers: 0,
                in_flight: false,
                asked: false,
                again: false,
                interval: settings.fresh,
                next_look: None,
                late: Duration::ZERO,
                looks_begun: 0,
                looks_ended: 0,
                last_begun: None,
                asked_tunnel: false,
                last_success: None,
                last_error: None,
                observe_time: None,
                changed: now,
                admin_enabled: None,
                writes: Vec::new(),
                elsewhere: Elsewhere::default(),
                known: false,
                touched: now,
            }),
            looked: watch::Sender::new(0),
        }
    }

    /// Its name.
    pub fn name(&self) -> &ConnectionName {
        &self.name
    }

    /// The same, known to these.
    pub fn owned_by(self, names: &Arc<Names>) -> Subject {
        Subject {
            owner: Arc::downgrade(names),
            ..self
        }
    }

    /// Has it polled for as long as the answer is held. The caller wakes the poller.
    pub fn watch(self: &Arc<Self>, interest: Interest) -> Watching {
        match self.owner.upgrade() {
            Some(names) => names.hold(self, interest),
            None => Watching::begin(self, interest),
        }
    }

    /// The cloud has it in its list, or it was written here.
    pub fn shown(&self) {
        self.state().known = true;
    }

    /// Whether somebody watches it.
    pub fn is_watched(&self) -> bool {
        self.state().watchers > 0
    }

    /// At which interval it is being asked, if somebody watches it.
    pub fn watched_interval(&self) -> Option<Duration> {
        let state = self.state();
        (state.watchers > 0).then(|| state.effective_interval(Instant::now()))
    }

    /// Whether it may be forgotten at once: nobody watches it, no look is under way, and all that was ever told of it is
    /// that it is not there, or that nobody knows. Whatever else was told, somebody may come back for with a token.
    pub fn is_nothing(&self) -> bool {
        let state = self.state();
        state.watchers == 0 && !state.in_flight && !state.known
    }

    /// Whether it is certainly not there any more: our own delete is over, or two looks agreed that somebody else's is.
    pub fn is_gone(&self) -> bool {
        let state = self.state();
        let view = state.knowledge.view();
        view.is_some_and(|view| {
            view.state == RealizationState::Deleted
                && (view.intent == Intent::Deleted || view.confirmed)
        })
    }

    /// Since when nobody has.
    pub fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.watchers == 0 && !state.in_flight).then_some(state.touched)
    }

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
        state.admin_enabled = None;
        state.touched = Instant::now();
        state.interval = self.settings.fresh;
        self.append(&mut state);
        drop(state);
        WriteToken::new(self.name.to_string(), self.ring.log().epoch(), number)
    }

    /// Begins a look, unless one is under way: what to look for, and after how many writes.
    pub fn begin_look(&self) -> Option<(Target, u64)> {
        let mut state = self.state();
        if state.in_flight {
            state.again = true;
            return None;
        }
        let now = Instant::now();
        let want_tunnel = state.tunnel_watchers > 0;
        state.in_flight = true;
        state.asked = false;
        state.late = state
            .next_look
            .take()
            .map_or(Duration::ZERO, |planned| now.duration_since(planned));
        state.looks_begun += 1;
        state.last_begun = Some(now);
        state.asked_tunnel = want_tunnel;
        let at_rest = !state.knowledge.unsettled() && state.outcome_watchers == 0;
        let looks = state.looks_begun;
        state.admin_enabled = state.admin_enabled.filter(|known| {
            let lately = now.duration_since(known.seen) < ADMIN_STATE_FRESH;
            lately || (at_rest && looks < known.again)
        });
        let target = Target {
            id: self.name.id.to_string(),
            request_ids: state.knowledge.outstanding().to_vec(),
            want_tunnel,
            admin_enabled: state.admin_enabled.map(|known| known.enabled),
            deleting: state.knowledge.intent() == Intent::Deleted,
            elsewhere: state.elsewhere.take_turn(),
        };
        Some((target, state.knowledge.writes()))
    }

    /// Ends a look. Answers when to look next if somebody still watches; `jitter` is a factor of the time until then.
    pub fn end_look(&self, look: &Look, began_at: SystemTime, jitter: f64) -> Option<Planned> {
        let mut state = self.state();
        state.in_flight = false;
        state.looks_ended += 1;
        match &look.result {
            Ok(sighting) => {
                let time = state
                    .observe_time
                    .map_or(began_at, |known| known.max(began_at));
                state.observe_time = Some(time);
                state.last_success = Some((look.begun, time));
                state.last_error = None;
                if let Some(enabled) = sighting.admin_enabled
                    && state
                        .admin_enabled
                        .is_none_or(|known| known.enabled != enabled)
                {
                    // Those who were first looked at together must not go on asking together.
                    let looks = match state.looks_begun {
                        1 => fastrand::u64(1..=ADMIN_STATE_LOOKS),
                        _ => ADMIN_STATE_LOOKS,
                    };
                    state.admin_enabled = Some(AdminState {
                        enabled,
                        seen: look.begun,
                        again: state.looks_begun + looks,
                    });
                }
            }
            Err(error) => state.last_error = Some(error.clone()),
        }
        state.elsewhere.looked(look, &self.settings);
        let changed = state.knowledge.looked(look, &self.settings);
        if changed {
            state.changed = look.ended;
            self.append(&mut state);
        }
        state.interval = pace::interval(
            &self.settings,
            state.knowledge.unsettled() || state.outcome_watchers > 0,
            look.ended.duration_since(state.changed),
            state.last_error.as_ref(),
            state.interval,
        );
        let again = std::mem::take(&mut state.again);
        let (wait, asked) = match &state.last_error {
            _ if again => (Duration::ZERO, Duration::ZERO),
            // Nothing was sent. It takes its place again, before those who made the cloud ask for patience.
            Some(error) if pace::was_held_back(error) => (self.settings.fresh, Duration::ZERO),
            Some(error) => (state.interval, pace::asked(error)),
            None => (state.interval, Duration::ZERO),
        };
        let next = (state.watchers > 0).then(|| pace::planned(look.ended, wait, jitter, asked));
        state.next_look = next.map(|planned| planned.due);
        drop(state);
        self.looked.send_modify(|count| *count += 1);
        next
    }

    /// What is at stake in its next look.
    pub fn stake(&self) -> Stake {
        let state = self.state();
        match state.asked {
            _ if state.knowledge.unsettled() || state.outcome_watchers > 0 => Stake::High,
            true => Stake::Asked,
            false => Stake::Low,
        }
    }

    /// Notes that a call waits for the next look.
    pub fn ask(&self) {
        self.state().asked = true;
    }

    /// Remembers when it is looked at next, for heartbeats.
    pub fn scheduled(&self, at: Instant) {
        let mut state = self.state();
        state.next_look = Some(state.next_look.map_or(at, |known| known.min(at)));
    }

    /// What is said now, and whether it is current: from a look that succeeded lately, covered the tunnel if
    /// that is wanted, and is the last. Lately is within the interval; for whoever waits for an outcome,
    /// within the fresh interval, because what was true half a minute ago must not end anything.
    pub fn current(&self, interest: Interest) -> (Option<Arc<Observation>>, bool) {
        let state = self.state();
        let committed = self.ring.log().committed();
        let last = state.log.latest_committed(committed).cloned();
        let lately = if interest.outcome {
            self.settings.fresh
        } else {
            state.interval
        };
        let looked_lately = state.last_error.is_none()
            && state
                .last_success
                .is_some_and(|(begun, _)| begun.elapsed() <= lately);
        let tunnel_seen = !interest.tunnel || state.asked_tunnel;
        let written_and_unseen = last
            .as_ref()
            .is_some_and(|entry| entry.view.state == RealizationState::Accepted);
        let current = (looked_lately && tunnel_seen && !state.in_flight) || written_and_unseen;
        (last, current && state.log.latest() <= committed)
    }

    /// What is said now; UNKNOWN if nothing is known.
    pub fn last_or_unseen(&self) -> Arc<Observation> {
        let state = self.state();
        if let Some(last) = state.log.latest_committed(self.ring.log().committed()) {
            return Arc::clone(last);
        }
        let begin = state.log.compacted();
        Arc::new(Observation {
            name: self.name.clone(),
            epoch: self.ring.log().epoch(),
            sequence: begin,
            previous: begin,
            observe_time: None,
            view: View {
                reason: Some(Reason::new(codes::NOT_OBSERVED, "nobody has looked yet")),
                ..View::default()
            },
            wire: Wire::default(),
        })
    }

    /// Whether nothing was ever said of it.
    pub fn is_unseen(&self) -> bool {
        self.state().log.is_empty()
    }

    /// Waits until everything that was said of it so far is committed.
    pub async fn wait_committed(&self) {
        let latest = self.state().log.latest();
        self.ring.log().wait_committed(latest).await;
    }

    /// When the next look is worth its request for somebody who has just come: at once, unless the last one
    /// began a moment ago. However many come, they cost no more than one who stays.
    pub fn soonest_look(&self) -> Instant {
        let now = Instant::now();
        self.state()
            .last_begun
            .map_or(now, |begun| now.max(begun + self.settings.fresh))
    }

    /// The number of the next look to begin.
    pub fn next_look(&self) -> u64 {
        self.state().looks_begun + 1
    }

    /// The number of the look that is under way, if it serves the purpose: whoever needs a look may share it.
    pub fn look_under_way(&self, tunnel: bool) -> Option<u64> {
        let state = self.state();
        let serves = state.in_flight && (state.asked_tunnel || !tunnel);
        serves.then_some(state.looks_begun)
    }

    /// Waits until the look of that number, or a later one, has ended and what it changed is committed.
    ///
    /// # Errors
    /// The look's own error if it failed, `DeadlineExceeded` if it did not end in time.
    pub async fn look_ended(&self, number: u64, deadline: Instant) -> Result<()> {
        let mut looked = self.looked.subscribe();
        let ended = async {
            // The sender lives in `self`.
            let ended = |_: &u64| self.state().looks_ended >= number;
            let _ = looked.wait_for(ended).await;
            self.wait_committed().await;
        };
        if timeout_at(deadline, ended).await.is_err() {
            return Err(Error::new(
                ErrorKind::DeadlineExceeded,
                ErrorReason::Deadline,
                "the cloud was not looked at in time",
            ));
        }
        self.state().last_error.clone().map_or(Ok(()), Err)
    }

    /// Everything said after a position.
    ///
    /// # Errors
    /// If some of it is not remembered.
    pub fn after(&self, position: Revision) -> Result<Vec<Arc<Observation>>, Compacted> {
        let committed = self.ring.log().committed();
        self.state().log.after(position, committed)
    }

    /// Whether everything after a position is remembered.
    pub fn covers(&self, position: Revision) -> bool {
        self.state().log.covers(position)
    }

    /// The oldest position after which everything is remembered.
    pub fn compacted(&self) -> Revision {
        self.state().log.compacted()
    }

    /// What the write of that number wanted, if it is remembered.
    pub fn intent_of(&self, write: u64) -> Option<Intent> {
        self.state()
            .writes
            .iter()
            .find(|(number, _)| *number == write)
            .map(|(_, intent)| *intent)
    }

    /// What the connection is meant to be.
    pub fn intent(&self) -> Intent {
        self.state().knowledge.intent()
    }

    /// How the polling is doing; the budget is told by whoever knows it.
    pub fn pulse(&self, budget_used: f64) -> Pulse {
        let state = self.state();
        let now = Instant::now();
        let interval = state.effective_interval(now);
        let promised = interval + interval / 2 + Duration::from_secs(1);
        Pulse {
            last_success: state.last_success.map(|(_, time)| time),
            next_look: state
                .next_look
                .map(|at| clock::now() + at.saturating_duration_since(now)),
            stale: state
                .last_success
                .is_none_or(|(begun, _)| now.duration_since(begun) > promised),
            interval,
            last_error: state.last_error.as_ref().map(|error| error.reason),
            budget_used,
        }
    }

    /// Told of every change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.state().log.subscribe()
    }

    /// Told of every look.
    pub fn subscribe_looks(&self) -> watch::Receiver<u64> {
        self.looked.subscribe()
    }

    fn append(&self, state: &mut State) {
        let view = state.knowledge.view().cloned().unwrap_or_default();
        state.known |= view.assurance > Assurance::None && view.state != RealizationState::Deleted;
        let memory = state.known.then(|| Memory {
            wanted: state.writes.clone(),
            ..state.knowledge.memory()
        });
        let draft = Draft {
            name: self.name.clone(),
            // Of the last look that saw anything, also where an entry is not from a look: it never goes back.
            observe_time: state.observe_time,
            view,
            memory,
        };
        self.ring.append(&mut state.log, draft);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
