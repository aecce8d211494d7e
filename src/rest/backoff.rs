//! Pauses between attempts to find out what became of a write whose answer was lost.
//!
//! What lost the answer may well lose the next one too, and a cloud goes on with a request after its client
//! went away: Neutron takes up to a second for a POST, and one that restarts takes minutes. So it is looked for as long
//! as there is time, more and more rarely.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Before the second attempt; each pause is twice the one before it.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);
/// What the last attempt has for itself.
const LAST: Duration = Duration::from_millis(500);
/// How long is [`Backoff::brief`]: four attempts.
const BRIEF: Duration = Duration::from_millis(2_250);

/// The time that is left, and the next pause.
#[derive(Debug)]
pub struct Backoff {
    end: Instant,
    pause: Duration,
}

impl Backoff {
    /// As long as there is time.
    pub fn until(end: Instant) -> Backoff {
        Backoff { end, pause: FIRST }
    }

    /// Two seconds of it: for what somebody waits for who knows already how it ended.
    pub fn brief(end: Instant) -> Backoff {
        Backoff::until(end.min(Instant::now() + BRIEF))
    }

    /// Waits for the next attempt. False, at once, if there is none: what is not known by now stays unknown. The last
    /// is half a second before the end.
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

    /// When, in milliseconds.
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
