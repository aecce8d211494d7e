//! Policies, services and endpoint groups, by one code for all kinds; and what a VPN can be attached to.
//!
//! ```text
//!   mod (the trait) ──► read, write ──► inward, outward ──► joint ──► words (pure)
//!                  ├──► refusals (pure)
//!                  └──► attachments
//! ```

mod attachments;
mod inward;
mod joint;
mod outward;
mod read;
mod refusals;
#[cfg(test)]
mod tests;
mod words;
mod write;

use crate::{
    core::{
        dialect::{
            Action, Call, Done, Mark, NoResources, Page, PageRequest, Plan, Resources, Single,
            Step, WrittenResource, resources::absent,
        },
        error::{Result, Violation},
    },
    dialects::openstack::{Openstack, translate::Writing, wire::kind::Kind},
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

    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        mark: Mark,
        _call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let step = Step::new(Action::Create, spec.kind().collection().segment(), None);
        Ok(Single::new(step, move |_made, call| {
            Box::pin(async move {
                done(write::create(&self.client, of(spec.kind())?, &spec, &mark, &call).await)
            })
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
            Box::pin(async move {
                done(
                    write::update(&self.client, of(change.values.kind())?, id, &change, &call)
                        .await,
                )
            })
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
                done(write::delete(&self.client, of(kind)?, id, etag.as_deref(), &call).await)
            })
        }))
    }

    async fn attachments(&self, page: &PageRequest, call: &Call) -> Result<Page<Attachment>> {
        attachments::list(&self.client, page, call).await
    }

    async fn statistics(&self, connection: &str, call: &Call) -> Result<TunnelStatistics> {
        // Neutron tells nothing of what passed through a tunnel.
        NoResources.statistics(connection, call).await
    }
}

/// How this API has resources of a kind.
///
/// # Errors
/// `Unimplemented` if it has none.
fn of(kind: ResourceKind) -> Result<&'static Kind> {
    Kind::of(kind).ok_or_else(|| absent(kind))
}
