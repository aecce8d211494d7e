//! Resources beside connections.

use crate::{
    core::{
        dialect::{Call, Mark, Page, PageRequest, Resources, WrittenResource, resources::absent},
        error::{Error, Result, Violation},
    },
    dialects::openstack::Openstack,
    model::{Attachment, Resource, ResourceChange, ResourceKind, ResourceSpec, TunnelStatistics},
};
use async_trait::async_trait;

#[async_trait]
impl Resources for Openstack {
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

    async fn create(
        &self,
        spec: &ResourceSpec,
        _mark: &Mark,
        _call: &Call,
    ) -> Result<WrittenResource> {
        Err(absent(spec.kind()))
    }

    async fn update(
        &self,
        _id: &str,
        change: &ResourceChange,
        _call: &Call,
    ) -> Result<WrittenResource> {
        Err(absent(change.values.kind()))
    }

    async fn delete(
        &self,
        kind: ResourceKind,
        _id: &str,
        _etag: Option<&str>,
        _call: &Call,
    ) -> Result<WrittenResource> {
        Err(absent(kind))
    }

    async fn attachments(&self, _page: &PageRequest, _call: &Call) -> Result<Page<Attachment>> {
        Err(Error::internal("not made yet"))
    }

    async fn statistics(&self, _connection: &str, _call: &Call) -> Result<TunnelStatistics> {
        Err(Error::internal("not made yet"))
    }
}
