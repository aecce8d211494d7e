//! Lists of connections: over one backend or all, filtered, ordered, in pages.
//!
//! Dialects list by id, so the natural order, by backend and then by id, is read page by page. Any other order
//! needs everything that is there: no cloud here sorts by the same rules as another, or as it did for the
//! page before.

use crate::{
    core::{
        backend::Backend,
        dialect::{Page, PageRequest},
        error::{Error, ErrorKind, ErrorReason, Result},
        filter::Filter,
        gateway::{Gateway, caller, scope},
        order::{Order, Place},
        paging::{PageToken, fingerprint},
    },
    model::{BackendName, Connection, Parent},
};
use std::{cmp::Ordering, sync::Arc};
use tokio::time::Instant;

/// The most connections that are read for one page of a list in an order of its own, beyond which it is refused:
/// every such page reads them all.
pub const MOST_SORTED: usize = 20_000;

/// How many connections a dialect is asked for at once where most of them may not be wanted.
const AT_ONCE: u32 = 5_000;

/// What to list.
#[derive(Debug, Clone)]
pub struct Query {
    /// Whose.
    pub parent: Parent,
    /// At most so many on a page, at least 1.
    pub size: u32,
    /// Which.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// Where the page begins; empty for the first.
    pub page_token: String,
}

/// One page of connections.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The connections with their backends.
    pub connections: Vec<(BackendName, Connection)>,
    /// Token of the next page; empty on the last.
    pub next: String,
    /// Backends that could not be asked, or not to their end.
    pub unreachable: Vec<BackendName>,
}

impl Gateway {
    /// Reads one page of connections.
    ///
    /// What is there from the first page to the last is listed once, whatever comes and goes meanwhile.
    ///
    /// # Errors
    /// As [`Dialect::list`](crate::core::dialect::Dialect::list); with [`Parent::Every`] a backend that fails is
    /// named in the listing instead. `QuotaExceeded` / `LimitExceeded` if an order of its own is wanted of more
    /// than [`MOST_SORTED`] connections.
    pub async fn list(&self, query: &Query, deadline: Instant) -> Result<Listing> {
        let walk = Walk {
            query,
            scope: scope(&query.parent),
            fingerprint: fingerprint(&query.filter, &query.order),
            deadline,
        };
        let token = match query.page_token.as_str() {
            "" => None,
            text => Some(PageToken::decode(text, &walk.scope, &walk.fingerprint)?),
        };
        let backends: Vec<Arc<Backend>> = match &query.parent {
            Parent::One(name) => vec![Arc::clone(self.poller(name)?.backend())],
            Parent::Every => self
                .pollers
                .values()
                .map(|poller| Arc::clone(poller.backend()))
                .collect(),
        };
        if query.order.is_natural() {
            walk.as_it_comes(backends, token).await
        } else {
            walk.sorted(&backends, token.as_ref(), MOST_SORTED).await
        }
    }
}

/// The making of one page.
struct Walk<'a> {
    query: &'a Query,
    scope: String,
    fingerprint: String,
    deadline: Instant,
}

impl Walk<'_> {
    /// Backend by backend, each by id, until the page is full.
    async fn as_it_comes(
        &self,
        backends: Vec<Arc<Backend>>,
        token: Option<PageToken>,
    ) -> Result<Listing> {
        let (start, mut after) =
            token.map_or_else(Default::default, |token| (token.backend, token.inner));
        let mut listing = Listing::default();
        let left = backends
            .into_iter()
            .filter(|backend| backend.name().as_str() >= start.as_str());
        for backend in left {
            let name = backend.name();
            if name.as_str() != start {
                // The backend the token names is no longer there.
                after = None;
            }
            if self.is_full(&listing) {
                listing.next = self.token(name, after, "");
                return Ok(listing);
            }
            loop {
                let page = match self.page(&backend, &listing, after.take()).await {
                    Ok(page) => page,
                    Err(error) => {
                        self.without(name, error, &mut listing)?;
                        break;
                    }
                };
                for connection in page.connections {
                    if !self.query.filter.accepts(name, &connection) {
                        continue;
                    }
                    if self.is_full(&listing) {
                        let last = listing.connections.last();
                        let last = last.map(|(_, connection)| connection.id.clone());
                        listing.next = self.token(name, last, "");
                        return Ok(listing);
                    }
                    listing.connections.push((name.clone(), connection));
                }
                match page.next {
                    Some(next) if self.is_full(&listing) => {
                        listing.next = self.token(name, Some(next), "");
                        return Ok(listing);
                    }
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(listing)
    }

    /// Everything, put in order, of which the page is cut out. No more is kept than may be on it.
    async fn sorted(
        &self,
        backends: &[Arc<Backend>],
        token: Option<&PageToken>,
        most: usize,
    ) -> Result<Listing> {
        let order = &self.query.order;
        let size = self.query.size as usize;
        let mut listing = Listing::default();
        let mut found: Vec<(BackendName, Connection)> = Vec::new();
        let mut read = 0;
        let in_order = |one: &(BackendName, Connection), other: &(BackendName, Connection)| {
            order.compare(Place::of(&one.0, &one.1), Place::of(&other.0, &other.1))
        };
        for backend in backends {
            let name = backend.name();
            let mut after = None;
            loop {
                let page = match self.page(backend, &listing, after.take()).await {
                    Ok(page) => page,
                    Err(error) => {
                        self.without(name, error, &mut listing)?;
                        break;
                    }
                };
                read += page.connections.len();
                if read > most {
                    return Err(too_many(most));
                }
                found.extend(
                    page.connections
                        .into_iter()
                        .filter(|connection| self.query.filter.accepts(name, connection))
                        .map(|connection| (name.clone(), connection))
                        .filter(|(name, connection)| {
                            let place = Place::of(name, connection);
                            token.is_none_or(|token| {
                                order.compare(place, token.place()) == Ordering::Greater
                            })
                        }),
                );
                if found.len() > size + 1 {
                    found.sort_by(in_order);
                    found.truncate(size + 1);
                }
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        found.sort_by(in_order);
        let is_more = found.len() > size;
        found.truncate(size);
        if let Some((name, last)) = found.last().filter(|_| is_more) {
            listing.next = self.token(name, Some(last.id.clone()), &last.display_name);
        }
        listing.connections = found;
        Ok(listing)
    }

    async fn page(
        &self,
        backend: &Backend,
        listing: &Listing,
        after: Option<String>,
    ) -> Result<Page> {
        let takes_all = self.query.filter.is_empty() && self.query.order.is_natural();
        let request = PageRequest {
            size: match takes_all {
                true => self.query.size - listing.connections.len() as u32,
                false => AT_ONCE,
            },
            after,
            filter: self.query.filter.clone(),
        };
        backend.list(&request, &caller(self.deadline)).await
    }

    /// Goes on without a backend where the list is over all of them.
    fn without(&self, name: &BackendName, error: Error, listing: &mut Listing) -> Result<()> {
        if self.query.parent != Parent::Every {
            return Err(error.during("listing connections"));
        }
        tracing::warn!(backend.name = name.as_str(), %error, "cannot list connections");
        listing.unreachable.push(name.clone());
        Ok(())
    }

    fn is_full(&self, listing: &Listing) -> bool {
        listing.connections.len() >= self.query.size as usize
    }

    fn token(&self, backend: &BackendName, after: Option<String>, display_name: &str) -> String {
        PageToken {
            parent: self.scope.clone(),
            query: self.fingerprint.clone(),
            backend: backend.as_str().to_owned(),
            inner: after,
            display_name: display_name.to_owned(),
        }
        .encode()
    }
}

fn too_many(most: usize) -> Error {
    Error::new(
        ErrorKind::QuotaExceeded,
        ErrorReason::LimitExceeded,
        format!(
            "`order_by` other than by name reads everything for each page, and there are more than {most} \
             connections; leave it out, or list backend by backend"
        ),
    )
    .during("listing connections")
}

#[cfg(test)]
mod tests;
