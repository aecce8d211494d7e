//! A client that does not read: it is ended with a reason, and costs nobody else anything. Real sockets, because it is
//! the flow control of HTTP/2 that holds it back.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use isthmus::{
    core::{dialect::Dialect, gateway::Gateway},
    grpc::pb::{
        WatchRealizationRequest, WatchRealizationResponse,
        realization_service_client::RealizationServiceClient, watch_realization_response::Event,
    },
    model::{Assurance, RealizationState},
    server,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use support::scripted::{Scripted, seen};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};
use tonic::{Code, Streaming, transport::Endpoint};
use tonic_types::StatusExt;

const NAME: &str = "backends/a/connections/1";
const STALL: Duration = Duration::from_millis(400);
const HEARTBEAT: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens a watch on a connection of its own, with a small window.
async fn watch(
    address: SocketAddr,
    window: u32,
    resume_token: String,
) -> Streaming<WatchRealizationResponse> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint
        .initial_stream_window_size(window)
        .connect()
        .await
        .unwrap();
    let request = WatchRealizationRequest {
        name: NAME.to_owned(),
        resume_token,
        snapshot_if_compacted: true,
        ..WatchRealizationRequest::default()
    };
    let mut client = RealizationServiceClient::new(channel);
    let answer = client.watch_realization(request).await.unwrap();
    answer.into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_nobody_reads_ends_stalled_and_costs_nobody_else_anything() {
    let cloud = Scripted::new();
    let say = |number: usize| {
        let state = RealizationState::InProgress;
        cloud.say(
            "1",
            seen(state, Assurance::IntentStored, &number.to_string()),
        );
    };
    say(0);
    let mut settings = Scripted::settings("a");
    settings.poll.fresh = Duration::from_millis(5);
    settings.poll.stable = Duration::from_millis(5);
    let dialect: Arc<dyn Dialect> = Arc::clone(&cloud) as Arc<dyn Dialect>;
    let gateway = Gateway::start(vec![(settings, dialect)], HEARTBEAT);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let behaviour = server::Settings {
        stall: STALL,
        ..server::Settings::default()
    };
    let serving = server::run(listener, gateway, behaviour, std::future::pending());
    let serving = tokio::spawn(serving);

    // Room for a few messages.
    let mut idle = watch(address, 1_000, String::new()).await;
    let mut reader = watch(address, 1_000, String::new()).await;
    let mut resume_token = String::new();
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < 3 * STALL {
        number += 1;
        say(number);
        let said = number.to_string();
        let asked = Instant::now();
        loop {
            let message = timeout(PATIENCE, reader.message()).await.unwrap();
            let message = message.unwrap().expect("it goes on");
            if let Some(Event::Change(change)) = message.event
                && change.native_state == said
            {
                assert_eq!(message.coalesced, 0, "nothing is kept from who reads");
                break;
            }
        }
        assert!(asked.elapsed() < PATIENCE);
        sleep(Duration::from_millis(1)).await;
    }
    assert!(number > 20, "only {number} changes: the window is not full");

    let mut read = 0;
    let status = loop {
        match timeout(PATIENCE, idle.message()).await.unwrap() {
            Ok(Some(message)) => {
                read += 1;
                resume_token = message.resume_token;
            }
            Ok(None) => panic!("it ends with a reason"),
            Err(status) => break status,
        }
    };
    assert!(read < 20, "what was sent before is read, {read} messages");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "STALLED");

    // It goes on where it was, or is brought forward; it is not lost.
    let mut resumed = watch(address, 65_535, resume_token).await;
    let said = number.to_string();
    loop {
        let message = timeout(PATIENCE, resumed.message()).await.unwrap();
        match message.unwrap().unwrap().event {
            Some(Event::Change(now) | Event::Snapshot(now)) if now.native_state == said => break,
            _ => {}
        }
    }
    serving.abort();
}
