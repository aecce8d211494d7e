//! Whether a connection is switched on, which costs a request of its own where a cloud says it beside the connection: it
//! is not asked with every poll. Pure: the caller brings the time.

use std::time::Duration;
use tokio::time::Instant;

/// How long what a poll told of `admin_enabled` is passed on to save the next polls a request.
const ADMIN_STATE_FRESH: Duration = Duration::from_secs(60);
/// And for how many polls of a connection at rest, if that is longer, however late the budget lets them be: where
/// there are many connections each is polled every few minutes only, and a second request each time would be half
/// of all requests.
const ADMIN_STATE_POLLS: u64 = 6;

/// Whether a connection is switched on, as a poll told.
#[derive(Debug, Clone, Copy)]
pub struct AdminState {
    /// What it told.
    pub enabled: bool,
    /// When that poll began.
    seen: Instant,
    /// The number of the poll at rest that asks again.
    again: u64,
}

impl AdminState {
    /// What `enabled`, told by the poll of that number, adds to what was known.
    pub fn told(
        known: Option<AdminState>,
        enabled: bool,
        number: u64,
        seen: Instant,
    ) -> AdminState {
        // Those who were first polled together must not go on asking together.
        let polls = match number {
            1 => fastrand::u64(1..=ADMIN_STATE_POLLS),
            _ => ADMIN_STATE_POLLS,
        };
        let again = number + polls;
        known
            .filter(|known| known.enabled == enabled)
            .unwrap_or(AdminState {
                enabled,
                seen,
                again,
            })
    }

    /// Whether the poll of that number need not ask.
    pub fn holds(&self, number: u64, at_rest: bool, now: Instant) -> bool {
        let lately = now.duration_since(self.seen) < ADMIN_STATE_FRESH;
        lately || (at_rest && number < self.again)
    }
}
