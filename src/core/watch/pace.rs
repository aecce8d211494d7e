//! How long to wait until a connection is polled again. Pure, but for [`jitter`].

use crate::core::{
    error::{Error, ErrorKind, ErrorReason},
    settings::PollSettings,
    watch::due_queue::Planned,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long a write is polled with the full fresh pace before the pace slackens.
const FRESH_FOR: Duration = Duration::from_secs(120);

/// After which part of its interval a connection comes along with another that is due, where one request shows
/// several. Less than half, so that those who are not polled together soon are; and not at once, since what is on
/// its way is polled often, and would always bring along everything.
const ALONG: f64 = 0.4;

/// The interval after a poll.
///
/// - While something is on its way: `fresh`, slackening towards `stable` when nothing has changed for two
///   minutes (a connection without an agent stays PENDING for ever).
/// - When nothing is at stake: `stable`.
/// - After a poll that failed: twice the last interval, up to `stable`; at least what the cloud asked for. How long
///   a refused login rests is not asked for by the cloud: polls meanwhile send nothing, and notice in time when
///   `auth_window` is over.
pub fn interval(
    settings: &PollSettings,
    unsettled: bool,
    unchanged_for: Duration,
    error: Option<&Error>,
    last: Duration,
) -> Duration {
    let slowest = settings.stable.max(settings.fresh);
    if let Some(error) = error {
        return (last * 2).clamp(settings.fresh, slowest).max(asked(error));
    }
    if !unsettled {
        return settings.stable;
    }
    let slack = (unchanged_for.as_secs_f64() / FRESH_FOR.as_secs_f64()).max(1.0);
    settings.fresh.mul_f64(slack).min(slowest)
}

/// How long the cloud wants to be left alone, as this error says.
pub fn asked(error: &Error) -> Duration {
    match error.kind {
        ErrorKind::BackendAuth => Duration::ZERO,
        _ => error.context.retry_after.unwrap_or_default(),
    }
}

/// Whether a poll was not made at all, because the cloud had asked for patience before.
pub fn was_held_back(error: &Error) -> bool {
    error.reason == ErrorReason::UpstreamThrottled && error.context.upstream.is_none()
}

/// When a connection is polled next, whose last poll ended at `ended`; not before the cloud wants to be asked again,
/// since whoever comes back too early stands before those who have made no trouble.
pub fn planned(ended: Instant, interval: Duration, jitter: f64, asked: Duration) -> Planned {
    let wait = interval.mul_f64(jitter).max(asked);
    Planned {
        from: ended + wait.mul_f64(ALONG).max(asked),
        due: ended + wait,
    }
}

/// A factor of up to a tenth less or more than one. Those that are polled together have it together, so that they
/// stay together; those that are not must not meet for ever.
pub fn jitter() -> f64 {
    0.9 + 0.2 * fastrand::f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    const SECOND: Duration = Duration::from_secs(1);

    #[track_caller]
    fn check(unsettled: bool, unchanged: u64, error: Option<Error>, last: u64, expected: u64) {
        let settings = PollSettings::default();
        let seconds = interval(
            &settings,
            unsettled,
            SECOND * unchanged as u32,
            error.as_ref(),
            SECOND * last as u32,
        );
        assert_eq!(seconds.as_secs(), expected);
    }

    #[test]
    fn the_pace_follows_what_is_at_stake() {
        let outage = || {
            Error::new(
                ErrorKind::Unavailable,
                ErrorReason::UpstreamUnreachable,
                "x",
            )
        };
        check(true, 0, None, 2, 2);
        check(true, 119, None, 2, 2);
        check(true, 600, None, 2, 10);
        check(true, 100_000, None, 2, 30);
        check(false, 0, None, 2, 30);
        check(true, 0, Some(outage()), 2, 4);
        check(true, 0, Some(outage()), 20, 30);
        check(true, 0, Some(outage().retry_after(SECOND * 90)), 2, 90);
        let resting = Error::new(ErrorKind::BackendAuth, ErrorReason::UpstreamAuth, "x");
        check(true, 0, Some(resting.retry_after(SECOND * 300)), 20, 30);
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let ended = Instant::now();
        for _ in 0..1000 {
            let planned = planned(ended, SECOND * 10, jitter(), Duration::ZERO);
            let waited = planned.due.duration_since(ended);
            assert!(waited >= SECOND * 9 && waited <= SECOND * 11);
            assert!(planned.from < ended + waited / 2);
        }
    }
}
