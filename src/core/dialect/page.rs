//! Pages of lists, as a dialect reads them.

use crate::core::{
    error::{Error, ErrorKind, ErrorReason, Result},
    filter::Filter,
};

/// Maximum number of pages read of one list. It bounds a cloud whose list never ends.
const MOST_PAGES: usize = 1_000;
/// Page size of the core's own lists. It is large because some clouds must be read whole for each page.
const PAGE_SIZE: u32 = 5_000;

/// A request for one page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Maximum number of items, at least 1.
    pub size: u32,
    /// Only items whose id comes after this one, compared as text; `None` starts at the beginning.
    pub after: Option<String>,
    /// What the core will keep of the answer.
    pub filter: Filter,
}

#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items, ordered by id.
    pub items: Vec<T>,
    /// `after` of the next page; `None` at the end.
    pub next: Option<String>,
}

/// A cursor over a whole list.
#[derive(Debug)]
pub struct Pages {
    /// `None` at the end of the list, and while a page is being read.
    next: Option<PageRequest>,
    left: usize,
}

impl Pages {
    /// Starts before the first page.
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

    /// Returns the next page to read, or `None` after the last.
    ///
    /// # Errors
    /// `Unavailable` / `UpstreamBrokenAnswer` if the list does not end within 1,000 pages.
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

    /// Advances past a page that was read and returns its items.
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
