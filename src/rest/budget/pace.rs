//! A token bucket whose rate shrinks when the cloud asks the gateway to back off.

use std::time::Duration;
use tokio::time::Instant;

/// Pause after a throttled request whose answer names none.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause a cloud may ask for. Longer ones are cut to this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Lowest rate that throttling leaves, as a share of the full rate.
const FLOOR: f64 = 0.02;
/// Share of the full rate that each answered request restores.
const RECOVERY: f64 = 0.01;

#[derive(Debug)]
pub struct Pace {
    most: f64,
    rate: f64,
    tokens: f64,
    refilled: Instant,
    paused_until: Option<Instant>,
}

impl Pace {
    /// Creates a full bucket.
    pub fn new(rate: f64) -> Pace {
        Pace {
            most: rate,
            rate,
            tokens: burst(rate),
            refilled: Instant::now(),
            paused_until: None,
        }
    }

    /// Returns the end of the pause if it is in the future.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| now < *until)
    }

    /// Takes one token, or returns when to ask again.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.paused_until {
            if now < until {
                return Err(until);
            }
            self.paused_until = None;
            self.refilled = now;
        }
        let elapsed = now.duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(burst(self.rate));
        self.refilled = now;
        // Not exactly 1: floating-point refills may end slightly below it.
        if self.tokens + 1e-6 >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            let wait = ((1.0 - self.tokens) / self.rate).max(0.001);
            Err(now + Duration::from_secs_f64(wait))
        }
    }

    /// Returns the requests a second currently allowed.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Returns an unused token.
    pub fn give_back(&mut self) {
        self.tokens += 1.0;
    }

    /// Halves the rate and pauses.
    pub fn throttled(&mut self, pause: Duration, now: Instant) {
        let until = now + pause.min(LONGEST_PAUSE);
        self.paused_until = Some(self.paused_until.map_or(until, |known| known.max(until)));
        self.rate = (self.rate / 2.0).max(self.most * FLOOR);
        self.tokens = 0.0;
    }

    /// Restores a little of the rate.
    pub fn recover(&mut self) {
        self.rate = (self.rate + self.most * RECOVERY).min(self.most);
    }
}

/// Returns the size of the bucket: half a second's worth of tokens, and at least one. So no second has more than one
/// and a half times the rate, even for a cloud that counts by the second.
fn burst(rate: f64) -> f64 {
    (rate / 2.0).max(1.0)
}
