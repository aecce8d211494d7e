//! Whose call is being answered.
//!
//! Like a span of tracing it goes along with the work without standing in every signature: the server sets it around
//! a handler, and what the gateway spawns for a call takes it along. Work of the gateway's own is nobody's.

use std::future::Future;
use tokio::task_local;

task_local! {
    static CURRENT: Client;
}

/// One client of the gateway: today one connection to it, whoever is behind that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Client(pub u64);

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
        let seen = Client(7).serve(async { Client::current() }).await;
        assert_eq!(seen, Some(Client(7)));
    }
}
