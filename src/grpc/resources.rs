//! The five methods that all resources other than connections have: each converts, calls the core and converts back.
//! `resource_service` generates service methods that call them.

use crate::{
    core::{
        audit::{self, Action},
        error::{Error, Result},
        gateway::Gateway,
        listed::Listable,
        resources::AcceptedResource,
    },
    grpc::{
        convert::{
            Problems,
            connection::warning,
            list::ListRequest,
            plan::plan,
            resource::{Wire, say},
            resource_requests::{Create, Delete, Update, name},
            write::Asked,
        },
        pb,
    },
    model::BackendName,
};
use prost_types::FieldMask;
use tokio::time::Instant;

#[derive(Debug)]
pub struct Page<M> {
    pub items: Vec<M>,
    /// `next_page_token` of the answer.
    pub next: String,
    pub unreachable: Vec<String>,
}

/// The answer of a write.
#[derive(Debug)]
pub struct Written<M> {
    /// `None` if nothing was sent.
    pub resource: Option<M>,
    pub warnings: Vec<pb::Warning>,
    /// `upstream_request_ids` of the answer.
    pub request_ids: Vec<String>,
    pub write_token: String,
    pub plan: Vec<pb::PlannedStep>,
}

/// Reads a resource.
///
/// # Errors
/// If the request is malformed, or as [`Gateway::get_resource`].
pub async fn get<W: Wire>(gateway: &Gateway, given: &str, deadline: Instant) -> Result<W> {
    let name = name(W::KIND, given)?;
    let read = gateway.get_resource(W::KIND, &name, deadline).await?;
    say(&name.backend, read)
}

/// Reads one page of resources.
///
/// # Errors
/// If the request is malformed, or as [`Gateway::list_resources`].
pub async fn list<W: Wire>(
    gateway: &Gateway,
    asked: ListRequest,
    deadline: Instant,
) -> Result<Page<W>> {
    let mut problems = Problems::default();
    let list = asked.read(Listable::Resources(W::KIND), &mut problems);
    let list = problems.finish(list)?;
    let page = gateway
        .list_resources(W::KIND, &list.query, deadline)
        .await?;
    let said = page.items.into_iter().map(|(backend, mut read)| {
        if !list.native {
            read.native.clear();
        }
        say(&backend, read)
    });
    Ok(Page {
        items: said.collect::<Result<_>>()?,
        next: page.next,
        unreachable: names(&page.unreachable),
    })
}

/// Returns the names of backends, sorted.
pub fn names(backends: &[BackendName]) -> Vec<String> {
    let mut names: Vec<String> = backends.iter().map(ToString::to_string).collect();
    names.sort();
    names
}

/// Creates a resource.
///
/// # Errors
/// If the request is malformed, or as [`Gateway::create_resource`].
pub async fn create<W: Wire>(
    gateway: &Gateway,
    parent: &str,
    resource: Option<W>,
    asked: Asked,
    deadline: Instant,
) -> Result<Written<W>> {
    let name = audit::new_in(parent, W::KIND.collection().segment());
    let record = asked.audited(Action::Create, name);
    audit::recorded(record, async {
        let create = Create::read(parent, resource, asked, |backend, spec| {
            gateway.refuse_create_resource(backend, spec)
        })?;
        let backend = create.backend.clone();
        let accepted = gateway
            .create_resource(&backend, create.spec, create.how, deadline)
            .await;
        written(&backend, accepted)
    })
    .await
}

/// Updates a resource.
///
/// # Errors
/// If the request is malformed, or as [`Gateway::update_resource`].
pub async fn update<W: Wire>(
    gateway: &Gateway,
    resource: Option<W>,
    mask: Option<FieldMask>,
    asked: Asked,
    deadline: Instant,
) -> Result<Written<W>> {
    let name = resource.as_ref().map(Wire::name).unwrap_or_default();
    let record = asked.audited(Action::Update, name.to_owned());
    audit::recorded(record, async {
        let update = Update::read(resource, mask, asked)?;
        let there = match update.may_be_there::<W>() {
            true => gateway
                .get_resource(W::KIND, &update.name, deadline)
                .await
                .ok(),
            false => None,
        };
        let update = update.settled::<W>(there.as_ref(), |backend, change| {
            gateway.refuse_update_resource(backend, change)
        })?;
        let accepted = gateway
            .update_resource(&update.name, update.change, update.how, deadline)
            .await;
        written(&update.name.backend, accepted)
    })
    .await
}

fn written<W: Wire>(
    backend: &BackendName,
    accepted: Result<AcceptedResource>,
) -> Result<Written<W>> {
    let accepted = accepted.map_err(|error: Error| error.within(W::PART))?;
    let resource = accepted.resource.map(|read| say(backend, read));
    Ok(Written {
        resource: resource.transpose()?,
        warnings: accepted.warnings.into_iter().map(warning).collect(),
        request_ids: accepted.request_ids,
        write_token: accepted.write_token,
        plan: plan(backend, accepted.plan),
    })
}

/// The answer of a delete.
#[derive(Debug)]
pub struct Removed {
    /// `upstream_request_ids` of the answer.
    pub request_ids: Vec<String>,
    pub plan: Vec<pb::PlannedStep>,
}

/// Deletes a resource.
///
/// # Errors
/// If the request is malformed, or as [`Gateway::delete_resource`].
pub async fn delete<W: Wire>(
    gateway: &Gateway,
    name: &str,
    etag: String,
    allow_missing: bool,
    asked: Asked,
    deadline: Instant,
) -> Result<Removed> {
    let record = asked.audited(Action::Delete, name.to_owned());
    audit::recorded(record, async {
        let delete = Delete::read(W::KIND, name, etag, allow_missing, asked)?;
        let accepted = gateway
            .delete_resource(
                W::KIND,
                &delete.name,
                delete.etag,
                delete.allow_missing,
                delete.how,
                deadline,
            )
            .await?;
        Ok(Removed {
            request_ids: accepted.request_ids,
            plan: plan(&delete.name.backend, accepted.plan),
        })
    })
    .await
}

/// Implements a service over several kinds of resources for a type with a `gateway`. Each kind lists its field for one
/// resource, its field for several, and its five methods with their requests and responses. Further methods of the
/// service follow.
macro_rules! resource_service {
    (
        $service:path, $server:ident;
        [$($kind:ident as $one:ident, $many:ident {
            $get:ident($get_request:ident) -> $get_response:ident,
            $list:ident($list_request:ident) -> $list_response:ident,
            $create:ident($create_request:ident) -> $create_response:ident,
            $update:ident($update_request:ident) -> $update_response:ident,
            $delete:ident($delete_request:ident) -> $delete_response:ident,
        })+]
        $($more:tt)*
    ) => {
        #[tonic::async_trait]
        impl $service for $server {
            $(
                async fn $get(
                    &self,
                    request: Request<pb::$get_request>,
                ) -> Result<Response<pb::$get_response>, Status> {
                    let deadline = deadline::of_unary(&request);
                    let name = request.into_inner().name;
                    let read: pb::$kind = resources::get(&self.gateway, &name, deadline).await?;
                    Ok(Response::new(pb::$get_response { $one: Some(read) }))
                }

                async fn $list(
                    &self,
                    request: Request<pb::$list_request>,
                ) -> Result<Response<pb::$list_response>, Status> {
                    let deadline = deadline::of_unary(&request);
                    let request = request.into_inner();
                    let asked = ListRequest {
                        parent: request.parent,
                        page_size: request.page_size,
                        page_token: request.page_token,
                        filter: request.filter,
                        order_by: request.order_by,
                        view: request.view,
                    };
                    let page = resources::list(&self.gateway, asked, deadline).await?;
                    Ok(Response::new(pb::$list_response {
                        $many: page.items,
                        next_page_token: page.next,
                        unreachable: page.unreachable,
                    }))
                }

                async fn $create(
                    &self,
                    request: Request<pb::$create_request>,
                ) -> Result<Response<pb::$create_response>, Status> {
                    let deadline = deadline::of_unary(&request);
                    let mut request = request.into_inner();
                    let asked = Asked::of(&mut request);
                    let written = resources::create(
                        &self.gateway, &request.parent, request.$one, asked, deadline,
                    );
                    let written = written.await?;
                    Ok(Response::new(pb::$create_response {
                        $one: written.resource,
                        warnings: written.warnings,
                        upstream_request_ids: written.request_ids,
                        plan: written.plan,
                    }))
                }

                async fn $update(
                    &self,
                    request: Request<pb::$update_request>,
                ) -> Result<Response<pb::$update_response>, Status> {
                    let deadline = deadline::of_unary(&request);
                    let mut request = request.into_inner();
                    let asked = Asked::of(&mut request);
                    let written = resources::update(
                        &self.gateway, request.$one, request.update_mask, asked, deadline,
                    );
                    let written = written.await?;
                    Ok(Response::new(pb::$update_response {
                        $one: written.resource,
                        warnings: written.warnings,
                        upstream_request_ids: written.request_ids,
                        plan: written.plan,
                        write_token: written.write_token,
                    }))
                }

                async fn $delete(
                    &self,
                    request: Request<pb::$delete_request>,
                ) -> Result<Response<pb::$delete_response>, Status> {
                    let deadline = deadline::of_unary(&request);
                    let mut request = request.into_inner();
                    let asked = Asked::of(&mut request);
                    let pb::$delete_request { name, etag, allow_missing, .. } = request;
                    let removed = resources::delete::<pb::$kind>(
                        &self.gateway, &name, etag, allow_missing, asked, deadline,
                    );
                    let removed = removed.await?;
                    Ok(Response::new(pb::$delete_response {
                        upstream_request_ids: removed.request_ids,
                        plan: removed.plan,
                    }))
                }
            )+
            $($more)*
        }
    };
}
pub(super) use resource_service;
