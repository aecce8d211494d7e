//! The writes of resources other than connections.

use crate::{
    core::{
        dialect::{Action, Call, Mark, Plan, WrittenResource},
        error::{Error, ErrorReason, Result},
        etag,
        watch::part,
        writes::{
            accepted::AcceptedResource,
            desk::Writes,
            run::{About, Write},
        },
    },
    model::{ResourceChange, ResourceKind, ResourceName, ResourceSpec},
};
use async_trait::async_trait;

/// Creates a resource.
#[derive(Debug)]
pub struct Create {
    pub spec: ResourceSpec,
}

/// Updates a resource.
#[derive(Debug)]
pub struct Update {
    pub name: ResourceName,
    pub change: ResourceChange,
}

/// Deletes a resource that nothing uses.
#[derive(Debug)]
pub struct Delete {
    pub kind: ResourceKind,
    pub name: ResourceName,
    /// The etag that the caller expects, if any.
    pub etag: Option<String>,
    /// Whether deleting a resource that does not exist succeeds.
    pub allow_missing: bool,
}

/// Returns the noun of a kind with its article.
pub fn noun(kind: ResourceKind) -> String {
    format!("the {}", kind.noun())
}

fn about(action: Action, kind: ResourceKind, name: Option<&ResourceName>) -> About {
    About {
        action,
        kind: Some(kind),
        object: name.map(|name| name.id.to_string()),
    }
}

#[async_trait]
impl Write for Create {
    type Left = WrittenResource;
    type Answer = AcceptedResource;

    fn about(&self) -> About {
        about(Action::Create, self.spec.kind(), None)
    }

    async fn plan<'a>(
        &'a self,
        on: &'a Writes,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let resources = on.dialect().resources();
        resources
            .plan_create(self.spec.clone(), Mark::new(), call)
            .await
    }

    async fn accept(
        &self,
        _on: &Writes,
        left: WrittenResource,
        _remains: bool,
    ) -> Result<AcceptedResource> {
        Ok(left.into())
    }

    fn told(&self, error: Error) -> Error {
        error.during(format!("creating {}", noun(self.spec.kind())))
    }
}

#[async_trait]
impl Write for Update {
    type Left = WrittenResource;
    type Answer = AcceptedResource;

    fn about(&self) -> About {
        about(Action::Update, self.change.values.kind(), Some(&self.name))
    }

    async fn plan<'a>(
        &'a self,
        on: &'a Writes,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let resources = on.dialect().resources();
        let change = self.change.clone();
        resources.plan_update(&self.name.id, change, call).await
    }

    async fn accept(
        &self,
        _on: &Writes,
        left: WrittenResource,
        _remains: bool,
    ) -> Result<AcceptedResource> {
        let token = part::token(&self.name, &left.request_ids);
        Ok(AcceptedResource {
            write_token: token,
            ..left.into()
        })
    }

    fn plans_anew(&self) -> bool {
        etag::given(self.change.etag.as_deref()).is_none()
    }

    fn told(&self, error: Error) -> Error {
        let kind = self.change.values.kind();
        error
            .missing(&self.name)
            .during(format!("updating {}", noun(kind)))
    }
}

#[async_trait]
impl Write for Delete {
    type Left = WrittenResource;
    type Answer = AcceptedResource;

    fn about(&self) -> About {
        about(Action::Delete, self.kind, Some(&self.name))
    }

    async fn plan<'a>(
        &'a self,
        on: &'a Writes,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let resources = on.dialect().resources();
        let etag = self.etag.clone();
        resources
            .plan_delete(self.kind, &self.name.id, etag, call)
            .await
    }

    async fn accept(
        &self,
        _on: &Writes,
        left: WrittenResource,
        _remains: bool,
    ) -> Result<AcceptedResource> {
        Ok(left.into())
    }

    fn forgives(&self, error: &Error) -> bool {
        self.allow_missing && error.reason == ErrorReason::ResourceNotFound
    }

    fn told(&self, error: Error) -> Error {
        error
            .missing(&self.name)
            .during(format!("deleting {}", noun(self.kind)))
    }
}
