//! Why a call is to end before it is over: its gateway shuts down, or its connection has been open long enough. Streams
//! are ended by the server itself; a wait has to be told.

use crate::grpc::status;
use std::future::pending;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

/// Whether the calls of one connection are to end; by default they never are. The server leaves it in the extensions of a
/// request.
#[derive(Debug, Clone, Default)]
pub struct Leaving {
    server: CancellationToken,
    connection: CancellationToken,
}

impl Leaving {
    /// Of one more connection, whose calls are to end at the latest when `server` is cancelled.
    pub fn new(server: &CancellationToken) -> Leaving {
        Leaving {
            server: server.clone(),
            connection: server.child_token(),
        }
    }

    /// The calls of this connection are to end.
    pub fn leave(&self) {
        self.connection.cancel();
    }

    /// Cancelled when they are.
    pub fn token(&self) -> &CancellationToken {
        &self.connection
    }

    /// What they end with.
    pub fn why(&self) -> Status {
        match self.server.is_cancelled() {
            true => status::draining(),
            false => status::aged(),
        }
    }
}

/// What this call is to end with, once it is. Never ready for a request that did not come through the server.
pub fn asked<T>(request: &Request<T>) -> impl Future<Output = Status> + use<T> {
    let leaving = request.extensions().get::<Leaving>().cloned();
    async move {
        let Some(leaving) = leaving else {
            return pending().await;
        };
        leaving.token().cancelled().await;
        leaving.why()
    }
}
