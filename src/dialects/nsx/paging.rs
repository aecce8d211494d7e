//! Lists that NSX returns page by page. NSX does not say what its cursor means when objects come and go.

use crate::{
    core::{
        dialect::{Call, Page, PageRequest},
        error::{ErrorKind, Result},
    },
    dialects::{
        nsx::{
            api_error,
            body::Body,
            client::{Ask, Client},
        },
        refusal::endless,
    },
    rest::{answer::Answer, json},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The largest page that NSX returns.
const LARGEST_PAGE: &str = "1000";
/// The most pages of one walk. A list with more is an error.
const MOST_PAGES: usize = 1_000;

/// How many times a collection is walked while it changes during the walk.
pub const MOST_WALKS: usize = 3;

/// How certain a walk is to have seen every object that existed throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sureness {
    /// The walk was one page, or ended because it had seen enough.
    Sure,
    /// The walk saw as many objects as NSX had announced. One that vanished and one that appeared may still hide a
    /// third.
    Counted,
    /// The walk saw more or fewer objects than announced.
    Unsure,
}

/// A list that is read page by page.
#[derive(Debug, Clone, Copy)]
pub struct Pages<'a> {
    /// The path of the list's API, if it is not the client's.
    pub api: Option<&'a str>,
    /// The path of the list, below the API.
    pub collection: &'a str,
    /// Query parameters that leave out unwanted objects.
    pub narrow: &'a [(&'a str, &'a str)],
    /// Reads the body of a successful answer, or returns what a refusal means.
    pub granted: fn(&Answer) -> Result<Value>,
}

impl Pages<'_> {
    /// Walks the list page by page, until `see` returns true or the list ends.
    ///
    /// # Errors
    /// Fails if a page is refused, or if the list does not go on.
    pub async fn walk(
        self,
        client: &Client,
        mut see: impl FnMut(Vec<Body>) -> bool,
        call: &Call,
    ) -> Result<Sureness> {
        let mut cursor: Option<String> = None;
        let (mut announced, mut seen) = (None, 0);
        for pages in 1..=MOST_PAGES {
            let page = self.page(client, cursor.as_deref(), call).await?;
            announced = announced.or(page.count);
            seen += page.results.len();
            let is_enough = see(page.results);
            if is_enough || page.cursor.is_none() {
                return Ok(if is_enough || pages == 1 {
                    Sureness::Sure
                } else if announced.is_none_or(|announced| announced == seen) {
                    Sureness::Counted
                } else {
                    Sureness::Unsure
                });
            }
            if page.cursor == cursor {
                return Err(endless());
            }
            cursor = page.cursor;
        }
        Err(endless())
    }

    /// Returns one page of the list, ordered by id.
    ///
    /// NSX does not say what its cursor means when objects come and go, so no page of the gateway is a page of NSX: it
    /// reads the whole list and cuts the page out by id. Each further 1,000 objects cost one more request.
    ///
    /// # Errors
    /// As [`Pages::walk`].
    pub async fn by_id(
        self,
        client: &Client,
        request: &PageRequest,
        call: &Call,
    ) -> Result<Page<Body>> {
        let size = request.size.max(1) as usize;
        let mut found = self.after(client, request, call).await?;
        let is_more = found.len() > size;
        while found.len() > size {
            found.pop_last();
        }
        let next = found.keys().next_back().cloned().filter(|_| is_more);
        Ok(Page {
            items: found.into_values().collect(),
            next,
        })
    }

    /// Returns the first objects by id, one more than asked for if there are so many.
    ///
    /// If an object vanishes during a walk of several pages, the walk may skip another one. The count that NSX
    /// announces at the start reveals that, and the list is walked again. After the last walk, the result is everything
    /// that any of them found.
    async fn after(
        self,
        client: &Client,
        request: &PageRequest,
        call: &Call,
    ) -> Result<BTreeMap<String, Body>> {
        let mut all = BTreeMap::new();
        for _ in 0..MOST_WALKS {
            let mut found = BTreeMap::new();
            let see = |page: Vec<Body>| {
                for body in page {
                    let id = body.id();
                    if !id.is_empty() && request.after.as_ref().is_none_or(|after| id > *after) {
                        found.insert(id, body);
                    }
                    if found.len() > (request.size as usize).saturating_add(1) {
                        found.pop_last();
                    }
                }
                false
            };
            let sureness = self.walk(client, see, call).await?;
            if sureness != Sureness::Unsure {
                return Ok(found);
            }
            all.extend(found);
        }
        Ok(all)
    }

    async fn page(self, client: &Client, cursor: Option<&str>, call: &Call) -> Result<ListPage> {
        let mut ask = Ask::get([self.collection]).with("page_size", LARGEST_PAGE);
        if let Some(api) = self.api {
            ask = ask.of(api);
        }
        for (key, value) in self.narrow {
            ask = ask.with(key, value);
        }
        if let Some(cursor) = cursor {
            ask = ask.with("cursor", cursor);
        }
        let answer = client.send(ask, call).await.map_err(|it| it.error)?;
        let page = ListPage::granted(&answer, self.granted);
        page.map_err(|error| match error.kind {
            // The cursor came from the cloud, so the caller is not at fault.
            ErrorKind::InvalidArgument if cursor.is_some() => endless(),
            _ => error,
        })
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListPage {
    /// The objects in `results`.
    pub results: Vec<Body>,
    /// Where the next page starts; `None` at the end.
    pub cursor: Option<String>,
    /// `result_count`: how many objects there are on all pages. Only the first page has it.
    pub count: Option<usize>,
}

impl ListPage {
    /// Reads a list. Returns `None` if the value is not one: an object without `results` says nothing about what
    /// exists.
    ///
    /// The list ends with an absent cursor or, in older managers, with one that starts with `0000` (vmware-nsxlib
    /// 19.4.3, `v3/client.py`, `NULL_CURSOR_PREFIX`).
    fn of(value: Value) -> Option<ListPage> {
        let Value::Object(mut object) = value else {
            return None;
        };
        let Some(Value::Array(results)) = object.remove("results") else {
            return None;
        };
        Some(ListPage {
            results: results.into_iter().filter_map(Body::of).collect(),
            cursor: json::text(&object, "cursor")
                .filter(|cursor| !cursor.is_empty() && !cursor.starts_with("0000")),
            count: json::integer(&object, "result_count").and_then(|count| count.try_into().ok()),
        })
    }

    /// Reads the page in an answer; `granted` reads its body.
    ///
    /// # Errors
    /// Fails if the answer is a refusal, or not a list.
    pub fn granted(answer: &Answer, granted: fn(&Answer) -> Result<Value>) -> Result<ListPage> {
        ListPage::of(granted(answer)?).ok_or_else(|| api_error::broken(answer, "no list"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_end_markers_end_a_list() {
        let cursor = |list: Value| ListPage::of(list).unwrap().cursor;
        assert_eq!(cursor(json!({ "results": [] })), None);
        assert_eq!(cursor(json!({ "results": [], "cursor": null })), None);
        assert_eq!(cursor(json!({ "results": [], "cursor": "" })), None);
        assert_eq!(cursor(json!({ "results": [], "cursor": "0000abc" })), None);
        assert_eq!(
            cursor(json!({ "results": [], "cursor": "0036abc" })).as_deref(),
            Some("0036abc")
        );
    }

    #[test]
    fn what_is_no_list_is_not_an_empty_one() {
        for value in [json!([]), json!({}), json!({ "results": null }), json!("x")] {
            assert_eq!(ListPage::of(value), None);
        }
    }
}
