//! Which page of a list is wanted, and what is on it.

use crate::{
    core::{filter::Filter, order::Order},
    model::{BackendName, Parent},
};

/// Which page of a list.
#[derive(Debug, Clone)]
pub struct Query {
    /// Whose.
    pub parent: Parent,
    /// At most so many on a page, at least 1.
    pub size: u32,
    /// Which; read for what is listed ([`Filter::read`]). What has not the fields of another filter does not meet it.
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
