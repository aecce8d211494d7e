//! Limits of calls in flight.

use crate::server::{client::Client, counted::Limit, pool::Taken};
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
pub fn admit(client: &Client, path: &str) -> Result<Taken, Status> {
    let (limit, places, what) = match path {
        ALWAYS_ADMITTED => (Limit::Checks, &client.checks, "health checks"),
        _ => (Limit::Calls, &client.calls, "calls"),
    };
    let Some(place) = places.take(1) else {
        let why = format!(
            "the gateway serves {} {what} at the same time and no more, and this connection has {} of them",
            places.most(),
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
    use crate::{grpc::leaving::Leaving, server::pool::Pool};
    use std::sync::Arc;
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
        let admit = |path| admit(&client, path);
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

    #[test]
    fn a_refusal_names_the_limit_that_it_is_for() {
        let (calls, checks, bytes) = (Pool::new(2, 2, 0), Pool::new(1, 1, 0), Pool::new(1, 1, 0));
        let peer = [127, 0, 0, 1].into();
        let leaving = Leaving::default();
        let client = Client::new(peer, &calls, &checks, &bytes, leaving, &Arc::default());
        let mut places = Vec::new();
        for (path, expected) in [("/a/B", "2 calls"), (ALWAYS_ADMITTED, "1 health checks")] {
            let refusal = loop {
                match admit(&client, path) {
                    Ok(place) => places.push(place),
                    Err(refusal) => break refusal,
                }
            };
            let start = format!("the gateway serves {expected} at the same time");
            assert!(refusal.message().starts_with(&start), "{refusal:?}");
        }
    }
}
