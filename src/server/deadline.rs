//! The deadline of a call, read from `grpc-timeout` and held against its handler. `body` holds the answer
//! to it.

use crate::{
    core::error::{Error, Violation},
    grpc::{
        deadline::{Deadline, timeout},
        status,
    },
};
use http::HeaderMap;
use std::future::Future;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// The deadline that the headers set.
///
/// # Errors
/// INVALID_ARGUMENT if they set one that cannot be read.
pub fn read(headers: &HeaderMap) -> Result<Deadline, Status> {
    let timeout = timeout(headers).map_err(|malformed| {
        Error::invalid(vec![Violation::new("grpc-timeout", malformed.to_string())])
    })?;
    // A time beyond what the clock can tell is none.
    Ok(Deadline(
        timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
    ))
}

/// What `work` answers in time. If both happen at once, the answer counts.
///
/// # Errors
/// DEADLINE_EXCEEDED.
pub async fn enforce<F: Future>(deadline: Deadline, work: F) -> Result<F::Output, Status> {
    match deadline.0 {
        None => Ok(work.await),
        Some(deadline) => timeout_at(deadline, work)
            .await
            .map_err(|_elapsed| status::deadline_exceeded()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tonic::Code;
    use tonic_types::StatusExt;

    #[test]
    fn a_timeout_that_cannot_be_read_is_refused_by_name() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", "soon".parse().unwrap());
        let status = read(&headers).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "grpc-timeout");
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_what_takes_longer() {
        let deadline = Deadline(Some(Instant::now() + Duration::from_secs(1)));
        let status = enforce(deadline, std::future::pending::<()>())
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(status.get_details_error_info().unwrap().reason, "DEADLINE");
        // Already over, but the answer is there.
        assert_eq!(enforce(deadline, async { 7 }).await.unwrap(), 7);
    }
}
