//! The result of a request: a whole answer, or a failure.

use crate::rest::{
    budget::{self, Exhausted},
    redact,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, header::COOKIE};
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, time::Duration};

/// Largest answer that is read, in bytes. A LIST of 10,000 Neutron connections is about 8 MB.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A whole answer, whatever its status.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Secrets of the request's headers, to keep them out of messages. Set for answers other than 2xx only.
    pub carried: Carried,
}

impl fmt::Debug for Answer {
    /// Leaves out headers and body, which both carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// Returns text of this answer that is safe to show, at most `limit` bytes. Applies [`redact::said`] with the
    /// secrets of the request's headers and the `secrets` of its body.
    pub fn said(&self, text: &str, limit: usize, secrets: &[&str]) -> String {
        let mut secrets = secrets.to_vec();
        secrets.extend(
            self.carried
                .passwords
                .iter()
                .map(ExposeSecret::expose_secret),
        );
        let tokens = self.carried.tokens.iter().map(ExposeSecret::expose_secret);
        let tokens: Vec<&str> = tokens.collect();
        redact::said(text, limit, &secrets, &tokens)
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns a header as text. `None` if it is absent or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns `Retry-After` in whole seconds, at most five minutes. These clouds do not use its date form, which
    /// counts as absent. 0 counts as absent too, because the cloud would throttle an immediate retry again.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        let asked = Duration::from_secs(seconds).min(budget::LONGEST_PAUSE);
        Some(asked).filter(|asked| !asked.is_zero())
    }

    /// Reports whether the cloud asks the client to back off (429, 503).
    pub fn asks_to_back_off(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// Returns how long the account pauses after an answer that asks to back off: `Retry-After`, or else the budget's
    /// default pause.
    pub fn patience(&self) -> Duration {
        self.retry_after().unwrap_or(budget::DEFAULT_PAUSE)
    }
}

/// Secrets in the headers of a request.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    passwords: Vec<SecretString>,
    tokens: Vec<SecretString>,
}

impl Carried {
    /// Collects the secrets of every header marked as sensitive.
    pub fn by(headers: &HeaderMap) -> Carried {
        let mut carried = Carried::default();
        let sensitive = headers.iter().filter(|(_, value)| value.is_sensitive());
        for (name, value) in sensitive {
            let Ok(text) = value.to_str() else {
                continue;
            };
            if let Some(pair) = text.strip_prefix("Basic ") {
                let pair = BASE64_STANDARD.decode(pair).unwrap_or_default();
                let pair = String::from_utf8_lossy(&pair);
                let password = pair
                    .split_once(':')
                    .map_or(&*pair, |(_, password)| password);
                carried.passwords.push(password.into());
            } else if *name == COOKIE {
                let values = text.split("; ").filter_map(|cookie| cookie.split_once('='));
                carried.tokens.extend(values.map(|(_, value)| value.into()));
            } else {
                let token = text.strip_prefix("Bearer ").unwrap_or(text);
                carried.tokens.push(token.into());
            }
        }
        carried
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    /// Whether the cloud may have acted on the request.
    pub sent: Sent,
    /// A sentence for people. Contains no URL and no secret.
    pub message: String,
}

/// What happened instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The account's budget did not admit the request before its deadline.
    Budget(Exhausted),
    /// The circuit of the server is open. The server is tried again after this duration at the earliest.
    CircuitOpen(Duration),
    /// The deadline passed.
    Deadline,
    /// No connection was established.
    Connect,
    /// The connection broke.
    Broken,
    /// The answer exceeds [`MAX_ANSWER_BYTES`].
    TooLarge,
}

/// Whether the cloud may have acted on a request that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The request did not leave the gateway.
    No,
    /// The request may have reached the cloud.
    Maybe,
}

impl From<Exhausted> for Failure {
    fn from(exhausted: Exhausted) -> Failure {
        let message = match exhausted.is_paused {
            true => {
                "the cloud asked for patience, and the time until then is longer than the call's"
            }
            false => "the account's request budget is used up",
        };
        Failure {
            kind: FailureKind::Budget(exhausted),
            sent: Sent::No,
            message: message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue, header::AUTHORIZATION};

    #[test]
    fn patience_is_as_the_cloud_says_within_reason() {
        let answer = |text: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = text {
                headers.insert("retry-after", text.parse().unwrap());
            }
            Answer {
                status: 429,
                headers,
                body: Bytes::new(),
                carried: Carried::default(),
            }
        };
        let seconds = |text| answer(text).retry_after().map(|it| it.as_secs());
        assert_eq!(seconds(None), None);
        assert_eq!(seconds(Some("7")), Some(7));
        assert_eq!(seconds(Some("0")), None);
        assert_eq!(seconds(Some("-1")), None);
        assert_eq!(seconds(Some("Fri, 31 Dec 1999 23:59:59 GMT")), None);
        // Any addition to it would overflow.
        assert_eq!(seconds(Some("18446744073709551615")), Some(300));
        assert_eq!(answer(Some("0")).patience(), Duration::from_secs(1));
    }

    #[test]
    fn the_words_of_a_refusal_do_not_quote_what_its_request_had_in_its_headers() {
        let said = |name: HeaderName, value: &str, words: &str| {
            let mut value = HeaderValue::from_str(value).unwrap();
            value.set_sensitive(true);
            let answer = Answer {
                status: 400,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                carried: Carried::by(&HeaderMap::from_iter([(name, value)])),
            };
            assert!(!format!("{answer:?} {:?}", answer.carried).contains("canary"));
            answer.said(words, 80, &["another"]) == redact::WITHHELD
        };
        let basic = format!("Basic {}", BASE64_STANDARD.encode("admin:can:ary"));
        assert!(said(AUTHORIZATION, &basic, &basic["Basic ".len()..]));
        assert!(said(AUTHORIZATION, &basic, "the password is n:ar"));
        assert!(!said(AUTHORIZATION, &basic, "admin may not do it: Basic"));
        assert!(said(AUTHORIZATION, "Bearer canary-1", "bad canary-1"));
        assert!(!said(AUTHORIZATION, "Bearer canary-1", "bad Bearer"));
        let cookie = "JSESSIONID=canary-1; route=1";
        assert!(said(COOKIE, cookie, "bad canary-1"));
        assert!(!said(COOKIE, cookie, "JSESSIONID, route 1"));
        assert!(said(COOKIE, cookie, "bad other"), "of the body");
    }
}
