//! `grpc.health.v1`: the server (`""`), each service by its name, each backend as `backends/{backend}`, and the
//! log's store, if there is one, as `store`.
//!
//! The server and its services are healthy as long as it does not drain. A backend that does not answer, or a
//! store that cannot keep, is unhealthy alone: the gateway still serves, and must not be restarted for it.

use crate::{core::backend::Serving, model::BackendName};
use futures_util::stream::{BoxStream, StreamExt, unfold};
use std::collections::HashMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

/// The health service.
#[derive(Debug)]
pub struct HealthService {
    /// Who is asked about. Without a receiver it is always healthy until the drain.
    subjects: HashMap<String, Option<watch::Receiver<Serving>>>,
    /// Cancelled when the server begins to drain.
    drain: CancellationToken,
}

impl HealthService {
    /// Tells of the server, of these services, of these backends, and of the store.
    pub fn new(
        services: &[&str],
        backends: Vec<(BackendName, watch::Receiver<Serving>)>,
        store: Option<watch::Receiver<Serving>>,
        drain: CancellationToken,
    ) -> HealthService {
        let own = services.iter().chain(&[""]);
        let own = own.map(|service| ((*service).to_owned(), None));
        let clouds = backends
            .into_iter()
            .map(|(name, serving)| (name.to_string(), Some(serving)));
        let store = store.map(|keeping| ("store".to_owned(), Some(keeping)));
        HealthService {
            subjects: own.chain(clouds).chain(store).collect(),
            drain,
        }
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.subjects.get(&request.get_ref().service) {
            Some(serving) => Ok(Response::new(said(now(serving.as_ref(), &self.drain)))),
            None => Err(Status::not_found("nothing of this name is served here")),
        }
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// Tells the health now, and then each change of it. A name that is not known is SERVICE_UNKNOWN for as
    /// long as the stream is open, as the health protocol wants it.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let Some(serving) = self.subjects.get(&request.get_ref().service) else {
            let once =
                futures_util::stream::once(async { Ok(said(ServingStatus::ServiceUnknown)) });
            return Ok(Response::new(
                once.chain(futures_util::stream::pending()).boxed(),
            ));
        };
        let watcher = Watcher {
            serving: serving.clone(),
            drain: self.drain.clone(),
            told: None,
        };
        let statuses = unfold(watcher, async |mut watcher| {
            let status = watcher.next().await;
            Some((Ok(said(status)), watcher))
        });
        Ok(Response::new(statuses.boxed()))
    }
}

/// One who wants to be told of changes.
struct Watcher {
    serving: Option<watch::Receiver<Serving>>,
    drain: CancellationToken,
    told: Option<ServingStatus>,
}

impl Watcher {
    /// The next status that differs from the one told last.
    async fn next(&mut self) -> ServingStatus {
        loop {
            if let Some(serving) = &mut self.serving {
                serving.mark_unchanged();
            }
            let status = now(self.serving.as_ref(), &self.drain);
            if self.told != Some(status) {
                self.told = Some(status);
                return status;
            }
            let drained = self.drain.is_cancelled();
            tokio::select! {
                biased;
                () = self.drain.cancelled(), if !drained => {}
                () = changed(&mut self.serving) => {}
            }
        }
    }
}

/// Waits for a change, for ever if there can be none any more.
async fn changed(serving: &mut Option<watch::Receiver<Serving>>) {
    if let Some(receiver) = serving
        && receiver.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

fn now(serving: Option<&watch::Receiver<Serving>>, drain: &CancellationToken) -> ServingStatus {
    if drain.is_cancelled() {
        return ServingStatus::NotServing;
    }
    match serving.map(|serving| *serving.borrow()) {
        None | Some(Serving::Yes) => ServingStatus::Serving,
        Some(Serving::No) => ServingStatus::NotServing,
        Some(Serving::NotAsked) => ServingStatus::Unknown,
    }
}

fn said(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
