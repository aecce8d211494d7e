//! How many requests were sent lately, in as much memory whatever their number.

use std::time::Duration;
use tokio::time::Instant;

/// What is counted together.
const STEP: Duration = Duration::from_secs(1);
const STEPS: usize = 10;

/// Requests of the last ten seconds, by the second.
#[derive(Debug, Default)]
pub struct Recent {
    /// By the second it began in, modulo their number.
    counts: [u32; STEPS],
    /// When the newest second began.
    newest: Option<(Instant, usize)>,
}

impl Recent {
    /// One was sent.
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

    /// The last one was not sent after all.
    pub fn take_back(&mut self) {
        if let Some((_, at)) = self.newest {
            self.counts[at] = self.counts[at].saturating_sub(1);
        }
    }

    /// How many a second.
    pub fn rate(&self, now: Instant) -> f64 {
        let Some((begun, at)) = self.newest else {
            return 0.0;
        };
        let left = STEPS.saturating_sub(passed(begun, now) as usize);
        let counts = (0..left).map(|back| self.counts[(at + STEPS - back) % STEPS]);
        f64::from(counts.sum::<u32>()) / (STEP * STEPS as u32).as_secs_f64()
    }
}

/// Whole steps since then.
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
