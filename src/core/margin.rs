//! How long before a deadline an answer is given, so that it arrives in time.

use std::time::Duration;
use tokio::time::Instant;

/// The shortest margin: covers scheduler delays and a loopback connection.
const LEAST: Duration = Duration::from_millis(50);
/// The longest margin: a caller that waits for minutes does not miss a second.
const MOST: Duration = Duration::from_secs(1);

/// Returns when to answer a caller that waits until `deadline`: a tenth of the remaining time before it, at least 50 ms
/// and at most 1 s. Never in the past.
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
