//! Pages of lists, as a dialect reads them.

use crate::core::filter::Filter;

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
