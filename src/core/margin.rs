//! How long before a deadline an answer has to be given, so that it arrives.

use std::time::Duration;
use tokio::time::Instant;

/// The shortest margin: a scheduler's delays, and a loopback.
const LEAST: Duration = Duration::from_millis(50);
/// The longest: whoever waits for minutes loses nothing worth telling by a second.
const MOST: Duration = Duration::from_secs(1);

/// When to have answered whoever waits until `deadline`: a tenth of the time that is left before it, at least 50 ms and
/// at most a second. Never before now.
pub fn before(deadline: Instant) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    now + left.saturating_sub((left / 10).clamp(LEAST, MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_margin_is_a_tenth_within_bounds() {
        for (left, answered) in [(0, 0), (40, 0), (100, 50), (1_000, 900), (30_000, 29_000)] {
            let now = Instant::now();
            let at = before(now + Duration::from_millis(left));
            assert_eq!(at - now, Duration::from_millis(answered), "{left}");
        }
    }
}
