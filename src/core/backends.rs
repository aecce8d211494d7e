//! The use cases of backends: which there are, what each can express, and their health. Sends nothing to clouds.

use crate::{
    core::{
        backend::BackendSummary,
        error::Result,
        gateway::Gateway,
        paging::{ListId, PageToken},
        watch::poller::Poller,
    },
    model::BackendName,
};

/// The largest page size that can be requested.
const MAX_PAGE_SIZE: usize = 1_000;

#[derive(Debug, Clone)]
pub struct BackendPage {
    /// The backends, sorted by name.
    pub backends: Vec<BackendSummary>,
    /// The token of the next page; empty on the last.
    pub next: String,
}

impl Gateway {
    /// Returns every backend, sorted by name.
    pub fn backends(&self) -> Vec<BackendSummary> {
        let there = self.present();
        there.iter().map(|it| summary(it.poller())).collect()
    }

    /// Returns one page of the backends, sorted by name. `size` is limited to 1,000; 0 returns all backends.
    /// `page_token` is empty for the first page.
    ///
    /// # Errors
    /// `InvalidArgument` / `WrongToken` on `page_token`.
    pub fn list_backends(&self, size: u32, page_token: &str) -> Result<BackendPage> {
        let list = ListId::of_backends();
        let start = match page_token {
            "" => String::new(),
            text => PageToken::decode(text, &list)?.backend,
        };
        let size = match size {
            0 => usize::MAX,
            size => (size as usize).min(MAX_PAGE_SIZE),
        };
        // The token's backend may have been removed.
        let there = self.present();
        let left = there.iter();
        let mut left = left.filter(|it| it.name().as_str() >= start.as_str());
        let backends = left.by_ref().take(size).map(|it| summary(it.poller()));
        let backends = backends.collect();
        let next = left.next().map(|it| PageToken {
            backend: it.name().as_str().to_owned(),
            ..PageToken::default()
        });
        Ok(BackendPage {
            backends,
            next: next.map_or_else(String::new, |token| token.encode(&list)),
        })
    }

    /// Returns one backend.
    ///
    /// # Errors
    /// `NotFound` / `BackendNotFound`.
    pub fn backend(&self, name: &BackendName) -> Result<BackendSummary> {
        self.poller(name).map(|poller| summary(&poller))
    }
}

fn summary(poller: &Poller) -> BackendSummary {
    let backend = poller.backend();
    let (watched, longest_interval) = poller.inventory().watched();
    BackendSummary {
        name: backend.name().clone(),
        capabilities: backend.capabilities().clone(),
        health: backend.health(),
        read_only: backend.settings().read_only,
        usage: backend.dialect().usage(),
        watched,
        longest_interval,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        error::ErrorReason,
        listing::tests::{Rows, gateway},
    };

    fn names(page: &BackendPage) -> Vec<&str> {
        let each = page.backends.iter();
        each.map(|backend| backend.name.as_str()).collect()
    }

    #[tokio::test]
    async fn backends_come_by_name_in_pages_of_any_size() {
        let rows = Rows::new(1);
        let all = ["a", "a-1", "b", "c", "d"];
        let gateway = gateway(&all.map(|name| (name, &rows)));
        for size in 0..7 {
            let (mut found, mut token, mut pages) = (Vec::new(), String::new(), 0);
            loop {
                let page = gateway.list_backends(size, &token).unwrap();
                found.extend(names(&page).into_iter().map(str::to_owned));
                pages += 1;
                token = page.next;
                if token.is_empty() {
                    break;
                }
            }
            let wanted = match size {
                0 => 1,
                size => all.len().div_ceil(size as usize),
            };
            assert_eq!((found, pages), (all.map(str::to_owned).to_vec(), wanted));
        }
    }

    #[tokio::test]
    async fn a_page_goes_on_though_its_backend_is_configured_no_more() {
        let rows = Rows::new(1);
        let before = gateway(&["a", "b", "c"].map(|name| (name, &rows)));
        let first = before.list_backends(1, "").unwrap();
        let after = gateway(&["a", "c"].map(|name| (name, &rows)));
        let second = after.list_backends(1, &first.next).unwrap();
        assert_eq!((names(&first), names(&second)), (vec!["a"], vec!["c"]));
        assert_eq!(second.next, "");
        let wrong = after.list_backends(1, "x").unwrap_err();
        assert_eq!(wrong.reason, ErrorReason::WrongToken);
    }
}
