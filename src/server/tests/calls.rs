//! Deadlines, limits and faults, as a client sees them.

use crate::{
    grpc::pb,
    server::{
        Settings,
        tests::support::{SOON, Scripted, get, raw_call, soon, watch},
    },
};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpStream, time::Instant};
use tonic::{Code, Status, codec::CompressionEncoding};
use tonic_types::StatusExt;

fn reason(status: &Status) -> String {
    status.get_details_error_info().expect("ErrorInfo").reason
}

#[tokio::test]
async fn a_stream_ends_with_its_deadline() {
    let (scripted, server) = Scripted::serve(Settings::default()).await;
    for name in ["open", "endless"] {
        let begun = Instant::now();
        let headers = [("grpc-timeout", "100m")];
        let raw = raw_call(server.address, "WatchRealization", &headers, &watch(name)).await;
        assert!(begun.elapsed() >= Duration::from_millis(100));
        assert!(!raw.data.is_empty(), "messages came before the deadline");
        assert!(
            raw.trailers.contains_key("grpc-status"),
            "the status is in the trailers"
        );
        let status = raw.status();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{name}");
        assert_eq!(reason(&status), "DEADLINE");
    }
    assert_eq!(scripted.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_unary_call_ends_with_its_deadline() {
    let (_, server) = Scripted::serve(Settings::default()).await;
    let headers = [("grpc-timeout", "50m")];
    let raw = raw_call(server.address, "GetRealization", &headers, &get("never")).await;
    assert_eq!(raw.status().code(), Code::DeadlineExceeded);
    assert_eq!(reason(&raw.status()), "DEADLINE");
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_is_refused() {
    let (_, server) = Scripted::serve(Settings::default()).await;
    let headers = [("grpc-timeout", "a while")];
    let raw = raw_call(server.address, "GetRealization", &headers, &get("x")).await;
    assert_eq!(raw.status().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_before_it_is_read() {
    let (_, server) = Scripted::serve(Settings {
        max_message_bytes: 1_000,
        ..Settings::default()
    })
    .await;
    let mut client = server.client().await;
    let status = client
        .get_realization(get(&"x".repeat(2_000)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "LIMIT_EXCEEDED");
    client.get_realization(get(&"x".repeat(900))).await.unwrap();
}

#[tokio::test]
async fn compressed_messages_are_taken_and_bombs_are_not() {
    let (_, server) = Scripted::serve(Settings {
        max_message_bytes: 10_000,
        ..Settings::default()
    })
    .await;
    let client = server.client().await;
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    client
        .get_realization(get(&"x".repeat(9_000)))
        .await
        .unwrap();
    let status = client
        .get_realization(get(&"x".repeat(1_000_000)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn a_panic_ends_its_own_call_and_no_other() {
    let (scripted, server) = Scripted::serve(Settings::default()).await;
    let client = server.client().await;
    let mut held = client.clone();
    let held = tokio::spawn(async move { held.get_realization(get("held")).await });
    soon(scripted.arrived.notified()).await;
    let mut stream = client
        .clone()
        .watch_realization(watch("panic"))
        .await
        .unwrap()
        .into_inner();

    let status = client
        .clone()
        .get_realization(get("panic"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(reason(&status), "INTERNAL");
    assert!(!status.message().contains("script"));

    assert!(soon(stream.message()).await.unwrap().is_some());
    let status = soon(stream.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(reason(&status), "INTERNAL");

    scripted.release.notify_one();
    soon(held)
        .await
        .unwrap()
        .expect("the same connection goes on");
}

#[tokio::test]
async fn calls_above_the_limit_are_refused_until_a_stream_ends() {
    let (_, server) = Scripted::serve(Settings {
        max_calls: 1,
        ..Settings::default()
    })
    .await;
    let mut client = server.client().await;
    let mut stream = client
        .watch_realization(watch("open"))
        .await
        .unwrap()
        .into_inner();
    // The headers have arrived, and the stream still holds its place.
    stream.message().await.unwrap();
    let status = client.get_realization(get("x")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "LIMIT_EXCEEDED");
    assert!(status.get_details_retry_info().is_some());

    drop(stream);
    let until = Instant::now() + SOON;
    while let Err(status) = client.get_realization(get("x")).await {
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(Instant::now() < until, "the place is given back");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_closed() {
    let (_, server) = Scripted::serve(Settings {
        max_connections: 1,
        ..Settings::default()
    })
    .await;
    let mut client = server.client().await;
    client.get_realization(get("x")).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(soon(second.read(&mut [0])).await.unwrap(), 0);
    client.get_realization(get("x")).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_never_speaks_is_closed() {
    let (_, server) = Scripted::serve(Settings {
        preface_timeout: Duration::from_millis(50),
        ..Settings::default()
    })
    .await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_method_nobody_has_is_unimplemented() {
    let (_, server) = Scripted::serve(Settings::default()).await;
    let message = pb::GetBackendRequest::default();
    let raw = raw_call(server.address, "Nothing", &[], &message).await;
    assert_eq!(raw.status().code(), Code::Unimplemented);
}
