//! One client connection: what it has of what all share.

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

/// One client connection.
#[derive(Debug)]
pub struct Client {
    /// Who has opened it.
    pub peer: IpAddr,
    /// Its calls under way.
    pub calls: Arc<Share>,
    /// Its health checks under way.
    pub checks: Arc<Share>,
    /// The bytes of its messages that are on their way.
    pub bytes: Arc<Share>,
    /// Whether it takes its answers.
    pub motion: Motion,
    /// Whether its calls are to end.
    pub leaving: Leaving,
    warnings: Arc<Warnings>,
}

impl Client {
    /// A new one, which has nothing.
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

    /// Whether there is something for it and it has taken nothing for longer than this.
    pub fn is_stuck(&self, longest: Duration) -> bool {
        let since = self.motion.waits_since();
        since.is_some_and(|since| since + longest <= Instant::now())
    }

    /// Refuses a call of it for a limit: what it is answered.
    pub fn refuse(&self, limit: Limit, why: impl Into<String>) -> Status {
        let why = why.into();
        limit.reached();
        if let Some(suppressed) = self.warns(Kind::Limit) {
            let peer = self.peer;
            tracing::warn!(%peer, why, suppressed, "refused a call");
        }
        status::limit_exceeded(why)
    }

    /// Whether to warn of it now; and if so, of how many there was no line since the last one.
    pub fn warns(&self, kind: Kind) -> Option<u64> {
        self.warnings.due(kind, self.peer)
    }
}
