//! Answers that the client does not read end, and the gateway keeps a bounded amount of them.

use crate::server::{
    Settings,
    tests::{
        rude::{GET, Rude, WATCH},
        support::{LARGE, SOON, Scripted, get, soon, watch},
    },
};
use futures_util::future::{join_all, select_all};
use h2::Reason;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt;

#[tokio::test]
async fn answers_that_nobody_takes_are_bounded_for_a_connection() {
    let (_, server) = Scripted::serve(Settings {
        max_buffered_bytes_per_connection: 4 * LARGE + LARGE / 2,
        ..Settings::default()
    })
    .await;
    for window in [0, 1] {
        let mut rude = Rude::reading(window, server.address).await;
        let mut calls = Vec::new();
        for _ in 0..100 {
            calls.push(Box::pin(rude.call(GET, &get("large")).await.status()));
        }
        for _ in 0..96 {
            let (status, _, rest) = soon(select_all(calls)).await;
            let status = status.unwrap();
            assert_eq!(status.code(), Code::ResourceExhausted);
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.reason, "LIMIT_EXCEEDED");
            assert!(status.get_details_retry_info().is_some());
            calls = rest;
        }
        // Other connections have room.
        let mut client = server.client().await;
        client.get_realization(get("large")).await.unwrap();
    }
}

#[tokio::test]
async fn no_call_is_begun_whose_answer_could_not_be_kept() {
    let (_, server) = Scripted::serve(Settings {
        max_buffered_bytes_per_connection: LARGE,
        ..Settings::default()
    })
    .await;
    let mut rude = Rude::reading(0, server.address).await;
    let unread = rude.call(GET, &get("large")).await;
    let answer = soon(unread.answer).await.unwrap();
    // The answer holds its bytes once its headers have arrived.
    let status = rude.call(GET, &get("x")).await.status().await.unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    drop(answer);
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_ended_and_its_connection_goes_on() {
    let (scripted, server) = Scripted::serve(Settings {
        answer_timeout: Duration::from_millis(200),
        ..Settings::default()
    })
    .await;
    for window in [0, 1, 20_000] {
        let mut rude = Rude::reading(window, server.address).await;
        let unread = [
            rude.call(GET, &get("large")).await.status(),
            rude.call(WATCH, &watch("endless")).await.status(),
        ];
        for ended in join_all(unread).await {
            let error = ended.expect_err("it cannot be told");
            assert_eq!(error.reason(), Some(Reason::CANCEL), "{window}");
        }
        // A stream without pending data is left alone.
        assert_eq!(scripted.open.load(Ordering::SeqCst), 0);
        let status = rude.call(GET, &get("panic")).await.status().await;
        assert_eq!(status.unwrap().code(), Code::Internal);
    }
}

#[tokio::test]
async fn a_stream_with_nothing_to_say_is_no_answer_that_is_not_taken() {
    let timeout = Duration::from_millis(50);
    let (_, server) = Scripted::serve(Settings {
        answer_timeout: timeout,
        ..Settings::default()
    })
    .await;
    let mut client = server.client().await;
    let stream = client.watch_realization(watch("open")).await.unwrap();
    let mut stream = stream.into_inner();
    soon(stream.message()).await.unwrap().unwrap();
    assert!(
        tokio::time::timeout(6 * timeout, stream.message())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_taken_is_closed() {
    let (_, server) = Scripted::serve(Settings {
        answer_timeout: Duration::from_millis(200),
        ..Settings::default()
    })
    .await;
    // HTTP/2 holds small answers completely, so they cannot be ended one by one.
    let mut rude = Rude::reading(1, server.address).await;
    let begun = Instant::now();
    let _calls = [
        rude.call(GET, &get("small")).await,
        rude.call(GET, &get("small")).await,
    ];
    soon(&mut rude.driver).await.unwrap().ok();
    assert!(begun.elapsed() < SOON);
}
