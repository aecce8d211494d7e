//! Refuses requests that are not gRPC. HTTP carries the refusal, because the client may not know gRPC statuses.

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use tonic::body::Body;

/// Content type of gRPC.
const GRPC: &str = "application/grpc";

/// Returns the refusal of a request that is not a POST of protobuf: 405 for another method, and 415 for another content
/// type, as the protocol of gRPC over HTTP/2 requires.
pub fn refuse<B>(request: &Request<B>) -> Option<Response<Body>> {
    if request.method() != Method::POST {
        let mut refusal = refusal(StatusCode::METHOD_NOT_ALLOWED);
        let allowed = HeaderValue::from_static("POST");
        refusal.headers_mut().insert(ALLOW, allowed);
        return Some(refusal);
    }
    match request.headers().get(CONTENT_TYPE) {
        Some(value) if is_protobuf(value.as_bytes()) => None,
        _ => Some(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
    }
}

/// Accepts `application/grpc` and `application/grpc+proto`, with or without parameters.
fn is_protobuf(content_type: &[u8]) -> bool {
    let Some((kind, rest)) = content_type.split_at_checked(GRPC.len()) else {
        return false;
    };
    let rest = match rest.iter().position(|byte| *byte == b';') {
        Some(parameters) => &rest[..parameters],
        None => rest,
    };
    let rest = rest.trim_ascii_end();
    kind.eq_ignore_ascii_case(GRPC.as_bytes())
        && (rest.is_empty() || rest.eq_ignore_ascii_case(b"+proto"))
}

fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
