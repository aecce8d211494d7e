//! Metrics of the requests of one account.

use crate::{
    account::Priority,
    metrics::table::{BACKEND, BUDGET_USED, BUDGET_WAIT, UPSTREAM_DURATION, UPSTREAM_THROTTLED},
    rest::{
        answer::{Answer, Failure, FailureKind},
        request::Request,
    },
};
use opentelemetry::KeyValue;
use std::{sync::Arc, time::Duration};

/// Metric attributes of one client.
#[derive(Debug)]
pub struct Counts {
    backend: KeyValue,
    /// Attributes by share of the budget.
    shares: [[KeyValue; 2]; 4],
}

impl Counts {
    pub fn new(backend: &Arc<str>) -> Counts {
        let backend = KeyValue::new(BACKEND, Arc::clone(backend));
        let share = |share: &'static str| [backend.clone(), KeyValue::new("isthmus.share", share)];
        Counts {
            shares: [
                share("login"),
                share("outcome"),
                share("callers"),
                share("stable"),
            ],
            backend,
        }
    }

    /// Records how long a request waited for the budget. `is_allowed` says whether the budget admitted it.
    pub fn waited(&self, priority: Priority, waited: Duration, is_allowed: bool) {
        let share = match priority {
            Priority::Login => 0,
            Priority::Outcome => 1,
            Priority::Caller(_) | Priority::Asked => 2,
            Priority::Stable => 3,
        };
        let share = &self.shares[share];
        BUDGET_WAIT.record(waited.as_secs_f64(), share);
        if is_allowed {
            BUDGET_USED.add(1, share);
        }
    }

    /// Records the duration and the result of a request that was sent.
    pub fn ended(&self, request: &Request, took: Duration, result: &Result<Answer, Failure>) {
        let url = &request.url;
        let mut attributes = vec![
            self.backend.clone(),
            KeyValue::new("http.request.method", request.method.to_string()),
            KeyValue::new(
                "server.address",
                url.host_str().unwrap_or_default().to_owned(),
            ),
        ];
        let port = url.port_or_known_default();
        attributes.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
        match result {
            Ok(answer) => {
                let status = KeyValue::new("http.response.status_code", i64::from(answer.status));
                attributes.push(status);
                if answer.status >= 400 {
                    let kind = KeyValue::new("error.type", answer.status.to_string());
                    attributes.push(kind);
                }
                if answer.asks_to_back_off() {
                    UPSTREAM_THROTTLED.add(1, std::slice::from_ref(&self.backend));
                }
            }
            Err(failure) => attributes.push(KeyValue::new("error.type", word(failure.kind))),
        }
        UPSTREAM_DURATION.record(took.as_secs_f64(), &attributes);
    }
}

/// Returns the metric's `error.type` for a failed attempt. Requests that the budget or the circuit held back are not
/// attempts.
pub fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Deadline => "timeout",
        FailureKind::Connect => "connect",
        FailureKind::Broken => "broken",
        FailureKind::TooLarge => "too_large",
        FailureKind::Budget(_) | FailureKind::CircuitOpen(_) => "not_sent",
    }
}
