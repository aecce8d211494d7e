//! How many requests one upstream account may have: a rate and a number at the same time, shared by
//! everybody who uses the account, shrinking when the cloud asks for patience.
//!
//! NSX allows 100 requests a second and 40 at the same time per user, and answers 429 (or 503) beyond.
//! A refused request halves the rate; every answered one lets it recover by a little.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout_at},
};

/// What an account may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests a second, at most.
    pub rate: f64,
    /// Requests at the same time.
    pub concurrency: u32,
}

/// How much of it is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    /// Requests a second allowed now.
    pub rate_limit: f64,
    /// Requests a second over the last ten seconds.
    pub rate_used: f64,
    /// Requests allowed at the same time.
    pub concurrency_limit: u32,
    /// Requests under way.
    pub in_flight: u32,
    /// How long nothing will be sent yet.
    pub paused_for: Option<Duration>,
}

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits: takes the last token.
    High,
    /// Can wait: leaves a quarter of what can be saved up to others.
    Low,
}

/// The deadline passed before the budget allowed the request. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// The shared budget of one account.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    slots: Arc<Semaphore>,
    /// A std mutex: held for arithmetic only, never across an await.
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    rate: f64,
    tokens: f64,
    refilled: Instant,
    paused_until: Option<Instant>,
    /// When requests were allowed in the last ten seconds.
    recent: VecDeque<Instant>,
}

/// The share of the allowed rate below which throttling never pushes it.
const FLOOR: f64 = 0.02;
/// How much of the full rate each answered request gives back.
const RECOVERY: f64 = 0.01;
/// The pause after a refusal that names none.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause a cloud may ask for; longer ones count as this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const WINDOW: Duration = Duration::from_secs(10);

/// Leave to send one request. Held until its answer is read.
#[derive(Debug)]
pub struct Leave {
    _slot: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget that is full.
    pub fn new(limits: Limits) -> Budget {
        Budget {
            limits,
            slots: Arc::new(Semaphore::new(limits.concurrency as usize)),
            pace: Mutex::new(Pace {
                rate: limits.rate,
                tokens: burst(limits.rate),
                refilled: Instant::now(),
                paused_until: None,
                recent: VecDeque::new(),
            }),
        }
    }

    /// Waits until one more request may be sent.
    ///
    /// # Errors
    /// If that is not before `deadline`.
    pub async fn acquire(&self, urgency: Urgency, deadline: Instant) -> Result<Leave, Exhausted> {
        let slot = timeout_at(deadline, Arc::clone(&self.slots).acquire_owned())
            .await
            .map_err(|_| Exhausted)?
            .expect("the semaphore is never closed");
        loop {
            let Err(wait_until) = self.pace().take(urgency) else {
                return Ok(Leave { _slot: slot });
            };
            if wait_until >= deadline {
                return Err(Exhausted);
            }
            sleep_until(wait_until).await;
        }
    }

    /// The cloud asked for patience (429, 503): halves the rate and pauses, at most [`LONGEST_PAUSE`].
    pub fn throttled(&self, pause: Duration) {
        let mut pace = self.pace();
        let until = Instant::now() + pause.min(LONGEST_PAUSE);
        pace.paused_until = Some(pace.paused_until.map_or(until, |known| known.max(until)));
        pace.rate = (pace.rate / 2.0).max(self.limits.rate * FLOOR);
        pace.tokens = 0.0;
    }

    /// The cloud answered: lets the rate recover.
    pub fn answered(&self) {
        let mut pace = self.pace();
        pace.rate = (pace.rate + self.limits.rate * RECOVERY).min(self.limits.rate);
    }

    /// How much is used now.
    pub fn used(&self) -> Used {
        let mut pace = self.pace();
        let now = Instant::now();
        pace.forget_old(now);
        Used {
            rate_limit: pace.rate,
            rate_used: pace.recent.len() as f64 / WINDOW.as_secs_f64(),
            concurrency_limit: self.limits.concurrency,
            in_flight: self
                .limits
                .concurrency
                .saturating_sub(self.slots.available_permits() as u32),
            paused_for: pace
                .paused_until
                .and_then(|until| until.checked_duration_since(now))
                .filter(|d| !d.is_zero()),
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// Takes one token, or says when to ask again.
    fn take(&mut self, urgency: Urgency) -> Result<(), Instant> {
        let now = Instant::now();
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
        let needed = match urgency {
            Urgency::High => 1.0,
            Urgency::Low => 1.0 + (burst(self.rate) - 1.0) / 4.0,
        };
        // Not exactly `needed`: refilling by floating point may end a hair below it.
        if self.tokens + 1e-6 >= needed {
            self.tokens -= 1.0;
            self.forget_old(now);
            self.recent.push_back(now);
            Ok(())
        } else {
            let wait = ((needed - self.tokens) / self.rate).max(0.001);
            Err(now + Duration::from_secs_f64(wait))
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while self
            .recent
            .front()
            .is_some_and(|sent| now.duration_since(*sent) > WINDOW)
        {
            self.recent.pop_front();
        }
    }
}

/// Tokens that can be saved up: half a second's worth, at least one. So no second ever has more than one and a half
/// times the rate, which is how a cloud that counts by the second sees it.
fn burst(rate: f64) -> f64 {
    (rate / 2.0).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent_within(budget: &Budget, urgency: Urgency, time: Duration) -> usize {
        let deadline = Instant::now() + time;
        let mut sent = 0;
        while budget.acquire(urgency, deadline).await.is_ok() {
            sent += 1;
        }
        sent
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_over_time() {
        let budget = Budget::new(Limits {
            rate: 20.0,
            concurrency: 4,
        });
        let sent = sent_within(&budget, Urgency::High, Duration::from_secs(10)).await;
        assert!(
            (200..=221).contains(&sent),
            "{sent} requests in 10 s at 20/s after a burst of 10"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_pauses_and_halves_and_answers_recover() {
        let budget = Budget::new(Limits {
            rate: 20.0,
            concurrency: 4,
        });
        budget.throttled(Duration::from_secs(7));
        let before = Instant::now();
        budget
            .acquire(Urgency::High, before + Duration::from_secs(60))
            .await
            .unwrap();
        assert!(before.elapsed() >= Duration::from_secs(7));
        assert_eq!(budget.used().rate_limit, 10.0);
        for _ in 0..100 {
            budget.answered();
        }
        assert_eq!(budget.used().rate_limit, 20.0);
    }

    #[tokio::test(start_paused = true)]
    async fn polls_leave_something_to_callers() {
        let budget = Budget::new(Limits {
            rate: 20.0,
            concurrency: 4,
        });
        let now = Instant::now();
        while budget
            .acquire(Urgency::Low, now + Duration::from_millis(1))
            .await
            .is_ok()
        {}
        assert!(
            budget
                .acquire(Urgency::High, now + Duration::from_millis(1))
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_given_back() {
        let budget = Budget::new(Limits {
            rate: 20.0,
            concurrency: 1,
        });
        let soon = Instant::now() + Duration::from_secs(1);
        let leave = budget.acquire(Urgency::High, soon).await.unwrap();
        assert_eq!(budget.used().in_flight, 1);
        assert_eq!(
            budget.acquire(Urgency::High, soon).await.unwrap_err(),
            Exhausted
        );
        drop(leave);
        assert!(
            budget
                .acquire(Urgency::High, Instant::now() + Duration::from_secs(1))
                .await
                .is_ok()
        );
    }
}
