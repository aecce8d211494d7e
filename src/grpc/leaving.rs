//! Why a call is to end before it is over: its gateway shuts down, or its connection has been open long enough. Streams
//! are ended by the server itself; a wait has to be told.

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

/// Whether the calls of one connection are to end; by default they never are. The server leaves it in the extensions of a
/// request.
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

/// Waits until the calls of a connection are to end.
#[derive(Debug)]
pub struct Left {
    leaving: Leaving,
    follower: Follower,
}

impl Leaving {
    /// For one more connection of this server, which is cancelled before its connections are told to leave.
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
    /// What the calls end with, once they are to.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<Status> {
        // Registers before it looks.
        let _ = self.follower.poll_changed(cx);
        self.leaving.why().map_or(Poll::Pending, Poll::Ready)
    }
}

/// What this call is to end with, once it is. Never ready for a request that did not come through the server.
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
