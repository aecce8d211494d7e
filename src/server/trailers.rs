//! The status that ends an answer that has begun.

use http::HeaderMap;
use tonic::Status;

/// Returns the trailers of `status`.
pub fn of(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", i32::from(status.code()).into());
    }
    trailers
}
