//! One call, from its headers to its trailers.
//!
//! ```text
//!   headers ─► span ─► a place among the calls ─► deadline ─► handler ─► answer, guarded to its end
//!                        │ none left               │ malformed   │ panic       by `body`
//!                        ▼                         ▼             ▼
//!              RESOURCE_EXHAUSTED        INVALID_ARGUMENT     INTERNAL
//! ```

use crate::{
    grpc::status,
    server::{
        Settings,
        body::{CallBody, Ends},
        deadline,
        limits::{Calls, Sized},
        trace::Record,
    },
};
use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, service::Routes};
use tower::ServiceExt;
use tracing::Instrument;

/// What all calls share.
#[derive(Debug)]
pub struct Guard {
    routes: Routes,
    calls: Calls,
    max_message_bytes: usize,
    drain: CancellationToken,
}

impl Guard {
    /// Guards the calls to `routes`; streams end when `drain` is cancelled.
    pub fn new(routes: Routes, settings: &Settings, drain: CancellationToken) -> Guard {
        Guard {
            routes: routes.prepare(),
            calls: Calls::new(settings.max_calls),
            max_message_bytes: settings.max_message_bytes,
            drain,
        }
    }
}

/// Answers one call. Whatever happens, the client gets a gRPC status.
pub async fn answer(
    guard: Arc<Guard>,
    request: Request<Incoming>,
) -> Result<Response<CallBody>, Infallible> {
    let mut record = Record::open(request.uri(), request.headers());
    let span = record.span();
    let outcome = attempt(&guard, request, &record).instrument(span).await;
    let (response, place, ends) = match outcome {
        Ok(admitted) => admitted,
        Err(status) => (refusal(status), None, Ends::never()),
    };
    record.headers(response.headers());
    Ok(response.map(|body| CallBody::new(body, ends, place, record)))
}

type Admitted = (
    Response<Body>,
    Option<tokio::sync::OwnedSemaphorePermit>,
    Ends,
);

async fn attempt(
    guard: &Guard,
    request: Request<Incoming>,
    record: &Record,
) -> Result<Admitted, Status> {
    let place = guard.calls.admit(request.uri().path())?;
    let (mut parts, body) = request.into_parts();
    let deadline = deadline::read(&parts.headers)?;
    parts.extensions.insert(deadline);
    let body = Body::new(Sized::new(body, guard.max_message_bytes));
    let handler = guard
        .routes
        .clone()
        .oneshot(Request::from_parts(parts, body));
    let handler = AssertUnwindSafe(handler).catch_unwind();
    let response = match deadline::enforce(deadline, handler).await? {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_panic) => {
            tracing::error!(call = record.name(), "a handler panicked");
            return Err(status::panicked());
        }
    };
    let ends = Ends::at(deadline.0, guard.drain.clone());
    Ok((response, place, ends))
}

fn refusal(status: Status) -> Response<Body> {
    status.into_http()
}
