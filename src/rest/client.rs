//! Sends one request: within its deadline, its size limit and its account's budget, and to no server that does not answer.

use crate::{
    account::Priority,
    rest::{
        answer::{Answer, Carried, Failure, FailureKind, Sent},
        budget::Budget,
        circuit::{Asker, Circuits},
        counts::{self, Counts},
        request::Request,
        retry::{self, Outcome, Retries},
        transport::{Network, Options, Transport},
    },
    spans,
};
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Instrument, Span, field::Empty};

/// A request has the backend's whole timeout before it if no more than this part of that is missing. Who asks with that
/// timeout has said so a moment ago, and may have waited for the budget since.
const SLACK: f64 = 0.1;

/// HTTP to one cloud with one account.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    budget: Arc<Budget>,
    timeout: Duration,
    /// The backend's name, for metrics, spans and the log.
    backend: Arc<str>,
    account_lasts: bool,
    retries: Arc<Retries>,
    circuits: Arc<Circuits>,
    /// From 0 to 1.
    random: fn() -> f64,
    counts: Arc<Counts>,
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
        let transport = network.open(options)?;
        Ok(Client::over(transport, options, budget, fastrand::f64))
    }

    /// A client over `transport`; `random` answers from 0 to 1.
    fn over(
        transport: Arc<dyn Transport>,
        options: &Options,
        budget: Arc<Budget>,
        random: fn() -> f64,
    ) -> Client {
        Client {
            transport,
            budget,
            timeout: options.timeout,
            backend: Arc::clone(&options.backend),
            account_lasts: options.account_lasts,
            retries: Arc::new(Retries::new(&options.backend)),
            circuits: Arc::new(Circuits::new(random)),
            counts: Arc::new(Counts::new(&options.backend)),
            random,
        }
    }

    /// Whether what is known of its account is to outlive it.
    pub fn account_lasts(&self) -> bool {
        self.account_lasts
    }

    /// The name of the backend that is reached with it.
    pub fn backend(&self) -> &Arc<str> {
        &self.backend
    }

    /// The account's budget.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Whether each of its servers is asked.
    pub fn circuits(&self) -> &Circuits {
        &self.circuits
    }

    /// Sends a request and reads its answer whole.
    ///
    /// A GET whose connection breaks before its answer is whole is sent once more, as far as the retry budget goes
    /// ([`retry`]). Nothing else is repeated. 429 and 503 slow the account down. A server that has not answered for a
    /// while is not asked ([`circuit`](crate::rest::circuit)).
    ///
    /// # Errors
    /// If there is no whole answer before `deadline` and the backend's own timeout.
    pub async fn send(
        &self,
        request: Request,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let answer = self.exchange(request, priority, deadline).await?;
        self.heed(&answer);
        Ok(answer)
    }

    /// Slows the account down if this answer asks for patience (429, 503).
    pub fn heed(&self, answer: &Answer) {
        if answer.asks_to_back_off() {
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
        priority: Priority,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let _counted = self.retries.request();
        let failure = match self.attempt(&request, priority, deadline, 0).await {
            Err(failure) if retry::may_help(&request.method, &failure) => failure,
            other => return other,
        };
        let Some(_again) = self.retries.again() else {
            self.retries.count(Outcome::NoBudget);
            return Err(failure);
        };
        let pause = retry::pause((self.random)());
        if Instant::now() + pause >= deadline {
            self.retries.count(Outcome::NoTime);
            return Err(failure);
        }
        sleep(pause).await;
        let asker = Asker::new(priority, true);
        if self.circuits.check(&request.url, asker).is_err() {
            self.retries.count(Outcome::CircuitOpen);
            return Err(failure);
        }
        self.retries.count(Outcome::Repeated);
        self.attempt(&request, priority, deadline, 1).await
    }

    /// Sends it, if its server is asked, as soon as the budget allows it; it was sent so many times before.
    async fn attempt(
        &self,
        request: &Request,
        priority: Priority,
        deadline: Instant,
        resent: u32,
    ) -> Result<Answer, Failure> {
        // There is no need to wait for what would be refused.
        self.circuits
            .check(&request.url, self.asker(priority, deadline))?;
        let asked = Instant::now();
        let leave = self.budget.acquire(priority, deadline).await;
        let waited = asked.elapsed();
        self.counts.waited(priority, waited, leave.is_ok());
        let _leave = leave.map_err(Failure::from)?;
        let latest = Instant::now() + self.timeout;
        let asker = self.asker(priority, deadline);
        let pass = self.circuits.enter(&request.url, asker)?;
        let result = self.sent(request, deadline.min(latest), resent).await;
        pass.ended(&result);
        result
    }

    /// Who asks now, for a circuit.
    fn asker(&self, priority: Priority, deadline: Instant) -> Asker {
        let whole = self.timeout.mul_f64(1.0 - SLACK);
        Asker::new(priority, deadline >= Instant::now() + whole)
    }

    /// Sends it now.
    async fn sent(
        &self,
        request: &Request,
        deadline: Instant,
        resent: u32,
    ) -> Result<Answer, Failure> {
        let begun = Instant::now();
        let span = spans::child(|| self.span(request));
        if resent > 0 {
            span.record("http.request.resend_count", resent);
        }
        let sent = span.in_scope(|| in_trace(request));
        let result = timeout_at(deadline, self.transport.exchange(&sent))
            .instrument(span.clone())
            .await;
        let mut result = result.unwrap_or_else(|_| {
            Err(Failure {
                kind: FailureKind::Deadline,
                sent: Sent::Maybe,
                message: "no whole answer before the deadline".to_owned(),
            })
        });
        self.counts.ended(request, begun.elapsed(), &result);
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
                if !answer.asks_to_back_off() {
                    self.budget.answered();
                }
            }
            Err(failure) => {
                span.record("otel.status_code", "ERROR");
                span.record("error.type", counts::word(failure.kind));
            }
        }
        result
    }

    fn span(&self, request: &Request) -> Span {
        tracing::info_span!(
            "upstream",
            otel.name = %request.method,
            otel.kind = "client",
            isthmus.backend = &*self.backend,
            http.request.method = %request.method,
            http.request.resend_count = Empty,
            otel.status_code = Empty,
            server.address = request.url.host_str().unwrap_or_default(),
            server.port = request.url.port_or_known_default(),
            url.path = request.url.path(),
            http.response.status_code = Empty,
            error.type = Empty,
        )
    }
}

/// The request as it is sent: it says in which trace it is, if it is in one.
fn in_trace(request: &Request) -> Cow<'_, Request> {
    let mut request = Cow::Borrowed(request);
    if spans::current().is_some() {
        spans::inject(&mut request.to_mut().headers);
    }
    request
}

#[cfg(test)]
mod tests;
