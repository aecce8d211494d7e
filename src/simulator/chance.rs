//! Ids as the clouds make them up, from a generator that a test can seed.

use uuid::{Builder, Uuid};

/// A UUID of version 4, drawn from this thread's [`fastrand`]: the same after the same `fastrand::seed`.
pub(crate) fn uuid() -> Uuid {
    Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}
