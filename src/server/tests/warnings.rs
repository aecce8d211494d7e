//! A client that misbehaves continuously does not flood the log.

use crate::server::{
    Settings,
    tests::{
        opening::is_closed,
        rude::dial,
        spans::BYSTANDERS,
        support::{Scripted, get, watch},
    },
};
use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};
use tonic::Code;
use tracing::level_filters::LevelFilter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn with(&self, words: &str) -> usize {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().filter(|line| line.contains(words)).count()
    }
}

#[tokio::test]
async fn a_client_is_warned_of_once_a_minute() {
    LazyLock::force(&BYSTANDERS);
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(LevelFilter::WARN)
        .finish();
    let _told = tracing::subscriber::set_default(subscriber);
    let (_, server) = Scripted::serve(Settings {
        max_connections: 1,
        max_calls: 2,
        ..Settings::default()
    })
    .await;

    let mut client = server.client().await;
    for _ in 0..20 {
        client.get_realization(get("panic")).await.unwrap_err();
        is_closed(&mut dial("127.0.0.1", server.address).await).await;
    }
    let stream = client.watch_realization(watch("open")).await.unwrap();
    let mut stream = stream.into_inner();
    stream.message().await.unwrap();
    for _ in 0..20 {
        let status = client.get_realization(get("x")).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
    assert_eq!(lines.with("refused a connection"), 1);
    assert_eq!(lines.with("refused a call"), 1);
    assert_eq!(lines.with("a call ended with a fault"), 1);
    // Panics are faults of the gateway, and each one is logged.
    assert_eq!(lines.with("a handler panicked"), 20);
}
