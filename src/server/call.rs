//! One call, from its headers to its trailers, and its guards.
//!
//! ```text
//!   headers ─► span ─► gRPC? ─► a place ─► deadline ─► request ─► handler ─► answer ─► trailers
//!                      form     limits     deadline    request    panic      CallBody
//! ```
//!
//! [`answer`] defines the order of the guards of a request, and [`CallBody`] that of the guards of an answer. Each
//! guard has one file with both halves. The guards are not tower layers: a tower service names its future, so a guard
//! that may refuse a call and holds something until the last frame needs a box for each call, or a hand-written layer,
//! service and future. Here each guard is one line. Authentication will be another line.

use crate::{
    grpc::leaving::Leaving,
    server::{
        answer::Answer,
        body::Pieces,
        client::Client,
        deadline::{self, Ending, Ends},
        form,
        limits::{self, CHECKS},
        newest::Newest,
        panic,
        pool::{Pool, Taken},
        progress::Progress,
        request::{Limits, RequestBody},
        settings::Settings,
        trace::{Record, Recorded},
        warn::Warnings,
    },
    spans,
};
use http::{Request, Response};
use hyper::body::Incoming;
use std::{convert::Infallible, net::IpAddr, sync::Arc};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, service::Routes};
use tower::ServiceExt;
use tracing::Instrument;

/// Bytes in flight that every connection may have: ordinary messages pass whatever other connections hold.
const ALWAYS_BUFFERED: usize = 64 * 1024;

/// State shared by all calls.
#[derive(Debug)]
pub struct Guard {
    routes: Routes,
    calls: Arc<Pool>,
    checks: Arc<Pool>,
    bytes: Arc<Pool>,
    requests: Arc<Limits>,
    warnings: Arc<Warnings>,
    drain: CancellationToken,
}

impl Guard {
    /// Guards the calls to `routes`. Streams end when `drain` is cancelled or when their connection is to end.
    pub fn new(
        routes: Routes,
        settings: &Settings,
        warnings: &Arc<Warnings>,
        drain: CancellationToken,
    ) -> Guard {
        let each = settings.max_calls_per_connection as usize;
        Guard {
            routes: routes.prepare(),
            calls: Pool::new(settings.max_calls, each, 0),
            checks: Pool::new(CHECKS, each, 0),
            bytes: Pool::new(
                settings.max_buffered_bytes,
                settings.max_buffered_bytes_per_connection,
                ALWAYS_BUFFERED,
            ),
            requests: Arc::new(Limits {
                message_bytes: settings.max_message_bytes,
                timeout: settings.request_timeout,
                unfinished: Newest::new(settings.max_unfinished),
            }),
            warnings: Arc::clone(warnings),
            drain,
        }
    }

    /// Returns the calls and streams in flight.
    pub fn calls(&self) -> usize {
        self.calls.used()
    }

    /// Creates the state of one more connection.
    pub fn client(&self, peer: IpAddr) -> Arc<Client> {
        Arc::new(Client::new(
            peer,
            &self.calls,
            &self.checks,
            &self.bytes,
            Leaving::new(&self.drain),
            &self.warnings,
        ))
    }
}

/// The answer of a call with its guards, from the outside in: recorded, in pieces whose bytes are counted, and ended by
/// the deadline, the drain or its connection.
pub type CallBody = Recorded<Pieces<Ending<Answer>>>;

/// Answers one call of `client`. Every gRPC request gets a gRPC status, and every other request an HTTP error.
pub async fn answer(
    guard: Arc<Guard>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<CallBody>, Infallible> {
    let call = Progress::of_this_call().unwrap_or_else(|| Progress::new(client));
    let (mut record, caller) = Record::open(request.uri(), request.headers(), &call.client);
    let span = record.span();
    let outcome = match form::refuse(&request) {
        Some(refusal) => {
            record.is_no_call();
            Ok((refusal, None, Ends::never()))
        }
        None => {
            let attempt = attempt(&guard, &call, request, &record).instrument(span);
            spans::carry(caller, attempt).await
        }
    };
    call.release();
    let (response, place, ends) =
        outcome.unwrap_or_else(|status| (status.into_http(), None, Ends::never()));
    record.headers(response.headers());
    Ok(Answer::of(response)
        .map(|answer| Recorded::new(Pieces::new(Ending::new(answer, ends), call, place), record)))
}

type Admitted = (Response<Body>, Option<Taken>, Ends);

async fn attempt(
    guard: &Guard,
    call: &Arc<Progress>,
    request: Request<Incoming>,
    record: &Record,
) -> Result<Admitted, Status> {
    let place = limits::admit(&call.client, request.uri().path())?;
    let (mut parts, body) = request.into_parts();
    let deadline = deadline::read(&parts.headers)?;
    parts.extensions.insert(deadline);
    parts.extensions.insert(call.client.leaving.clone());
    let body = Body::new(RequestBody::new(body, &guard.requests, call));
    let request = Request::from_parts(parts, body);
    let handler = panic::caught(guard.routes.clone().oneshot(request));
    let Ok(response) = deadline::enforce(deadline, handler)
        .await?
        .inspect_err(|_panic| tracing::error!(call = record.name(), "a handler panicked"))?;
    let ends = Ends::at(deadline.0, &call.client.leaving);
    Ok((response, Some(place), ends))
}
