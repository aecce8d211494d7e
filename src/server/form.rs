//! Whether a request is one of gRPC at all. If not, HTTP says so: whoever asks may not know what a gRPC status is.

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use tonic::body::Body;

/// What calls are made with.
const GRPC: &str = "application/grpc";

/// What is answered to what is no POST of protobuf: 405 to another method; 415 to another content type, as the protocol
/// of gRPC over HTTP/2 wants it.
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

/// `application/grpc` or `application/grpc+proto`, with or without parameters.
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
