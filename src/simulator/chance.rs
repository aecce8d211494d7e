//! Random ids in the form that the clouds use, from a generator that a test can seed.

use uuid::{Builder, Uuid};

/// Returns a version 4 UUID from this thread's [`fastrand`]: the same `fastrand::seed` yields the same ids.
pub(crate) fn uuid() -> Uuid {
    Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}
