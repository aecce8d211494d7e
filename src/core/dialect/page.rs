//! Pages of lists, as a dialect reads them.

use crate::core::{
    error::{Error, ErrorKind, ErrorReason, Result},
    filter::Filter,
};

/// The most pages one list is followed through; a cloud that never ends its list is not followed for ever.
const MOST_PAGES: usize = 1_000;
/// Page size where the core itself lists. Clouds that must be read whole for each page are read less often so.
const PAGE_SIZE: u32 = 5_000;

/// Which page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many, at least 1.
    pub size: u32,
    /// Only what has an id that comes after this one, compared as text; `None`: from the first.
    pub after: Option<String>,
    /// What will be kept of the answer.
    pub filter: Filter,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it, by id.
    pub items: Vec<T>,
    /// `after` of the next page; `None` at the end.
    pub next: Option<String>,
}

/// The way through a whole list, from its first page to its last.
#[derive(Debug)]
pub struct Pages {
    /// `None` after the last.
    next: Option<PageRequest>,
    left: usize,
}

impl Pages {
    /// Before the first page.
    pub fn all() -> Pages {
        let first = PageRequest {
            size: PAGE_SIZE,
            ..PageRequest::default()
        };
        Pages {
            next: Some(first),
            left: MOST_PAGES,
        }
    }

    /// Which page to read; `None` after the last.
    ///
    /// # Errors
    /// `Unavailable` / `UpstreamBrokenAnswer` if the list does not end.
    pub fn next_page(&mut self) -> Result<Option<PageRequest>> {
        let next = self.next.take();
        if next.is_some() && self.left == 0 {
            return Err(Error::new(
                ErrorKind::Unavailable,
                ErrorReason::UpstreamBrokenAnswer,
                format!("the list does not end within {MOST_PAGES} pages"),
            ));
        }
        self.left = self.left.saturating_sub(1);
        Ok(next)
    }

    /// What is on a page that was read, which tells where the list goes on.
    pub fn read<T>(&mut self, page: Page<T>) -> Vec<T> {
        self.next = page.next.map(|after| PageRequest {
            size: PAGE_SIZE,
            after: Some(after),
            ..PageRequest::default()
        });
        page.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(next: Option<&str>) -> Page<u8> {
        Page {
            items: vec![7],
            next: next.map(str::to_owned),
        }
    }

    #[test]
    fn a_list_is_read_to_its_end_and_no_further_than_lists_go() {
        let mut pages = Pages::all();
        assert_eq!(pages.next_page().unwrap().unwrap().after, None);
        assert_eq!(pages.read(page(Some("a"))), [7]);
        assert_eq!(
            pages.next_page().unwrap().unwrap().after.as_deref(),
            Some("a")
        );
        pages.read(page(None));
        assert_eq!(pages.next_page().unwrap(), None);

        let mut endless = Pages::all();
        for _ in 0..MOST_PAGES {
            assert!(endless.next_page().unwrap().is_some());
            endless.read(page(Some("a")));
        }
        let error = endless.next_page().unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamBrokenAnswer);
    }
}
