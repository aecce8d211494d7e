//! Ends calls early, because the gateway shuts down or because their connection has reached its maximum age. The server
//! itself ends streams; a wait watches [`Leaving`].

use crate::grpc::status;
use std::future::pending;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

/// Tells the calls of one connection to end. By default they never end early. The server puts it into the extensions of
/// each request.
#[derive(Debug, Clone, Default)]
pub struct Leaving {
    server: CancellationToken,
    connection: CancellationToken,
}

impl Leaving {
    /// Creates the state of one connection. Cancelling `server` ends the calls of all connections.
    pub fn new(server: &CancellationToken) -> Leaving {
        Leaving {
            server: server.clone(),
            connection: server.child_token(),
        }
    }

    /// Tells the calls of this connection to end.
    pub fn leave(&self) {
        self.connection.cancel();
    }

    /// Returns the token that is cancelled when the calls must end.
    pub fn token(&self) -> &CancellationToken {
        &self.connection
    }

    /// Returns the status with which the calls end.
    pub fn why(&self) -> Status {
        match self.server.is_cancelled() {
            true => status::draining(),
            false => status::aged(),
        }
    }
}

/// Completes with the final status when this call must end. Never completes for a request that did not come through the
/// server.
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
