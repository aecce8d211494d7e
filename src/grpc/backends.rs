//! `BackendService`: converts, calls the core, converts back. Sends no request to a cloud.

use crate::{
    core::{backend::BackendSummary, gateway::Gateway},
    grpc::{
        convert::backend::{Get, List, backend},
        pb,
    },
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug, Clone)]
pub struct Backends {
    gateway: Arc<Gateway>,
}

impl Backends {
    pub fn new(gateway: Arc<Gateway>) -> Backends {
        Backends { gateway }
    }

    fn told(&self, summary: BackendSummary) -> pb::Backend {
        let unfinished = self.gateway.unfinished(&summary.name);
        backend(summary, unfinished, self.gateway.durable_writes())
    }
}

#[tonic::async_trait]
impl pb::backend_service_server::BackendService for Backends {
    async fn list_backends(
        &self,
        request: Request<pb::ListBackendsRequest>,
    ) -> Result<Response<pb::ListBackendsResponse>, Status> {
        let list = List::try_from(request.into_inner())?;
        let page = self.gateway.list_backends(list.size, &list.page_token)?;
        Ok(Response::new(pb::ListBackendsResponse {
            backends: page.backends.into_iter().map(|it| self.told(it)).collect(),
            next_page_token: page.next,
        }))
    }

    async fn get_backend(
        &self,
        request: Request<pb::GetBackendRequest>,
    ) -> Result<Response<pb::GetBackendResponse>, Status> {
        let get = Get::try_from(request.into_inner())?;
        let summary = self.gateway.backend(&get.name)?;
        Ok(Response::new(pb::GetBackendResponse {
            backend: Some(self.told(summary)),
        }))
    }
}
