//! The requests that a simulated cloud received, so that tests can count them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, Method, Request, StatusCode};

/// The request log of a server. Clones share one log.
#[derive(Clone, Debug, Default)]
pub struct RequestLog(Arc<Mutex<Log>>);

impl RequestLog {
    /// The newest requests, oldest first, at most [`RequestLog::KEPT`] of them.
    pub fn all(&self) -> Vec<Seen> {
        self.log().newest.iter().cloned().collect()
    }

    /// The number of requests with this method and a path that starts with `path_prefix`.
    ///
    /// Counts every request that arrived, handled or not.
    pub fn count(&self, method: &Method, path_prefix: &str) -> u64 {
        let log = self.log();
        let matching = log
            .counts
            .iter()
            .filter(|((m, path), _)| m == method && path.starts_with(path_prefix));
        matching.map(|(_, count)| count).sum()
    }

    /// The number of requests that have arrived.
    pub fn total(&self) -> u64 {
        self.log().counts.values().sum()
    }

    /// The highest number of requests in flight at one time. Held and delayed requests count.
    pub fn in_flight_max(&self) -> usize {
        self.log().in_flight_max
    }

    /// The number of requests in flight.
    pub fn in_flight(&self) -> usize {
        self.log().in_flight
    }

    /// Forgets everything except the requests in flight.
    pub fn clear(&self) {
        let mut log = self.log();
        log.newest.clear();
        log.counts.clear();
        log.in_flight_max = log.in_flight;
    }

    /// How many requests are kept individually. Beyond that, only the counts grow, one number for each method and path.
    pub const KEPT: usize = 10_000;

    pub(crate) fn arrived(&self, seen: Seen) -> InFlight {
        let mut log = self.log();
        *log.counts
            .entry((seen.method.clone(), seen.path.clone()))
            .or_default() += 1;
        if log.newest.len() == Self::KEPT {
            log.newest.pop_front();
        }
        log.newest.push_back(seen);
        log.arrived += 1;
        log.in_flight += 1;
        log.in_flight_max = log.in_flight_max.max(log.in_flight);
        InFlight {
            log: self.clone(),
            number: log.arrived,
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0
            .lock()
            .expect("no code panics while it holds the log")
    }
}

/// One request as it arrived. The log notes that credentials were present, and never keeps them.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When its head had been read.
    pub at: Instant,
    pub method: Method,
    /// Undecoded path.
    pub path: String,
    /// Undecoded query. Empty if there is none.
    pub query: String,
    /// Headers that carry no secret: content type, accept, user agent, trace context and request ids.
    pub headers: HeaderMap,
    /// The scheme of `Authorization`, such as `Basic`. `None` if the header is absent.
    pub authorization: Option<String>,
    /// Names of the other credential headers that were present, in lower case.
    pub credentials: Vec<String>,
    /// A hash of the body as far as it was read. Distinguishes bodies without revealing their content.
    pub body: u64,
    /// The status of the cloud's own answer. `None` until then, or if a fault intervened.
    pub answered: Option<StatusCode>,
}

impl Seen {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let mut headers = HeaderMap::new();
        for name in HARMLESS.iter().map(|name| HeaderName::from_static(name)) {
            for value in request.headers().get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
        let scheme = |value: &http::HeaderValue| {
            value
                .to_str()
                .ok()
                .and_then(|value| value.split_once(' '))
                .map(|(scheme, _)| scheme.to_owned())
        };
        let credentials = SECRET
            .iter()
            .filter(|name| request.headers().contains_key(**name));
        Self {
            at: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers,
            authorization: request
                .headers()
                .get(AUTHORIZATION)
                .map(|value| scheme(value).unwrap_or_else(|| "(none)".to_owned())),
            credentials: credentials.map(|name| (*name).to_owned()).collect(),
            body: FNV_START,
            answered: None,
        }
    }
}

#[derive(Debug, Default)]
struct Log {
    newest: VecDeque<Seen>,
    /// The number of requests that ever arrived, which is the number of the newest.
    arrived: u64,
    counts: HashMap<(Method, String), u64>,
    in_flight: usize,
    in_flight_max: usize,
}

impl Log {
    /// The request with this number, if it is still kept.
    fn numbered(&mut self, number: u64) -> Option<&mut Seen> {
        let behind = usize::try_from(self.arrived - number).ok()?;
        let place = self.newest.len().checked_sub(behind + 1)?;
        self.newest.get_mut(place)
    }
}

/// Counts its request as in flight until it is dropped.
pub(crate) struct InFlight {
    log: RequestLog,
    number: u64,
}

impl InFlight {
    /// Records the status of the cloud's own answer.
    pub(crate) fn answered(&self, status: StatusCode) {
        if let Some(seen) = self.log.log().numbered(self.number) {
            seen.answered = Some(status);
        }
    }

    /// Returns a callback that adds each piece of the body to the request's hash.
    pub(crate) fn reading(&self) -> impl FnMut(&[u8]) + Send + 'static {
        let (log, number) = (self.log.clone(), self.number);
        move |piece| {
            if let Some(seen) = log.log().numbered(number) {
                let each = piece.iter();
                seen.body = each.fold(seen.body, |hash, byte| {
                    (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)
                });
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.log.log().in_flight -= 1;
    }
}

/// FNV-1a: the hash does not depend on the pieces in which a body arrives.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

const HARMLESS: [&str; 8] = [
    "content-type",
    "accept",
    "user-agent",
    "traceparent",
    "tracestate",
    "baggage",
    "x-nsx-requestid",
    "x-openstack-request-id",
];
const SECRET: [&str; 5] = [
    "cookie",
    "x-xsrf-token",
    "x-auth-token",
    "x-subject-token",
    "proxy-authorization",
];
