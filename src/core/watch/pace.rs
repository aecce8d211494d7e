//! The wait between polls of a connection. Pure, except for [`jitter`].

use crate::core::{
    error::{Error, ErrorKind, ErrorReason},
    settings::PollSettings,
    watch::due_queue::Planned,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long a write in progress is polled at the full fresh pace before the pace slackens.
const FRESH_FOR: Duration = Duration::from_secs(120);

/// The fraction of its interval after which a connection may join the batch of another that is due, where one request
/// polls several. Less than half, so that connections fall into common batches soon; not zero, because a write in
/// progress is polled often and would always pull in everything.
const ALONG: f64 = 0.4;

/// Returns the interval after a poll.
///
/// - While a write is in progress: `fresh`, slackening towards `stable` when nothing has changed for two minutes (a
///   connection without an agent stays PENDING forever).
/// - When nothing is at stake: `stable`.
/// - After a failed poll: twice the last interval, up to `stable`, but at least what the cloud asked for. The pause
///   after a refused login does not count as asked for by the cloud: polls during it send nothing, and notice in time
///   when `auth_window` is over.
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

/// Returns how long the cloud asked to wait, according to this error.
pub fn asked(error: &Error) -> Duration {
    match error.kind {
        ErrorKind::BackendAuth => Duration::ZERO,
        _ => error.context.retry_after.unwrap_or_default(),
    }
}

/// Reports whether a poll was held back and never sent, because the cloud had asked to wait.
pub fn was_held_back(error: &Error) -> bool {
    error.reason == ErrorReason::UpstreamThrottled && error.context.upstream.is_none()
}

/// Returns when to poll a connection again whose last poll ended at `ended`. Never earlier than the cloud asked for: a
/// poll that comes back too early would be queued ahead of those that were not throttled.
pub fn planned(ended: Instant, interval: Duration, jitter: f64, asked: Duration) -> Planned {
    let wait = interval.mul_f64(jitter).max(asked);
    Planned {
        from: ended + wait.mul_f64(ALONG).max(asked),
        due: ended + wait,
    }
}

/// Returns a random factor between 0.9 and 1.1. Connections polled together share one and stay together; others drift
/// apart.
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
