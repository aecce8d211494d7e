//! The wall clock. Its time is shown and stored. It decides only what has to outlive the process: the epoch of a log
//! whose store was lost, when a stored answer expires, how long ago an earlier process sent a step, and when the settler
//! gives up a write.
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
