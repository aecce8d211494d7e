//! What the wall clock says. It is only ever shown, and written into observations; nothing is decided by it,
//! but that a log whose store was lost goes on with a higher epoch.
//!
//! In a simulation time is not the machine's, and a log that tells the machine's time is never the same twice. So
//! the wall clock can be replaced for a thread, as tokio's clock can be paused for a runtime.

use std::{cell::Cell, time::SystemTime};

thread_local! {
    static CLOCK: Cell<fn() -> SystemTime> = const { Cell::new(SystemTime::now) };
}

/// The time of day.
pub fn now() -> SystemTime {
    CLOCK.get()()
}

/// Has [`now`] answer by `clock` on this thread from now on.
pub fn set(clock: fn() -> SystemTime) {
    CLOCK.set(clock);
}
