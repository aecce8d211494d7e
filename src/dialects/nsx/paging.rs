//! Lists that NSX gives out page by page, by a cursor of which it does not say what it means when objects come and go.

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

/// The largest page NSX gives out.
const LARGEST_PAGE: &str = "1000";
/// The most pages of one walk; a list that goes on beyond is not believed.
const MOST_PAGES: usize = 1_000;

/// How often a collection is walked through while it changes under the walk.
pub const MOST_WALKS: usize = 3;

/// How sure it is that a walk saw every object that was there all the while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sureness {
    /// It was one page, or ended because it had seen enough.
    Sure,
    /// It saw as many as NSX had announced. One that vanished and one that appeared may still hide a third.
    Counted,
    /// It saw more or fewer.
    Unsure,
}

/// A list whose pages are read.
#[derive(Debug, Clone, Copy)]
pub struct Pages<'a> {
    /// The path of the API it belongs to, where that is another than the client's.
    pub api: Option<&'a str>,
    /// Where it is, below the API.
    pub collection: &'a str,
    /// Query parameters that leave out what is not wanted.
    pub narrow: &'a [(&'a str, &'a str)],
    /// The body of an answer that grants a page, or what its refusal means.
    pub granted: fn(&Answer) -> Result<Value>,
}

impl Pages<'_> {
    /// Walks through the list page by page, until `see` has seen enough or there is no more.
    ///
    /// # Errors
    /// If a page is refused, or the list does not go on.
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

    /// One page of what is in the list, by id.
    ///
    /// NSX says nothing of what its cursor means when objects come and go, so no page of ours is one of its own: the
    /// whole list is read, and the page is cut out by id. Beyond 1,000 objects that is a request for each 1,000 more.
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

    /// The first by id, one more than asked for if there are so many.
    ///
    /// A walk of several pages during which something vanished may have stepped over something else. It is noticed by
    /// the count that NSX gives beforehand, and walked again; what several walks found together is taken in the end.
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
            // A cursor is of the cloud's own making, so it is not the caller who is wrong.
            ErrorKind::InvalidArgument if cursor.is_some() => endless(),
            _ => error,
        })
    }
}

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListPage {
    /// `results`, those that are objects.
    pub results: Vec<Body>,
    /// Where the next page starts; `None` at the end.
    pub cursor: Option<String>,
    /// `result_count`: how many there are on all pages, told on the first only.
    pub count: Option<usize>,
}

impl ListPage {
    /// Reads a list. `None` if it is none: an object without `results` tells nothing of what is there.
    ///
    /// The end is an absent cursor or, in older managers, one that starts with `0000` (vmware-nsxlib
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

    /// The page in an answer, whose body `granted` reads.
    ///
    /// # Errors
    /// If it was refused, or is no list.
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
