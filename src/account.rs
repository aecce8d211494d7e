//! What the users of an upstream account share: for whom each of its requests is, and how much of its budget is used.
//!
//! The core says for whom it asks, `rest` shares the account out accordingly, and neither knows the other.

use std::time::Duration;

/// For whom a request is. Each has a share of the account's budget that the others cannot take: of the requests a
/// second, and of those at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// For everybody: the gateway's own login, without which nothing else can be sent. Never made twice at the same
    /// time.
    Login,
    /// For somebody who waits for what becomes of a write.
    Outcome,
    /// For a client who waits for its answer. The number tells clients apart, which share equally.
    Caller(u64),
    /// For several clients together, whoever they are: as if it were for one more.
    Asked,
    /// For nobody in particular; it can wait. Polls of what is at rest, and chores.
    Stable,
}

/// How much of an account's budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Requests a second allowed now.
    pub rate_limit: f64,
    /// Requests a second over the last ten seconds, logins among them.
    pub rate_used: f64,
    /// Requests allowed at the same time.
    pub concurrency_limit: u32,
    /// Requests under way, logins among them.
    pub in_flight: u32,
    /// How long nothing is sent yet.
    pub paused_for: Option<Duration>,
    /// The share of [`Priority::Outcome`].
    pub outcome: BudgetShare,
    /// The share of [`Priority::Caller`] and [`Priority::Asked`], all clients together.
    pub callers: BudgetShare,
    /// The share of [`Priority::Stable`].
    pub stable: BudgetShare,
    /// Whether the cloud is asked at all.
    pub circuit: Circuit,
    /// How long no login is tried yet, since the last was refused.
    pub login_rest: Duration,
}

/// Whether a cloud is asked: its circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Circuit {
    /// It is.
    #[default]
    Closed,
    /// It did not answer, and one request is let through to see whether it does again.
    HalfOpen,
    /// It did not answer, and is not asked.
    Open,
}

impl Circuit {
    /// As the gauge has it: 0, 0.5 or 1.
    pub fn as_f64(self) -> f64 {
        match self {
            Circuit::Closed => 0.0,
            Circuit::HalfOpen => 0.5,
            Circuit::Open => 1.0,
        }
    }
}

/// What one priority has of an account's budget.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BudgetShare {
    /// Requests a second that it gets now if it wants them, whatever the others want.
    pub rate: f64,
    /// Requests a second that it had over the last ten seconds.
    pub rate_used: f64,
    /// Requests at the same time that nobody else can keep it from.
    pub slots: u32,
    /// Its requests under way.
    pub in_flight: u32,
    /// Its requests that wait to be sent.
    pub waiting: u32,
}
