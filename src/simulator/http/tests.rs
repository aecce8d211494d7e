//! Every way in which a connection can end, as the client sees it.

use super::*;
use std::time::Duration;

use axum::routing::{get, post};
use http::{Method, StatusCode};
use tokio::io::AsyncReadExt;

use crate::simulator::faults::{Gate, Rule};

fn server() -> (Server, Arc<std::sync::atomic::AtomicU32>) {
    let writes = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = Arc::clone(&writes);
    let router = axum::Router::new()
        .route("/read", get(|| async { "0123456789" }))
        .route("/say", post(|said: String| async { said }))
        .route(
            "/write",
            post(move || async move {
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                "written"
            }),
        );
    (Server::start(router, Faults::default()).unwrap(), writes)
}

fn client() -> reqwest::Client {
    // reqwest needs a TLS provider even without TLS. Another test may have installed it first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

/// Sends one request on its own connection. Returns all bytes received and how the connection ended.
async fn raw(server: &Server, head: &str) -> (Vec<u8>, io::Result<()>) {
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let ended = loop {
        match stream.read_buf(&mut bytes).await {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    (bytes, ended)
}

const READ: &str = "GET /read HTTP/1.1\r\nhost: x\r\n\r\n";
const WRITE: &str = "POST /write HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn stopped_it_refuses_and_restarted_it_answers_on_the_same_port() {
    let (server, _) = server();
    let client = client();
    let url = server.url() + "/read";
    assert_eq!(
        client.get(&url).send().await.unwrap().text().await.unwrap(),
        "0123456789"
    );
    server.stop().await.unwrap();
    server.stop().await.unwrap();
    assert!(client.get(&url).send().await.unwrap_err().is_connect());
    let refused = TcpStream::connect(server.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    server.restart().await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    assert_eq!(server.requests().count(&Method::GET, "/read"), 2);
}

#[tokio::test]
async fn stopping_resets_the_connections_that_are_open() {
    let (server, _) = server();
    server
        .faults()
        .inject(Rule::any(Fault::Hold(Gate::default())));
    let stopping = async {
        while server.requests().in_flight() == 0 {
            tokio::task::yield_now().await;
        }
        server.stop().await.unwrap();
    };
    let ((bytes, ended), ()) = tokio::join!(raw(&server, READ), stopping);
    assert!(bytes.is_empty());
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(server.requests().in_flight(), 0);
}

#[tokio::test]
async fn dropped_it_is_gone() {
    let (server, _) = server();
    let addr = server.addr();
    let mut open = TcpStream::connect(addr).await.unwrap();
    drop(server);
    let mut bytes = [0; 1];
    assert!(matches!(open.read(&mut bytes).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_connection_cut_before_handling_is_reset_and_nothing_was_written() {
    let (server, writes) = server();
    server
        .faults()
        .inject(Rule::any(Fault::CutBeforeHandling).times(1));
    let (bytes, ended) = raw(&server, WRITE).await;
    assert!(bytes.is_empty());
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(writes.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_lost_leaves_the_write_done() {
    let (server, writes) = server();
    server
        .faults()
        .inject(Rule::any(Fault::CutAfterHandling).times(1));
    let (bytes, ended) = raw(&server, WRITE).await;
    assert!(bytes.is_empty());
    ended.unwrap();
    assert_eq!(writes.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_truncated_body_promises_more_than_it_brings() {
    let (server, _) = server();
    server
        .faults()
        .inject(Rule::any(Fault::TruncateBody).times(1));
    let (bytes, _) = raw(&server, READ).await;
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("content-length: 10"), "{text}");
    assert!(text.ends_with("\r\n\r\n01234"), "{text}");
}

#[tokio::test]
async fn an_endless_body_goes_on_until_the_client_hangs_up() {
    let (server, _) = server();
    server
        .faults()
        .inject(Rule::any(Fault::EndlessBody).times(1));
    let mut response = client().get(server.url() + "/read").send().await.unwrap();
    let mut read = 0;
    while read < 4 << 20 {
        read += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn garbage_is_no_http() {
    let (server, _) = server();
    server.faults().inject(Rule::any(Fault::Garbage).times(1));
    let (bytes, _) = raw(&server, READ).await;
    assert_eq!(bytes, GARBAGE);
    server.faults().inject(Rule::any(Fault::Garbage).times(1));
    assert!(client().get(server.url() + "/read").send().await.is_err());
}

#[tokio::test]
async fn an_answer_replaces_the_handler() {
    let (server, writes) = server();
    let answer = Answer::status(StatusCode::TOO_MANY_REQUESTS).retry_after(7);
    server
        .faults()
        .inject(Rule::on(Method::POST, "/write$", Fault::Answer(answer)).times(1));
    let response = client().post(server.url() + "/write").send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(writes.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn requests_are_remembered_without_their_secrets() {
    let (server, _) = server();
    let request = client()
        .get(server.url() + "/read?a=b")
        .basic_auth("admin", Some("hunter2"));
    request
        .header("x-auth-token", "sesame")
        .send()
        .await
        .unwrap();
    let [seen] = &server.requests().all()[..] else {
        panic!("one request was made")
    };
    assert_eq!((seen.path.as_str(), seen.query.as_str()), ("/read", "a=b"));
    assert_eq!(seen.authorization.as_deref(), Some("Basic"));
    assert_eq!(seen.credentials, ["x-auth-token"]);
    assert!(!format!("{seen:?}").contains("sesame"));
}

#[tokio::test]
async fn it_is_remembered_whether_bodies_are_the_same_and_what_the_cloud_answered() {
    let (server, _) = server();
    let say = |path: &str, what: &'static str| {
        let sent = client().post(server.url() + path).body(what).send();
        async move { sent.await.map(|answer| answer.status()) }
    };
    for what in ["canary", "other", "canary"] {
        assert_eq!(say("/say", what).await.unwrap(), 200);
    }
    assert_eq!(say("/nowhere", "canary").await.unwrap(), 404);
    let lost = Rule::on(Method::POST, "/say", Fault::CutAfterHandling);
    server.faults().inject(lost);
    assert!(say("/say", "canary").await.is_err());
    let seen = server.requests().all();
    let same: Vec<bool> = seen.iter().map(|it| it.body == seen[0].body).collect();
    // No handler read the body of the fourth request.
    assert_eq!(same, [true, false, true, false, true]);
    let answered: Vec<_> = seen.iter().map(|it| it.answered).collect();
    let (done, missing) = (Some(StatusCode::OK), Some(StatusCode::NOT_FOUND));
    assert_eq!(answered, [done, done, done, missing, None]);
    assert!(!format!("{seen:?}").contains("canary"));
}

#[tokio::test]
async fn the_most_requests_at_one_time_are_counted() {
    let (server, _) = server();
    let gate = Gate::default();
    server.faults().inject(Rule::any(Fault::Hold(gate.clone())));
    let (client, url) = (client(), server.url() + "/read");
    let opening = async {
        while server.requests().in_flight() < 3 {
            tokio::task::yield_now().await;
        }
        gate.open();
    };
    let get = || client.get(&url).send();
    let (a, b, c, ()) = tokio::join!(get(), get(), get(), opening);
    assert!(
        [a, b, c]
            .into_iter()
            .all(|answer| answer.unwrap().status() == 200)
    );
    assert_eq!(server.requests().in_flight_max(), 3);
    assert_eq!(server.requests().total(), 3);
}

#[tokio::test]
async fn what_was_asked_is_done_once_its_answer_is_held() {
    let (server, writes) = server();
    let gate = Gate::default();
    server
        .faults()
        .inject(Rule::writes("/write", Fault::HoldAnswer(gate.clone())));
    let asking = raw(&server, WRITE);
    let reached = async {
        gate.reached(1).await;
        assert_eq!(writes.load(std::sync::atomic::Ordering::SeqCst), 1);
        server.stop().await.unwrap();
    };
    let ((bytes, _), ()) = tokio::join!(asking, reached);
    assert!(bytes.is_empty());
}

#[tokio::test]
async fn an_answer_that_was_held_can_be_lost() {
    let (server, writes) = server();
    let gate = Gate::default();
    let faults = [Fault::HoldAnswer(gate.clone()), Fault::CutAfterHandling];
    for fault in faults {
        server.faults().inject(Rule::writes("/write", fault));
    }
    let opening = async {
        gate.reached(1).await;
        gate.open();
    };
    let ((bytes, _), ()) = tokio::join!(raw(&server, WRITE), opening);
    assert!(bytes.is_empty());
    assert_eq!(writes.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_request_on_its_way_is_handled_though_its_client_has_gone() {
    let (server, writes) = server();
    let count = || writes.load(std::sync::atomic::Ordering::SeqCst);
    let gates = [Gate::default(), Gate::default()];
    let held = Fault::Hold(gates[0].clone());
    server
        .faults()
        .inject(Rule::writes("/write", held).times(1));
    let on_the_way = Fault::HoldOnTheWay(gates[1].clone());
    server.faults().inject(Rule::writes("/write", on_the_way));
    for (gate, in_flight) in gates.iter().zip([0, 1]) {
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        stream.write_all(WRITE.as_bytes()).await.unwrap();
        gate.reached(1).await;
        drop(stream);
        while server.requests().in_flight() > in_flight {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(count(), 0);
    gates.iter().for_each(Gate::open);
    while server.requests().in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(count(), 1, "only what was on its way");
}
