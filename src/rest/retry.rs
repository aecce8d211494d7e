//! Decides which requests are retried, after which pause, and how many at the same time.
//!
//! Only a GET is retried, once, and only if its connection broke before the whole answer arrived: the server may have
//! closed a pooled connection. An *answer* is never retried here, least of all a 429.
//!
//! A cloud in trouble breaks many connections, and retries must not double its load. As with Envoy's retry budget
//! (`RetryBudget`: `budget_percent` 20, `min_retry_concurrency` 3), retries are at most a fifth of the requests that
//! are in flight or queued. Three retries are always allowed. A retry counts from before its pause until its answer.

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

/// The share of all requests that may be retries: one in `ONE_IN`. Envoy's 20 %.
const ONE_IN: usize = 5;
/// Concurrent retries that are always allowed. Envoy's default.
const AT_LEAST: usize = 3;
/// Longest pause before a retry: Envoy's base interval. The pause has full jitter (M. Brooker, "Exponential Backoff And
/// Jitter", 2015), so that requests that broke together are not retried together.
const LONGEST: Duration = Duration::from_millis(25);

/// Reports whether a retry may help and cannot repeat a side effect.
pub fn may_help(method: &Method, failure: &Failure) -> bool {
    method == Method::GET && failure.kind == FailureKind::Broken
}

/// Returns the pause before a retry. `random` is from 0 to 1.
pub fn pause(random: f64) -> Duration {
    LONGEST.mul_f64(random)
}

/// What became of a request that was eligible for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The request was retried.
    Repeated,
    /// The retry budget is used up.
    NoBudget,
    /// The deadline is too near.
    NoTime,
    /// The circuit of the server has opened.
    CircuitOpen,
}

impl Outcome {
    const ALL: [Outcome; 4] = [
        Outcome::Repeated,
        Outcome::NoBudget,
        Outcome::NoTime,
        Outcome::CircuitOpen,
    ];

    /// Returns the attribute value of the metric.
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
    /// Requests in flight or queued.
    requests: AtomicUsize,
    /// Retries among them.
    again: AtomicUsize,
    /// Metric attributes, by outcome.
    attributes: [[KeyValue; 2]; Outcome::ALL.len()],
}

/// Counts until dropped.
#[derive(Debug)]
pub struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Retries {
    /// Returns a full budget.
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

    /// Counts one request until the guard is dropped.
    pub fn request(&self) -> Counted<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Counted(&self.requests)
    }

    /// Takes one retry from the budget. Returns `None` if the budget is used up.
    pub fn again(&self) -> Option<Counted<'_>> {
        let most = (self.requests.load(Ordering::Relaxed) / ONE_IN).max(AT_LEAST);
        let more = |again: usize| (again < most).then_some(again + 1);
        let taken = self
            .again
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Counted(&self.again))
    }

    /// Counts an outcome in the metrics.
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
