//! How far the polling of one connection is. Pure: the caller brings the time.
//!
//! ```text
//!             plan                 start
//!    IDLE ───────────► PLANNED ───────────► IN FLIGHT
//!    ▲  ▲               │   ▲                 │   │
//!    │  └─── cancel ────┘   └ finish, watched ┘   │
//!    └────────── finish, nobody watches ──────────┘
//! ```
//!
//! `plan` where one is planned leaves the earlier of the two. While one is in flight, it asks for another: the one in flight
//! may have begun too early for whoever asks now. Nothing is planned where nobody watches (`cancel`), so that whoever
//! comes next finds nothing late; `start` needs no plan.

use crate::core::{
    error::{Error, ErrorReason},
    settings::PollSettings,
    watch::{due_queue::Planned, pace},
};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How the polling of one connection is doing, for heartbeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// When the cloud last answered a poll well.
    pub last_success: Option<SystemTime>,
    /// When it is asked next, about.
    pub next_poll: Option<SystemTime>,
    /// Whether what is known is older than `interval` allows.
    pub stale: bool,
    /// At which interval it is being asked.
    pub interval: Duration,
    /// Why the last poll failed.
    pub last_error: Option<ErrorReason>,
    /// The share of the account's budget that is being used, from 0 to 1.
    pub budget_used: f64,
}

/// The polls of one connection.
#[derive(Debug)]
pub struct Polling {
    phase: Phase,
    /// The last that began.
    last: Option<Poll>,
    /// When the last that succeeded began.
    last_success: Option<Instant>,
    /// Why the last that ended failed.
    last_error: Option<Error>,
    /// The time from one to the next, before jitter.
    interval: Duration,
    /// When one last brought something new.
    changed: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Planned(Next),
    /// The next, if somebody asked for one since this one began.
    InFlight(Option<Next>),
}

/// The next poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next {
    due: Instant,
    /// Whether a call waits for it.
    asked: bool,
}

/// A poll that began.
#[derive(Debug, Clone, Copy)]
struct Poll {
    /// The first has 1. They never overlap.
    number: u64,
    begun: Instant,
    /// Whether it asked for the tunnel.
    tunnel: bool,
    /// By how much it was later than planned: the budget forces it.
    late: Duration,
}

/// A poll that is over, as far as the next one depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// When it began.
    pub begun: Instant,
    /// When its answer arrived.
    pub ended: Instant,
    /// Why it failed, if it did.
    pub error: Option<&'a Error>,
    /// Whether it brought something new.
    pub changed: bool,
    /// Whether something is on its way, or somebody waits for an outcome.
    pub urgent: bool,
    /// Whether somebody watches.
    pub watched: bool,
    /// The factor of the time until the next one.
    pub jitter: f64,
}

impl Polling {
    /// Without a poll.
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

    /// Has a poll begin at `due` or earlier; `asked` if a call waits for it. Answers its number.
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

    /// Nobody watches any more.
    pub fn cancel(&mut self) {
        self.phase = match self.phase {
            Phase::Idle | Phase::Planned(_) => Phase::Idle,
            Phase::InFlight(_) => Phase::InFlight(None),
        };
    }

    /// Begins a poll, and answers whether it may: never while another is in flight.
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

    /// Ends the poll that is in flight. Answers when the next one is, if somebody watches.
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
            // Nothing was sent. It takes its place again, before those who made the cloud ask for patience.
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

    /// Something was written: until a poll says otherwise, they come at this interval.
    pub fn hurry(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// How many began.
    pub fn begun(&self) -> u64 {
        self.last.map_or(0, |last| last.number)
    }

    /// How many ended.
    pub fn ended(&self) -> u64 {
        self.begun() - u64::from(self.is_in_flight())
    }

    /// Whether one is in flight.
    pub fn is_in_flight(&self) -> bool {
        matches!(self.phase, Phase::InFlight(_))
    }

    /// The number of the one in flight, if it serves whoever wants the tunnel or not.
    pub fn in_flight_for(&self, tunnel: bool) -> Option<u64> {
        let serves = self.is_in_flight() && (self.asked_tunnel() || !tunnel);
        serves.then(|| self.begun())
    }

    /// Whether a call waits for the next one.
    pub fn is_asked(&self) -> bool {
        self.next().is_some_and(|next| next.asked)
    }

    /// When one is worth its request for somebody who comes at `now`: at once, unless the last one began less than
    /// `fresh` ago.
    pub fn soonest(&self, now: Instant, fresh: Duration) -> Instant {
        self.last.map_or(now, |last| now.max(last.begun + fresh))
    }

    /// Whether what they brought is current: the last one is over, succeeded, began within `lately` (without: within
    /// the interval), and covered the tunnel if that is wanted.
    pub fn is_current(&self, now: Instant, lately: Option<Duration>, tunnel: bool) -> bool {
        let lately = lately.unwrap_or(self.interval);
        let succeeded = self.last_error.is_none()
            && self
                .last_success
                .is_some_and(|begun| now.duration_since(begun) <= lately);
        succeeded && (self.asked_tunnel() || !tunnel) && !self.is_in_flight()
    }

    /// Why the last one that ended failed.
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// The interval as it is: what was planned and cannot be kept is told.
    pub fn effective_interval(&self, now: Instant) -> Duration {
        let late = self.last.map_or(Duration::ZERO, |last| last.late);
        let overdue = self
            .next()
            .map_or(Duration::ZERO, |next| now.duration_since(next.due));
        self.interval + late.max(overdue)
    }

    /// The interval as it is meant, however late polls are: at most `slowest`, beyond which only patience goes that
    /// somebody asked for.
    pub fn meant_interval(&self, slowest: Duration) -> Duration {
        self.interval.min(slowest)
    }

    /// How long ago at `now` the last that succeeded began, or somebody began to watch: polls were to come since then.
    pub fn age(&self, now: Instant, watched: Instant) -> Duration {
        let since = self.last_success.map_or(watched, |it| it.max(watched));
        now.duration_since(since)
    }

    /// How it is doing at `now`, which by the clock is `time`; `seen` is when the last that succeeded began. The budget
    /// is told by whoever knows it.
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

    /// What happens, each a second after the one before.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        /// A poll is planned for this second; whether a call asks for it.
        Plan(u64, bool),
        Cancel,
        Start,
        /// It ended thus; whether somebody still watches.
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

    /// Where each of the events leads.
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
            // The earlier of two, and a call that waits is not forgotten.
            (
                &[Plan(7, false), Plan(9, true), Plan(5, false), Start],
                &[planned(7), asked(7), asked(5), flying],
            ),
            // How it ended tells when the next is.
            (&[Start, Finish(Well, true)], &[flying, planned(2 + stable)]),
            (&[Start, Finish(Urgent, true)], &[flying, planned(4)]),
            (&[Start, Finish(Outage, true)], &[flying, planned(6)]),
            (&[Start, Finish(HeldBack, true)], &[flying, planned(4)]),
            (&[Start, Finish(Well, false)], &[flying, idle]),
            (&[Start, Start], &[flying, flying]),
            // Whoever asks meanwhile gets another: at once if that is due by then, else when it was asked for.
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
            // Nobody is left.
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
        // The time when nobody watched is no interval.
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
