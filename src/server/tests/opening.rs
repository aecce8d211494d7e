//! Connections that are opened and not used, and addresses that open too many.

use crate::server::{
    Settings,
    tests::{
        rude::{CHECK, GET, Rude, dial},
        support::{SOON, Scripted, Server, get, soon},
    },
};
use h2::client::Builder;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;

const NEVER: Duration = Duration::from_secs(600);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Waits until the server has closed the connection.
pub async fn is_closed(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    loop {
        match soon(stream.read(&mut buffer)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

async fn said(from: &str, server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = dial(from, server.address).await;
    stream.write_all(bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn half_a_preface_is_not_waited_for() {
    let (_, server) = Scripted::serve(Settings {
        preface_timeout: Duration::from_millis(100),
        keepalive_interval: NEVER,
        ..Settings::default()
    })
    .await;
    let header = [0, 0, 6, 4, 0, 0, 0, 0, 0];
    let whole = [PREFACE, &header, &[0, 3, 0, 0, 0, 9]].concat();
    for length in [0, 1, 23, 24, 30, 33, whole.len() - 1] {
        let mut stream = said("127.0.0.1", &server, &whole[..length]).await;
        is_closed(&mut stream).await;
    }
    // The whole preface is answered, and the connection stays open.
    let mut stream = said("127.0.0.1", &server, &whole).await;
    let mut answer = [0; 9];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer[3], 4, "SETTINGS");
}

#[tokio::test]
async fn what_is_no_preface_is_closed_at_once() {
    let (_, server) = Scripted::serve(Settings {
        preface_timeout: NEVER,
        ..Settings::default()
    })
    .await;
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0];
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], &[PREFACE, &ping].concat()] {
        let mut stream = said("127.0.0.1", &server, bytes).await;
        is_closed(&mut stream).await;
    }
}

#[tokio::test]
async fn half_prefaces_lock_nobody_out() {
    let (_, server) = Scripted::serve(Settings {
        max_connections: 16,
        max_connections_per_address: 8,
        max_opening: 16,
        preface_timeout: NEVER,
        ..Settings::default()
    })
    .await;
    let mut half = Vec::new();
    for _ in 0..100 {
        half.push(said("127.0.0.1", &server, &PREFACE[..12]).await);
    }
    // From another address, and from the same one.
    for from in ["127.0.0.2", "127.0.0.1"] {
        let stream = dial(from, server.address).await;
        let mut rude = soon(Rude::with(&Builder::new(), stream, server.address)).await;
        let status = rude.call(GET, &get("x")).await.status().await.unwrap();
        assert_eq!(status.code(), Code::Ok, "from {from}");
    }
}

#[tokio::test]
async fn one_address_leaves_room_for_others() {
    let (_, server) = Scripted::serve(Settings {
        max_connections: 8,
        max_connections_per_address: 4,
        ..Settings::default()
    })
    .await;
    let check = HealthCheckRequest::default();
    let mut open = Vec::new();
    for from in ["127.0.0.1", "127.0.0.2"] {
        for _ in 0..4 {
            let stream = dial(from, server.address).await;
            let mut rude = Rude::with(&Builder::new(), stream, server.address).await;
            // The server has no health service, and UNIMPLEMENTED is an answer too.
            let status = rude.call(CHECK, &check).await.status().await.unwrap();
            assert_eq!(status.code(), Code::Unimplemented, "from {from}");
            open.push(rude);
        }
        let mut fifth = dial(from, server.address).await;
        is_closed(&mut fifth).await;
    }
    // A connection that closes makes room.
    drop(open);
    let until = Instant::now() + SOON;
    loop {
        let stream = dial("127.0.0.1", server.address).await;
        let mut rude = Rude::with(&Builder::new(), stream, server.address).await;
        let mut call = rude.begin(CHECK).await;
        call.say(Default::default(), true);
        if call.status().await.is_ok() {
            break;
        }
        assert!(Instant::now() < until);
    }
}
