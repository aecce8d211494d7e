//! Ends calls early because the gateway shuts down, or because their gRPC connection has reached its maximum age. The
//! server ends streams itself; a unary call that waits has to watch for the signal.

use crate::{
    core::notifier::{Follower, Notifier},
    grpc::status,
};
use std::{
    future::{pending, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

/// The signal that the calls of one gRPC connection must end. The default never signals. The server puts it into the
/// extensions of each request.
#[derive(Debug, Clone, Default)]
pub struct Leaving {
    server: CancellationToken,
    connection: Arc<Connection>,
}

#[derive(Debug, Default)]
struct Connection {
    is_leaving: AtomicBool,
    notifier: Arc<Notifier>,
}

/// A wait until the calls of a connection must end.
#[derive(Debug)]
pub struct Left {
    leaving: Leaving,
    follower: Follower,
}

impl Leaving {
    /// Creates the signal of one connection. `server` is the server's shutdown token; it is cancelled before
    /// [`Leaving::leave`] is called for a shutdown, and so decides the reason that calls get.
    pub fn new(server: &CancellationToken) -> Leaving {
        Leaving {
            server: server.clone(),
            connection: Arc::default(),
        }
    }

    /// Ends the calls of this connection.
    pub fn leave(&self) {
        self.connection.is_leaving.store(true, Ordering::Release);
        self.connection.notifier.notify();
    }

    /// Waits for [`Leaving::leave`].
    pub fn left(&self) -> Left {
        Left {
            leaving: self.clone(),
            follower: self.connection.notifier.follow(),
        }
    }

    fn why(&self) -> Option<Status> {
        let is_leaving = self.connection.is_leaving.load(Ordering::Acquire);
        is_leaving.then(|| match self.server.is_cancelled() {
            true => status::draining(),
            false => status::aged(),
        })
    }
}

impl Left {
    /// Ready with the status that ends the calls, once they must end.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<Status> {
        // Registers the waker before it reads the flag, so that no signal is missed.
        let _ = self.follower.poll_changed(cx);
        self.leaving.why().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Returns a future that is ready with the status that ends this call, once the call must end. It is never ready for a
/// request that did not come through the server.
pub fn asked<T>(request: &Request<T>) -> impl Future<Output = Status> + use<T> {
    let leaving = request.extensions().get::<Leaving>().cloned();
    async move {
        let Some(leaving) = leaving else {
            return pending().await;
        };
        let mut left = leaving.left();
        poll_fn(|cx| left.poll(cx)).await
    }
}
