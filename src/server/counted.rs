//! What is counted of calls and connections.

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

/// What calls and connections are refused for, or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Connections of all clients.
    Connections,
    /// Connections from one address.
    ConnectionsPerAddress,
    /// Connections whose client has not said its preface.
    Opening,
    /// How long that may take.
    Preface,
    /// Calls under way.
    Calls,
    /// Health checks under way.
    Checks,
    /// Bytes of messages on their way.
    Buffered,
    /// Bytes of one message.
    Message,
    /// Requests that have not arrived in full.
    Unfinished,
    /// How long one may take to arrive.
    Request,
    /// How long an answer may not be taken.
    Answer,
}

impl Limit {
    /// Every one.
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

    /// The key of the configuration that it is set with, if there is one.
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

    /// One more was refused for it, or ended.
    pub fn reached(self) {
        self.count(1);
    }

    fn count(self, more: u64) {
        SERVER_REFUSED.add(more, &[KeyValue::new("isthmus.limit", self.name())]);
    }
}

/// A drain of the whole server has begun.
pub fn drained() {
    drains(1);
}

fn drains(more: u64) {
    SERVER_DRAINS.add(more, &[KeyValue::new("isthmus.drain.cause", "shutdown")]);
}

/// Has what may be refused and drained known before it is: a rate that begins with the first is missed.
pub fn begin() {
    Limit::ALL.into_iter().for_each(|limit| limit.count(0));
    drains(0);
}

/// One of what there is, until it is dropped.
#[derive(Debug)]
pub struct One(&'static UpDownCounter);

impl One {
    /// One more.
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

/// A call under way.
#[derive(Debug)]
pub struct Call {
    method: &'static str,
    begun: Instant,
    _one: One,
}

impl Call {
    /// The call of this method.
    pub fn begin(method: &'static str, begun: Instant) -> Call {
        Call {
            method,
            begun,
            _one: One::more(&SERVER_CALLS),
        }
    }

    /// It has ended with this; `is_fault` if that is the server's fault.
    pub fn end(self, code: Code, is_fault: bool) {
        let code = code_name(code);
        // Of static text, so that nothing is allocated.
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
