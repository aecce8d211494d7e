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
    /// One thing of it.
    type Item: Listed + Send;

    /// What it is.
    fn of(&self) -> Listable;

    /// Whether a backend with these capabilities can be asked for it.
    ///
    /// # Errors
    /// `Unimplemented` / `KindAbsent` if not.
    fn check(&self, _capabilities: &Capabilities) -> Result<()> {
        Ok(())
    }

    /// Reads one page of it.
    ///
    /// # Errors
    /// As [`Backend::list`].
    async fn page(
        &self,
        backend: &Backend,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Self::Item>>;
}

/// Connections.
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

/// Resources of one kind.
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

/// What a VPN can be attached to.
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
