//! Requests that are not gRPC get an HTTP error.

use crate::server::{
    Settings,
    tests::{
        rude::{GET, Rude, framed},
        support::{Scripted, get, soon},
    },
};
use http::{HeaderValue, Method, header::CONTENT_TYPE};
use prost::Message;

/// Returns the HTTP status and the allowed methods.
async fn answered(
    method: Method,
    content_type: Option<&'static str>,
) -> (u16, Option<HeaderValue>) {
    let (_, server) = Scripted::serve(Settings::default()).await;
    let mut rude = Rude::connect(server.address).await;
    let mut request = rude.request(GET);
    *request.method_mut() = method;
    match content_type {
        Some(text) => {
            let value = HeaderValue::from_static(text);
            request.headers_mut().insert(CONTENT_TYPE, value);
        }
        None => drop(request.headers_mut().remove(CONTENT_TYPE)),
    }
    let mut call = rude.send(request).await;
    call.say(framed(&get("x").encode_to_vec()), true);
    let answer = soon(call.answer).await.unwrap();
    let allowed = answer.headers().get("allow").cloned();
    (answer.status().as_u16(), allowed)
}

#[tokio::test]
async fn only_protobuf_is_spoken() {
    for good in [
        "application/grpc",
        "application/grpc+proto",
        "Application/gRPC",
        "application/grpc;charset=utf-8",
        "application/grpc+proto; x=y",
    ] {
        assert_eq!(answered(Method::POST, Some(good)).await.0, 200, "{good}");
    }
    for bad in [
        "application/grpc+json",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpcx",
        "application/json",
        "text/plain",
        "",
    ] {
        assert_eq!(answered(Method::POST, Some(bad)).await.0, 415, "{bad}");
    }
    assert_eq!(answered(Method::POST, None).await.0, 415);
}

#[tokio::test]
async fn only_post_is_a_call() {
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let (status, allowed) = answered(method.clone(), Some("application/grpc")).await;
        assert_eq!(status, 405, "{method}");
        assert_eq!(allowed.unwrap(), "POST");
    }
}
