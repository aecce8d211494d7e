//! Opaque tokens: a position in the log (resume), and the name of a write.
//!
//! Clients return both unread, and neither holds a secret. A write token only *names* a write that the gateway
//! remembers. If it described the write, a forged token could make other clients' watches believe in a write that never
//! happened.

use crate::core::error::{Error, ErrorReason, Result, Violation};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// The longest accepted token, in bytes of text.
const MAX_TOKEN_BYTES: usize = 2048;

/// A position in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeToken {
    v: u8,
    /// What the position belongs to: a connection's name, or the parent of a watch over many.
    #[serde(rename = "n")]
    pub scope: String,
    /// The epoch of the log.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// The last revision that was sent.
    #[serde(rename = "s")]
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteToken {
    v: u8,
    #[serde(rename = "n")]
    pub name: String,
    /// The epoch of the log that knows the write.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// The number of the write among those of the connection; never higher than the last revision of the log when the
    /// write was done.
    #[serde(rename = "w")]
    pub write: u64,
}

impl ResumeToken {
    pub fn new(scope: String, epoch: u64, revision: u64) -> ResumeToken {
        ResumeToken {
            v: 1,
            scope,
            epoch,
            revision,
        }
    }

    pub fn encode(&self) -> String {
        encode(self)
    }

    /// Parses a token.
    ///
    /// # Errors
    /// `InvalidArgument` / `WrongToken` if the text is not a token, or is one of another scope.
    pub fn decode(text: &str, scope: &str) -> Result<ResumeToken> {
        let token: ResumeToken = decode(text, "resume_token")?;
        if token.v != 1 || token.scope != scope {
            return Err(wrong("resume_token", "it belongs to another watch"));
        }
        Ok(token)
    }
}

impl WriteToken {
    pub fn new(name: String, epoch: u64, write: u64) -> WriteToken {
        WriteToken {
            v: 1,
            name,
            epoch,
            write,
        }
    }

    pub fn encode(&self) -> String {
        encode(self)
    }

    /// Parses a token.
    ///
    /// # Errors
    /// `InvalidArgument` / `WrongToken` if the text is not a token, or names a write to another connection.
    pub fn decode(text: &str, name: &str) -> Result<WriteToken> {
        let token: WriteToken = decode(text, "write_token")?;
        if token.v != 1 || token.name != name {
            return Err(wrong(
                "write_token",
                "it names a write to another connection",
            ));
        }
        Ok(token)
    }
}

pub(super) fn encode(token: &impl Serialize) -> String {
    let json = serde_json::to_vec(token).expect("tokens are plain data");
    URL_SAFE_NO_PAD.encode(json)
}

/// Parses a token of a request's `field`.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(text: &str, field: &str) -> Result<T> {
    if text.len() > MAX_TOKEN_BYTES {
        return Err(wrong(field, "it is too long"));
    }
    let json = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| wrong(field, "it is malformed"))?;
    serde_json::from_slice(&json).map_err(|_| wrong(field, "it is malformed"))
}

/// Returns the error for a token of a request's `field`.
pub(super) fn wrong(field: &str, why: &str) -> Error {
    let mut error = Error::invalid(vec![Violation::new(
        field,
        format!("{why}; accepted is a token of this gateway, unchanged"),
    )]);
    error.reason = ErrorReason::WrongToken;
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back_as_they_were() {
        let resume = ResumeToken::new("backends/a/connections/1".into(), 7, 9);
        assert_eq!(
            ResumeToken::decode(&resume.encode(), "backends/a/connections/1").unwrap(),
            resume
        );

        let write = WriteToken::new("n".into(), 7, 3);
        assert_eq!(WriteToken::decode(&write.encode(), "n").unwrap(), write);
    }

    #[test]
    fn tokens_of_others_are_refused_by_field() {
        let resume = ResumeToken::new("a".into(), 7, 9).encode();
        for (text, field) in [
            (resume.as_str(), "resume_token"),
            ("%%%", "resume_token"),
            ("", "resume_token"),
        ] {
            let error = ResumeToken::decode(text, "b").unwrap_err();
            assert_eq!(error.reason, ErrorReason::WrongToken);
            assert_eq!(error.context.violations[0].field, field);
        }
        assert!(WriteToken::decode(&resume, "a").is_err());
        assert!(WriteToken::decode(&"A".repeat(5000), "a").is_err());
    }
}
