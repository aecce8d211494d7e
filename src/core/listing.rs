//! Lists over one backend or all, filtered, ordered and in pages: of connections, of other resources, and of
//! attachments. All lists behave alike.
//!
//! Dialects list by id, so the natural order, by backend and then by id, is read page by page. Any other order reads
//! everything for each page: no cloud here sorts by the same rules as another, or in the same way for every page.

pub mod query;
mod source;
mod walk;

pub use query::{Listing, Query};
pub(super) use walk::late;

use crate::{
    core::{
        backend::Backend,
        error::Result,
        gateway::{Gateway, scope},
        listing::{
            source::{Attachments, Connections, Resources, Source},
            walk::Walk,
        },
        paging::{ListId, PageToken},
    },
    model::{Attachment, Connection, Parent, Resource, ResourceKind},
};
use std::sync::Arc;
use tokio::time::Instant;

/// The most items read for one page of a list in another than the natural order. Every such page reads the whole list,
/// so longer lists are refused.
pub const MOST_SORTED: usize = 20_000;

impl Gateway {
    /// Reads one page of connections.
    ///
    /// A connection that exists from the first page to the last is listed exactly once, whatever is created or removed
    /// between pages.
    ///
    /// # Errors
    /// Those of [`Dialect::list`](crate::core::dialect::Dialect::list); with [`Parent::Every`] the listing names a
    /// backend that fails instead. `QuotaExceeded` / `LimitExceeded` if another than the natural order is requested of
    /// more than [`MOST_SORTED`] connections.
    pub async fn list(&self, query: &Query, deadline: Instant) -> Result<Listing<Connection>> {
        self.list_any(&Connections, query, deadline).await
    }

    /// Reads one page of resources of one kind, like [`Gateway::list`].
    ///
    /// # Errors
    /// Those of [`Gateway::list`]; `Unimplemented` / `KindAbsent` if the one backend asked lacks the kind.
    /// [`Parent::Every`] leaves out backends that lack it.
    pub async fn list_resources(
        &self,
        kind: ResourceKind,
        query: &Query,
        deadline: Instant,
    ) -> Result<Listing<Resource>> {
        self.list_any(&Resources(kind), query, deadline).await
    }

    /// Reads one page of attachments, the objects that a VPN can be attached to, like [`Gateway::list`].
    ///
    /// # Errors
    /// Those of [`Gateway::list_resources`].
    pub async fn list_attachments(
        &self,
        query: &Query,
        deadline: Instant,
    ) -> Result<Listing<Attachment>> {
        self.list_any(&Attachments, query, deadline).await
    }

    async fn list_any<S: Source>(
        &self,
        source: &S,
        query: &Query,
        deadline: Instant,
    ) -> Result<Listing<S::Item>> {
        let walk = Walk {
            source,
            query,
            list: ListId::new(
                source.of(),
                scope(&query.parent),
                &query.filter,
                &query.order,
            ),
            deadline,
        };
        let token = match query.page_token.as_str() {
            "" => None,
            text => Some(PageToken::decode(text, &walk.list)?),
        };
        let backends: Vec<Arc<Backend>> = match &query.parent {
            Parent::One(name) => {
                let poller = self.poller(name)?;
                let backend = poller.backend();
                source
                    .check(backend.capabilities())
                    .map_err(|error| error.on(name))?;
                vec![Arc::clone(backend)]
            }
            Parent::Every => self
                .present()
                .iter()
                .map(|it| Arc::clone(it.poller().backend()))
                .filter(|backend| source.check(backend.capabilities()).is_ok())
                .collect(),
        };
        if query.order.is_natural() {
            walk.as_it_comes(backends, token).await
        } else {
            walk.sorted(&backends, token.as_ref(), MOST_SORTED).await
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
