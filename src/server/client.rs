//! One client connection: what it has of what all share.

use crate::server::{
    motion::Motion,
    pool::{Pool, Share},
    warn::{Kind, Warnings},
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

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
    warnings: Arc<Warnings>,
}

impl Client {
    /// A new one, which has nothing.
    pub fn new(
        peer: IpAddr,
        calls: &Arc<Pool>,
        checks: &Arc<Pool>,
        bytes: &Arc<Pool>,
        warnings: &Arc<Warnings>,
    ) -> Client {
        Client {
            peer,
            calls: calls.share(),
            checks: checks.share(),
            bytes: bytes.share(),
            motion: Motion::new(),
            warnings: Arc::clone(warnings),
        }
    }

    /// Whether there is something for it and it has taken nothing for longer than this.
    pub fn is_stuck(&self, longest: Duration) -> bool {
        let since = self.motion.waits_since();
        since.is_some_and(|since| since + longest <= Instant::now())
    }

    /// A call of it was refused for a limit.
    pub fn refused(&self, why: &str) {
        if let Some(suppressed) = self.warns(Kind::Limit) {
            let peer = self.peer;
            tracing::warn!(%peer, why, suppressed, "refused a call");
        }
    }

    /// Whether to warn of it now; and if so, of how many there was no line since the last one.
    pub fn warns(&self, kind: Kind) -> Option<u64> {
        self.warnings.due(kind, self.peer)
    }
}
