//! What is listed, and how a backend is asked for a page of it.

use crate::{
    core::{
        backend::Backend,
        dialect::{Call, Capabilities, Page, PageRequest, resources::absent},
        error::Result,
        listed::{Listable, Listed},
    },
    model::{Attachment, Connection, Resource, ResourceKind},
};
use async_trait::async_trait;

/// What is listed.
#[async_trait]
pub trait Source: Send + Sync {
    type Item: Listed + Send;

    fn of(&self) -> Listable;

    /// Checks that a backend with these capabilities has what is listed.
    ///
    /// # Errors
    /// `Unimplemented` / `KindAbsent` if not.
    fn check(&self, _capabilities: &Capabilities) -> Result<()> {
        Ok(())
    }

    /// Reads one page.
    ///
    /// # Errors
    /// Those of [`Backend::list`].
    async fn page(
        &self,
        backend: &Backend,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Self::Item>>;
}

pub struct Connections;

#[async_trait]
impl Source for Connections {
    type Item = Connection;

    fn of(&self) -> Listable {
        Listable::Connections
    }

    async fn page(
        &self,
        backend: &Backend,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Connection>> {
        backend.list(request, call).await
    }
}

pub struct Resources(pub ResourceKind);

#[async_trait]
impl Source for Resources {
    type Item = Resource;

    fn of(&self) -> Listable {
        Listable::Resources(self.0)
    }

    fn check(&self, capabilities: &Capabilities) -> Result<()> {
        match capabilities.takes(self.0) {
            Some(_) => Ok(()),
            None => Err(absent(self.0)),
        }
    }

    async fn page(
        &self,
        backend: &Backend,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Resource>> {
        backend.list_resources(self.0, request, call).await
    }
}

/// Objects that a VPN can be attached to.
pub struct Attachments;

#[async_trait]
impl Source for Attachments {
    type Item = Attachment;

    fn of(&self) -> Listable {
        Listable::Attachments
    }

    async fn page(
        &self,
        backend: &Backend,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Attachment>> {
        backend.list_attachments(request, call).await
    }
}
