//! Policies, services and endpoint groups, with one code path for all kinds; and the routers and subnets that a VPN
//! attaches to.
//!
//! ```text
//!   mod (the trait) ──► read, plan ──► inward, outward ──► joint ──► words (pure)
//!                  ├──► refusals (pure)
//!                  └──► attachments
//!   networks ──► attachments
//! ```

pub mod attachments;
mod inward;
mod joint;
pub mod networks;
mod outward;
pub mod plan;
mod read;
mod refusals;
#[cfg(test)]
mod tests;
mod words;

use crate::{
    core::{
        dialect::{
            Call, Mark, NoResources, Page, PageRequest, Plan, Resources, WrittenResource,
            resources::absent,
        },
        error::{Result, Violation},
    },
    dialects::openstack::{Openstack, translate::Writing, wire::kind::Kind},
    model::{Attachment, Resource, ResourceChange, ResourceKind, ResourceSpec, TunnelStatistics},
};
use async_trait::async_trait;

#[async_trait]
impl Resources for Openstack {
    fn refuse_create(&self, spec: &ResourceSpec) -> Vec<Violation> {
        let fields = spec.kind().fields().iter().copied();
        refusals::refusals(self.client.variant(), spec, Writing::New, fields)
    }

    fn refuse_update(&self, change: &ResourceChange) -> Vec<Violation> {
        let fields = change.fields.iter().copied();
        refusals::refusals(
            self.client.variant(),
            &change.values,
            Writing::Change,
            fields,
        )
    }

    async fn get(&self, kind: ResourceKind, id: &str, call: &Call) -> Result<Resource> {
        read::get(&self.client, (kind, of(kind)?), id, call).await
    }

    async fn list(
        &self,
        kind: ResourceKind,
        page: &PageRequest,
        call: &Call,
    ) -> Result<Page<Resource>> {
        read::list(&self.client, (kind, of(kind)?), page, call).await
    }

    fn is_equal(&self, spec: &ResourceSpec, there: &Resource) -> bool {
        outward::is_equal(spec, there, self.client.variant())
    }

    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        mark: Mark,
        _call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let kind = of(spec.kind())?;
        Ok(plan::create(&self.client, kind, spec, mark))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ResourceChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let kind = of(change.values.kind())?;
        plan::update(&self.client, kind, id, change, call).await
    }

    async fn plan_delete<'a>(
        &'a self,
        kind: ResourceKind,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        plan::delete(&self.client, of(kind)?, id, etag, call).await
    }

    async fn attachments(&self, page: &PageRequest, call: &Call) -> Result<Page<Attachment>> {
        attachments::list(&self.client, page, call).await
    }

    async fn statistics(&self, connection: &str, call: &Call) -> Result<TunnelStatistics> {
        // Neutron has no traffic counters of tunnels.
        NoResources.statistics(connection, call).await
    }
}

/// Returns this API's description of a kind.
///
/// # Errors
/// `Unimplemented` if the API does not have the kind.
fn of(kind: ResourceKind) -> Result<&'static Kind> {
    Kind::of(kind).ok_or_else(|| absent(kind))
}
