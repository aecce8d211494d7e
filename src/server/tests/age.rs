//! A connection at its maximum age: its streams end with a token, its calls are answered, and later calls use another
//! connection.

use crate::server::{
    Settings,
    tests::support::{Scripted, get, soon, watch},
};
use std::{sync::atomic::Ordering, time::Duration};
use tonic::Code;
use tonic_types::StatusExt;

fn short() -> Settings {
    Settings {
        max_connection_age: Some(Duration::from_millis(300)),
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_stream_ends_with_a_token_and_goes_on_on_another_connection() {
    let (scripted, server) = Scripted::serve(short()).await;
    // The same channel throughout: its user notices nothing but the ends of streams.
    let mut client = server.client().await;
    for _ in 0..3 {
        let mut stream = soon(client.watch_realization(watch("open")))
            .await
            .unwrap()
            .into_inner();
        let first = soon(stream.message()).await.unwrap().unwrap();
        assert_eq!(first.resume_token, "t");
        let status = soon(stream.message()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        let info = status.get_details_error_info().expect("ErrorInfo");
        assert_eq!(info.reason, "DRAINING");
        assert!(status.message().contains("on a new one"), "{status}");
        assert!(status.get_details_retry_info().is_none(), "at once");
        assert_eq!(scripted.open.load(Ordering::SeqCst), 0);
    }
    assert!(!server.drain.is_cancelled(), "others are not concerned");
}

#[tokio::test]
async fn a_call_under_way_is_answered_after_its_streams_have_ended() {
    let (scripted, server) = Scripted::serve(short()).await;
    let mut client = server.client().await;
    let mut other = client.clone();
    let call = tokio::spawn(async move { other.get_realization(get("held")).await });
    soon(scripted.arrived.notified()).await;
    let mut stream = client
        .watch_realization(watch("open"))
        .await
        .unwrap()
        .into_inner();
    soon(stream.message()).await.unwrap().unwrap();
    soon(stream.message()).await.unwrap_err();
    scripted.release.notify_one();
    soon(call).await.unwrap().expect("an answer");
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_too() {
    let (_, server) = Scripted::serve(short()).await;
    let stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (_sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, http_body_util::Full<bytes::Bytes>>(
            executor, io,
        )
        .await
        .unwrap();
    soon(connection).await.expect("an orderly end");
}
