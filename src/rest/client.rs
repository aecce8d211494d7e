//! Sends one request within its deadline, its size limit and its account's budget, unless the circuit of its server is
//! open.

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

/// A request counts as having the backend's whole timeout if at most this share of it is missing. A caller sets that
/// timeout a moment before the request, and may wait for the budget in between.
const SLACK: f64 = 0.1;

/// An HTTP client for one cloud with one account.
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
    /// Returns from 0 to 1.
    random: fn() -> f64,
    counts: Arc<Counts>,
}

impl Client {
    /// Creates a client over `network`. It shares `budget` with all other holders of it.
    ///
    /// # Errors
    /// Names the option the network cannot use.
    pub fn new(
        network: &dyn Network,
        options: &Options,
        budget: Arc<Budget>,
    ) -> Result<Client, String> {
        let transport = network.open(options)?;
        Ok(Client::over(transport, options, budget, fastrand::f64))
    }

    /// Creates a client over `transport`. `random` returns from 0 to 1.
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

    /// Reports whether state about the account outlives this client.
    pub fn account_lasts(&self) -> bool {
        self.account_lasts
    }

    pub fn backend(&self) -> &Arc<str> {
        &self.backend
    }

    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Returns the circuits of the cloud's servers.
    pub fn circuits(&self) -> &Circuits {
        &self.circuits
    }

    /// Sends a request and reads its whole answer.
    ///
    /// A GET whose connection breaks before the whole answer arrived is retried once, if the retry budget allows it
    /// ([`retry`]). Nothing else is retried. 429 and 503 slow the account down. A server whose circuit is open is not
    /// asked ([`circuit`](crate::rest::circuit)).
    ///
    /// # Errors
    /// If no whole answer arrives before `deadline` and within the backend's own timeout.
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

    /// Slows the account down if this answer asks to back off (429, 503).
    pub fn heed(&self, answer: &Answer) {
        if answer.asks_to_back_off() {
            self.budget.throttled(answer.patience());
        }
    }

    /// Sends a request as [`Client::send`] does, but does not slow the account down. For callers that may try another
    /// server of the cloud: if no server accepts the request, they pass the answer to [`Client::heed`].
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

    /// Sends the request once the budget admits it, unless the circuit of its server is open. `resent` counts the
    /// earlier attempts.
    async fn attempt(
        &self,
        request: &Request,
        priority: Priority,
        deadline: Instant,
        resent: u32,
    ) -> Result<Answer, Failure> {
        // A request that the circuit would refuse need not wait for the budget.
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

    /// Returns the asker that the circuit judges.
    fn asker(&self, priority: Priority, deadline: Instant) -> Asker {
        let whole = self.timeout.mul_f64(1.0 - SLACK);
        Asker::new(priority, deadline >= Instant::now() + whole)
    }

    /// Sends the request without further delay.
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

/// Adds the current trace context, if there is one, to the request.
fn in_trace(request: &Request) -> Cow<'_, Request> {
    let mut request = Cow::Borrowed(request);
    if spans::current().is_some() {
        spans::inject(&mut request.to_mut().headers);
    }
    request
}

#[cfg(test)]
mod tests;
