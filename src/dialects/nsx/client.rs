//! Sends to the managers of one cluster: with the login, to whichever manager answers.

use crate::{
    core::{
        dialect::{Call, Usage},
        error::{Error, ErrorKind, Upstream, Violation},
    },
    dialects::nsx::{
        auth::{self, Auth, NoTicket, Place},
        config::{Config, LIMITS},
        error::{self, Asked},
    },
    rest::{
        budget::{Budget, Limits},
        client::{self, Answer, Failure, FailureKind, Request, Sent},
        transport::Network,
    },
};
use bytes::Bytes;
use http::{
    HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use reqwest::Url;
use serde_json::{Map, Value};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::time::{Instant, sleep_until};

/// The collection of sessions.
pub const SESSIONS: &str = "sessions";
/// The collection of peer endpoints.
pub const PEER_ENDPOINTS: &str = "peer-endpoints";

/// The managers of one cluster, reached with one account.
#[derive(Debug)]
pub struct Client {
    http: client::Client,
    managers: Vec<Url>,
    /// The manager that answered last; the others are asked only when it cannot.
    current: AtomicUsize,
    auth: Auth,
}

/// What is asked, below `/api/v1/vpn/ipsec`.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'a str, &'a str)>,
    body: Option<Bytes>,
}

impl<'a> Ask<'a> {
    /// A request for what stands at this path; each part is one segment, whatever characters it has.
    pub fn get(path: impl Into<Vec<&'a str>>) -> Ask<'a> {
        Ask {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
        }
    }

    /// A request to make an object.
    pub fn post(path: impl Into<Vec<&'a str>>, body: &Map<String, Value>) -> Ask<'a> {
        Ask {
            method: Method::POST,
            body: Some(bytes(body)),
            ..Ask::get(path)
        }
    }

    /// A request to replace an object.
    pub fn put(path: impl Into<Vec<&'a str>>, body: &Map<String, Value>) -> Ask<'a> {
        Ask {
            method: Method::PUT,
            body: Some(bytes(body)),
            ..Ask::get(path)
        }
    }

    /// A request to remove an object.
    pub fn delete(path: impl Into<Vec<&'a str>>) -> Ask<'a> {
        Ask {
            method: Method::DELETE,
            ..Ask::get(path)
        }
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn with(mut self, key: &'a str, value: &'a str) -> Ask<'a> {
        self.query.push((key, value));
        self
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub struct NoAnswer {
    /// What it means.
    pub error: Error,
    /// Whether the cloud may have acted on the request.
    pub sent: Sent,
}

impl Client {
    /// A client over `network` that has not logged in yet. Sends nothing.
    ///
    /// # Errors
    /// The settings that do not work, by configuration key.
    pub fn new(config: Config, network: &dyn Network) -> Result<Client, Vec<Violation>> {
        let limits = Limits {
            concurrency: auth::at_once(&config.login).min(LIMITS.concurrency),
            ..LIMITS
        };
        let budget = Arc::new(Budget::new(limits));
        let http = client::Client::new(network, &config.options, budget)
            .map_err(|what| vec![Violation::new("ca_file", what)])?;
        let auth = Auth::new(config.login, config.managers.len())
            .map_err(|what| vec![Violation::new("auth", what)])?;
        Ok(Client {
            http,
            managers: config.managers,
            current: AtomicUsize::new(0),
            auth,
        })
    }

    /// How much of the account's budget is used.
    pub fn usage(&self) -> Usage {
        let mut used = self.http.budget().used();
        // Where requests at the same time are few, they wait for their turn with the login.
        if let Some(few) = self.auth.few() {
            used.outcome.waiting += few.outcome.waiting;
            used.callers.waiting += few.callers.waiting;
            used.stable.waiting += few.stable.waiting;
        }
        used
    }

    /// Sends a request and reads its answer, whatever its status.
    ///
    /// If the manager cannot be reached, does not answer within the backend's timeout, or is overloaded or broken
    /// (429, 500, 502, 503, 504) or sends elsewhere (301, 307), the next one is the first choice from then on, and is
    /// asked at once while there is time: with a read always, with a write only if it certainly was not begun. Each
    /// node counts requests by itself, as its HTTP service is set up by itself (`/api/v1/node/services/http`), so the
    /// account is slowed down only if none of them answers. A refused login is renewed once where that is possible,
    /// and asked once more some seconds later while there is time: what is refused as a login was not begun.
    ///
    /// # Errors
    /// If no manager gave a whole answer in time, or the login is refused.
    pub async fn send(&self, ask: Ask<'_>, call: &Call) -> Result<Answer, NoAnswer> {
        let mut renews = true;
        loop {
            let answer = self.send_at_once(&ask, renews, call).await;
            // Every ticket from now on is fresh.
            renews = false;
            let is_refused = match &answer {
                Ok(answer) => error::is_login_refused(answer),
                Err(none) => none.error.kind == ErrorKind::BackendAuth,
            };
            match self.auth.again_before(call.deadline) {
                Some(again) if is_refused => sleep_until(again).await,
                _ => return answer,
            }
        }
    }

    async fn send_at_once(
        &self,
        ask: &Ask<'_>,
        renews: bool,
        call: &Call,
    ) -> Result<Answer, NoAnswer> {
        let first = self.current.load(Ordering::Relaxed);
        let count = self.managers.len();
        let (mut failure, mut away) = (None, None);
        for step in 0..count {
            let index = (first + step) % count;
            match self.send_to(index, ask, renews, call).await {
                Ok(answer) => {
                    let is_read = ask.method == Method::GET;
                    if !error::is_of_its_manager(&answer, is_read) {
                        if step > 0 {
                            self.current.store(index, Ordering::Relaxed);
                        }
                        if error::is_of_its_manager(&answer, true) {
                            // A write in doubt is asked of nobody else; what comes next is.
                            match count {
                                1 => self.http.heed(&answer),
                                _ => self.leave(index),
                            }
                        }
                        return Ok(answer);
                    }
                    away.get_or_insert(Away::Asked(answer));
                }
                Err(NoTicket::Away(said)) => {
                    away.get_or_insert(Away::LoggingIn(said));
                }
                Err(NoTicket::Refused(error)) => {
                    return Err(NoAnswer {
                        error,
                        sent: Sent::No,
                    });
                }
                Err(NoTicket::Unanswered(failed)) => {
                    let in_time = Instant::now() < call.deadline;
                    let next_may_help = in_time && another_may_answer(&failed, &ask.method);
                    if in_time && is_of_its_manager(&failed) {
                        self.leave(index);
                    }
                    let is_in_doubt = failed.sent == Sent::Maybe && ask.method != Method::GET;
                    if is_in_doubt {
                        away = None;
                    }
                    failure = Some(failed);
                    if !next_may_help {
                        break;
                    }
                }
            }
        }
        if let Some(away) = away {
            return self.given_up(away);
        }
        let failure =
            failure.expect("there is at least one manager, and each either answers or fails");
        Err(NoAnswer {
            error: error::unanswered(&failure),
            sent: failure.sent,
        })
    }

    /// No manager does what was asked; the first to say so speaks for all.
    fn given_up(&self, away: Away) -> Result<Answer, NoAnswer> {
        match away {
            Away::Asked(answer) => {
                self.http.heed(&answer);
                Ok(answer)
            }
            Away::LoggingIn(said) => {
                let (answer, error) = *said;
                self.http.heed(&answer);
                Err(NoAnswer {
                    error,
                    sent: Sent::No,
                })
            }
        }
    }

    /// Begins with the next manager from now on, unless somebody else has moved on already.
    fn leave(&self, index: usize) {
        let next = (index + 1) % self.managers.len();
        let _ = self
            .current
            .compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    async fn send_to(
        &self,
        index: usize,
        ask: &Ask<'_>,
        renews: bool,
        call: &Call,
    ) -> Result<Answer, NoTicket> {
        let priority = call.priority;
        let place = Place {
            http: &self.http,
            index,
            manager: &self.managers[index],
            priority,
            deadline: call.deadline,
        };
        let send = async |headers: &http::HeaderMap| {
            let mut request = request(&self.managers[index], ask);
            request.headers.extend(headers.clone());
            let answer = self.http.exchange(request, priority, call.deadline).await;
            answer.map_err(NoTicket::Unanswered)
        };
        let (ticket, _alone) = self.auth.ticket(place).await?;
        let mut sent = Instant::now();
        let answer = send(ticket.headers()).await?;
        if !error::is_login_refused(&answer) {
            self.auth.answered(sent);
            return Ok(answer);
        }
        let renewed = match renews {
            true => self.auth.renewed(&ticket, place).await?,
            false => None,
        };
        let answer = match renewed {
            Some(ticket) => {
                sent = Instant::now();
                send(ticket.headers()).await?
            }
            None => answer,
        };
        if error::is_login_refused(&answer) {
            self.auth.refused(sent, said(&answer, ask));
        } else {
            self.auth.answered(sent);
        }
        Ok(answer)
    }
}

/// What a manager said that cannot do what was asked.
enum Away {
    /// To the request.
    Asked(Answer),
    /// To the login before it.
    LoggingIn(Box<(Answer, Error)>),
}

/// Whether it tells that this manager is not well. One that takes connections and never answers is away, too.
fn is_of_its_manager(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Connect | FailureKind::Broken | FailureKind::Deadline => true,
        FailureKind::Budget(_) | FailureKind::TooLarge => false,
    }
}

fn another_may_answer(failure: &Failure, method: &Method) -> bool {
    is_of_its_manager(failure) && (failure.sent == Sent::No || *method == Method::GET)
}

/// What the cloud said when it refused the login: in its words, unless the request carried what they may quote.
fn said(answer: &Answer, ask: &Ask<'_>) -> Upstream {
    let refused = error::refused(answer, Asked::Read, &[]).context.upstream;
    refused
        .filter(|_| ask.body.is_none())
        .unwrap_or_else(|| error::wordless(answer))
}

fn request(manager: &Url, ask: &Ask<'_>) -> Request {
    let mut url = manager.clone();
    url.path_segments_mut()
        .expect("a manager's address has a host, so it has a path")
        .clear()
        .extend(["api", "v1", "vpn", "ipsec"])
        .extend(&ask.path);
    if !ask.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&ask.query);
    }
    let mut request = Request::new(ask.method.clone(), url);
    let json = HeaderValue::from_static("application/json");
    request.headers.insert(ACCEPT, json.clone());
    if let Some(body) = &ask.body {
        request.headers.insert(CONTENT_TYPE, json);
        request.body = Some(body.clone());
    }
    request
}

fn bytes(body: &Map<String, Value>) -> Bytes {
    Bytes::from(serde_json::to_vec(body).expect("JSON values can always be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment() {
        let manager = Url::parse("https://nsx.example").unwrap();
        let ask = Ask::get([SESSIONS, "a/b?c#d e", "state"]).with("request_id", "x&y");
        let request = request(&manager, &ask);
        assert_eq!(
            request.url.as_str(),
            "https://nsx.example/api/v1/vpn/ipsec/sessions/a%2Fb%3Fc%23d%20e/state?request_id=x%26y"
        );
    }

    #[test]
    fn only_what_was_not_sent_goes_to_another_manager_twice() {
        let failure = |kind, sent| Failure {
            kind,
            sent,
            message: String::new(),
        };
        let connect = failure(FailureKind::Connect, Sent::No);
        let broken = failure(FailureKind::Broken, Sent::Maybe);
        let late = failure(FailureKind::Deadline, Sent::Maybe);
        assert!(another_may_answer(&connect, &Method::POST));
        assert!(another_may_answer(&broken, &Method::GET));
        assert!(!another_may_answer(&broken, &Method::PUT));
        assert!(another_may_answer(&late, &Method::GET));
        assert!(!another_may_answer(&late, &Method::POST));
        let large = failure(FailureKind::TooLarge, Sent::Maybe);
        assert!(!another_may_answer(&large, &Method::GET));
    }
}
