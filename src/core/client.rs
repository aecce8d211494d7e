//! Whose call is being answered.
//!
//! Like a span of tracing it goes along with the work without standing in every signature: the server sets it around
//! a handler, and what the gateway spawns for a call takes it along. Work of the gateway's own is nobody's.

use std::{future::Future, net::SocketAddr};
use tokio::task_local;

task_local! {
    static CURRENT: Client;
}

/// One client of the gateway: today one connection to it, whoever is behind that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Client {
    /// Tells it from others.
    pub number: u64,
    /// Where it comes from, for the records of what it writes.
    pub peer: Option<SocketAddr>,
}

impl Client {
    /// Whose call is being answered here; `None` for work of the gateway's own.
    pub fn current() -> Option<Client> {
        CURRENT.try_with(|client| *client).ok()
    }

    /// Does this for that client.
    pub async fn serve<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
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
