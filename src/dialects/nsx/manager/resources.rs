//! Resources beside connections, what a VPN can be attached to, and what a connection has carried.
//!
//! ```text
//!   this (the trait) ──► read, write ──► outward, inward, refusals (pure)
//!          │                │
//!          ├──► attachments ┴──► kinds (what there is, as data)
//!          └──► statistics
//! ```

mod attachments;
pub mod inward;
pub mod kinds;
mod outward;
mod read;
mod refusals;
mod statistics;
#[cfg(test)]
mod tests;
mod write;

use crate::{
    core::{
        dialect::{Call, Mark, Page, PageRequest, Resources, WrittenResource},
        error::{Result, Violation},
    },
    dialects::nsx::manager::{Nsx, error::of_resource},
    model::{Attachment, Resource, ResourceChange, ResourceKind, ResourceSpec, TunnelStatistics},
};
use async_trait::async_trait;

#[async_trait]
impl Resources for Nsx {
    fn refuse_create(&self, spec: &ResourceSpec) -> Vec<Violation> {
        refusals::refusals(spec, &|_| true, &|_| true)
    }

    fn refuse_update(&self, change: &ResourceChange) -> Vec<Violation> {
        refusals::of_change(change)
    }

    async fn get(&self, kind: ResourceKind, id: &str, call: &Call) -> Result<Resource> {
        let read = read::get(&self.client, kind, id, call).await;
        read.map_err(|error| of_resource(kind, error))
    }

    async fn list(
        &self,
        kind: ResourceKind,
        page: &PageRequest,
        call: &Call,
    ) -> Result<Page<Resource>> {
        let listed = read::list(&self.client, kind, page, call).await;
        listed.map_err(|error| of_resource(kind, error))
    }

    async fn create(
        &self,
        spec: &ResourceSpec,
        mark: &Mark,
        call: &Call,
    ) -> Result<WrittenResource> {
        let written = write::create(&self.client, spec, mark, call).await;
        written.map_err(|error| of_resource(spec.kind(), error))
    }

    async fn update(
        &self,
        id: &str,
        change: &ResourceChange,
        call: &Call,
    ) -> Result<WrittenResource> {
        let written = write::update(&self.client, id, change, call).await;
        written.map_err(|error| of_resource(change.values.kind(), error))
    }

    async fn delete(
        &self,
        kind: ResourceKind,
        id: &str,
        etag: Option<&str>,
        call: &Call,
    ) -> Result<WrittenResource> {
        let written = write::delete(&self.client, kind, id, etag, call).await;
        written.map_err(|error| of_resource(kind, error))
    }

    async fn attachments(&self, page: &PageRequest, call: &Call) -> Result<Page<Attachment>> {
        attachments::list(&self.client, page, call).await
    }

    async fn statistics(&self, connection: &str, call: &Call) -> Result<TunnelStatistics> {
        let read = statistics::of_session(&self.client, connection, call).await;
        self.noted(connection, read)
    }
}
