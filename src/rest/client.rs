//! Sends one request: within its deadline, its size limit and its account's budget.

use crate::rest::{
    budget::{self, Budget, Class, Exhausted},
    redact,
    transport::{Network, Transport},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, header::COOKIE};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

/// The largest answer that is read, in bytes. A LIST of 10,000 Neutron connections is about 8 MB.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// How to reach one cloud.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// PEM file of an authority to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// The longest one request may take.
    pub timeout: Duration,
}

/// One request.
#[derive(Clone)]
pub struct Request {
    /// The method. Only a GET is ever repeated.
    pub method: Method,
    /// Where to. Redirects are never followed.
    pub url: Url,
    /// Headers, credentials among them.
    pub headers: HeaderMap,
    /// The body, if any; `headers` says what it is.
    pub body: Option<Bytes>,
}

impl fmt::Debug for Request {
    /// Leaves out headers and body: both carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url.path())
    }
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, url: Url) -> Request {
        Request {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
        }
    }
}

/// One answer, read whole, whatever its status.
#[derive(Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What the request had in its headers that nobody may see. The [`Client`] notes it, for refusals only.
    pub carried: Carried,
}

impl fmt::Debug for Answer {
    /// Leaves out headers and body: both carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// Words of this answer fit to be shown, at most `limit` bytes: [`redact::said`] for what the request had in its
    /// headers, and for the `secrets` that it had in its body.
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

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Retry-After` in whole seconds, at most five minutes. Its date form is not used by these clouds and
    /// counts as absent, and so does 0: asking again at once is what was too much.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        let asked = Duration::from_secs(seconds).min(budget::LONGEST_PAUSE);
        Some(asked).filter(|asked| !asked.is_zero())
    }

    /// Whether the cloud asks for patience.
    pub fn asks_for_patience(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// How long to leave an account alone that asks for patience: as it says, or as the budget pauses if it
    /// does not.
    pub fn patience(&self) -> Duration {
        self.retry_after().unwrap_or(budget::DEFAULT_PAUSE)
    }
}

/// The secrets in the headers of a request.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    passwords: Vec<SecretString>,
    tokens: Vec<SecretString>,
}

impl Carried {
    /// Those of every header that is marked as sensitive.
    fn by(headers: &HeaderMap) -> Carried {
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
    /// What happened.
    pub kind: FailureKind,
    /// Whether the cloud may have acted on the request.
    pub sent: Sent,
    /// A sentence for people; names no URL and no secret.
    pub message: String,
}

/// What happened instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The account's budget did not allow it in time.
    Budget(Exhausted),
    /// The deadline passed.
    Deadline,
    /// No connection.
    Connect,
    /// The connection broke.
    Broken,
    /// The answer is larger than is read.
    TooLarge,
}

/// Whether the cloud may have acted on a request without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not.
    No,
    /// Perhaps.
    Maybe,
}

/// HTTP to one cloud with one account.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    budget: Arc<Budget>,
    timeout: Duration,
}

impl Client {
    /// A client over `network` that shares `budget` with whoever else has it.
    ///
    /// # Errors
    /// What of the options the network cannot work with.
    pub fn new(
        network: &dyn Network,
        options: &Options,
        budget: Arc<Budget>,
    ) -> Result<Client, String> {
        Ok(Client {
            transport: network.open(options)?,
            budget,
            timeout: options.timeout,
        })
    }

    /// The account's budget.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Sends a request and reads its answer whole.
    ///
    /// A GET whose connection breaks before its answer is whole is sent once more: a pooled connection may have
    /// been closed by the server in the meantime. Nothing else is repeated. 429 and 503 slow the account down.
    ///
    /// # Errors
    /// If there is no whole answer before `deadline` and the backend's own timeout.
    pub async fn send(
        &self,
        request: Request,
        class: Class,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let answer = self.exchange(request, class, deadline).await?;
        self.heed(&answer);
        Ok(answer)
    }

    /// Slows the account down if this answer asks for patience (429, 503).
    pub fn heed(&self, answer: &Answer) {
        if answer.asks_for_patience() {
            self.budget.throttled(answer.patience());
        }
    }

    /// The same as [`Client::send`] where another server of the cloud may be asked instead: whoever has found that
    /// none answers hands the answer to [`Client::heed`].
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn exchange(
        &self,
        request: Request,
        class: Class,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let first = self.attempt(&request, class, deadline).await;
        match first {
            Err(failure)
                if failure.kind == FailureKind::Broken && request.method == Method::GET =>
            {
                self.attempt(&request, class, deadline).await
            }
            other => other,
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        class: Class,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let _leave = self
            .budget
            .acquire(class, deadline)
            .await
            .map_err(not_allowed)?;
        let span = tracing::info_span!(
            "upstream",
            otel.name = %request.method,
            otel.kind = "client",
            http.request.method = %request.method,
            otel.status_code = tracing::field::Empty,
            server.address = request.url.host_str().unwrap_or_default(),
            server.port = request.url.port_or_known_default(),
            url.path = request.url.path(),
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let deadline = deadline.min(Instant::now() + self.timeout);
        let result = timeout_at(deadline, self.transport.exchange(request))
            .instrument(span.clone())
            .await;
        let mut result = result.unwrap_or_else(|_| {
            Err(Failure {
                kind: FailureKind::Deadline,
                sent: Sent::Maybe,
                message: "no whole answer before the deadline".to_owned(),
            })
        });
        match &mut result {
            Ok(answer) => {
                if !answer.is_success() {
                    answer.carried = Carried::by(&request.headers);
                }
                span.record("http.response.status_code", answer.status);
                if answer.status >= 400 {
                    span.record("otel.status_code", "ERROR");
                    span.record("error.type", answer.status.to_string());
                }
                if !answer.asks_for_patience() {
                    self.budget.answered();
                }
            }
            Err(failure) => {
                span.record("otel.status_code", "ERROR");
                span.record("error.type", tracing::field::debug(failure.kind));
            }
        }
        result
    }
}

/// Nothing was sent, because the budget did not allow it in time.
pub fn not_allowed(exhausted: Exhausted) -> Failure {
    let message = match exhausted.is_paused {
        true => "the cloud asked for patience, and the time until then is longer than the call's",
        false => "the account's request budget is used up",
    };
    Failure {
        kind: FailureKind::Budget(exhausted),
        sent: Sent::No,
        message: message.to_owned(),
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
        // As it stands it would overflow whatever it is added to.
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
