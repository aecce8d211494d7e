//! One span per call, from its headers to its last frame, with its final status.

use crate::{
    grpc::{codes::code_name, methods},
    server::{client::Client, counted, panic, trailers, warn::Kind},
    spans,
};
use http::{HeaderMap, Uri};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::trace::SpanContext;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::{Span, field::Empty};

const GRPC_STATUS: &str = "grpc-status";

/// The record of one call. If it is dropped before a status was seen, the client cancelled the call.
#[derive(Debug)]
pub struct Record {
    span: Span,
    /// The method's name. Unknown methods share one name.
    name: &'static str,
    begun: Instant,
    code: Option<Code>,
    client: Arc<Client>,
    /// `None` if the request is not gRPC, and so not a call.
    counted: Option<counted::Call>,
}

impl Record {
    /// Opens the span if its trace is sampled. Its parent is the span that `traceparent` names, if any. If there is no
    /// span, the second value is that parent, for the requests to clouds.
    pub fn open(
        uri: &Uri,
        headers: &HeaderMap,
        client: &Arc<Client>,
    ) -> (Record, Option<SpanContext>) {
        let name = methods::name(uri.path());
        let caller = spans::extract(headers);
        let span = spans::below(caller.as_ref(), || {
            tracing::info_span!(
                "call",
                otel.name = name,
                otel.kind = "server",
                otel.status_code = Empty,
                rpc.system.name = "grpc",
                rpc.method = name,
                rpc.response.status_code = Empty,
                error.type = Empty,
            )
        });
        let caller = caller.filter(|_| span.is_none());
        let begun = Instant::now();
        let record = Record {
            span,
            name,
            begun,
            code: None,
            client: Arc::clone(client),
            counted: Some(counted::Call::begin(name, begun)),
        };
        (record, caller)
    }

    /// Marks the request as not gRPC, so that it does not count as a call.
    pub fn is_no_call(&mut self) {
        self.counted = None;
    }

    /// The method's name, for the log, which must not depend on spans being collected.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the span for work on behalf of the call.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Records the answer's headers, which hold the status of a trailers-only answer.
    pub fn headers(&mut self, headers: &HeaderMap) {
        if headers.contains_key(GRPC_STATUS) {
            self.trailers(headers);
        }
    }

    /// Records the status in the answer's trailers.
    fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(value) = trailers.get(GRPC_STATUS) {
            self.code = Some(Code::from_bytes(value.as_bytes()));
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let said = code_name(code);
        self.span.record("rpc.response.status_code", said);
        let is_fault = is_fault(code);
        if is_fault {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", said);
        }
        if let Some(call) = self.counted.take() {
            call.end(code, is_fault);
        }
        let duration_ms = self.begun.elapsed().as_millis() as u64;
        let (_entered, call) = (self.span.enter(), self.name());
        if code == Code::Internal
            && let Some(suppressed) = self.client.warns(Kind::Fault)
        {
            let peer = self.client.peer;
            tracing::warn!(call, ?code, duration_ms, %peer, suppressed, "a call ended with a fault");
        } else {
            tracing::debug!(call, ?code, duration_ms, "a call ended");
        }
    }
}

/// An answer that is recorded to its end, even if it panics.
#[derive(Debug)]
pub struct Recorded<B> {
    /// `None` after a panic.
    inner: Option<B>,
    record: Record,
}

impl<B> Recorded<B> {
    /// Wraps `inner`, the answer to the call of `record`.
    pub fn new(inner: B, record: Record) -> Recorded<B> {
        let inner = Some(inner);
        Recorded { inner, record }
    }
}

impl<B: Body<Error = Status> + Unpin> Body for Recorded<B> {
    type Data = B::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Status>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = match panic::caught_poll(|| Pin::new(inner).poll_frame(cx)) {
            Ok(frame) => ready!(frame),
            Err(status) => {
                let record = &self.record;
                let call = record.name();
                tracing::error!(parent: &record.span, call, "a stream panicked");
                self.inner = None;
                Some(Ok(Frame::trailers(trailers::of(&status))))
            }
        };
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.record.trailers(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref();
        inner.map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The codes that OpenTelemetry's conventions count as server errors.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
