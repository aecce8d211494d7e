//! Page tokens: which list they belong to, and where in it the next page begins.
//!
//! A token names the last connection that was answered, not how many were: what vanishes or appears between two
//! pages moves nothing that stays.

use crate::core::{
    error::{Error, ErrorReason, Result, Violation},
    filter::Filter,
    listed::Listable,
    order::{Order, SortPosition},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest token that is read, in bytes. A name in a cloud has at most 255 characters, an id 255 bytes.
const MAX_TOKEN_BYTES: usize = 8_192;

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageToken {
    /// The parent of the list; another parent's token is refused.
    #[serde(rename = "p")]
    pub parent: String,
    /// What stands for the list's filter and order; another list's token is refused.
    #[serde(rename = "q", default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The backend the next page begins in.
    #[serde(rename = "b")]
    pub backend: String,
    /// The id after which it begins there; `None` is the backend's first.
    #[serde(rename = "t")]
    pub inner: Option<String>,
    /// The display name of that connection, where the order needs it.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
}

impl PageToken {
    /// As text.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("tokens are plain data"))
    }

    /// From text.
    ///
    /// # Errors
    /// `InvalidArgument` / `WrongToken` on `page_token` if it is none, or one of another list.
    pub fn decode(text: &str, parent: &str, query: &str) -> Result<PageToken> {
        Some(text)
            .filter(|text| text.len() <= MAX_TOKEN_BYTES)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .and_then(|json| serde_json::from_slice::<PageToken>(&json).ok())
            .filter(|token| token.parent == parent && token.query == query)
            .ok_or_else(|| {
                let mut error = Error::invalid(vec![Violation::new(
                    "page_token",
                    "accepted is `next_page_token` of the page before, with the same `parent`, `filter` and \
                     `order_by`",
                )]);
                error.reason = ErrorReason::WrongToken;
                error
            })
    }

    /// The connection the page before ended with, in a sorted list.
    pub fn place(&self) -> SortPosition<'_> {
        SortPosition {
            display_name: &self.display_name,
            backend: &self.backend,
            id: self.inner.as_deref().unwrap_or_default(),
        }
    }
}

/// What stands for a filter and an order in a token: short, and the same for other spellings of the same.
/// Empty if there is neither.
pub fn fingerprint(of: Listable, filter: &Filter, order: &Order) -> String {
    let (filter, order) = (filter.to_string(), order.to_string());
    if of == Listable::Connections && filter.is_empty() && order.is_empty() {
        return String::new();
    }
    let mut hash = Sha256::new();
    if of != Listable::Connections {
        hash.update(of.segment());
        hash.update("\n");
    }
    hash.update(order);
    // In no order there is a line break, so nothing can move from one into the other.
    hash.update("\n");
    hash.update(filter);
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(filter: &str, order: &str) -> String {
        fingerprint(
            Listable::Connections,
            &filter.parse().unwrap(),
            &order.parse().unwrap(),
        )
    }

    #[test]
    fn tokens_read_back_and_others_are_refused() {
        let token = PageToken {
            parent: "backends/-".into(),
            query: query("managed=true", ""),
            backend: "a".into(),
            inner: Some("x".into()),
            display_name: "Branch".into(),
        };
        let text = token.encode();
        assert_eq!(
            PageToken::decode(&text, "backends/-", &token.query).unwrap(),
            token
        );
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        for (text, parent, query) in [
            (text.as_str(), "backends/a", token.query.clone()),
            (&text, "backends/-", String::new()),
            (&text, "backends/-", query("managed=false", "")),
            (&text, "backends/-", query("managed=true", "name desc")),
            ("", "backends/-", token.query.clone()),
            ("%", "backends/-", token.query.clone()),
            (&long, "backends/-", token.query.clone()),
        ] {
            let error = PageToken::decode(text, parent, &query).unwrap_err();
            assert_eq!(error.context.violations[0].field, "page_token");
            assert_eq!(error.reason, ErrorReason::WrongToken);
        }
    }

    #[test]
    fn spelling_does_not_change_what_a_token_is_for() {
        assert_eq!(query("", ""), "");
        assert_eq!(query("  ", " "), "");
        assert_eq!(
            query("managed=true AND display_name:x", "display_name asc"),
            query(
                "  managed = true   AND display_name : \"x\"",
                "display_name"
            )
        );
        assert_ne!(query("display_name:x", ""), query("display_name=x", ""));
        assert_ne!(query("", "name desc"), query("", "display_name"));
    }
}
