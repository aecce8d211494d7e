//! `grpc.health.v1`: the server (`""`), each service by name, each backend as `backends/{backend}`, and the log's
//! store, if there is one, as `store`.
//!
//! The server and its services are healthy until the drain begins. A backend that does not answer, or a store that
//! cannot write, is unhealthy alone: the gateway still serves and must not be restarted for it. A backend that is added
//! or removed at run time appears or disappears here at once.

use crate::core::{
    backend::Serving,
    roster::{Member, Roster},
};
use futures_util::stream::{BoxStream, StreamExt, unfold};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

#[derive(Debug)]
pub struct HealthService {
    /// Subjects other than backends. A subject without a receiver is healthy until the drain.
    subjects: HashMap<String, Option<watch::Receiver<Serving>>>,
    backends: watch::Receiver<Arc<Roster>>,
    /// Cancelled when the drain begins.
    drain: CancellationToken,
}

impl HealthService {
    /// Creates the service for the server, these services, the present backends, and the store.
    pub fn new(
        services: &[&str],
        backends: watch::Receiver<Arc<Roster>>,
        store: Option<watch::Receiver<Serving>>,
        drain: CancellationToken,
    ) -> HealthService {
        let own = services.iter().chain(&[""]);
        let own = own.map(|service| ((*service).to_owned(), None));
        let store = store.map(|keeping| ("store".to_owned(), Some(keeping)));
        HealthService {
            subjects: own.chain(store).collect(),
            backends,
            drain,
        }
    }

    fn watcher(&self, service: &str) -> Watcher {
        let asked = match self.subjects.get(service) {
            Some(serving) => Asked::Own(serving.clone()),
            None => Asked::Backend(service.to_owned(), self.backends.clone(), None),
        };
        Watcher {
            asked,
            drain: self.drain.clone(),
            told: None,
        }
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.watcher(&request.get_ref().service).now() {
            ServingStatus::ServiceUnknown => {
                Err(Status::not_found("nothing of this name is served here"))
            }
            status => Ok(Response::new(said(status))),
        }
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// Sends the current health and then each change. An unknown name is SERVICE_UNKNOWN for as long as it is unknown,
    /// as the health protocol requires.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watcher = self.watcher(&request.get_ref().service);
        let statuses = unfold(watcher, async |mut watcher| {
            let status = watcher.next().await;
            Some((Ok(said(status)), watcher))
        });
        Ok(Response::new(statuses.boxed()))
    }
}

/// The subject of a health check.
enum Asked {
    /// A subject that always exists.
    Own(Option<watch::Receiver<Serving>>),
    /// A backend of this name, which may come and go, with the receiver found last.
    Backend(
        String,
        watch::Receiver<Arc<Roster>>,
        Option<watch::Receiver<Serving>>,
    ),
}

/// One watch of health.
struct Watcher {
    asked: Asked,
    drain: CancellationToken,
    told: Option<ServingStatus>,
}

impl Watcher {
    /// Returns the current status and marks it as seen.
    fn now(&mut self) -> ServingStatus {
        match &mut self.asked {
            Asked::Own(serving) => {
                if let Some(serving) = serving {
                    serving.mark_unchanged();
                }
                now(serving.as_ref(), &self.drain)
            }
            Asked::Backend(name, all, serving) => {
                let all = all.borrow_and_update();
                let named = |it: &&Arc<Member>| it.name().to_string() == *name;
                let found = all.iter().find(named);
                *serving = found.map(|it| it.poller().backend().subscribe_serving());
                match serving {
                    Some(_) => now(serving.as_ref(), &self.drain),
                    None => ServingStatus::ServiceUnknown,
                }
            }
        }
    }

    /// Returns the next status that differs from the one sent last.
    async fn next(&mut self) -> ServingStatus {
        loop {
            let status = self.now();
            if self.told != Some(status) {
                self.told = Some(status);
                return status;
            }
            let drained = self.drain.is_cancelled();
            tokio::select! {
                biased;
                () = self.drain.cancelled(), if !drained => {}
                () = self.asked.changed() => {}
            }
        }
    }
}

impl Asked {
    async fn changed(&mut self) {
        match self {
            Asked::Own(serving) => changed(serving).await,
            Asked::Backend(_, all, serving) => tokio::select! {
                Ok(()) = all.changed() => {}
                () = changed(serving) => {}
            },
        }
    }
}

/// Waits for a change, or for ever if none can come.
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
