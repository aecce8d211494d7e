//! Sends requests to the managers of one cluster, with the login, to whichever manager answers.

pub use crate::rest::request::Ask;

use crate::{
    account::Usage,
    core::{
        dialect::Call,
        error::{Error, ErrorKind, Upstream, Violation},
        home::Home,
    },
    dialects::{
        login::{NoAnswer, NoTicket},
        nsx::{
            api_error,
            auth::{self, Auth, Ticket},
            config::{Config, LIMITS},
        },
        refusal::LOGIN_REFUSED,
    },
    rest::{
        answer::{Answer, Failure, FailureKind, Sent},
        budget::{Budget, Limits},
        client,
        transport::Network,
    },
};
use reqwest::Url;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::time::Instant;

/// The managers of one cluster, reached with one account.
#[derive(Debug)]
pub struct Client {
    http: client::Client,
    /// The URL of the API at each manager.
    apis: Vec<Url>,
    /// The index of the manager that answered last. The others are asked only when it cannot answer.
    current: AtomicUsize,
    auth: Auth,
}

impl Client {
    /// Creates a client of the API at the path `api`. It has not logged in. Sends nothing.
    ///
    /// # Errors
    /// The settings that do not work, by configuration key.
    pub fn new(config: Config, api: &str, network: &dyn Network) -> Result<Client, Vec<Violation>> {
        let limits = Limits {
            concurrency: auth::at_once(&config.login).min(LIMITS.concurrency),
            ..LIMITS
        };
        let budget = Arc::new(Budget::new(limits));
        let http = client::Client::new(network, &config.options, budget)
            .map_err(|what| vec![Violation::new("ca_file", what)])?;
        let at_manager = |manager: &Url| {
            let mut url = manager.clone();
            url.set_path(api);
            url
        };
        let apis = config.managers.iter().map(at_manager).collect();
        let auth = Auth::new(config.login, config.managers, http.clone())
            .map_err(|what| vec![Violation::new("auth", what)])?;
        Ok(Client {
            http,
            apis,
            current: AtomicUsize::new(0),
            auth,
        })
    }

    /// The addresses of the managers.
    pub fn place(&self) -> String {
        self.origins().collect::<Vec<_>>().join(", ")
    }

    /// Where its objects live: every manager of a cluster has all of them.
    pub fn home(&self) -> Home {
        Home::at(self.origins())
    }

    fn origins(&self) -> impl Iterator<Item = String> {
        let each = self.apis.iter();
        each.map(|url| url.origin().ascii_serialization())
    }

    /// How much of the account's budget is used.
    pub fn usage(&self) -> Usage {
        let mut used = self.http.budget().used();
        used.login_rest = self.auth.logins().rest();
        // Where few requests may be in flight, the others wait in the login.
        if let Some(few) = self.auth.few() {
            used.outcome.waiting += few.outcome.waiting;
            used.callers.waiting += few.callers.waiting;
            used.stable.waiting += few.stable.waiting;
        }
        // The cloud answers as long as one manager does.
        let circuits = self.apis.iter().map(|api| self.http.circuits().of(api));
        used.circuit = circuits.min().unwrap_or_default();
        used
    }

    /// Sends a request and reads its answer, whatever its status.
    ///
    /// A manager fails a request if it cannot be reached, does not answer within the backend's timeout, is overloaded
    /// or broken (429, 500, 502, 503, 504), or redirects (301, 307). The next manager is then the first choice for
    /// later requests. While there is time, it also gets this request: a read always, a write only if it certainly was
    /// not begun. Each node counts requests by itself, as its HTTP service is configured by itself
    /// (`/api/v1/node/services/http`), so the account slows down only if no manager answers.
    ///
    /// A refused login is renewed once where that is possible, and tried once more some seconds later while there is
    /// time: a request that is refused as a login was not begun.
    ///
    /// # Errors
    /// Fails if no manager gave a whole answer in time, or if the login is refused.
    pub async fn send(&self, ask: Ask<'_>, call: &Call) -> Result<Answer, NoAnswer> {
        let send = |renews| self.send_at_once(&ask, renews, call);
        let is_refused = |answer: &Result<Answer, NoAnswer>| match answer {
            Ok(answer) => api_error::is_login_refused(answer),
            Err(none) => none.error.kind == ErrorKind::BackendAuth,
        };
        let logins = self.auth.logins();
        logins.send(call.deadline, send, is_refused).await
    }

    async fn send_at_once(
        &self,
        ask: &Ask<'_>,
        renews: bool,
        call: &Call,
    ) -> Result<Answer, NoAnswer> {
        let first = self.current.load(Ordering::Relaxed);
        let count = self.apis.len();
        let (mut failure, mut away) = (None, None);
        for step in 0..count {
            let index = (first + step) % count;
            match self.send_to(index, ask, renews, call).await {
                Ok(answer) => {
                    let is_read = ask.is_read();
                    if !api_error::is_of_its_manager(&answer, is_read) {
                        if step > 0 {
                            self.current.store(index, Ordering::Relaxed);
                        }
                        if api_error::is_of_its_manager(&answer, true) {
                            // A write in doubt is sent to no other manager. Later requests are.
                            match count {
                                1 => self.http.heed(&answer),
                                _ => self.leave(index),
                            }
                        }
                        return Ok(answer);
                    }
                    away.get_or_insert(Ok(answer));
                }
                Err(NoTicket::Away(said)) => {
                    away.get_or_insert(Err(said));
                }
                Err(refused @ NoTicket::Refused(_)) => return Err(refused.into()),
                Err(NoTicket::Unanswered(failed)) => {
                    let in_time = Instant::now() < call.deadline;
                    let next_may_help = in_time && another_may_answer(&failed, ask.is_read());
                    if in_time && is_of_its_manager(&failed) {
                        self.leave(index);
                    }
                    let is_in_doubt = failed.sent == Sent::Maybe && !ask.is_read();
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
        Err(failure.into())
    }

    /// Returns the first answer that a manager gave when none of them served the request or logged in for it.
    fn given_up(&self, away: Result<Answer, Box<(Answer, Error)>>) -> Result<Answer, NoAnswer> {
        match &away {
            Ok(answer) => self.http.heed(answer),
            Err(said) => self.http.heed(&said.0),
        }
        away.map_err(|said| NoTicket::Away(said).into())
    }

    /// Starts later requests with the next manager, unless another task has moved on already.
    fn leave(&self, index: usize) {
        let next = (index + 1) % self.apis.len();
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
        let send = async |ticket: &Ticket| {
            let mut request = ask.at(&self.apis[index]);
            request.headers.extend(ticket.headers().clone());
            let answer = self.http.exchange(request, call.priority, call.deadline);
            answer.await.map_err(NoTicket::Unanswered)
        };
        let (mut ticket, _leave) = self.auth.ticket(index, call).await?;
        let mut sent = Instant::now();
        let mut answer = send(&ticket).await?;
        let mut renews = renews || self.auth.is_with_each();
        while api_error::is_login_refused(&answer)
            && renews
            && let Some(renewed) = self.auth.renewed(&ticket, index, call).await?
        {
            sent = Instant::now();
            renews = self.auth.is_with_each();
            ticket = renewed;
            answer = send(&ticket).await?;
        }
        if api_error::is_login_refused(&answer) {
            self.auth.refused(ticket.tried(sent), said(&answer, ask));
        } else {
            self.auth.accepted(&ticket, sent);
        }
        Ok(answer)
    }
}

/// Reports whether the failure says that this manager is unhealthy. A manager that accepts connections and never
/// answers is unhealthy, too.
fn is_of_its_manager(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Connect
        | FailureKind::Broken
        | FailureKind::Deadline
        | FailureKind::CircuitOpen(_) => true,
        FailureKind::Budget(_) | FailureKind::TooLarge => false,
    }
}

fn another_may_answer(failure: &Failure, is_read: bool) -> bool {
    is_of_its_manager(failure) && (failure.sent == Sent::No || is_read)
}

/// What the cloud said when it refused the login. Its own text is left out if the request had a body, which the text
/// may quote.
fn said(answer: &Answer, ask: &Ask<'_>) -> Upstream {
    let refused = api_error::refused(answer, LOGIN_REFUSED, &[])
        .context
        .upstream;
    refused
        .filter(|_| !ask.has_body())
        .unwrap_or_else(|| api_error::wordless(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(another_may_answer(&connect, false));
        assert!(another_may_answer(&broken, true));
        assert!(!another_may_answer(&broken, false));
        assert!(another_may_answer(&late, true));
        assert!(!another_may_answer(&late, false));
        let large = failure(FailureKind::TooLarge, Sent::Maybe);
        assert!(!another_may_answer(&large, true));
    }
}
