//! Which requests are sent once more, after which pause, and how many of them at the same time.
//!
//! Only a read is, once, and only if its connection broke before its answer was whole: a pooled connection may have been
//! closed by the server in the meantime. What a cloud *answers* is never asked again here, 429 least of all.
//!
//! A cloud in trouble breaks many connections, and must not have twice the requests for it. So, as with Envoy's retry
//! budget (`RetryBudget`: `budget_percent` 20, `min_retry_concurrency` 3), those that are sent again are at most a fifth
//! of the requests that are under way or wait to be sent; three may be whatever their number. A retry counts from before
//! its pause until its answer.

use crate::{
    metrics::table::{BACKEND, UPSTREAM_RETRIES},
    rest::answer::{Failure, FailureKind},
};
use http::Method;
use opentelemetry::KeyValue;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// The part of all requests that may be retries: one in so many. Envoy's 20 %.
const ONE_IN: usize = 5;
/// Retries at the same time that are always allowed. Envoy's default.
const AT_LEAST: usize = 3;
/// The longest pause before a retry: Envoy's base interval. Full jitter (M. Brooker, "Exponential Backoff And Jitter",
/// 2015): any shorter one is as likely, so that those that broke together do not come back together.
const LONGEST: Duration = Duration::from_millis(25);

/// Whether sending it again may help, and cannot do anything twice.
pub fn may_help(method: &Method, failure: &Failure) -> bool {
    method == Method::GET && failure.kind == FailureKind::Broken
}

/// How long to wait before a retry; `random` is from 0 to 1.
pub fn pause(random: f64) -> Duration {
    LONGEST.mul_f64(random)
}

/// What became of a request whose repetition might have helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent again.
    Repeated,
    /// There are too many retries under way.
    NoBudget,
    /// Its deadline is too near.
    NoTime,
    /// The circuit of its server has opened.
    CircuitOpen,
}

impl Outcome {
    const ALL: [Outcome; 4] = [
        Outcome::Repeated,
        Outcome::NoBudget,
        Outcome::NoTime,
        Outcome::CircuitOpen,
    ];

    /// As the metric has it.
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Repeated => "repeated",
            Outcome::NoBudget => "no_budget",
            Outcome::NoTime => "no_time",
            Outcome::CircuitOpen => "circuit_open",
        }
    }
}

/// The retry budget of one backend.
#[derive(Debug)]
pub struct Retries {
    /// Requests under way, or waiting to be sent.
    requests: AtomicUsize,
    /// Those of them that are sent again.
    again: AtomicUsize,
    /// The attributes of each outcome.
    attributes: [[KeyValue; 2]; Outcome::ALL.len()],
}

/// Counts as long as it is held.
#[derive(Debug)]
pub struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Retries {
    /// A full budget for this backend.
    pub fn new(backend: &str) -> Retries {
        let of = |outcome: Outcome| {
            [
                KeyValue::new(BACKEND, backend.to_owned()),
                KeyValue::new("isthmus.result", outcome.as_str()),
            ]
        };
        Retries {
            requests: AtomicUsize::new(0),
            again: AtomicUsize::new(0),
            attributes: Outcome::ALL.map(of),
        }
    }

    /// One more request, for as long as this is held.
    pub fn request(&self) -> Counted<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Counted(&self.requests)
    }

    /// Leave to send one again; `None` if too many are.
    pub fn again(&self) -> Option<Counted<'_>> {
        let most = (self.requests.load(Ordering::Relaxed) / ONE_IN).max(AT_LEAST);
        let more = |again: usize| (again < most).then_some(again + 1);
        let taken = self
            .again
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Counted(&self.again))
    }

    /// Counts what became of one.
    pub fn count(&self, outcome: Outcome) {
        UPSTREAM_RETRIES.add(1, &self.attributes[outcome as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_all_requests_and_three_always_may_be_sent_again() {
        let retries = Retries::new("b");
        for (requests, most) in [(0, 3), (1, 3), (19, 3), (20, 4), (100, 20)] {
            let _under_way: Vec<_> = (0..requests).map(|_| retries.request()).collect();
            let again: Vec<_> = (0..most).map(|_| retries.again()).collect();
            assert!(again.iter().all(Option::is_some), "{requests}");
            assert!(retries.again().is_none(), "{requests}");
            drop(again);
            assert!(retries.again().is_some(), "what has ended counts no more");
        }
    }

    #[test]
    fn the_pause_has_full_jitter() {
        assert_eq!(pause(0.0), Duration::ZERO);
        assert_eq!(pause(0.5), LONGEST / 2);
        assert!(pause(0.999) < LONGEST);
    }
}
