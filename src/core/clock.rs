//! The wall clock. Its time is only shown and stored in observations. Nothing is decided by it, except that a log whose
//! store was lost continues with a higher epoch.
//!
//! Simulated time is not the machine's, and a log with the machine's time differs in every run. So a thread can replace
//! the wall clock, as a runtime can pause tokio's clock.

use std::{cell::Cell, time::SystemTime};

thread_local! {
    static CLOCK: Cell<fn() -> SystemTime> = const { Cell::new(SystemTime::now) };
}

/// Returns the time of day.
pub fn now() -> SystemTime {
    CLOCK.get()()
}

/// Replaces the clock behind [`now`] on this thread.
pub fn set(clock: fn() -> SystemTime) {
    CLOCK.set(clock);
}
