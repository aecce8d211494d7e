//! HTTP requests, and JSON requests to the paths of an API.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use reqwest::Url;
use serde::Serialize;
use std::fmt;

#[derive(Clone)]
pub struct Request {
    /// The method. Only a GET is ever retried.
    pub method: Method,
    /// The target. Redirects are never followed.
    pub url: Url,
    /// Headers, including credentials.
    pub headers: HeaderMap,
    /// The body, if any. `headers` names its type.
    pub body: Option<Bytes>,
}

impl fmt::Debug for Request {
    /// Leaves out headers and body, which both carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url.path())
    }
}

impl Request {
    /// Creates a request without headers or body.
    pub fn new(method: Method, url: Url) -> Request {
        Request {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
        }
    }
}

impl Request {
    /// Sets a JSON body.
    ///
    /// # Panics
    /// If the body cannot be written as JSON, such as a map whose keys are not text.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Request {
        self.headers.insert(ACCEPT, JSON);
        self.headers.insert(CONTENT_TYPE, JSON);
        self.body = Some(bytes(body));
        self
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request to an API, independent of its address: a method, a path, a query and a JSON body.
#[derive(Clone)]
pub struct Ask<'a> {
    method: Method,
    api: Option<&'a str>,
    path: Vec<&'a str>,
    query: Vec<(&'a str, &'a str)>,
    body: Option<Bytes>,
}

impl fmt::Debug for Ask<'_> {
    /// Leaves out the body, which may carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path.join("/"))
    }
}

impl<'a> Ask<'a> {
    /// Creates a GET of this path. Each part is one segment, whatever characters it has.
    pub fn get(path: impl Into<Vec<&'a str>>) -> Ask<'a> {
        Ask::new(Method::GET, path)
    }

    /// Creates a POST with a JSON body.
    ///
    /// # Panics
    /// If the body cannot be written as JSON, such as a map whose keys are not text. [`Ask::put`] panics likewise.
    pub fn post(path: impl Into<Vec<&'a str>>, body: &impl Serialize) -> Ask<'a> {
        Ask {
            body: Some(bytes(body)),
            ..Ask::new(Method::POST, path)
        }
    }

    /// Creates a PUT with a JSON body.
    pub fn put(path: impl Into<Vec<&'a str>>, body: &impl Serialize) -> Ask<'a> {
        Ask {
            body: Some(bytes(body)),
            ..Ask::new(Method::PUT, path)
        }
    }

    pub fn delete(path: impl Into<Vec<&'a str>>) -> Ask<'a> {
        Ask::new(Method::DELETE, path)
    }

    fn new(method: Method, path: impl Into<Vec<&'a str>>) -> Ask<'a> {
        Ask {
            method,
            api: None,
            path: path.into(),
            query: Vec::new(),
            body: None,
        }
    }

    /// Addresses another API at the same host, by this path.
    #[must_use]
    pub fn of(mut self, api: &'a str) -> Ask<'a> {
        self.api = Some(api);
        self
    }

    /// Adds a query parameter. Keys may repeat.
    #[must_use]
    pub fn with(mut self, key: &'a str, value: &'a str) -> Ask<'a> {
        self.query.push((key, value));
        self
    }

    /// Adds a query parameter for each value.
    #[must_use]
    pub fn with_each(mut self, key: &'a str, values: &[&'a str]) -> Ask<'a> {
        self.query.extend(values.iter().map(|value| (key, *value)));
        self
    }

    /// Adds a query parameter for each value, before all other parameters.
    #[must_use]
    pub fn with_each_first(mut self, key: &'a str, values: &[&'a str]) -> Ask<'a> {
        let values = values.iter().map(|value| (key, *value));
        self.query.splice(0..0, values);
        self
    }

    /// Reports whether the request changes nothing and may be retried.
    pub fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    /// Reports whether the request has a body, whose secrets the answer may quote.
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Builds the request to the API at this address, without credentials.
    ///
    /// # Panics
    /// If the address has no host.
    pub fn at(&self, api: &Url) -> Request {
        let mut url = api.clone();
        if let Some(api) = self.api {
            url.set_path(api);
        }
        url.path_segments_mut()
            .expect("an API's address has a host, so it has a path")
            .extend(&self.path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut request = Request::new(self.method.clone(), url);
        request.headers.insert(ACCEPT, JSON);
        if self.has_body() {
            request.headers.insert(CONTENT_TYPE, JSON);
            request.body.clone_from(&self.body);
        }
        request
    }
}

fn bytes(body: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(body).expect("JSON values can always be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment() {
        let api = Url::parse("https://nsx.example/api/v1/vpn/ipsec").unwrap();
        let ask = Ask::get(["sessions", "a/b?c#d e", "state"]).with("request_id", "x&y");
        let request = ask.at(&api);
        assert_eq!(
            request.url.as_str(),
            "https://nsx.example/api/v1/vpn/ipsec/sessions/a%2Fb%3Fc%23d%20e/state?request_id=x%26y"
        );
    }

    #[test]
    fn another_api_is_at_the_same_address() {
        let api = Url::parse("https://nsx.example:8443/api/v1/vpn/ipsec").unwrap();
        let ask = Ask::get(["logical-routers"]).of("/api/v1").with("a", "b");
        assert_eq!(
            ask.at(&api).url.as_str(),
            "https://nsx.example:8443/api/v1/logical-routers?a=b"
        );
    }

    #[test]
    fn a_parameter_may_come_several_times_and_first() {
        let api = Url::parse("http://n:9696/v2.0/vpn").unwrap();
        let ask = Ask::get(["c"])
            .with("limit", "1")
            .with_each("id", &["a", "b"]);
        let ask = ask.with_each_first("fields", &["id", "name"]);
        assert_eq!(
            ask.at(&api).url.query(),
            Some("fields=id&fields=name&limit=1&id=a&id=b")
        );
    }

    #[test]
    fn a_body_is_not_printed() {
        let ask = Ask::post(["c"], &["canary"]);
        assert!(ask.has_body() && !ask.is_read());
        let shown = format!("{ask:?} {:?}", ask.at(&Url::parse("http://n").unwrap()));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
