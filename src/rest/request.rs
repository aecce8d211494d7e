//! What is asked of a cloud: one HTTP request.

use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::Url;
use std::fmt;

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
