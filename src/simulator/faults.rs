//! Faults that a simulated cloud can inject, and the requests they apply to.
//!
//! A test says "the next two polls of any session's state answer 503", and nothing else changes:
//!
//! ```
//! use http::{Method, StatusCode};
//! use isthmus::simulator::faults::{Answer, Fault, Faults, Rule};
//!
//! let faults = Faults::default();
//! let hits = faults.inject(
//!     Rule::on(Method::GET, "/sessions/*/state", Fault::Answer(Answer::status(StatusCode::SERVICE_UNAVAILABLE)))
//!         .times(2),
//! );
//! assert_eq!(hits.count(), 0);
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The faults of one server. Clones share one list.
///
/// Rules apply in the order in which they were injected. Faults that let the request go on ([`Fault::Delay`],
/// [`Fault::Hold`], [`Fault::HoldAnswer`], [`Fault::Shut`]) accumulate. The first other fault decides what happens to the
/// request.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Arc<Mutex<VecDeque<Active>>>,
}

impl Faults {
    /// Appends a rule and returns its hit counter.
    pub fn inject(&self, rule: Rule) -> Hits {
        let hits = Hits::default();
        let active = Active {
            rule,
            hits: hits.clone(),
        };
        self.rules().push_back(active);
        hits
    }

    /// Removes every rule. Requests that are already held or being answered are not affected.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// Returns the faults for this request. Each rule whose fault is returned counts a hit.
    pub(crate) fn strike(&self, method: &Method, path: &str, query: &str) -> Vec<Fault> {
        let mut struck = Vec::new();
        self.rules().retain_mut(|active| {
            if struck.last().is_some_and(Fault::is_final)
                || !active.rule.matches(method, path, query)
            {
                return true;
            }
            if active.rule.skip > 0 {
                active.rule.skip -= 1;
                return true;
            }
            active.hits.strike();
            struck.push(active.rule.fault.clone());
            match &mut active.rule.times {
                Some(times) => {
                    *times = times.saturating_sub(1);
                    *times > 0
                }
                None => true,
            }
        });
        struck
    }

    fn rules(&self) -> MutexGuard<'_, VecDeque<Active>> {
        self.rules
            .lock()
            .expect("no code panics while it holds the list of faults")
    }
}

/// Counts how often one rule has struck.
#[derive(Clone, Debug, Default)]
pub struct Hits(Arc<watch::Sender<u32>>);

impl Hits {
    /// The number of requests that the rule has struck so far.
    pub fn count(&self) -> u32 {
        *self.0.borrow()
    }

    /// Waits until the count reaches `count`.
    pub async fn reach(&self, count: u32) {
        // `self` owns the sender, so it cannot be gone.
        let _ = self.0.subscribe().wait_for(|hits| *hits >= count).await;
    }

    fn strike(&self) {
        self.0.send_modify(|hits| *hits += 1);
    }
}

/// One fault and the requests it applies to.
#[derive(Clone, Debug)]
pub struct Rule {
    methods: Methods,
    path: String,
    query: String,
    skip: u32,
    times: Option<u32>,
    fault: Fault,
}

impl Rule {
    /// Applies to every request.
    pub fn any(fault: Fault) -> Self {
        Self {
            methods: Methods::All,
            path: String::new(),
            query: String::new(),
            skip: 0,
            times: None,
            fault,
        }
    }

    /// Applies to requests of this method whose path contains `path`.
    ///
    /// In `path`, `*` matches anything, and a trailing `$` matches the end of the path.
    pub fn on(method: Method, path: impl Into<String>, fault: Fault) -> Self {
        Self {
            methods: Methods::One(method),
            path: path.into(),
            ..Self::any(fault)
        }
    }

    /// Applies to requests that change something (POST, PUT, PATCH, DELETE) and whose path contains `path`, with the
    /// syntax of [`Rule::on`].
    pub fn writes(path: impl Into<String>, fault: Fault) -> Self {
        Self {
            methods: Methods::Writes,
            path: path.into(),
            ..Self::any(fault)
        }
    }

    /// Applies to requests of any method whose path contains `path`, with the syntax of [`Rule::on`].
    pub fn at(path: impl Into<String>, fault: Fault) -> Self {
        Self {
            path: path.into(),
            ..Self::any(fault)
        }
    }

    /// Restricts the rule to requests whose undecoded query contains this text.
    pub fn query(mut self, text: impl Into<String>) -> Self {
        self.query = text.into();
        self
    }

    /// Skips the first `skip` matching requests.
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Limits how often the rule strikes. Without a limit it strikes until [`Faults::clear`].
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn matches(&self, method: &Method, path: &str, query: &str) -> bool {
        self.times != Some(0)
            && self.methods.include(method)
            && glob(&self.path, path)
            && query.contains(&self.query)
    }
}

#[derive(Clone, Debug)]
enum Methods {
    All,
    One(Method),
    Writes,
}

impl Methods {
    fn include(&self, method: &Method) -> bool {
        match self {
            Self::All => true,
            Self::One(wanted) => wanted == method,
            Self::Writes => !method.is_safe(),
        }
    }
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Handles the request after this time.
    Delay(Duration),
    /// Handles the request once the gate is open.
    Hold(Gate),
    /// Handles the request at once and holds its answer back until the gate is open.
    HoldAnswer(Gate),
    /// Handles the request once the gate is open, even if its client has gone by then. Stands for a request that is
    /// still on its way behind a proxy.
    HoldOnTheWay(Gate),
    /// Refuses new connections, and closes each open one as soon as it is idle. The request itself goes on, and
    /// whatever its client sends next is refused. Ends with
    /// [`Server::restart`](crate::simulator::http::Server::restart).
    Shut,
    /// Sends this answer. The request is not handled.
    Answer(Answer),
    /// Sends a 404 that is not the service's own answer for a missing object. The request is not handled.
    Foreign404(Foreign404),
    /// Handles the request and sends this answer instead, like a proxy whose upstream was reset after it did the work.
    AnswerAfterHandling(Answer),
    /// Sends this answer at once and handles the request after this time, like a proxy that gave up on a request that
    /// still runs.
    AnswerMeanwhile(Answer, Duration),
    /// Resets the connection. The request is not handled.
    CutBeforeHandling,
    /// Handles the request, then closes the connection without an answer: the write happened, its answer is lost.
    CutAfterHandling,
    /// Handles the request and closes the connection in the middle of the answer's body.
    TruncateBody,
    /// Sends 200 and a JSON array that never ends, until the client hangs up. The request is not handled.
    EndlessBody,
    /// Writes bytes that are not HTTP and closes the connection. The request is not handled.
    Garbage,
}

impl Fault {
    /// Whether the fault decides the request, so that later rules do not apply.
    fn is_final(&self) -> bool {
        !matches!(
            self,
            Fault::Delay(_) | Fault::Hold(_) | Fault::HoldAnswer(_) | Fault::Shut
        )
    }
}

/// A 404 that proves nothing about the requested object, because its sender does not know the object. Such answers
/// often quote the request, as all of these do except [`Foreign404::Empty`]: that a 404 contains an id proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign404 {
    /// JSON of an API gateway that has no such route, in Huawei's form.
    Gateway,
    /// An HTML page from a proxy.
    Html,
    /// Plain text, as from a server that knows no such path.
    Text,
    /// JSON of another service at the same address, in Keystone's form.
    Service,
    /// Neutron's error form, about an object of another kind.
    NeutronOther,
    /// Neutron's error form without a type, as its oldest releases send it.
    NeutronUntyped,
    /// NSX's error form, with a code that does not mean absence.
    NsxOther,
    /// No body.
    Empty,
}

impl Foreign404 {
    pub const ALL: [Self; 8] = [
        Self::Gateway,
        Self::Html,
        Self::Text,
        Self::Service,
        Self::NeutronOther,
        Self::NeutronUntyped,
        Self::NsxOther,
        Self::Empty,
    ];

    /// Returns the answer to this request.
    pub(crate) fn answer(self, method: &Method, path: &str) -> Answer {
        let id = path.rsplit('/').next().unwrap_or_default();
        let json = |body: serde_json::Value| Answer::json(StatusCode::NOT_FOUND, &body);
        match self {
            Self::Gateway => json(json!({
                "error_code": "APIGW.0101",
                "error_msg": format!("The API does not exist or has not been published: {method} {path}"),
                "request_id": "5f1c0e0a9d6b4d8b",
            })),
            Self::Html => {
                let page = format!(
                    "<html><body><h1>404 Not Found</h1><p>{path} was not found</p></body></html>\n"
                );
                Answer::text(StatusCode::NOT_FOUND, "text/html", page)
            }
            Self::Text => {
                let text = format!("404 page not found: {path}\n");
                Answer::text(StatusCode::NOT_FOUND, "text/plain", text)
            }
            Self::Service => json(json!({ "error": {
                "code": 404, "title": "Not Found", "message": format!("Could not find {id}."),
            } })),
            Self::NeutronOther => json(json!({ "NeutronError": {
                "type": "PortNotFound", "message": format!("Port {id} could not be found."), "detail": "",
            } })),
            Self::NeutronUntyped => {
                json(json!({ "NeutronError": format!("No such path: {path}") }))
            }
            Self::NsxOther => json(json!({
                "httpStatus": "NOT_FOUND",
                "error_code": 100,
                "module_name": "common-services",
                "error_message": format!("{path} is not handled here"),
            })),
            Self::Empty => Answer::status(StatusCode::NOT_FOUND),
        }
    }
}

/// A gate that a test opens. It starts shut, and once open it stays open.
///
/// For tests of causality, where a delay would be a guess.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    open: CancellationToken,
    came: Hits,
}

impl Gate {
    /// Lets every waiting request pass, and every later one.
    pub fn open(&self) {
        self.open.cancel();
    }

    /// Waits until `count` requests have reached the gate. With [`Fault::HoldAnswer`], they are handled by then.
    pub async fn reached(&self, count: u32) {
        self.came.reach(count).await;
    }

    pub(crate) async fn pass(&self) {
        self.came.strike();
        self.open.cancelled().await;
    }
}

/// A complete HTTP answer, sent in place of the handler's.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A status without a body.
    pub fn status(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A status with a JSON body.
    pub fn json(status: StatusCode, body: &serde_json::Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// A status with a body of any content type.
    ///
    /// # Panics
    /// If `content_type` is not a valid header value.
    pub fn text(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut answer = Self {
            body: body.into(),
            ..Self::status(status)
        };
        let content_type =
            HeaderValue::from_str(content_type).expect("a content type is a header value");
        answer.headers.push((CONTENT_TYPE, content_type));
        answer
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds `Retry-After`, in seconds.
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 502 with an HTML page, as a proxy in front of the cloud sends it.
    pub fn html_bad_gateway() -> Self {
        let page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n";
        Self::text(StatusCode::BAD_GATEWAY, "text/html", page)
    }

    /// 503 with an HTML page, as a proxy sends it that has no upstream, or has lost the one it asked.
    pub fn html_unavailable() -> Self {
        let page = "<html><body><h1>503 Service Unavailable</h1></body></html>\n";
        Self::text(StatusCode::SERVICE_UNAVAILABLE, "text/html", page)
    }

    /// 307 to another address. A client that sends its credentials there has leaked them.
    ///
    /// # Panics
    /// If `location` is not a valid header value.
    pub fn redirect(location: &str) -> Self {
        let location = HeaderValue::from_str(location).expect("an address is a header value");
        Self::status(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, location)
    }

    /// 200 with JSON's content type and `levels` nested arrays.
    pub fn deep_json(levels: usize) -> Self {
        let body = ["[".repeat(levels), "]".repeat(levels)].concat();
        Self::text(StatusCode::OK, "application/json", body)
    }

    /// 200 with one JSON string of this many megabytes.
    pub fn big_json(megabytes: usize) -> Self {
        let body = ["\"", &"x".repeat(megabytes << 20), "\""].concat();
        Self::text(StatusCode::OK, "application/json", body)
    }
}

#[derive(Debug)]
struct Active {
    rule: Rule,
    hits: Hits,
}

/// Whether the pieces of `pattern` between its `*` occur in `text` in that order.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, to_the_end) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let (pieces, last) = pattern
        .rsplit_once('*')
        .map_or((None, pattern), |(pieces, last)| (Some(pieces), last));
    let mut rest = text;
    for piece in pieces.into_iter().flat_map(|pieces| pieces.split('*')) {
        match rest.find(piece) {
            Some(start) => rest = &rest[start + piece.len()..],
            None => return false,
        }
    }
    if to_the_end {
        rest.ends_with(last)
    } else {
        rest.contains(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_anywhere_unless_it_says_where_it_ends() {
        for (pattern, path, expected) in [
            ("", "/a", true),
            ("/sessions", "/vpn/sessions/7/state", true),
            ("/sessions$", "/vpn/sessions/7/state", false),
            ("/sessions$", "/vpn/sessions", true),
            ("/sessions/*/state", "/vpn/sessions/7/state", true),
            ("/sessions/*/state", "/vpn/sessions/7", false),
            ("/sessions/*$", "/vpn/sessions/7", true),
            ("/sessions/*$", "/vpn/sessions", false),
            ("/a*/a$", "/a", false),
        ] {
            assert_eq!(glob(pattern, path), expected, "{pattern} in {path}");
        }
    }

    #[test]
    fn a_rule_strikes_as_often_as_it_says_after_those_it_spares() {
        let faults = Faults::default();
        let hits = faults.inject(
            Rule::on(Method::GET, "/x", Fault::CutBeforeHandling)
                .after(1)
                .times(2),
        );
        let struck: Vec<_> = (0..5)
            .map(|_| faults.strike(&Method::GET, "/x", "").len())
            .collect();
        assert_eq!(struck, [0, 1, 1, 0, 0]);
        assert_eq!(hits.count(), 2);
        assert!(faults.strike(&Method::POST, "/x", "").is_empty());
    }

    #[test]
    fn waiting_adds_up_and_the_first_other_fault_decides() {
        let faults = Faults::default();
        faults.inject(Rule::any(Fault::Delay(Duration::from_millis(1))));
        faults.inject(Rule::any(Fault::CutAfterHandling).times(1));
        let late = faults.inject(Rule::any(Fault::Garbage));
        let struck = faults.strike(&Method::GET, "/", "");
        assert!(matches!(
            struck[..],
            [Fault::Delay(_), Fault::CutAfterHandling]
        ));
        assert_eq!(late.count(), 0);
        assert!(matches!(
            faults.strike(&Method::GET, "/", "")[..],
            [Fault::Delay(_), Fault::Garbage]
        ));
    }

    #[test]
    fn writes_are_counted_together_and_reads_are_not() {
        let faults = Faults::default();
        let hits = faults.inject(Rule::writes("/vpn/", Fault::Garbage).after(1));
        for (method, path) in [
            (Method::GET, "/vpn/x"),
            (Method::POST, "/login"),
            (Method::POST, "/vpn/x"),
            (Method::PUT, "/vpn/x"),
            (Method::HEAD, "/vpn/x"),
            (Method::DELETE, "/vpn/x"),
        ] {
            faults.strike(&method, path, "");
        }
        assert_eq!(hits.count(), 2, "all but the first of three");
    }

    #[test]
    fn a_query_narrows_a_rule() {
        let faults = Faults::default();
        faults.inject(Rule::at("/state", Fault::Garbage).query("request_id="));
        assert!(faults.strike(&Method::GET, "/state", "").is_empty());
        assert_eq!(
            faults.strike(&Method::GET, "/state", "request_id=1").len(),
            1
        );
    }
}
