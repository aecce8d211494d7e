//! The seam for what connections refer to: six kinds of resource with the same manners, what a VPN can be attached to, and
//! what a connection has carried.

use crate::{
    core::{
        dialect::{
            call::{Call, Mark},
            page::{Page, PageRequest},
            plan::Plan,
            written::Warning,
        },
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
    },
    model::{Attachment, Resource, ResourceChange, ResourceKind, ResourceSpec, TunnelStatistics},
};
use async_trait::async_trait;

/// What a dialect does with resources beside connections. Everything that [`Dialect`](crate::core::dialect::Dialect) says
/// of every method that sends holds here.
///
/// Methods are asked only for kinds that are in [`Capabilities::resources`](crate::core::dialect::Capabilities).
#[async_trait]
pub trait Resources: Send + Sync {
    /// What of `spec` this backend cannot express, beyond what its capabilities say: one violation a field, its path
    /// relative to the resource. Pure; sends nothing.
    fn refuse_create(&self, spec: &ResourceSpec) -> Vec<Violation>;

    /// The same for a change. Fields not in `change.fields` are not looked at.
    fn refuse_update(&self, change: &ResourceChange) -> Vec<Violation>;

    /// Reads one.
    ///
    /// # Errors
    /// `NotFound` / `ResourceNotFound` if the cloud says that there is none.
    async fn get(&self, kind: ResourceKind, id: &str, call: &Call) -> Result<Resource>;

    /// Reads resources of one kind in the order of their ids, with the manners of
    /// [`Dialect::list`](crate::core::dialect::Dialect::list).
    async fn list(
        &self,
        kind: ResourceKind,
        page: &PageRequest,
        call: &Call,
    ) -> Result<Page<Resource>>;

    /// Whether what is there is what making `spec` would give, names and descriptions aside; what `spec` leaves open is the
    /// cloud's default. Pure. If that cannot be told, it is not.
    fn is_equal(&self, _spec: &ResourceSpec, _there: &Resource) -> bool {
        false
    }

    /// Plans to make one, with `mark` left on it where the cloud has room for it. A reference that `spec` leaves open and
    /// that `made` has when it is performed is taken from there.
    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>>;

    /// Plans to change one, whoever made it: reads first, and has a step only if something differs. An immutable field of
    /// `change` that equals what is there is accepted; one that differs is `NotExpressible`, naming it and what is there. A
    /// change that is only tried is told no more than this tells.
    ///
    /// # Errors
    /// `Stale` if `change.etag` is not current; `FailedPrecondition` / `InUse` where the cloud changes nothing that is
    /// used; `PermissionDenied` / `NotOwner` of what belongs to the cloud or another principal.
    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ResourceChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>>;

    /// Plans to remove one that nothing uses.
    ///
    /// # Errors
    /// `NotFound` / `ResourceNotFound` if it is not there; `FailedPrecondition` / `InUse` if it is used; `Stale`.
    async fn plan_delete<'a>(
        &'a self,
        kind: ResourceKind,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>>;

    /// Reads what a VPN can be attached to, in the order of ids, with the manners of [`Resources::list`].
    async fn attachments(&self, page: &PageRequest, call: &Call) -> Result<Page<Attachment>>;

    /// Reads how much traffic a connection has carried. Asked only where `capabilities().tunnel_statistics`.
    ///
    /// # Errors
    /// As [`Dialect::get`](crate::core::dialect::Dialect::get).
    async fn statistics(&self, connection: &str, call: &Call) -> Result<TunnelStatistics>;
}

/// A write of a resource that the cloud accepted.
#[derive(Debug, Clone)]
pub struct WrittenResource {
    /// As the cloud answered it; `None` after a delete.
    pub resource: Option<Resource>,
    /// The cloud's ids of the write, where it gives some (NSX `x-nsx-requestid`). Empty if nothing had to be written.
    pub request_ids: Vec<String>,
    /// What the cloud does only approximately.
    pub warnings: Vec<Warning>,
}

/// This backend has no such kind of resource.
pub fn absent(kind: ResourceKind) -> Error {
    Error::new(
        ErrorKind::Unimplemented,
        ErrorReason::KindAbsent,
        format!("this backend has no resources of the kind {}", kind.noun()),
    )
}

/// This backend has no such call.
fn no_such_call() -> Error {
    Error::new(
        ErrorKind::Unimplemented,
        ErrorReason::KindAbsent,
        "this backend cannot tell",
    )
}

/// What a dialect does that has connections and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct NoResources;

#[async_trait]
impl Resources for NoResources {
    fn refuse_create(&self, _spec: &ResourceSpec) -> Vec<Violation> {
        Vec::new()
    }

    fn refuse_update(&self, _change: &ResourceChange) -> Vec<Violation> {
        Vec::new()
    }

    async fn get(&self, kind: ResourceKind, _id: &str, _call: &Call) -> Result<Resource> {
        Err(absent(kind))
    }

    async fn list(
        &self,
        kind: ResourceKind,
        _page: &PageRequest,
        _call: &Call,
    ) -> Result<Page<Resource>> {
        Err(absent(kind))
    }

    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        _mark: Mark,
        _call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        Err(absent(spec.kind()))
    }

    async fn plan_update<'a>(
        &'a self,
        _id: &'a str,
        change: ResourceChange,
        _call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        Err(absent(change.values.kind()))
    }

    async fn plan_delete<'a>(
        &'a self,
        kind: ResourceKind,
        _id: &'a str,
        _etag: Option<String>,
        _call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        Err(absent(kind))
    }

    async fn attachments(&self, _page: &PageRequest, _call: &Call) -> Result<Page<Attachment>> {
        Err(no_such_call())
    }

    async fn statistics(&self, _connection: &str, _call: &Call) -> Result<TunnelStatistics> {
        Err(no_such_call())
    }
}
