//! How long to wait until a connection is looked at again. Pure, but for the jitter.

use crate::core::{
    error::{Error, ErrorKind},
    settings::PollSettings,
};
use std::time::Duration;

/// How long a write is looked at with the full fresh pace before the pace slackens.
const FRESH_FOR: Duration = Duration::from_secs(120);

/// The interval after a look.
///
/// - While something is on its way: `fresh`, slackening towards `stable` when nothing has changed for two
///   minutes (a connection without an agent stays PENDING for ever).
/// - When nothing is at stake: `stable`.
/// - After a look that failed: twice the last interval, up to `stable`; at least what the cloud asked for. How long
///   a refused login rests is not asked for by the cloud: looks meanwhile send nothing, and notice in time when
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

/// Up to a tenth shorter or longer, so that connections written together are not looked at together.
pub fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::error::ErrorReason;

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
        for _ in 0..1000 {
            let waited = jittered(SECOND * 10);
            assert!(waited >= SECOND * 9 && waited <= SECOND * 11);
        }
    }
}
