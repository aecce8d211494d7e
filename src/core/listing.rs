//! Lists: over one backend or all, filtered, ordered, in pages. Of connections, of what they refer to and of what a VPN can
//! be attached to, all with the same manners.
//!
//! Dialects list by id, so the natural order, by backend and then by id, is read page by page. Any other order
//! needs everything that is there: no cloud here sorts by the same rules as another, or as it did for the
//! page before.

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

/// The most that is read for one page of a list in an order of its own, beyond which it is refused: every such page reads
/// it all.
pub const MOST_SORTED: usize = 20_000;

impl Gateway {
    /// Reads one page of connections.
    ///
    /// What is there from the first page to the last is listed once, whatever comes and goes meanwhile.
    ///
    /// # Errors
    /// As [`Dialect::list`](crate::core::dialect::Dialect::list); with [`Parent::Every`] a backend that fails is
    /// named in the listing instead. `QuotaExceeded` / `LimitExceeded` if an order of its own is wanted of more
    /// than [`MOST_SORTED`].
    pub async fn list(&self, query: &Query, deadline: Instant) -> Result<Listing<Connection>> {
        self.list_any(&Connections, query, deadline).await
    }

    /// Reads one page of resources of one kind, as [`Gateway::list`].
    ///
    /// # Errors
    /// As [`Gateway::list`]; `Unimplemented` / `KindAbsent` where one backend is asked that has no such kind. With
    /// [`Parent::Every`] those without are left out.
    pub async fn list_resources(
        &self,
        kind: ResourceKind,
        query: &Query,
        deadline: Instant,
    ) -> Result<Listing<Resource>> {
        self.list_any(&Resources(kind), query, deadline).await
    }

    /// Reads one page of what a VPN can be attached to, as [`Gateway::list`].
    ///
    /// # Errors
    /// As [`Gateway::list_resources`].
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
