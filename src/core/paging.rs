//! Page tokens: which list they belong to, and where in it the next page begins.
//!
//! A token names the last item returned rather than a count, so items that are created or removed between pages do not
//! shift the others. It is sealed for its list, so that clients treat it as opaque (AIP-158).

mod seal;

use crate::core::{
    error::{Error, ErrorReason, Result, Violation},
    filter::Filter,
    listed::Listable,
    order::{Order, SortPosition},
    paging::seal::{open, seal},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest token accepted, in bytes. A name in a cloud has at most 255 characters, an id 255 bytes.
const MAX_TOKEN_BYTES: usize = 8_192;

/// Where the next page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageToken {
    /// The backend in which the next page begins.
    #[serde(rename = "b")]
    pub backend: String,
    /// The id after which it begins there; `None` begins at the backend's first item.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<String>,
    /// The display name of the item with that id, if the order needs it.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
}

/// Identifies a list for its tokens: what is listed, of which parent, filtered and ordered how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListId {
    of: String,
    parent: String,
    filter: String,
    order: String,
}

impl ListId {
    /// Identifies the list of a parent, `backends/{backend}` or `backends/-`. Different spellings of a filter or an
    /// order give the same list.
    pub fn new(of: Listable, parent: String, filter: &Filter, order: &Order) -> ListId {
        ListId {
            of: of.segment().to_owned(),
            parent,
            filter: filter.to_string(),
            order: order.to_string(),
        }
    }

    pub fn of_backends() -> ListId {
        ListId {
            of: "backends".to_owned(),
            parent: String::new(),
            filter: String::new(),
            order: String::new(),
        }
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [&self.of, &self.parent, &self.filter, &self.order] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

impl PageToken {
    /// Encodes the token as text that is valid for this list only.
    pub fn encode(&self, list: &ListId) -> String {
        let content = serde_json::to_vec(self).expect("tokens are plain data");
        URL_SAFE_NO_PAD.encode(seal(&list.digest(), &content))
    }

    /// Decodes a token.
    ///
    /// # Errors
    /// `InvalidArgument` / `WrongToken` on `page_token` if it is malformed or belongs to another list.
    pub fn decode(text: &str, list: &ListId) -> Result<PageToken> {
        Some(text)
            .filter(|text| text.len() <= MAX_TOKEN_BYTES)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .and_then(|bytes| match bytes.first() {
                Some(b'{') => Unsealed::read(&bytes, list),
                _ => serde_json::from_slice(&open(&list.digest(), &bytes)?).ok(),
            })
            .ok_or_else(|| {
                let accepted = "accepted is `next_page_token` of the page before, with a request that is otherwise the \
                                same but for `page_size`";
                let mut error = Error::invalid(vec![Violation::new("page_token", accepted)]);
                error.reason = ErrorReason::WrongToken;
                error
            })
    }

    /// Returns the position of the last item of the page before, in a sorted list.
    pub fn place(&self) -> SortPosition<'_> {
        SortPosition {
            display_name: &self.display_name,
            backend: &self.backend,
            id: self.inner.as_deref().unwrap_or_default(),
        }
    }
}

/// The token format of releases without seals, which listed only connections. Clients may still hold such tokens.
#[derive(Debug, Serialize, Deserialize)]
struct Unsealed {
    #[serde(rename = "p")]
    parent: String,
    #[serde(rename = "q", default, skip_serializing_if = "String::is_empty")]
    query: String,
    #[serde(flatten)]
    token: PageToken,
}

impl Unsealed {
    fn read(json: &[u8], list: &ListId) -> Option<PageToken> {
        let read: Unsealed = serde_json::from_slice(json).ok()?;
        let is_its_own = list.of == Listable::Connections.segment()
            && list.parent == read.parent
            && Unsealed::query(list) == read.query;
        is_its_own.then_some(read.token)
    }

    /// Returns what stood for a filter and an order; empty if there was neither.
    fn query(list: &ListId) -> String {
        if list.filter.is_empty() && list.order.is_empty() {
            return String::new();
        }
        let mut hash = Sha256::new();
        hash.update(&list.order);
        hash.update("\n");
        hash.update(&list.filter);
        URL_SAFE_NO_PAD.encode(&hash.finalize()[..12])
    }
}

#[cfg(test)]
mod tests;
