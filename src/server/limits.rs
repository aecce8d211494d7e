//! Limits of calls in flight.

use crate::server::{
    client::Client,
    counted::Limit,
    pool::{Pool, Taken},
};
use std::sync::Arc;
use tonic::Status;

/// Called by supervisors that decide whether this process lives. A busy gateway must not look dead, so these calls have
/// places of their own.
const ALWAYS_ADMITTED: &str = "/grpc.health.v1.Health/Check";

/// Places for those calls.
pub const CHECKS: usize = 1_000;

/// Takes a place, which the caller holds until the answer has been sent.
///
/// # Errors
/// RESOURCE_EXHAUSTED if no place is free, or if the client's pending answers use up its bytes. Calls do not queue: a
/// queue would only hide the limit.
pub fn admit(client: &Client, calls: &Arc<Pool>, path: &str) -> Result<Taken, Status> {
    let (limit, places) = match path {
        ALWAYS_ADMITTED => (Limit::Checks, &client.checks),
        _ => (Limit::Calls, &client.calls),
    };
    let Some(place) = places.take(1) else {
        let why = format!(
            "the gateway serves {} calls at the same time and no more, and this connection has {} of them",
            calls.most(),
            places.mine()
        );
        return Err(client.refuse(limit, why));
    };
    if path != ALWAYS_ADMITTED && client.bytes.is_exhausted() {
        let why = format!(
            "{} bytes are on their way on this connection, which is all that it may have",
            client.bytes.mine()
        );
        return Err(client.refuse(Limit::Buffered, why));
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::leaving::Leaving;
    use tonic::Code;

    #[test]
    fn a_place_is_given_back_when_it_is_dropped() {
        let pool = || Pool::new(1, 1, 0);
        let calls = pool();
        let peer = [127, 0, 0, 1].into();
        let client = Client::new(
            peer,
            &calls,
            &pool(),
            &pool(),
            Leaving::default(),
            &Arc::default(),
        );
        let admit = |path| admit(&client, &calls, path);
        let place = admit("/a/B").unwrap();
        let status = admit("/a/B").unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(admit(ALWAYS_ADMITTED).is_ok());
        drop(place);
        assert!(admit("/a/B").is_ok());
        let _all = client.bytes.take(1).unwrap();
        let status = admit("/a/B").unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(admit(ALWAYS_ADMITTED).is_ok());
    }
}
