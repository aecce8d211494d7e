//! Maximum age of a connection. Clients that keep a connection open for ever never reach a gateway that was added, and
//! never leave one that a load balancer drains.

use std::{future::pending, time::Duration};
use tokio::time::sleep;

/// Completes when a connection that begins at this moment reaches its maximum age. Never completes without a limit.
pub async fn over(most: Option<Duration>) {
    match most {
        Some(most) => sleep(spread(most, fastrand::f64())).await,
        None => pending().await,
    }
}

/// Applies ±10 % jitter, as gRPC does (proposal A9), so that clients that connected together do not reconnect together.
/// `random` is from 0 to 1.
fn spread(most: Duration, random: f64) -> Duration {
    most.mul_f64(0.9 + 0.2 * random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[test]
    fn the_age_is_spread_by_a_tenth() {
        let hour = Duration::from_secs(3600);
        assert_eq!(spread(hour, 0.0), hour * 9 / 10);
        assert_eq!(spread(hour, 0.5), hour);
        assert_eq!(spread(hour, 1.0), hour * 11 / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn no_two_connections_are_as_old() {
        let hour = Duration::from_secs(3600);
        let mut ages = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            over(Some(hour)).await;
            let age = begun.elapsed();
            assert!(age.abs_diff(hour) <= hour / 10 + Duration::from_millis(2));
            ages.push(age);
        }
        ages.dedup();
        assert!(ages.len() > 90);
    }
}
