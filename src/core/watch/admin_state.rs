//! Caches whether a connection is enabled. A cloud that keeps this apart from the connection needs a request of its own
//! for it, so not every poll asks. Pure: the caller supplies the time.

use std::time::Duration;
use tokio::time::Instant;

/// How long a reading of `admin_enabled` is reused.
const ADMIN_STATE_FRESH: Duration = Duration::from_secs(60);
/// For how many polls of a connection at rest it is reused, if that is longer, however late the budget makes them. With
/// many connections each is polled only every few minutes, and a second request each time would be half of all
/// requests.
const ADMIN_STATE_POLLS: u64 = 6;

/// A reading of whether a connection is enabled.
#[derive(Debug, Clone, Copy)]
pub struct AdminState {
    pub enabled: bool,
    /// When the poll that read it began.
    seen: Instant,
    /// The number of the poll that asks again, if the connection is at rest.
    again: u64,
}

impl AdminState {
    /// Returns the reading after the poll of this number; keeps `known` and its age if the value is the same.
    pub fn told(
        known: Option<AdminState>,
        enabled: bool,
        number: u64,
        seen: Instant,
    ) -> AdminState {
        // Jitter: connections that were first polled together must not read their admin state together ever after.
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

    /// Reports whether the poll of this number can reuse the reading.
    pub fn holds(&self, number: u64, at_rest: bool, now: Instant) -> bool {
        let lately = now.duration_since(self.seen) < ADMIN_STATE_FRESH;
        lately || (at_rest && number < self.again)
    }
}
