//! The client whose call is being served.
//!
//! Like a tracing span it follows the work without being in every signature. The server sets it around a handler, and
//! what the gateway spawns for a call inherits it. The gateway's own work has no client.

use std::{future::Future, net::SocketAddr};
use tokio::task_local;

task_local! {
    static CURRENT: Client;
}

/// A client of the gateway. Each gRPC connection counts as one client, even if several users share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Client {
    /// Identifies the client.
    pub number: u64,
    /// The client's address, for the audit records of what it writes.
    pub peer: Option<SocketAddr>,
}

impl Client {
    /// Returns the client being served here, or `None` in the gateway's own work.
    pub fn current() -> Option<Client> {
        CURRENT.try_with(|client| *client).ok()
    }

    /// Runs `work` on behalf of this client. Not an `async fn`, whose future would hold `work` twice: as its argument and
    /// where it is awaited.
    pub fn serve<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_for_whom_it_was_begun() {
        assert_eq!(Client::current(), None);
        let client = Client {
            number: 7,
            peer: None,
        };
        let seen = client.serve(async { Client::current() }).await;
        assert_eq!(seen, Some(client));
    }
}
