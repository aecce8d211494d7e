//! The query for a page of a list, and the page.

use crate::{
    core::{filter::Filter, order::Order},
    model::{BackendName, Parent},
};

/// The query for a page.
#[derive(Debug, Clone)]
pub struct Query {
    pub parent: Parent,
    /// The most items on the page, at least 1.
    pub size: u32,
    /// The filter, read for what is listed ([`Filter::read`]). Items that lack a field of the filter do not meet it.
    pub filter: Filter,
    pub order: Order,
    /// The page token; empty for the first page.
    pub page_token: String,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// The items, each with its backend.
    pub items: Vec<(BackendName, T)>,
    /// The token of the next page; empty on the last.
    pub next: String,
    /// Backends that could not be read, or not completely.
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
