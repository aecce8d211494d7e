//! Builds one page: which backends are asked, when, and for how much.

use crate::{
    core::{
        backend::Backend,
        dialect::{Page, PageRequest},
        error::{Error, ErrorKind, ErrorReason, Result},
        gateway::caller,
        listed::{Listable, Listed},
        listing::{
            query::{Listing, Query},
            source::Source,
        },
        margin,
        order::SortPosition,
        paging::{ListId, PageToken},
    },
    model::{BackendName, Parent},
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

/// In a list over all backends, how long the first backends may take before the others are asked concurrently. If the
/// caller's deadline is short, it is a tenth of the time left.
const LONG: Duration = Duration::from_secs(1);

/// The page size requested from a dialect when most of the page may be discarded.
const AT_ONCE: u32 = 5_000;

/// Builds one page.
pub struct Walk<'a, S> {
    pub source: &'a S,
    pub query: &'a Query,
    /// The list that page tokens belong to.
    pub list: ListId,
    pub deadline: Instant,
}

impl<S: Source> Walk<'_, S> {
    /// Reads backend by backend, each by id, until the page is full.
    ///
    /// The next backend is asked after the one before it has answered, so that a page costs no more than it needs. If
    /// one takes long, the others are asked concurrently, so that it does not use up their time.
    ///
    /// # Errors
    /// With a single backend, its error.
    pub async fn as_it_comes(
        &self,
        backends: Vec<Arc<Backend>>,
        token: Option<PageToken>,
    ) -> Result<Listing<S::Item>> {
        let (start, after) =
            token.map_or_else(Default::default, |token| (token.backend, token.inner));
        let wanted: Vec<(Arc<Backend>, Option<String>)> = backends
            .into_iter()
            .filter(|backend| backend.name().as_str() >= start.as_str())
            .map(|backend| {
                // The token's backend may have been removed.
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
            if part.items.len() > room {
                part.items.truncate(room);
                part.next = part.items.last().map(|last| last.id().to_owned());
            }
            let items = part.items.into_iter();
            listing.items.extend(items.map(|item| (name.clone(), item)));
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

    /// Reads at most `room` items of one backend after an id.
    async fn part(
        &self,
        backend: &Backend,
        mut after: Option<String>,
        room: usize,
        until: Instant,
    ) -> Part<S::Item> {
        let mut part = Part {
            items: Vec::new(),
            next: None,
            error: None,
        };
        loop {
            let size = room - part.items.len();
            let page = match self.page(backend, size, after.clone(), until).await {
                Ok(page) => page,
                Err(error) => {
                    part.next = after;
                    part.error = Some(error);
                    return part;
                }
            };
            let accepts = |it: &S::Item| self.query.filter.accepts(backend.name(), it);
            let mut accepted = page.items.into_iter().filter(accepts);
            part.items.extend(accepted.by_ref().take(size));
            if accepted.next().is_some() {
                part.next = part.items.last().map(|last| last.id().to_owned());
                return part;
            }
            after = page.next;
            if after.is_none() || part.items.len() >= room {
                part.next = after;
                return part;
            }
        }
    }

    /// Reads everything, sorts it, and cuts out the page. Of each backend only what may be on the page is kept. All
    /// backends are read concurrently, since all are needed, so one that hangs does not delay the others.
    ///
    /// # Errors
    /// With a single backend, its error; `QuotaExceeded` / `LimitExceeded` if there are more than `most` items.
    pub async fn sorted(
        &self,
        backends: &[Arc<Backend>],
        token: Option<&PageToken>,
        most: usize,
    ) -> Result<Listing<S::Item>> {
        let size = self.query.size as usize;
        let mut listing = Listing::default();
        let read = AtomicUsize::new(0);
        let all = backends.iter().map(|backend| {
            let counted = |more| read.fetch_add(more, atomic::Ordering::Relaxed) + more <= most;
            self.best(backend, token, counted)
        });
        let all = try_join_all(all).await;
        let mut found = Vec::new();
        for (backend, (best, error)) in backends.iter().zip(all.map_err(|_| self.too_many(most))?) {
            found.extend(best);
            if let Some(error) = error {
                self.without(backend.name(), error, &mut listing)?;
            }
        }
        self.sort(&mut found);
        let is_more = found.len() > size;
        found.truncate(size);
        if let Some((name, last)) = found.last().filter(|_| is_more) {
            listing.next = self.token(name, Some(last.id().to_owned()), last.display_name());
        }
        listing.items = found;
        Ok(listing)
    }

    /// Returns the items of one backend that may be on a sorted page, and the error if it was not read to its end.
    ///
    /// # Errors
    /// If `counted` returns `false`: too many items were read.
    async fn best(
        &self,
        backend: &Backend,
        token: Option<&PageToken>,
        counted: impl Fn(usize) -> bool,
    ) -> std::result::Result<(Vec<(BackendName, S::Item)>, Option<Error>), TooMany> {
        let name = backend.name();
        let most = self.query.size as usize + 1;
        let until = self.until();
        let mut found: Vec<(BackendName, S::Item)> = Vec::new();
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
                    .filter(|item| self.query.filter.accepts(name, item))
                    .map(|item| (name.clone(), item))
                    .filter(|(name, item)| {
                        let place = SortPosition::of(name, item);
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

    fn sort(&self, found: &mut [(BackendName, S::Item)]) {
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
    ) -> Result<Page<S::Item>> {
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
        let page = timeout_at(until, self.source.page(backend, &request, &call)).await;
        page.unwrap_or_else(|_| Err(late(self.source.of()).on(backend.name())))
    }

    /// Returns when a backend has to have answered. In a list over all backends this is early enough to report a
    /// backend that has not.
    fn until(&self) -> Instant {
        match self.query.parent {
            Parent::One(_) => self.deadline,
            Parent::Every => margin::before(self.deadline),
        }
    }

    /// Continues without a backend in a list over all backends, and reports it as unreachable unless it lacks the kind.
    fn without(
        &self,
        name: &BackendName,
        error: Error,
        listing: &mut Listing<S::Item>,
    ) -> Result<()> {
        let plural = self.source.of().plural();
        if self.query.parent != Parent::Every {
            return Err(error.during(format!("listing {plural}")));
        }
        if error.reason == ErrorReason::KindAbsent {
            return Ok(());
        }
        // The caller is told, and a line of its own logs whether the backend answers.
        tracing::debug!(backend = name.as_str(), %error, what = plural, "cannot list");
        listing.unreachable.push(name.clone());
        Ok(())
    }

    /// Returns how many more items fit on the page.
    fn room(&self, listing: &Listing<S::Item>) -> usize {
        (self.query.size as usize).saturating_sub(listing.items.len())
    }

    fn too_many(&self, most: usize) -> Error {
        let plural = self.source.of().plural();
        Error::new(
            ErrorKind::QuotaExceeded,
            ErrorReason::LimitExceeded,
            format!(
                "`order_by` other than by name reads everything for each page, and there are more than {most} \
                 {plural}; leave it out, or list backend by backend"
            ),
        )
        .during(format!("listing {plural}"))
    }

    fn token(&self, backend: &BackendName, after: Option<String>, display_name: &str) -> String {
        PageToken {
            backend: backend.as_str().to_owned(),
            inner: after,
            display_name: display_name.to_owned(),
        }
        .encode(&self.list)
    }
}

/// What one backend contributes to a page.
#[derive(Debug)]
struct Part<T> {
    items: Vec<T>,
    /// The id after which the backend continues; `None` if it has nothing more.
    next: Option<String>,
    /// Why fewer items were read than requested.
    error: Option<Error>,
}

/// More items were read than are sorted.
struct TooMany;

/// Returns the error for a backend that did not answer in time.
pub fn late(of: Listable) -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        ErrorReason::Deadline,
        format!("the {} were not listed in time", of.plural()),
    )
}
