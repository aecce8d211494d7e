//! The polling state of one connection. Pure: the caller supplies the time.
//!
//! ```text
//!             plan                 start
//!    IDLE ───────────► PLANNED ───────────► IN FLIGHT
//!    ▲  ▲               │   ▲                 │   │
//!    │  └─── cancel ────┘   └ finish, watched ┘   │
//!    └────────── finish, nobody watches ──────────┘
//! ```
//!
//! `plan` on a planned poll keeps the earlier of the two times. While a poll is in flight, `plan` asks for another,
//! because the one in flight may have begun too early for the caller. Nothing is planned while nobody watches
//! (`cancel`), so that the next watcher finds no overdue poll. `start` needs no plan.

use crate::core::{
    error::{Error, ErrorReason},
    settings::PollSettings,
    watch::{due_queue::Planned, pace},
};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The state of a connection's polling, for heartbeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// When the last successful poll began.
    pub last_success: Option<SystemTime>,
    /// Approximately when the next poll is due.
    pub next_poll: Option<SystemTime>,
    /// Whether what is known is older than `interval` allows.
    pub stale: bool,
    /// The actual poll interval.
    pub interval: Duration,
    /// Why the last poll failed; `None` if it succeeded.
    pub last_error: Option<ErrorReason>,
    /// The share of the account's budget in use, from 0 to 1.
    pub budget_used: f64,
}

/// The polls of one connection.
#[derive(Debug)]
pub struct Polling {
    phase: Phase,
    /// The last poll that began.
    last: Option<Poll>,
    /// When the last successful poll began.
    last_success: Option<Instant>,
    /// Why the last ended poll failed.
    last_error: Option<Error>,
    /// The time between polls, before jitter.
    interval: Duration,
    /// When a poll last brought a change.
    changed: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Planned(Next),
    /// The next poll, if one was asked for since this one began.
    InFlight(Option<Next>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next {
    due: Instant,
    /// Whether a call waits for it.
    asked: bool,
}

/// A poll that began.
#[derive(Debug, Clone, Copy)]
struct Poll {
    /// The first poll is number 1. Polls never overlap.
    number: u64,
    begun: Instant,
    /// Whether it asked for the tunnel.
    tunnel: bool,
    /// How late the poll began. The account's budget may delay it.
    late: Duration,
}

/// The result of a poll, as far as the next one depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    pub begun: Instant,
    /// When the answer arrived.
    pub ended: Instant,
    /// Why the poll failed, if it did.
    pub error: Option<&'a Error>,
    /// Whether the poll changed the status.
    pub changed: bool,
    /// Whether a write is in progress or a watch waits for an outcome.
    pub urgent: bool,
    /// Whether anybody watches.
    pub watched: bool,
    /// The factor for the time until the next poll.
    pub jitter: f64,
}

impl Polling {
    /// Starts idle.
    pub fn new(interval: Duration, now: Instant) -> Polling {
        Polling {
            phase: Phase::Idle,
            last: None,
            last_success: None,
            last_error: None,
            interval,
            changed: now,
        }
    }

    /// Plans a poll at `due` or earlier; `asked` if a call waits for it. Returns the poll's number.
    pub fn plan(&mut self, due: Instant, asked: bool) -> u64 {
        let earlier = |known: Next| Next {
            due: known.due.min(due),
            asked: known.asked || asked,
        };
        let next = Next { due, asked };
        self.phase = match self.phase {
            Phase::Idle => Phase::Planned(next),
            Phase::Planned(known) => Phase::Planned(earlier(known)),
            Phase::InFlight(known) => Phase::InFlight(Some(known.map_or(next, earlier))),
        };
        self.begun() + 1
    }

    /// Drops the plan, because nobody watches any more.
    pub fn cancel(&mut self) {
        self.phase = match self.phase {
            Phase::Idle | Phase::Planned(_) => Phase::Idle,
            Phase::InFlight(_) => Phase::InFlight(None),
        };
    }

    /// Starts a poll and returns true, or returns false if one is in flight.
    pub fn start(&mut self, now: Instant, tunnel: bool) -> bool {
        let late = match self.phase {
            Phase::Idle => Duration::ZERO,
            Phase::Planned(next) => now.duration_since(next.due),
            Phase::InFlight(_) => return false,
        };
        self.phase = Phase::InFlight(None);
        self.last = Some(Poll {
            number: self.begun() + 1,
            begun: now,
            tunnel,
            late,
        });
        true
    }

    /// Ends the poll in flight. Returns when the next one is due, or `None` if nobody watches.
    pub fn finish(&mut self, poll: &Finished<'_>, settings: &PollSettings) -> Option<Planned> {
        let Finished { ended, error, .. } = *poll;
        if error.is_none() {
            self.last_success = Some(poll.begun);
        }
        self.last_error = error.cloned();
        if poll.changed {
            self.changed = ended;
        }
        let unchanged = ended.duration_since(self.changed);
        self.interval = pace::interval(settings, poll.urgent, unchanged, error, self.interval);
        let (wait, patience) = match error {
            // Nothing was sent. The poll returns to its place, ahead of those whose requests the cloud throttled.
            Some(error) if pace::was_held_back(error) => (settings.fresh, Duration::ZERO),
            Some(error) => (self.interval, pace::asked(error)),
            None => (self.interval, Duration::ZERO),
        };
        let mut planned = pace::planned(ended, wait, poll.jitter, patience);
        let next = match self.phase {
            Phase::InFlight(next) => next,
            Phase::Idle | Phase::Planned(_) => None,
        };
        if let Some(next) = next.filter(|next| next.due < planned.due) {
            planned = Planned {
                from: ended,
                due: next.due.max(ended),
            };
        }
        self.phase = match poll.watched {
            true => Phase::Planned(Next {
                due: planned.due,
                asked: next.is_some_and(|next| next.asked),
            }),
            false => Phase::Idle,
        };
        poll.watched.then_some(planned)
    }

    /// Sets the interval after a write, until the next poll sets another.
    pub fn hurry(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Returns how many polls began.
    pub fn begun(&self) -> u64 {
        self.last.map_or(0, |last| last.number)
    }

    /// Returns how many polls ended.
    pub fn ended(&self) -> u64 {
        self.begun() - u64::from(self.is_in_flight())
    }

    pub fn is_in_flight(&self) -> bool {
        matches!(self.phase, Phase::InFlight(_))
    }

    /// Returns the number of the poll in flight, if it covers the tunnel where `tunnel` asks for it.
    pub fn in_flight_for(&self, tunnel: bool) -> Option<u64> {
        let serves = self.is_in_flight() && (self.asked_tunnel() || !tunnel);
        serves.then(|| self.begun())
    }

    /// Reports whether a call waits for the next poll.
    pub fn is_asked(&self) -> bool {
        self.next().is_some_and(|next| next.asked)
    }

    /// Returns the earliest time at which a poll for a watcher that arrives at `now` is worth its request: at once,
    /// unless the last poll began less than `fresh` ago.
    pub fn soonest(&self, now: Instant, fresh: Duration) -> Instant {
        self.last.map_or(now, |last| now.max(last.begun + fresh))
    }

    /// Reports whether the result of the last poll is current: the poll ended, succeeded, began within `lately`
    /// (`None`: within the interval), and covered the tunnel if that is wanted.
    pub fn is_current(&self, now: Instant, lately: Option<Duration>, tunnel: bool) -> bool {
        let lately = lately.unwrap_or(self.interval);
        let succeeded = self.last_error.is_none()
            && self
                .last_success
                .is_some_and(|begun| now.duration_since(begun) <= lately);
        succeeded && (self.asked_tunnel() || !tunnel) && !self.is_in_flight()
    }

    /// Returns why the last ended poll failed.
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// Returns the interval plus the present delay, so that a schedule that cannot be kept is reported as it is.
    pub fn effective_interval(&self, now: Instant) -> Duration {
        let late = self.last.map_or(Duration::ZERO, |last| last.late);
        let overdue = self
            .next()
            .map_or(Duration::ZERO, |next| now.duration_since(next.due));
        self.interval + late.max(overdue)
    }

    /// Returns the intended interval, however late polls are. It is capped at `slowest`, which only a pause that the
    /// cloud asked for exceeds.
    pub fn meant_interval(&self, slowest: Duration) -> Duration {
        self.interval.min(slowest)
    }

    /// Returns how long before `now` the last successful poll began, or the watching began at `watched` if that is
    /// later.
    pub fn age(&self, now: Instant, watched: Instant) -> Duration {
        let since = self.last_success.map_or(watched, |it| it.max(watched));
        now.duration_since(since)
    }

    /// Returns the state of the polling at `now`, which is `time` by the wall clock. `seen` is the wall-clock time at
    /// which the last successful poll began. The caller supplies `budget_used`.
    pub fn pulse(
        &self,
        now: Instant,
        time: SystemTime,
        seen: Option<SystemTime>,
        budget_used: f64,
    ) -> Pulse {
        let interval = self.effective_interval(now);
        let promised = interval + interval / 2 + Duration::from_secs(1);
        let fresh = self
            .last_success
            .is_some_and(|begun| now.duration_since(begun) <= promised);
        Pulse {
            last_success: self.last_success.and(seen),
            next_poll: self.next().map(|next| time + next.due.duration_since(now)),
            stale: !fresh,
            interval,
            last_error: self.last_error.as_ref().map(|error| error.reason),
            budget_used,
        }
    }

    fn asked_tunnel(&self) -> bool {
        self.last.is_some_and(|last| last.tunnel)
    }

    fn next(&self) -> Option<Next> {
        match self.phase {
            Phase::Idle => None,
            Phase::Planned(next) => Some(next),
            Phase::InFlight(next) => next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::error::ErrorKind;

    /// The events, each a second after the one before.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        /// A poll is planned for this second; true if a call asks for it.
        Plan(u64, bool),
        Cancel,
        Start,
        /// The poll ends; true if a watcher remains.
        Finish(Ending, bool),
    }
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Ending {
        Well,
        Urgent,
        Outage,
        /// The account's budget held it back.
        HeldBack,
    }
    use Ending::{HeldBack, Outage, Urgent, Well};
    use Event::{Cancel, Finish, Plan, Start};

    fn at(start: Instant, second: u64) -> Instant {
        start + Duration::from_secs(second)
    }

    /// Returns the phase after each event.
    fn play(start: Instant, events: &[Event]) -> (Polling, Vec<Phase>) {
        let settings = PollSettings::default();
        let mut polling = Polling::new(settings.fresh, start);
        let mut phases = Vec::new();
        for (second, event) in (1..).zip(events) {
            let (begun, now) = (polling.begun(), at(start, second));
            match *event {
                Plan(due, asked) => assert_eq!(polling.plan(at(start, due), asked), begun + 1),
                Cancel => polling.cancel(),
                Start => {
                    let started = polling.start(now, false);
                    assert_eq!(polling.begun(), begun + u64::from(started));
                }
                Finish(ending, watched) => {
                    let (kind, reason) = match ending {
                        HeldBack => (ErrorKind::Throttled, ErrorReason::UpstreamThrottled),
                        _ => (ErrorKind::Unavailable, ErrorReason::UpstreamUnreachable),
                    };
                    let error = Error::new(kind, reason, "x");
                    let poll = Finished {
                        begun: at(start, second - 1),
                        ended: now,
                        error: matches!(ending, Outage | HeldBack).then_some(&error),
                        changed: false,
                        urgent: ending == Urgent,
                        watched,
                        jitter: 1.0,
                    };
                    let planned = polling.finish(&poll, &settings);
                    let due = planned.map(|planned| planned.due);
                    assert_eq!(due, polling.next().map(|next| next.due));
                }
            }
            let open = u64::from(polling.is_in_flight());
            assert_eq!(polling.ended(), polling.begun() - open);
            phases.push(polling.phase);
        }
        (polling, phases)
    }

    #[test]
    fn each_event_leads_from_each_phase_where_the_drawing_says() {
        let start = Instant::now();
        let stable = PollSettings::default().stable.as_secs();
        let next = |due, asked| Next {
            due: at(start, due),
            asked,
        };
        let (idle, flying) = (Phase::Idle, Phase::InFlight(None));
        let asked = |due| Phase::Planned(next(due, true));
        let planned = |due| Phase::Planned(next(due, false));
        let again = |due, asked| Phase::InFlight(Some(next(due, asked)));
        let table: &[(&[Event], &[Phase])] = &[
            (&[Cancel, Start, Cancel], &[idle, flying, flying]),
            (&[Plan(7, false), Cancel], &[planned(7), idle]),
            // The earlier of two plans counts, and a waiting call is not forgotten.
            (
                &[Plan(7, false), Plan(9, true), Plan(5, false), Start],
                &[planned(7), asked(7), asked(5), flying],
            ),
            // The result decides when the next poll is due.
            (&[Start, Finish(Well, true)], &[flying, planned(2 + stable)]),
            (&[Start, Finish(Urgent, true)], &[flying, planned(4)]),
            (&[Start, Finish(Outage, true)], &[flying, planned(6)]),
            (&[Start, Finish(HeldBack, true)], &[flying, planned(4)]),
            (&[Start, Finish(Well, false)], &[flying, idle]),
            (&[Start, Start], &[flying, flying]),
            // A plan during a poll gets another poll: at once if it is due by then, otherwise at its due time.
            (
                &[Start, Plan(2, true), Finish(Well, true), Start],
                &[flying, again(2, true), asked(3), flying],
            ),
            (
                &[Start, Plan(9, false), Plan(8, false), Finish(Well, true)],
                &[flying, again(9, false), again(8, false), planned(8)],
            ),
            (
                &[Start, Plan(99, false), Finish(Well, true)],
                &[flying, again(99, false), planned(3 + stable)],
            ),
            // No watcher is left.
            (
                &[Start, Plan(2, true), Cancel, Finish(Well, true)],
                &[flying, again(2, true), flying, planned(4 + stable)],
            ),
            (
                &[Start, Plan(2, true), Finish(Well, false)],
                &[flying, again(2, true), idle],
            ),
        ];
        for (events, expected) in table {
            let (_, phases) = play(start, events);
            assert_eq!(phases, *expected, "{events:?}");
        }
    }

    #[test]
    fn an_interval_that_cannot_be_kept_is_told_as_it_is() {
        let start = Instant::now();
        let told = |events: &[Event], now| {
            let (polling, _) = play(start, events);
            let pulse = polling.pulse(at(start, now), SystemTime::now(), None, 0.0);
            (pulse.interval.as_secs(), pulse.stale)
        };
        let PollSettings { fresh, stable, .. } = PollSettings::default();
        let (fresh, stable) = (fresh.as_secs(), stable.as_secs());
        let planned = [Plan(9, false)];
        assert_eq!(told(&planned, 9), (fresh, true), "nothing is known");
        assert_eq!(told(&planned, 12), (fresh + 3, true), "overdue");
        let late = [Plan(0, false), Start, Finish(Well, true)];
        assert_eq!(told(&late, 3), (stable + 2, false), "as the last one was");
        // The time without a watcher does not count as an interval.
        let left = [Plan(0, false), Cancel, Plan(600, false)];
        assert_eq!(told(&left, 600).0, fresh);
    }

    #[test]
    fn what_is_current_is_over_succeeded_and_covers_what_is_wanted() {
        let start = Instant::now();
        let current = |events: &[Event], now, tunnel| {
            let (polling, _) = play(start, events);
            polling.is_current(at(start, now), Some(Duration::from_secs(5)), tunnel)
        };
        let well = [Start, Finish(Well, true)];
        assert!(current(&well, 6, false));
        assert!(!current(&well, 7, false), "too long ago");
        assert!(!current(&well, 6, true), "the tunnel was not asked for");
        assert!(!current(&[], 0, false), "nobody polled");
        assert!(!current(&[Start, Finish(Well, true), Start], 3, false));
        let failed = [Start, Finish(Well, true), Start, Finish(Outage, true)];
        assert!(!current(&failed, 4, false));
    }
}
