//! A panic ends its own call with INTERNAL, and no other call.

use crate::grpc::status;
use futures_util::FutureExt;
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
};
use tonic::Status;

/// Runs `handler`.
///
/// # Errors
/// INTERNAL if it panics.
pub async fn caught<F: Future>(handler: F) -> Result<F::Output, Status> {
    let caught = AssertUnwindSafe(handler).catch_unwind().await;
    caught.map_err(|_panic| status::panicked())
}

/// Runs `poll`.
///
/// # Errors
/// INTERNAL if it panics.
pub fn caught_poll<T>(poll: impl FnOnce() -> T) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(poll)).map_err(|_panic| status::panicked())
}
