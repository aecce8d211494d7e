//! The vocabulary of an upstream account's budget: the class of a request, and how much of the budget is used.
//!
//! The core states the class of each request, and `rest` divides the budget accordingly. Neither depends on the other.

use std::time::Duration;

/// The class of a request: whom it serves. Each class has a share of the account's budget that the others cannot take,
/// both of the request rate and of the requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// The gateway's own login, without which no other request can be sent. At most one is in flight.
    Login,
    /// A client that waits for the outcome of a write.
    Outcome,
    /// One client that waits for an answer. The number identifies the client; clients share equally.
    Caller(u64),
    /// Several clients together, counted as one more client.
    Asked,
    /// No particular client, so it can wait: polls of connections at rest, and chores.
    Stable,
}

/// How much of an account's budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Requests a second that the rate limit currently allows.
    pub rate_limit: f64,
    /// Requests a second over the last ten seconds, logins included.
    pub rate_used: f64,
    /// The limit of requests in flight.
    pub concurrency_limit: u32,
    /// Requests in flight, logins included.
    pub in_flight: u32,
    /// For how much longer nothing is sent, or `None` if requests are not paused.
    pub paused_for: Option<Duration>,
    /// The share of [`Priority::Outcome`].
    pub outcome: BudgetShare,
    /// The share of [`Priority::Caller`] and [`Priority::Asked`], of all clients together.
    pub callers: BudgetShare,
    /// The share of [`Priority::Stable`].
    pub stable: BudgetShare,
    pub circuit: Circuit,
    /// For how much longer no login is tried after a refused one. Zero if a login may be tried.
    pub login_rest: Duration,
}

/// The state of a cloud's circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Circuit {
    /// Requests are sent.
    #[default]
    Closed,
    /// The cloud did not answer. One request is let through to find out whether it answers again.
    HalfOpen,
    /// The cloud did not answer. No request is sent.
    Open,
}

impl Circuit {
    /// Returns the value of the gauge: 0, 0.5 or 1.
    pub fn as_f64(self) -> f64 {
        match self {
            Circuit::Closed => 0.0,
            Circuit::HalfOpen => 0.5,
            Circuit::Open => 1.0,
        }
    }
}

/// The share of an account's budget that one class has.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BudgetShare {
    /// Requests a second that this class can have, even if the others ask for more than their share.
    pub rate: f64,
    /// Requests a second that this class used over the last ten seconds.
    pub rate_used: f64,
    /// Slots for requests in flight that are reserved for this class.
    pub slots: u32,
    /// Its requests in flight.
    pub in_flight: u32,
    /// Its requests that wait to be sent.
    pub waiting: u32,
}
