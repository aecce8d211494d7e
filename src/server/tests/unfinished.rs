//! Requests that never arrive completely end, and take nothing from others.

use crate::{
    core::gateway::Gateway,
    server::{
        Settings,
        tests::{
            rude::{CHECK, GET, Rude, WATCH, announced, framed},
            support::{SOON, Scripted, Server, get, soon, watch},
        },
    },
};
use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_types::StatusExt;

const NEVER: Duration = Duration::from_secs(600);

fn reason(status: &Status) -> String {
    status.get_details_error_info().expect("ErrorInfo").reason
}

#[tokio::test]
async fn a_request_that_does_not_arrive_is_ended() {
    let (_, server) = Scripted::serve(Settings {
        request_timeout: Duration::from_millis(100),
        ..Settings::default()
    })
    .await;
    let mut rude = Rude::connect(server.address).await;
    let whole = framed(&get("x").encode_to_vec());
    for said in [
        Bytes::new(),
        whole.slice(..3),
        whole.slice(..whole.len() - 1),
        // A whole message without the end of the stream.
        whole,
    ] {
        let mut call = rude.begin(GET).await;
        let length = said.len();
        call.say(said, false);
        let status = call.status().await.unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{length}");
        assert_eq!(reason(&status), "STALLED");
    }
}

#[tokio::test]
async fn a_connection_never_has_more_calls_than_it_leaves_free() {
    let (_, server) = Scripted::serve(Settings {
        max_calls: 40,
        request_timeout: NEVER,
        ..Settings::default()
    })
    .await;
    let mut rude = Rude::connect(server.address).await;
    let mut calls = Vec::new();
    for number in 0..60 {
        calls.push(match number % 2 {
            0 => rude.begin(GET).await,
            _ => rude.call(WATCH, &watch("open")).await,
        });
    }
    // The refused calls get a status.
    let refused = calls.split_off(20);
    for status in join_all(refused.into_iter().map(|call| call.status())).await {
        let status = status.unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(reason(&status), "LIMIT_EXCEEDED");
        assert!(status.get_details_retry_info().is_some());
    }
    let mut client = server.client().await;
    client.get_realization(get("x")).await.unwrap();
}

#[tokio::test]
async fn what_is_unfinished_longest_makes_room_for_the_next() {
    let (_, server) = Scripted::serve(Settings {
        max_unfinished: 8,
        request_timeout: NEVER,
        ..Settings::default()
    })
    .await;
    let mut rude = Rude::connect(server.address).await;
    let first = rude.begin(GET).await;
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(rude.begin(GET).await);
    }
    let status = first.status().await.unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "LIMIT_EXCEEDED");
    // The server still waits for the last call.
    let mut last = others.pop().unwrap();
    last.say(framed(&get("x").encode_to_vec()), true);
    assert_eq!(last.status().await.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn half_a_health_check_is_no_exception() {
    let settings = Settings {
        max_unfinished: 8,
        request_timeout: NEVER,
        ..Settings::default()
    };
    let drain = CancellationToken::new();
    let gateway = Gateway::start(Vec::new(), Duration::from_secs(15));
    let routes = crate::server::routes(gateway, &settings, drain.clone());
    let server = Server::start_with(settings, routes, drain).await;
    let mut rude = Rude::connect(server.address).await;
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(rude.begin(CHECK).await);
    }
    let first = calls.remove(0).status().await.unwrap();
    assert_eq!(first.code(), Code::ResourceExhausted);
    let whole = rude.call(CHECK, &HealthCheckRequest::default()).await;
    assert_eq!(whole.status().await.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn what_is_announced_is_counted_for_its_connection() {
    let settings = Settings {
        max_buffered_bytes: 64 << 20,
        max_buffered_bytes_per_connection: 16 << 20,
        request_timeout: NEVER,
        ..Settings::default()
    };
    let most = settings.max_message_bytes;
    let (_, server) = Scripted::serve(settings).await;
    let mut rude = Rude::connect(server.address).await;
    let mut calls = Vec::new();
    for _ in 0..300 {
        let mut call = rude.begin(GET).await;
        call.say(announced(most).freeze(), false);
        calls.push(call);
    }
    // Four of them fit. The server refuses the others without reading more.
    let open = calls.drain(..4).collect::<Vec<_>>();
    for status in join_all(calls.into_iter().map(|call| call.status())).await {
        let status = status.unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(reason(&status), "LIMIT_EXCEEDED");
        assert!(status.get_details_retry_info().is_some());
    }
    // Another connection has room.
    let mut client = server.client().await;
    let large = "x".repeat(most - 100);
    client.get_realization(get(&large)).await.unwrap();
    // The bytes held for dropped calls are released.
    drop(open);
    let until = Instant::now() + SOON;
    loop {
        let call = rude.call(GET, &get("x")).await;
        if timeout(SOON, call.status()).await.unwrap().unwrap().code() == Code::Ok {
            break;
        }
        assert!(Instant::now() < until);
    }
}

#[tokio::test]
async fn a_message_counts_until_it_is_handled() {
    let (scripted, server) = Scripted::serve(Settings {
        max_buffered_bytes_per_connection: 100_000,
        ..Settings::default()
    })
    .await;
    let mut rude = Rude::connect(server.address).await;
    // The name selects the behavior; the token only adds size.
    let mut heavy = get("held");
    heavy.write_token = "x".repeat(90_000);
    let held = rude.call(GET, &heavy).await;
    soon(scripted.arrived.notified()).await;
    let second = rude.call(GET, &heavy).await.status().await.unwrap();
    assert_eq!(second.code(), Code::ResourceExhausted);
    scripted.release.notify_one();
    assert_eq!(held.status().await.unwrap().code(), Code::Ok);
}
