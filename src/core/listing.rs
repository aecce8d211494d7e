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
        margin,
        order::{Order, SortPosition},
        paging::{PageToken, fingerprint},
    },
    model::{Attachment, BackendName, Connection, Parent, Resource, ResourceKind},
};
use futures_util::{
    future::try_join_all,
    stream::{FuturesOrdered, StreamExt},
};
use std::{
    cmp::Ordering,
    sync::{
        Arc,
        atomic::{self, AtomicUsize},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};

/// The most connections that are read for one page of a list in an order of its own, beyond which it is refused:
/// every such page reads them all.
pub const MOST_SORTED: usize = 20_000;

/// How long the first backends of a list over all may take before the others are asked meanwhile, at most. Less where
/// the caller gives less time: a tenth of it.
const LONG: Duration = Duration::from_secs(1);

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

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// What is on it, with its backend.
    pub items: Vec<(BackendName, T)>,
    /// Token of the next page; empty on the last.
    pub next: String,
    /// Backends that could not be asked, or not to their end.
    pub unreachable: Vec<BackendName>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Listing {
            items: Vec::new(),
            next: String::new(),
            unreachable: Vec::new(),
        }
    }
}

impl Gateway {
    /// Reads one page of resources.
    ///
    /// # Errors
    /// As [`Gateway::list`]; `Unimplemented` / `KindAbsent` where one backend is asked that has no such kind. With
    /// [`Parent::Every`] those without are left out.
    pub async fn list_resources(
        &self,
        _kind: ResourceKind,
        _query: &Query,
        _deadline: Instant,
    ) -> Result<Listing<Resource>> {
        Err(Error::internal("not made yet"))
    }

    /// Reads one page of what a VPN can be attached to.
    ///
    /// # Errors
    /// As [`Gateway::list`].
    pub async fn list_attachments(
        &self,
        _query: &Query,
        _deadline: Instant,
    ) -> Result<Listing<Attachment>> {
        Err(Error::internal("not made yet"))
    }

    /// Reads one page of connections.
    ///
    /// What is there from the first page to the last is listed once, whatever comes and goes meanwhile.
    ///
    /// # Errors
    /// As [`Dialect::list`](crate::core::dialect::Dialect::list); with [`Parent::Every`] a backend that fails is
    /// named in the listing instead. `QuotaExceeded` / `LimitExceeded` if an order of its own is wanted of more
    /// than [`MOST_SORTED`] connections.
    pub async fn list(&self, query: &Query, deadline: Instant) -> Result<Listing<Connection>> {
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
    ///
    /// The next is asked once the one before it has answered, so that a page costs no more than it needs. If one takes
    /// long, the others are asked meanwhile: what it keeps of the time must not be theirs.
    async fn as_it_comes(
        &self,
        backends: Vec<Arc<Backend>>,
        token: Option<PageToken>,
    ) -> Result<Listing<Connection>> {
        let (start, after) =
            token.map_or_else(Default::default, |token| (token.backend, token.inner));
        let wanted: Vec<(Arc<Backend>, Option<String>)> = backends
            .into_iter()
            .filter(|backend| backend.name().as_str() >= start.as_str())
            .map(|backend| {
                // The backend the token names may no longer be there.
                let after = after.clone().filter(|_| backend.name().as_str() == start);
                (backend, after)
            })
            .collect();
        let until = self.until();
        let patience = (until - Instant::now()) / 10;
        let patience = patience.min(LONG);
        let mut listing = Listing::default();
        let (mut asked, mut parts) = (0, FuturesOrdered::new());
        for (at, (backend, after)) in wanted.iter().enumerate() {
            let name = backend.name();
            let room = self.room(&listing);
            if room == 0 {
                listing.next = self.token(name, after.clone(), "");
                break;
            }
            if asked == at {
                parts.push_back(self.part(backend, after.clone(), room, until));
                asked += 1;
            }
            let part = match timeout(patience, parts.next()).await {
                Ok(part) => part,
                Err(_slow) => {
                    for (backend, after) in &wanted[asked..] {
                        parts.push_back(self.part(backend, after.clone(), room, until));
                    }
                    asked = wanted.len();
                    parts.next().await
                }
            };
            let Some(mut part) = part else { break };
            if part.connections.len() > room {
                part.connections.truncate(room);
                part.next = part.connections.last().map(|last| last.id.clone());
            }
            let connections = part.connections.into_iter();
            listing
                .items
                .extend(connections.map(|connection| (name.clone(), connection)));
            if part.next.is_some() && self.room(&listing) == 0 {
                listing.next = self.token(name, part.next, "");
                break;
            }
            if let Some(error) = part.error {
                self.without(name, error, &mut listing)?;
            }
        }
        Ok(listing)
    }

    /// What one backend has after an id, at most `room` connections.
    async fn part(
        &self,
        backend: &Backend,
        mut after: Option<String>,
        room: usize,
        until: Instant,
    ) -> Part {
        let mut part = Part::default();
        loop {
            let size = room - part.connections.len();
            let page = match self.page(backend, size, after.clone(), until).await {
                Ok(page) => page,
                Err(error) => {
                    part.next = after;
                    part.error = Some(error);
                    return part;
                }
            };
            let accepts = |it: &Connection| self.query.filter.accepts(backend.name(), it);
            let mut accepted = page.items.into_iter().filter(accepts);
            part.connections.extend(accepted.by_ref().take(size));
            if accepted.next().is_some() {
                part.next = part.connections.last().map(|last| last.id.clone());
                return part;
            }
            after = page.next;
            if after.is_none() || part.connections.len() >= room {
                part.next = after;
                return part;
            }
        }
    }

    /// Everything, put in order, of which the page is cut out. No more is kept of a backend than may be on it. All are
    /// read at the same time: each has to be, and one that hangs costs the others nothing.
    async fn sorted(
        &self,
        backends: &[Arc<Backend>],
        token: Option<&PageToken>,
        most: usize,
    ) -> Result<Listing<Connection>> {
        let size = self.query.size as usize;
        let mut listing = Listing::default();
        let read = AtomicUsize::new(0);
        let all = backends.iter().map(|backend| {
            let counted = |more| read.fetch_add(more, atomic::Ordering::Relaxed) + more <= most;
            self.best(backend, token, counted)
        });
        let all = try_join_all(all).await;
        let mut found = Vec::new();
        for (backend, (best, error)) in backends.iter().zip(all.map_err(|_| too_many(most))?) {
            found.extend(best);
            if let Some(error) = error {
                self.without(backend.name(), error, &mut listing)?;
            }
        }
        self.sort(&mut found);
        let is_more = found.len() > size;
        found.truncate(size);
        if let Some((name, last)) = found.last().filter(|_| is_more) {
            listing.next = self.token(name, Some(last.id.clone()), &last.display_name);
        }
        listing.items = found;
        Ok(listing)
    }

    /// What of one backend may be on a page that is put in order, and why it was not read to its end.
    ///
    /// # Errors
    /// If `counted` says that what was read is too much.
    async fn best(
        &self,
        backend: &Backend,
        token: Option<&PageToken>,
        counted: impl Fn(usize) -> bool,
    ) -> std::result::Result<(Vec<(BackendName, Connection)>, Option<Error>), TooMany> {
        let name = backend.name();
        let most = self.query.size as usize + 1;
        let until = self.until();
        let mut found: Vec<(BackendName, Connection)> = Vec::new();
        let mut after = None;
        loop {
            let page = match self.page(backend, most, after.take(), until).await {
                Ok(page) => page,
                Err(error) => return Ok((found, Some(error))),
            };
            if !counted(page.items.len()) {
                return Err(TooMany);
            }
            found.extend(
                page.items
                    .into_iter()
                    .filter(|connection| self.query.filter.accepts(name, connection))
                    .map(|connection| (name.clone(), connection))
                    .filter(|(name, connection)| {
                        let place = SortPosition::of(name, connection);
                        token.is_none_or(|token| {
                            let order = &self.query.order;
                            order.compare(place, token.place()) == Ordering::Greater
                        })
                    }),
            );
            if found.len() > most {
                self.sort(&mut found);
                found.truncate(most);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok((found, None)),
            }
        }
    }

    fn sort(&self, found: &mut [(BackendName, Connection)]) {
        let order = &self.query.order;
        found.sort_by(|one, other| {
            order.compare(
                SortPosition::of(&one.0, &one.1),
                SortPosition::of(&other.0, &other.1),
            )
        });
    }

    async fn page(
        &self,
        backend: &Backend,
        size: usize,
        after: Option<String>,
        until: Instant,
    ) -> Result<Page<Connection>> {
        let takes_all = self.query.filter.is_empty() && self.query.order.is_natural();
        let request = PageRequest {
            size: match takes_all {
                true => size as u32,
                false => AT_ONCE,
            },
            after,
            filter: self.query.filter.clone(),
        };
        let call = caller(until);
        let page = timeout_at(until, backend.list(&request, &call)).await;
        page.unwrap_or_else(|_| Err(late().on(backend.name())))
    }

    /// When a backend has to have answered. Of several, one that does not must not take the rest with it, so that there
    /// is time left to say so.
    fn until(&self) -> Instant {
        match self.query.parent {
            Parent::One(_) => self.deadline,
            Parent::Every => margin::before(self.deadline),
        }
    }

    /// Goes on without a backend where the list is over all of them.
    fn without(
        &self,
        name: &BackendName,
        error: Error,
        listing: &mut Listing<Connection>,
    ) -> Result<()> {
        if self.query.parent != Parent::Every {
            return Err(error.during("listing connections"));
        }
        tracing::warn!(backend.name = name.as_str(), %error, "cannot list connections");
        listing.unreachable.push(name.clone());
        Ok(())
    }

    /// How many more go on the page.
    fn room(&self, listing: &Listing<Connection>) -> usize {
        (self.query.size as usize).saturating_sub(listing.items.len())
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

/// What one backend gives to a page.
#[derive(Debug, Default)]
struct Part {
    connections: Vec<Connection>,
    /// After which id the backend goes on; `None` if it has nothing more.
    next: Option<String>,
    /// Why it was not read as far as was wanted.
    error: Option<Error>,
}

/// More was read than is put in order.
struct TooMany;

/// A backend did not answer in time.
pub(super) fn late() -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        ErrorReason::Deadline,
        "the connections were not listed in time",
    )
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
pub(super) mod tests;
