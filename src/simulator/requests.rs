//! What a simulated cloud remembers of the requests it got, so that tests can count them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, Method, Request, StatusCode};

/// What a server was asked; clones share the same log.
#[derive(Clone, Debug, Default)]
pub struct RequestLog(Arc<Mutex<Log>>);

impl RequestLog {
    /// The newest requests, oldest first; at most [`RequestLog::KEPT`].
    pub fn all(&self) -> Vec<Seen> {
        self.log().newest.iter().cloned().collect()
    }

    /// How many requests ever came with this method and a path that starts with `path_prefix`.
    ///
    /// Counts what arrived, whether handled or not.
    pub fn count(&self, method: &Method, path_prefix: &str) -> u64 {
        let log = self.log();
        let matching = log
            .counts
            .iter()
            .filter(|((m, path), _)| m == method && path.starts_with(path_prefix));
        matching.map(|(_, count)| count).sum()
    }

    /// How many requests ever came.
    pub fn total(&self) -> u64 {
        self.log().counts.values().sum()
    }

    /// The highest number of requests that were being answered at one time, those held or delayed included.
    pub fn in_flight_max(&self) -> usize {
        self.log().in_flight_max
    }

    /// The number of requests being answered now.
    pub fn in_flight(&self) -> usize {
        self.log().in_flight
    }

    /// Forgets everything but what is in flight.
    pub fn clear(&self) {
        let mut log = self.log();
        log.newest.clear();
        log.counts.clear();
        log.in_flight_max = log.in_flight;
    }

    /// How many requests are kept one by one; the counts go on beyond it, one number for each path.
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

/// One request as it arrived. Credentials are noted as present, never kept.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When its head had been read.
    pub at: Instant,
    /// Its method.
    pub method: Method,
    /// Its undecoded path.
    pub path: String,
    /// Its undecoded query; empty if it has none.
    pub query: String,
    /// Headers that carry no secret: content type, accept, user agent, trace context and request ids.
    pub headers: HeaderMap,
    /// The scheme of `Authorization`, such as `Basic`; none if the header is absent.
    pub authorization: Option<String>,
    /// Which of the other headers that carry credentials were there, in lower case.
    pub credentials: Vec<String>,
    /// Tells its body from others, as far as it was read; says nothing of what is in it.
    pub body: u64,
    /// What it was answered by the cloud itself, once it was; none if a fault stood in between.
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
    /// How many ever came: the number of the newest.
    arrived: u64,
    counts: HashMap<(Method, String), u64>,
    in_flight: usize,
    in_flight_max: usize,
}

impl Log {
    /// The request with this number, if it is still kept and was not forgotten.
    fn numbered(&mut self, number: u64) -> Option<&mut Seen> {
        let behind = usize::try_from(self.arrived - number).ok()?;
        let place = self.newest.len().checked_sub(behind + 1)?;
        self.newest.get_mut(place)
    }
}

/// Counts its request as in flight while it lives.
pub(crate) struct InFlight {
    log: RequestLog,
    number: u64,
}

impl InFlight {
    /// The cloud has answered it so.
    pub(crate) fn answered(&self, status: StatusCode) {
        if let Some(seen) = self.log.log().numbered(self.number) {
            seen.answered = Some(status);
        }
    }

    /// What notes a piece of its body that was read.
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

/// FNV-1a: it comes to the same in whatever pieces a body arrives.
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
