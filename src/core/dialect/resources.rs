//! The seam for everything except connections: six kinds of resource with the same conventions, VPN attachment points,
//! and tunnel statistics.

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

/// A dialect's operations on resources other than connections. What [`Dialect`](crate::core::dialect::Dialect) requires
/// of every method that sends holds here too.
///
/// The core calls these methods only for kinds in [`Capabilities::resources`](crate::core::dialect::Capabilities).
#[async_trait]
pub trait Resources: Send + Sync {
    /// Returns what this backend cannot express of `spec` beyond what its capabilities exclude: one violation per
    /// field, with paths relative to the resource. Pure; sends nothing.
    fn refuse_create(&self, spec: &ResourceSpec) -> Vec<Violation>;

    /// Returns what this backend cannot express of a change. Ignores fields not in `change.fields`.
    fn refuse_update(&self, change: &ResourceChange) -> Vec<Violation>;

    /// Reads one resource.
    ///
    /// # Errors
    /// `NotFound` / `ResourceNotFound` if the cloud says that the resource does not exist.
    async fn get(&self, kind: ResourceKind, id: &str, call: &Call) -> Result<Resource>;

    /// Reads one page of resources of one kind, in the order of their ids, with the guarantees of
    /// [`Dialect::list`](crate::core::dialect::Dialect::list).
    async fn list(
        &self,
        kind: ResourceKind,
        page: &PageRequest,
        call: &Call,
    ) -> Result<Page<Resource>>;

    /// Reports whether `there` is what creating `spec` would give, apart from name and description; the cloud's
    /// defaults stand in for what `spec` leaves open. Returns false if that cannot be told. Pure.
    fn is_equal(&self, _spec: &ResourceSpec, _there: &Resource) -> bool {
        false
    }

    /// Plans to create a resource, and to leave `mark` on it where the cloud has room for it. A reference that `spec`
    /// leaves open is taken from `made` when the plan is performed.
    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>>;

    /// Plans to change a resource, whether or not the gateway created it. Reads first, and has a step only if something
    /// differs. An immutable field of `change` that equals the present value is accepted; one that differs is
    /// `NotExpressible`, naming the field and the present value. A `validate_only` change reports only the errors of
    /// this method.
    ///
    /// # Errors
    /// `Stale` if `change.etag` is not current; `FailedPrecondition` / `InUse` where the cloud does not change a
    /// resource in use; `PermissionDenied` / `NotOwner` for a resource of the cloud itself or of another principal.
    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ResourceChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>>;

    /// Plans to remove a resource that nothing uses.
    ///
    /// # Errors
    /// `NotFound` / `ResourceNotFound` if the resource does not exist; `FailedPrecondition` / `InUse` if it is used;
    /// `Stale`.
    async fn plan_delete<'a>(
        &'a self,
        kind: ResourceKind,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>>;

    /// Reads one page of what a VPN can be attached to, in the order of ids, with the guarantees of
    /// [`Resources::list`].
    async fn attachments(&self, page: &PageRequest, call: &Call) -> Result<Page<Attachment>>;

    /// Reads how much traffic a connection has carried. Called only where `capabilities().tunnel_statistics` is set.
    ///
    /// # Errors
    /// Those of [`Dialect::get`](crate::core::dialect::Dialect::get).
    async fn statistics(&self, connection: &str, call: &Call) -> Result<TunnelStatistics>;
}

#[derive(Debug, Clone)]
pub struct WrittenResource {
    /// The cloud's answer; `None` after a delete.
    pub resource: Option<Resource>,
    /// The cloud's ids of the write, where it gives any (NSX `x-nsx-requestid`). Empty if nothing had to be written.
    pub request_ids: Vec<String>,
    /// What the cloud realizes only approximately.
    pub warnings: Vec<Warning>,
}

/// Returns the error for a kind of resource that this backend does not have.
pub fn absent(kind: ResourceKind) -> Error {
    Error::new(
        ErrorKind::Unimplemented,
        ErrorReason::KindAbsent,
        format!("this backend has no resources of the kind {}", kind.noun()),
    )
}

/// Returns the error for a call that this backend does not have.
fn no_such_call() -> Error {
    Error::new(
        ErrorKind::Unimplemented,
        ErrorReason::KindAbsent,
        "this backend cannot tell",
    )
}

/// The resources of a dialect that has only connections.
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
