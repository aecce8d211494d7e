//! Pauses between attempts to find out whether a write whose answer was lost took effect.
//!
//! The fault that lost the answer may lose the next one too. A cloud also keeps working on a request after its client
//! disconnects: Neutron takes up to a second for a POST, and a cloud that restarts takes minutes. The gateway therefore
//! looks until its deadline, with growing pauses.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Pause before the second attempt. Each pause is twice the one before it.
const FIRST: Duration = Duration::from_millis(250);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(5);
/// Time reserved for the last attempt.
const LAST: Duration = Duration::from_millis(500);
/// Duration of [`Backoff::brief`]: enough for four attempts.
const BRIEF: Duration = Duration::from_millis(2_250);

/// The deadline and the next pause.
#[derive(Debug)]
pub struct Backoff {
    end: Instant,
    pause: Duration,
}

impl Backoff {
    /// Returns a backoff that lasts until `end`.
    pub fn until(end: Instant) -> Backoff {
        Backoff { end, pause: FIRST }
    }

    /// Returns a backoff that ends after 2.25 s, or at `end` if that is earlier. For callers that need no more than a
    /// few attempts.
    pub fn brief(end: Instant) -> Backoff {
        Backoff::until(end.min(Instant::now() + BRIEF))
    }

    /// Sleeps until the next attempt is due. Returns false at once if no time is left for another attempt. The last
    /// attempt begins half a second before the end.
    pub async fn next(&mut self) -> bool {
        let left = self.end.saturating_duration_since(Instant::now());
        let most = left.saturating_sub(LAST);
        if most.is_zero() {
            return false;
        }
        sleep(self.pause.min(most)).await;
        self.pause = (self.pause * 2).min(LONGEST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the times of all attempts in milliseconds.
    async fn attempts(mut backoff: Backoff) -> Vec<u128> {
        let begun = Instant::now();
        let mut attempts = vec![0];
        while backoff.next().await {
            attempts.push(begun.elapsed().as_millis());
        }
        attempts
    }

    #[tokio::test(start_paused = true)]
    async fn a_backoff_lasts_as_long_as_the_time() {
        let until = |seconds| Backoff::until(Instant::now() + Duration::from_secs(seconds));
        assert_eq!(
            attempts(until(30)).await,
            [
                0, 250, 750, 1_750, 3_750, 7_750, 12_750, 17_750, 22_750, 27_750, 29_500
            ]
        );
        assert_eq!(attempts(until(2)).await, [0, 250, 750, 1_500]);
        assert_eq!(attempts(until(0)).await, [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_brief_backoff_is_no_longer_than_the_time_either() {
        let brief = |seconds| Backoff::brief(Instant::now() + Duration::from_secs(seconds));
        assert_eq!(attempts(brief(60)).await, [0, 250, 750, 1_750]);
        assert_eq!(attempts(brief(1)).await, [0, 250, 500]);
    }
}
