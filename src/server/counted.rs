//! Metrics of calls and connections.

use crate::{
    grpc::codes::code_name,
    metrics::{
        UpDownCounter,
        table::{RPC_DURATION, SERVER_CALLS, SERVER_DRAINS, SERVER_REFUSED},
    },
};
use opentelemetry::KeyValue;
use tokio::time::Instant;
use tonic::Code;

/// The limits for which the server refuses or ends calls and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Connections of all clients.
    Connections,
    /// Connections from one address.
    ConnectionsPerAddress,
    /// Connections whose client has not sent its preface.
    Opening,
    /// Time to send the preface.
    Preface,
    /// Calls in flight.
    Calls,
    /// Health checks in flight.
    Checks,
    /// Bytes of messages in flight.
    Buffered,
    /// Bytes of one message.
    Message,
    /// Requests that have not arrived completely.
    Unfinished,
    /// Time for a request to arrive.
    Request,
    /// Time for a client to take an answer.
    Answer,
}

impl Limit {
    pub const ALL: [Limit; 11] = [
        Limit::Connections,
        Limit::ConnectionsPerAddress,
        Limit::Opening,
        Limit::Preface,
        Limit::Calls,
        Limit::Checks,
        Limit::Buffered,
        Limit::Message,
        Limit::Unfinished,
        Limit::Request,
        Limit::Answer,
    ];

    /// Returns the attribute value of the metric: the configuration key of the limit, if it has one.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Connections => "max_connections",
            Limit::ConnectionsPerAddress => "max_connections_per_address",
            Limit::Opening => "max_opening",
            Limit::Preface => "preface_timeout",
            Limit::Calls => "max_calls",
            Limit::Checks => "health_checks",
            Limit::Buffered => "max_buffered_mib",
            Limit::Message => "message_bytes",
            Limit::Unfinished => "max_unfinished",
            Limit::Request => "request_timeout",
            Limit::Answer => "answer_timeout",
        }
    }

    /// Counts one refusal or end for this limit.
    pub fn reached(self) {
        self.count(1);
    }

    fn count(self, more: u64) {
        SERVER_REFUSED.add(more, &[KeyValue::new("isthmus.limit", self.name())]);
    }
}

/// Counts a drain of the server.
pub fn drained() {
    drains(1);
}

fn drains(more: u64) {
    SERVER_DRAINS.add(more, &[KeyValue::new("isthmus.drain.cause", "shutdown")]);
}

/// Initializes the counters of refusals and drains to zero. Without that, a rate misses the first increment.
pub fn begin() {
    Limit::ALL.into_iter().for_each(|limit| limit.count(0));
    drains(0);
}

/// Counts one in a gauge until dropped.
#[derive(Debug)]
pub struct One(&'static UpDownCounter);

impl One {
    /// Increments the gauge.
    pub fn more(counter: &'static UpDownCounter) -> One {
        counter.add(1, &[]);
        One(counter)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}

/// A call in flight.
#[derive(Debug)]
pub struct Call {
    method: &'static str,
    begun: Instant,
    _one: One,
}

impl Call {
    pub fn begin(method: &'static str, begun: Instant) -> Call {
        Call {
            method,
            begun,
            _one: One::more(&SERVER_CALLS),
        }
    }

    /// Records the end of the call. `is_fault` says whether the code counts as a server error.
    pub fn end(self, code: Code, is_fault: bool) {
        let code = code_name(code);
        // Static text only, so that nothing is allocated.
        let attributes = [
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", self.method),
            KeyValue::new("rpc.response.status_code", code),
            KeyValue::new("error.type", code),
        ];
        let all = attributes.len();
        let attributes = &attributes[..if is_fault { all } else { all - 1 }];
        RPC_DURATION.record(self.begun.elapsed().as_secs_f64(), attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::attributes::attribute;

    #[test]
    fn what_is_counted_is_what_is_documented() {
        let values = |metric, name| attribute(metric, name).unwrap().values;
        let limits = Limit::ALL.map(Limit::name);
        assert_eq!(values("isthmus.server.refused", "isthmus.limit"), limits);
        let codes: Vec<&str> = (0..=16)
            .map(|code| code_name(Code::from_i32(code)))
            .collect();
        let documented = values("rpc.server.call.duration", "rpc.response.status_code");
        assert_eq!(documented, codes);
    }
}
