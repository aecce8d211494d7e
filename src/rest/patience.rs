//! Pauses between attempts to find out what became of a write whose answer was lost.
//!
//! What lost the answer may well lose the next one too, and a cloud goes on with a request after its client
//! went away: Neutron takes up to a second for a POST. So one look is not enough to give up.

use std::time::Duration;
use tokio::time::{Instant, sleep};

const PAUSES: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(750),
    Duration::from_millis(2000),
];

/// The pauses that are left.
#[derive(Debug)]
pub struct Patience {
    deadline: Instant,
    taken: usize,
}

impl Patience {
    /// All of them, as far as they end before this.
    pub fn until(deadline: Instant) -> Patience {
        Patience { deadline, taken: 0 }
    }

    /// Waits for the next attempt. False, at once, if there is none: what is not known by now stays unknown.
    pub async fn next(&mut self) -> bool {
        let pause = PAUSES.get(self.taken).copied();
        let Some(pause) = pause.filter(|pause| Instant::now() + *pause < self.deadline) else {
            return false;
        };
        self.taken += 1;
        sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn attempts(time: Duration) -> usize {
        let mut patience = Patience::until(Instant::now() + time);
        let mut attempts = 1;
        while patience.next().await {
            attempts += 1;
        }
        attempts
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_with_the_pauses_or_with_the_time() {
        assert_eq!(attempts(Duration::from_secs(60)).await, 4);
        assert_eq!(attempts(Duration::from_millis(1100)).await, 3);
        assert_eq!(attempts(Duration::ZERO).await, 1);
    }
}
