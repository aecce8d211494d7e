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
        dialect::{
            Action, Call, Done, Mark, Page, PageRequest, Plan, Resources, Single, Step,
            WrittenResource,
        },
        error::{Result, Violation},
    },
    dialects::nsx::manager::{Nsx, error::of_resource},
    model::{Attachment, Resource, ResourceChange, ResourceKind, ResourceSpec, TunnelStatistics},
};
use async_trait::async_trait;

fn done(result: Result<WrittenResource>) -> Result<(Done, WrittenResource)> {
    result.map(|written| {
        let id = written.resource.as_ref().map(|it| it.id.clone());
        let done = Done {
            id: id.unwrap_or_default(),
            request_id: written.request_ids.first().cloned(),
        };
        (done, written)
    })
}

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

    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        mark: Mark,
        _call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let step = Step::new(Action::Create, spec.kind().collection().segment(), None);
        Ok(Single::new(step, move |_made, call| {
            Box::pin(async move { done(write::create(&self.client, &spec, &mark, &call).await) })
        }))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ResourceChange,
        _call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let collection = change.values.kind().collection();
        let step = Step::new(Action::Update, collection.segment(), Some(id.to_owned()));
        Ok(Single::new(step, move |_made, call| {
            Box::pin(async move { done(write::update(&self.client, id, &change, &call).await) })
        }))
    }

    async fn plan_delete<'a>(
        &'a self,
        kind: ResourceKind,
        id: &'a str,
        etag: Option<String>,
        _call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let step = Step::new(
            Action::Delete,
            kind.collection().segment(),
            Some(id.to_owned()),
        );
        Ok(Single::new(step, move |_made, call| {
            Box::pin(async move {
                done(write::delete(&self.client, kind, id, etag.as_deref(), &call).await)
            })
        }))
    }

    async fn attachments(&self, page: &PageRequest, call: &Call) -> Result<Page<Attachment>> {
        attachments::list(&self.client, page, call).await
    }

    async fn statistics(&self, connection: &str, call: &Call) -> Result<TunnelStatistics> {
        let read = statistics::of_session(&self.client, connection, call).await;
        self.noted(connection, read)
    }
}
