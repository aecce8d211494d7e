//! Page tokens: which backend a list is at, and where in it.

use crate::core::error::{Error, Result, Violation};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageToken {
    /// The parent of the list; another parent's token is refused.
    #[serde(rename = "p")]
    pub parent: String,
    /// The backend the next page begins in.
    #[serde(rename = "b")]
    pub backend: String,
    /// Where in that backend; `None` is its beginning.
    #[serde(rename = "t")]
    pub inner: Option<String>,
}

impl PageToken {
    /// As text.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("tokens are plain data"))
    }

    /// From text.
    ///
    /// # Errors
    /// `InvalidArgument` on `page_token` if it is none, or one of another list.
    pub fn decode(text: &str, parent: &str) -> Result<PageToken> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|json| serde_json::from_slice::<PageToken>(&json).ok())
            .filter(|token| token.parent == parent)
            .ok_or_else(|| {
                Error::invalid(vec![Violation::new(
                    "page_token",
                    "accepted is `next_page_token` of the page before, with the same `parent`",
                )])
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back_and_others_are_refused() {
        let token = PageToken {
            parent: "backends/-".into(),
            backend: "a".into(),
            inner: Some("x".into()),
        };
        assert_eq!(
            PageToken::decode(&token.encode(), "backends/-").unwrap(),
            token
        );
        for text in [token.encode().as_str(), "", "%"] {
            let error = PageToken::decode(text, "backends/a").unwrap_err();
            assert_eq!(error.context.violations[0].field, "page_token");
        }
    }
}
