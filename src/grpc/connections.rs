//! `ConnectionService`: converts, calls the core, converts back.

use crate::{
    core::{
        audit::{self, Action},
        gateway::Gateway,
    },
    grpc::{
        convert::{
            CONNECTION,
            apply::{Apply, applied},
            connection::{connection, warning},
            list::List,
            parts,
            plan::plan,
            requests::{Create, Delete, Export, Get, Update},
            site::site,
            write::recorded_id,
        },
        deadline, pb,
        resources::names,
    },
    model::BackendName,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Collection segment of resource names.
const COLLECTION: &str = "connections";

/// Builds the audit record of a write from the unparsed request.
macro_rules! audited {
    ($action:expr, $resource:expr, $request:ident) => {
        audit::Asked {
            action: $action,
            resource: $resource,
            request_id: recorded_id(&$request.request_id),
            is_tried: $request.validate_only,
        }
    };
}

#[derive(Debug, Clone)]
pub struct Connections {
    gateway: Arc<Gateway>,
}

impl Connections {
    pub fn new(gateway: Arc<Gateway>) -> Connections {
        Connections { gateway }
    }
}

#[tonic::async_trait]
impl pb::connection_service_server::ConnectionService for Connections {
    async fn get_connection(
        &self,
        request: Request<pb::GetConnectionRequest>,
    ) -> Result<Response<pb::GetConnectionResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let get = Get::try_from(request.into_inner())?;
        let read = self.gateway.get(&get.name, deadline).await?;
        Ok(Response::new(pb::GetConnectionResponse {
            connection: Some(connection(&get.name.backend, read)),
        }))
    }

    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Result<Response<pb::ListConnectionsResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let list = List::try_from(request.into_inner())?;
        let page = self.gateway.list(&list.query, deadline).await?;
        Ok(Response::new(pb::ListConnectionsResponse {
            connections: page
                .items
                .into_iter()
                .map(|(backend, mut read)| {
                    if !list.native {
                        read.native.clear();
                    }
                    connection(&backend, read)
                })
                .collect(),
            next_page_token: page.next,
            unreachable: names(&page.unreachable),
        }))
    }

    async fn create_connection(
        &self,
        request: Request<pb::CreateConnectionRequest>,
    ) -> Result<Response<pb::CreateConnectionResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let request = request.into_inner();
        let name = audit::new_in(&request.parent, COLLECTION);
        let record = audited!(Action::Create, name, request);
        let answer = audit::recorded(record, async {
            let create = Create::read(request, |backend, spec| {
                self.gateway.refuse_create(backend, spec)
            })?;
            let accepted = self
                .gateway
                .create(&create.backend, create.wanted, create.how, deadline)
                .await
                .map_err(parts::told)?;
            Ok(pb::CreateConnectionResponse {
                connection: answered(&create.backend, accepted.connection),
                write_token: accepted.write_token,
                warnings: accepted.warnings.into_iter().map(warning).collect(),
                plan: plan(&create.backend, accepted.plan),
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn apply_connection(
        &self,
        request: Request<pb::ApplyConnectionRequest>,
    ) -> Result<Response<pb::ApplyConnectionResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let request = request.into_inner();
        let name = audit::new_in(&request.parent, COLLECTION);
        let record = audited!(Action::Apply, name, request);
        let answer = audit::recorded(record, async {
            let apply = Apply::read(request, |backend, wanted| {
                self.gateway.refuse_create(backend, wanted)
            })?;
            let done = self
                .gateway
                .apply(&apply.backend, apply.description, apply.how, deadline)
                .await
                .map_err(parts::told)?;
            if let Some(name) = &done.accepted.name {
                audit::note(|| name.to_string(), None);
            }
            Ok(applied(&apply.backend, done))
        });
        Ok(Response::new(answer.await?))
    }

    async fn export_connection(
        &self,
        request: Request<pb::ExportConnectionRequest>,
    ) -> Result<Response<pb::ExportConnectionResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let export = Export::try_from(request.into_inner())?;
        let exported = self.gateway.export(&export.name, deadline).await?;
        let name = export.name.to_string();
        Ok(Response::new(pb::ExportConnectionResponse {
            site: Some(site(&export.name.backend, &name, exported.site)),
            warnings: exported.warnings.into_iter().map(warning).collect(),
        }))
    }

    async fn update_connection(
        &self,
        request: Request<pb::UpdateConnectionRequest>,
    ) -> Result<Response<pb::UpdateConnectionResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let request = request.into_inner();
        let name = request.connection.as_ref().map(|it| it.name.clone());
        let record = audited!(Action::Update, name.unwrap_or_default(), request);
        let answer = audit::recorded(record, async {
            let mut update = Update::read(request)?;
            if update.is_malformed() {
                let (change, malformed) = (update.change.clone(), update.malformed());
                let settled = self
                    .gateway
                    .settle(&update.name, change, &malformed, deadline);
                let settled = settled.await;
                update = update.settled(settled)?;
            }
            let accepted = self
                .gateway
                .update(&update.name, update.change, update.how, deadline)
                .await
                .map_err(|error| error.within(CONNECTION))?;
            Ok(pb::UpdateConnectionResponse {
                connection: answered(&update.name.backend, accepted.connection),
                write_token: accepted.write_token,
                warnings: accepted.warnings.into_iter().map(warning).collect(),
                plan: plan(&update.name.backend, accepted.plan),
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn delete_connection(
        &self,
        request: Request<pb::DeleteConnectionRequest>,
    ) -> Result<Response<pb::DeleteConnectionResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let request = request.into_inner();
        let record = audited!(Action::Delete, request.name.clone(), request);
        let answer = audit::recorded(record, async {
            let delete = Delete::try_from(request)?;
            let accepted = self
                .gateway
                .delete(
                    &delete.name,
                    delete.etag,
                    delete.allow_missing,
                    delete.how,
                    deadline,
                )
                .await?;
            Ok(pb::DeleteConnectionResponse {
                write_token: accepted.write_token,
                warnings: accepted.warnings.into_iter().map(warning).collect(),
                plan: plan(&delete.name.backend, accepted.plan),
            })
        });
        Ok(Response::new(answer.await?))
    }
}

/// Returns the connection of a write's answer. It has no name if nothing was sent.
fn answered(
    backend: &BackendName,
    read: Option<crate::model::Connection>,
) -> Option<pb::Connection> {
    Some(connection(backend, read.unwrap_or_default()))
}
