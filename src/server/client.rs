//! One client connection and its shares of the common pools.

use crate::{
    grpc::{leaving::Leaving, status},
    server::{
        counted::Limit,
        motion::Motion,
        pool::{Pool, Share},
        warn::{Kind, Warnings},
    },
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::time::Instant;
use tonic::Status;

#[derive(Debug)]
pub struct Client {
    /// Address of the client.
    pub peer: IpAddr,
    /// Its calls in flight.
    pub calls: Arc<Share>,
    /// Its health checks in flight.
    pub checks: Arc<Share>,
    /// Bytes of its messages in flight.
    pub bytes: Arc<Share>,
    /// Whether it reads its answers.
    pub motion: Motion,
    /// Whether its calls must end.
    pub leaving: Leaving,
    warnings: Arc<Warnings>,
}

impl Client {
    /// Creates a client with empty shares.
    pub fn new(
        peer: IpAddr,
        calls: &Arc<Pool>,
        checks: &Arc<Pool>,
        bytes: &Arc<Pool>,
        leaving: Leaving,
        warnings: &Arc<Warnings>,
    ) -> Client {
        Client {
            peer,
            calls: calls.share(),
            checks: checks.share(),
            bytes: bytes.share(),
            motion: Motion::new(),
            leaving,
            warnings: Arc::clone(warnings),
        }
    }

    /// Reports whether data waits for the client and it has taken nothing for at least `longest`.
    pub fn is_stuck(&self, longest: Duration) -> bool {
        let since = self.motion.waits_since();
        since.is_some_and(|since| since + longest <= Instant::now())
    }

    /// Counts and logs a call refused for `limit`, and returns its status.
    pub fn refuse(&self, limit: Limit, why: impl Into<String>) -> Status {
        let why = why.into();
        limit.reached();
        if let Some(suppressed) = self.warns(Kind::Limit) {
            let peer = self.peer;
            tracing::warn!(%peer, why, suppressed, "refused a call");
        }
        status::limit_exceeded(why)
    }

    /// Reports whether to log a warning of this kind. `Some` holds the number of warnings suppressed since the last
    /// one.
    pub fn warns(&self, kind: Kind) -> Option<u64> {
        self.warnings.due(kind, self.peer)
    }
}
