//! What all list requests have in common: parent, page, filter, order and view.

use crate::{
    core::{filter::Filter, listed::Listable, listing::Query},
    grpc::{convert::Problems, pb},
};

/// Page size if the caller does not set one.
const DEFAULT_PAGE_SIZE: u32 = 50;

/// Largest page size. Larger requests get this.
const MAX_PAGE_SIZE: u32 = 1_000;

/// A list request as it was received.
#[derive(Debug, Default)]
pub struct ListRequest {
    pub parent: String,
    pub page_size: i32,
    pub page_token: String,
    pub filter: String,
    pub order_by: String,
    pub view: i32,
}

/// A list request after validation.
#[derive(Debug)]
pub struct List {
    /// The query. Its `size` is 1 to 1,000.
    pub query: Query,
    /// Whether each item includes its `native` fields.
    pub native: bool,
}

impl ListRequest {
    /// Reads a request for a list of these items. Returns `None` if its parent is malformed.
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

/// Reads a page size: 1 to 1,000, or `default` if the caller does not set one.
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
