//! How many requests a second: a bucket of tokens whose rate shrinks when the cloud asks for patience.

use std::time::Duration;
use tokio::time::Instant;

/// The pause after a refusal that names none.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause a cloud may ask for; longer ones count as this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The share of the allowed rate below which throttling never pushes it.
const FLOOR: f64 = 0.02;
/// How much of the full rate each answered request gives back.
const RECOVERY: f64 = 0.01;

/// How many requests a second.
#[derive(Debug)]
pub struct Pace {
    most: f64,
    rate: f64,
    tokens: f64,
    refilled: Instant,
    paused_until: Option<Instant>,
}

impl Pace {
    /// A full bucket.
    pub fn new(rate: f64) -> Pace {
        Pace {
            most: rate,
            rate,
            tokens: burst(rate),
            refilled: Instant::now(),
            paused_until: None,
        }
    }

    /// Until when nothing is sent, if that is later.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| now < *until)
    }

    /// Takes one token, or says when to ask again.
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
        // Not exactly 1: refilling by floating point may end a hair below it.
        if self.tokens + 1e-6 >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            let wait = ((1.0 - self.tokens) / self.rate).max(0.001);
            Err(now + Duration::from_secs_f64(wait))
        }
    }

    /// Requests a second that are allowed now.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// A token was taken and not used.
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

    /// Gives the rate a little back.
    pub fn recover(&mut self) {
        self.rate = (self.rate + self.most * RECOVERY).min(self.most);
    }
}

/// Tokens that can be saved up: half a second's worth, at least one. So no second ever has more than one and a half
/// times the rate, which is how a cloud that counts by the second sees it.
fn burst(rate: f64) -> f64 {
    (rate / 2.0).max(1.0)
}
