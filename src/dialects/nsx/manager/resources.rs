//! Resources other than connections, what a VPN can be attached to, and the traffic statistics of a connection.
//!
//! ```text
//!   this (the trait) ──► read, plan ──► outward, inward, equal, refusals (pure)
//!          │                │
//!          ├──► attachments ┴──► kinds (what each kind takes, as data)
//!          └──► statistics
//! ```

mod attachments;
mod equal;
pub mod inward;
pub mod kinds;
mod outward;
mod plan;
mod read;
mod refusals;
mod statistics;
#[cfg(test)]
mod tests;

use crate::{
    core::{
        dialect::{Call, Mark, Page, PageRequest, Plan, Resources, WrittenResource},
        error::{Result, Violation},
    },
    dialects::nsx::manager::{Nsx, error::of_resource},
    model::{Attachment, Resource, ResourceChange, ResourceKind, ResourceSpec, TunnelStatistics},
};
use async_trait::async_trait;
use plan::OneObject;

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

    fn is_equal(&self, spec: &ResourceSpec, there: &Resource) -> bool {
        equal::is_equal(spec, there)
    }

    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        mark: Mark,
        _call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        planned(spec.kind(), plan::create(&self.client, &spec, &mark))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ResourceChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let plan = plan::update(&self.client, id, &change, call).await;
        planned(change.values.kind(), plan)
    }

    async fn plan_delete<'a>(
        &'a self,
        kind: ResourceKind,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let plan = plan::delete(&self.client, kind, id, etag.as_deref(), call).await;
        planned(kind, plan)
    }

    async fn attachments(&self, page: &PageRequest, call: &Call) -> Result<Page<Attachment>> {
        attachments::list(&self.client, page, call).await
    }

    async fn statistics(&self, connection: &str, call: &Call) -> Result<TunnelStatistics> {
        statistics::of_session(&self.client, connection, call).await
    }
}

fn planned<'a>(
    kind: ResourceKind,
    plan: Result<OneObject<'a>>,
) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
    match plan {
        Ok(plan) => Ok(Box::new(plan)),
        Err(error) => Err(of_resource(kind, error)),
    }
}
