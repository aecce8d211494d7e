//! Counts the requests of the last ten seconds in constant memory.

use std::time::Duration;
use tokio::time::Instant;

/// Width of one bucket.
const STEP: Duration = Duration::from_secs(1);
const STEPS: usize = 10;

/// Requests of the last ten seconds, in buckets of one second.
#[derive(Debug, Default)]
pub struct Recent {
    /// Ring buffer, one bucket a second.
    counts: [u32; STEPS],
    /// When the newest bucket began, and its index.
    newest: Option<(Instant, usize)>,
}

impl Recent {
    /// Counts a request.
    pub fn add(&mut self, now: Instant) {
        let (begun, mut at) = self.newest.unwrap_or((now, 0));
        let passed = passed(begun, now);
        for _ in 0..passed.min(STEPS as u32) {
            at = (at + 1) % STEPS;
            self.counts[at] = 0;
        }
        self.counts[at] += 1;
        self.newest = Some((begun + STEP * passed, at));
    }

    /// Uncounts the last request, which was not sent.
    pub fn take_back(&mut self) {
        if let Some((_, at)) = self.newest {
            self.counts[at] = self.counts[at].saturating_sub(1);
        }
    }

    /// Returns requests a second.
    pub fn rate(&self, now: Instant) -> f64 {
        let Some((begun, at)) = self.newest else {
            return 0.0;
        };
        let left = STEPS.saturating_sub(passed(begun, now) as usize);
        let counts = (0..left).map(|back| self.counts[(at + STEPS - back) % STEPS]);
        f64::from(counts.sum::<u32>()) / (STEP * STEPS as u32).as_secs_f64()
    }
}

/// Returns the whole steps between `begun` and `now`.
fn passed(begun: Instant, now: Instant) -> u32 {
    let steps = now.saturating_duration_since(begun).as_millis() / STEP.as_millis();
    u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_counts_for_ten_seconds() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut recent = Recent::default();
        assert_eq!(recent.rate(start), 0.0);
        for tenth in 0..300 {
            recent.add(at(f64::from(tenth) / 10.0));
        }
        assert_eq!(recent.rate(at(29.95)), 10.0);
        assert_eq!(recent.rate(at(34.5)), 5.0);
        recent.take_back();
        assert_eq!(recent.rate(at(29.95)), 9.9);
        assert_eq!(recent.rate(at(60.0)), 0.0);
        recent.add(at(1e6));
        assert_eq!(recent.rate(at(1e6)), 0.1);
    }
}
