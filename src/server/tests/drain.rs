//! A graceful shutdown takes a bounded time, whatever is still open.

use crate::server::{
    Settings,
    tests::support::{Scripted, get, soon, watch},
};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tonic::Code;
use tonic_types::StatusExt;

/// A timeout that fails the test if it is reached.
const NEVER: Duration = Duration::from_secs(600);

fn patient() -> Settings {
    Settings {
        drain_grace: NEVER,
        ..Settings::default()
    }
}

/// Reads a stream to its end, which must say that the gateway shuts down and when to retry.
pub async fn expect_draining<T: std::fmt::Debug>(stream: &mut tonic::Streaming<T>) {
    let status = loop {
        match soon(stream.message()).await {
            Ok(message) => assert!(message.is_some(), "a status, not an ordinary end"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    let info = status.get_details_error_info().expect("ErrorInfo");
    assert_eq!(
        (info.domain.as_str(), info.reason.as_str()),
        ("isthmus", "DRAINING")
    );
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn neither_an_open_stream_nor_a_silent_connection_holds_up_the_end() {
    let (scripted, server) = Scripted::serve(patient()).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut client = server.client().await;
    let mut stream = client
        .watch_realization(watch("open"))
        .await
        .unwrap()
        .into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.resume_token, "t");

    let stopping = tokio::spawn(server.stop());
    expect_draining(&mut stream).await;
    soon(stopping).await.unwrap();
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(scripted.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stream_that_always_has_more_to_say_ends_too() {
    let (_, server) = Scripted::serve(patient()).await;
    let mut client = server.client().await;
    let mut stream = client
        .watch_realization(watch("endless"))
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().unwrap();
    let stopping = tokio::spawn(server.stop());
    expect_draining(&mut stream).await;
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn a_call_under_way_is_answered() {
    let (scripted, server) = Scripted::serve(patient()).await;
    let mut client = server.client().await;
    let drain = server.drain.clone();
    let call = tokio::spawn(async move { client.get_realization(get("held")).await });
    soon(scripted.arrived.notified()).await;
    let stopping = tokio::spawn(server.stop());
    soon(drain.cancelled()).await;
    scripted.release.notify_one();
    soon(call).await.unwrap().expect("an answer");
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn what_does_not_end_is_dropped_when_the_grace_is_over() {
    let (scripted, server) = Scripted::serve(Settings {
        drain_grace: Duration::from_millis(50),
        ..Settings::default()
    })
    .await;
    let mut client = server.client().await;
    let call = tokio::spawn(async move { client.get_realization(get("held")).await });
    soon(scripted.arrived.notified()).await;
    server.stop().await;
    assert!(soon(call).await.unwrap().is_err());
}
