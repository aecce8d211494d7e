//! What every list asks for: which page of whose, which of it, in which order, and how much of each.

use crate::{
    core::{filter::Filter, listed::Listable, listing::Query},
    grpc::{convert::Problems, pb},
};

/// How many are on a page if the caller does not say.
const DEFAULT_PAGE_SIZE: u32 = 50;

/// How many are on a page at most; more is taken as this.
const MAX_PAGE_SIZE: u32 = 1_000;

/// A request for a list, as it came.
#[derive(Debug, Default)]
pub struct ListRequest {
    /// `parent`
    pub parent: String,
    /// `page_size`
    pub page_size: i32,
    /// `page_token`
    pub page_token: String,
    /// `filter`
    pub filter: String,
    /// `order_by`
    pub order_by: String,
    /// `view`
    pub view: i32,
}

/// What to list.
#[derive(Debug)]
pub struct List {
    /// Which page; `size` is 1 to 1,000.
    pub query: Query,
    /// Whether each has its `native`.
    pub native: bool,
}

impl ListRequest {
    /// Reads the request for a list of these. `None` if it does not say whose is wanted.
    pub fn read(self, of: Listable, problems: &mut Problems) -> Option<List> {
        let parent = problems.parent("parent", &self.parent);
        let size = page_size(self.page_size, DEFAULT_PAGE_SIZE, problems);
        let filter = parse(Filter::read(&self.filter, of), "filter", problems);
        let order = parse(self.order_by.parse(), "order_by", problems);
        let native = match pb::View::try_from(self.view) {
            Ok(view) => view != pb::View::Basic,
            Err(_) => {
                problems.unknown_value("view", self.view, |n| {
                    Some(pb::View::try_from(n).ok()?.as_str_name())
                });
                true
            }
        };
        Some(List {
            query: Query {
                parent: parent?,
                size,
                filter,
                order,
                page_token: self.page_token,
            },
            native,
        })
    }
}

/// Reads how many are wanted on a page: 1 to 1,000, or `default` where the caller does not say.
pub fn page_size(given: i32, default: u32, problems: &mut Problems) -> u32 {
    match u32::try_from(given) {
        Ok(0) => default,
        Ok(size) => size.min(MAX_PAGE_SIZE),
        Err(_) => {
            problems.add("page_size", "must not be negative");
            default
        }
    }
}

fn parse<T: Default>(
    read: std::result::Result<T, String>,
    field: &str,
    problems: &mut Problems,
) -> T {
    read.unwrap_or_else(|wrong| {
        problems.add(field, wrong);
        T::default()
    })
}
