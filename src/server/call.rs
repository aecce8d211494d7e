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
        client::Client,
        deadline, form,
        limits::{self, CHECKS},
        newest::Newest,
        pool::{Pool, Taken},
        progress::Progress,
        request::{Limits, RequestBody},
        trace::Record,
        warn::Warnings,
    },
};
use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use std::{convert::Infallible, net::IpAddr, panic::AssertUnwindSafe, sync::Arc};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, service::Routes};
use tower::ServiceExt;
use tracing::Instrument;

/// The bytes that may be on their way on every connection: ordinary messages are let through whatever others keep.
const ALWAYS_BUFFERED: usize = 64 * 1024;

/// What all calls share.
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
    /// Guards the calls to `routes`; streams end when `drain` is cancelled.
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

    /// One more connection.
    pub fn client(&self, peer: IpAddr) -> Arc<Client> {
        Arc::new(Client::new(
            peer,
            &self.calls,
            &self.checks,
            &self.bytes,
            &self.warnings,
        ))
    }
}

/// Answers one call of `client`. Whatever happens, it gets a gRPC status, or what it asked is no gRPC.
pub async fn answer(
    guard: Arc<Guard>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<CallBody>, Infallible> {
    let call = Progress::of_this_call().unwrap_or_else(|| Progress::new(client));
    let mut record = Record::open(request.uri(), request.headers(), &call.client);
    let span = record.span();
    let outcome = match form::refuse(&request) {
        Some(refusal) => Ok((refusal, None, Ends::never())),
        None => {
            attempt(&guard, &call, request, &record)
                .instrument(span)
                .await
        }
    };
    call.release();
    let (response, place, ends) = match outcome {
        Ok(admitted) => admitted,
        Err(status) => (refusal(status), None, Ends::never()),
    };
    record.headers(response.headers());
    Ok(response.map(|body| CallBody::new(body, ends, call, place, record)))
}

type Admitted = (Response<Body>, Option<Taken>, Ends);

async fn attempt(
    guard: &Guard,
    call: &Arc<Progress>,
    request: Request<Incoming>,
    record: &Record,
) -> Result<Admitted, Status> {
    let place = limits::admit(&call.client, &guard.calls, request.uri().path())
        .inspect_err(|status| call.client.refused(status.message()))?;
    let (mut parts, body) = request.into_parts();
    let deadline = deadline::read(&parts.headers)?;
    parts.extensions.insert(deadline);
    let body = Body::new(RequestBody::new(body, &guard.requests, call));
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
    Ok((response, Some(place), ends))
}

fn refusal(status: Status) -> Response<Body> {
    status.into_http()
}
