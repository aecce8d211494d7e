//! Sends one request: within its deadline, its size limit and its account's budget.

use crate::{
    account::Priority,
    rest::{
        answer::{Answer, Carried, Failure, FailureKind, Sent},
        budget::Budget,
        request::Request,
        transport::{Network, Options, Transport},
    },
};
use http::Method;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

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
        let first = self.attempt(&request, priority, deadline).await;
        match first {
            Err(failure)
                if failure.kind == FailureKind::Broken && request.method == Method::GET =>
            {
                self.attempt(&request, priority, deadline).await
            }
            other => other,
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let _leave = self
            .budget
            .acquire(priority, deadline)
            .await
            .map_err(Failure::from)?;
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
                if !answer.asks_to_back_off() {
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
