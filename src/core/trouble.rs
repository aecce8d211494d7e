//! Decides what the log says about the troubles of one backend: a line when one begins and a line when it is over,
//! however often the backend is asked in between. Pure: the caller brings the time.
//!
//! A single failed answer is nothing to act on, and where one connection of a cloud always fails, every other answer is
//! a failure. So a backend counts as away once every answer has failed for a while, and after a longer while if it was
//! away recently.

use crate::core::error::{Error, ErrorKind, ErrorReason};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How long a backend fails before it counts as away.
const AWAY_AFTER: Duration = Duration::from_secs(5);
/// The same if it came back less than [`LATELY`] ago, so that a flapping cloud does not fill the log.
const AWAY_AGAIN_AFTER: Duration = Duration::from_secs(60);
const LATELY: Duration = Duration::from_secs(600);
/// How long a backend refuses the gateway's login, without a rest, before it counts as away. A rest has its own line.
const REFUSES_AFTER: Duration = Duration::from_secs(30);
/// A shorter rest of the login is not reported.
const RESTS: Duration = Duration::from_secs(10);
/// Rests that end this close together count as one.
const SAME_REST: Duration = Duration::from_secs(2);
/// How long an account has to go without a refusal before its budget suffices again.
const RELIEVED_AFTER: Duration = Duration::from_secs(10);

/// A line to log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Line {
    /// The backend answered for the first time.
    Answers,
    /// The backend does not answer.
    Away {
        /// The time of the first failure, by the wall clock.
        since: SystemTime,
    },
    /// The backend answers again.
    Back {
        /// Why it did not answer.
        reason: ErrorReason,
        /// How long it did not answer.
        after: Duration,
    },
    /// The backend refuses the gateway's login.
    Rests {
        /// How long the gateway waits before the next login.
        left: Duration,
    },
    /// The account's budget is used up.
    UsedUp {
        /// Whether the cloud asked the gateway to slow down, rather than the gateway's own limit being reached.
        by_cloud: bool,
    },
    /// The account's budget suffices again.
    Suffices {
        /// How long the budget was used up.
        after: Duration,
    },
}

/// The known troubles of one backend.
#[derive(Debug, Default)]
pub struct Troubles {
    has_answered: bool,
    away: Option<Away>,
    came_back: Option<Instant>,
    used_up: Option<UsedUp>,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    time: SystemTime,
    reason: ErrorReason,
    is_told: bool,
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct UsedUp {
    since: Instant,
    last: Instant,
}

impl Troubles {
    /// Records that the backend answered. Returns at most two lines.
    pub fn answered(&mut self, now: Instant) -> Vec<Line> {
        let mut lines = Vec::new();
        let before = self.away.take().filter(|away| away.is_told);
        let is_first = !std::mem::replace(&mut self.has_answered, true);
        if let Some(away) = before {
            self.came_back = Some(now);
            lines.push(Line::Back {
                reason: away.reason,
                after: now - away.since,
            });
        } else if is_first {
            lines.push(Line::Answers);
        }
        let is_relieved = |it: &mut UsedUp| now - it.last >= RELIEVED_AFTER;
        if let Some(before) = self.used_up.take_if(is_relieved) {
            lines.push(Line::Suffices {
                after: now - before.since,
            });
        }
        lines
    }

    /// Records that the backend is in trouble. Returns at most two lines.
    pub fn failed(&mut self, error: &Error, now: Instant, time: SystemTime) -> Vec<Line> {
        let mut lines: Vec<Line> = self.throttled(error, now).into_iter().collect();
        let lately = self.came_back.is_some_and(|at| now - at < LATELY);
        let away = self.away.get_or_insert(Away {
            since: now,
            time,
            reason: error.reason,
            is_told: false,
            rests_until: None,
        });
        let is_login = error.kind == ErrorKind::BackendAuth;
        let rest = error.context.retry_after.filter(|_| is_login);
        if let Some(left) = rest.filter(|left| *left >= RESTS) {
            let until = now + left;
            let is_another = away
                .rests_until
                .is_none_or(|known| until > known + SAME_REST);
            if is_another {
                away.rests_until = Some(until);
                (away.is_told, away.reason) = (true, error.reason);
                lines.push(Line::Rests { left });
            }
        }
        let patience = match (is_login, lately) {
            (true, _) => REFUSES_AFTER,
            (false, true) => AWAY_AGAIN_AFTER,
            (false, false) => AWAY_AFTER,
        };
        if !away.is_told && now - away.since >= patience {
            (away.is_told, away.reason) = (true, error.reason);
            lines.push(Line::Away { since: away.time });
        }
        lines
    }

    /// Records that the account's budget kept a request back, or that the cloud refused it for that reason.
    pub fn throttled(&mut self, error: &Error, now: Instant) -> Option<Line> {
        if error.kind != ErrorKind::Throttled {
            return None;
        }
        let by_cloud = error.reason == ErrorReason::UpstreamThrottled;
        let is_new = self.used_up.is_none();
        let used_up = self.used_up.get_or_insert(UsedUp {
            since: now,
            last: now,
        });
        used_up.last = now;
        is_new.then_some(Line::UsedUp { by_cloud })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn error(kind: ErrorKind, reason: ErrorReason) -> Error {
        Error::new(kind, reason, "because")
    }

    fn unreachable() -> Error {
        error(ErrorKind::Unavailable, ErrorReason::UpstreamUnreachable)
    }

    fn refused(rest: u64) -> Error {
        error(ErrorKind::BackendAuth, ErrorReason::UpstreamAuth).retry_after(SECOND * rest as u32)
    }

    /// Returns the lines of a number of seconds; `fails` says for each second whether the backend fails.
    fn lines(
        troubles: &mut Troubles,
        seconds: u32,
        fails: impl Fn(u32) -> Option<Error>,
    ) -> Vec<(u32, Line)> {
        let begun = Instant::now();
        let mut told = Vec::new();
        for second in 0..seconds {
            let now = begun + SECOND * second;
            let lines = match fails(second) {
                Some(error) => {
                    troubles.failed(&error, now, SystemTime::UNIX_EPOCH + SECOND * second)
                }
                None => troubles.answered(now),
            };
            told.extend(lines.into_iter().map(|line| (second, line)));
        }
        told
    }

    const AT_ONCE: Line = Line::Away {
        since: SystemTime::UNIX_EPOCH,
    };

    #[test]
    fn an_outage_is_two_lines_however_long_it_is() {
        let mut troubles = Troubles::default();
        let hour = lines(&mut troubles, 3_700, |second| {
            (10..3_610).contains(&second).then(unreachable)
        });
        let since = SystemTime::UNIX_EPOCH + SECOND * 10;
        let (reason, after) = (ErrorReason::UpstreamUnreachable, SECOND * 3_600);
        assert_eq!(
            hour,
            [
                (0, Line::Answers),
                (15, Line::Away { since }),
                (3_610, Line::Back { reason, after })
            ]
        );
    }

    #[test]
    fn one_that_fails_now_and_then_is_not_away_and_one_that_comes_and_goes_fills_nothing() {
        let mut troubles = Troubles::default();
        let half = lines(&mut troubles, 3_600, |second| {
            (second % 2 == 0).then(unreachable)
        });
        assert_eq!(half, [(1, Line::Answers)]);
        // Away for half of every minute.
        let mut troubles = Troubles::default();
        let flapping = lines(&mut troubles, 3_600, |second| {
            (second % 60 < 30).then(unreachable)
        });
        assert!(flapping.len() <= 14, "{flapping:#?}");
        assert_eq!(flapping[0], (5, AT_ONCE));
    }

    #[test]
    fn a_refused_login_is_told_with_each_of_its_rests() {
        let mut troubles = Troubles::default();
        let day = lines(&mut troubles, 2_000, |second| match second {
            // Retried after five seconds; then the login rests for 300 s and for 1200 s.
            0..5 => Some(refused(u64::from(5 - second))),
            5..305 => Some(refused(u64::from(305 - second))),
            305..1505 => Some(refused(u64::from(1505 - second))),
            _ => None,
        });
        let rests = |left| Line::Rests {
            left: SECOND * left,
        };
        let (reason, after) = (ErrorReason::UpstreamAuth, SECOND * 1_505);
        let expected = [
            (5, rests(300)),
            (305, rests(1_200)),
            (1_505, Line::Back { reason, after }),
        ];
        assert_eq!(day, expected);
    }

    #[test]
    fn a_budget_is_used_up_until_nobody_was_refused_for_a_while() {
        let mut troubles = Troubles::default();
        let throttled = || error(ErrorKind::Throttled, ErrorReason::UpstreamThrottled);
        // For a minute every fourth answer asks the gateway to slow down.
        let told = lines(&mut troubles, 120, |second| {
            (second < 60 && second % 4 == 1).then(throttled)
        });
        let after = SECOND * 66;
        assert_eq!(
            told,
            [
                (0, Line::Answers),
                (1, Line::UsedUp { by_cloud: true }),
                (67, Line::Suffices { after })
            ]
        );
    }
}
