//! The page that Prometheus scrapes: `GET /metrics` over HTTP/1, and nothing else.

use crate::address::is_loopback;
use http::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener as Bound},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// As Prometheus names the format of its text.
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where it is.
const PATH: &str = "/metrics";

/// Connections at the same time. One more closes the oldest: a scrape takes milliseconds, and whoever only holds
/// connections must not keep others out.
const MAX_CONNECTIONS: usize = 16;

/// The bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;

/// How long that may take to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection may take from its first byte to its last.
const WITHIN: Duration = Duration::from_secs(30);

/// How long to wait when the machine can take no more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The page, served until it is dropped.
#[derive(Debug)]
pub(super) struct Page {
    address: SocketAddr,
    /// Owns every connection.
    _serving: AbortOnDropHandle<()>,
}

impl Page {
    /// Begins to serve what is in `registry`, within a tokio runtime.
    ///
    /// # Errors
    /// An address that is not a loopback one, unless `allow_non_loopback`; or as the operating system says.
    pub(super) fn serve(
        address: SocketAddr,
        allow_non_loopback: bool,
        registry: Registry,
    ) -> io::Result<Page> {
        if !allow_non_loopback && !is_loopback(address.ip()) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it can be reached from other machines and nobody is asked who they are: listen on a loopback \
                 address, or set `allow_non_loopback`",
            ));
        }
        // Bound before anything else begins, so that an address that is taken is found at the start.
        let bound = Bound::bind(address)?;
        bound.set_nonblocking(true)?;
        let address = bound.local_addr()?;
        let listener = TcpListener::from_std(bound)?;
        let content = Arc::new(Content {
            registry,
            turn: Arc::new(Semaphore::new(1)),
        });
        let serving = tokio::spawn(accept(listener, content));
        Ok(Page {
            address,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// Where it is served.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, content: Arc<Content>) {
    // The oldest first. Dropping one ends it.
    let mut connections = VecDeque::with_capacity(MAX_CONNECTIONS);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection for the page of metrics");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        connections.retain(|connection: &AbortOnDropHandle<()>| !connection.is_finished());
        if connections.len() >= MAX_CONNECTIONS {
            connections.pop_front();
        }
        let connection = tokio::spawn(serve(stream, Arc::clone(&content)));
        connections.push_back(AbortOnDropHandle::new(connection));
    }
}

/// One request, and its answer.
async fn serve(stream: TcpStream, content: Arc<Content>) {
    let service = service_fn(|request| {
        let content = Arc::clone(&content);
        async move { Ok::<_, Infallible>(content.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_header_size(MAX_HEAD)
        // Scrapes are many seconds apart; a connection kept for them only takes the place of another.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever is cut off knows it.
    let _ = timeout(WITHIN, connection).await;
}

/// What is on the page.
#[derive(Debug)]
struct Content {
    registry: Registry,
    /// To read all metrics, which asks the whole gateway: one at a time, however many scrape.
    turn: Arc<Semaphore>,
}

impl Content {
    async fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        if request.uri().path() != PATH {
            return refusal(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, "the metrics are read\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allowed);
            return refusal;
        }
        match self.text().await {
            Some(text) => response(StatusCode::OK, CONTENT, text),
            None => refusal(StatusCode::INTERNAL_SERVER_ERROR, "they cannot be read\n"),
        }
    }

    /// All metrics as Prometheus reads them.
    async fn text(&self) -> Option<String> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        let registry = self.registry.clone();
        // What is asked may take locks, and all of it is written out.
        let read = spawn_blocking(move || {
            let text = TextEncoder::new().encode_to_string(&registry.gather());
            // Given back only now, since nothing ends this before its end.
            drop(turn);
            text
        });
        read.await.ok()?.ok()
    }
}

fn refusal(status: StatusCode, why: &str) -> Response<String> {
    response(status, "text/plain; charset=utf-8", why.to_owned())
}

fn response(status: StatusCode, content_type: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    const ANYWHERE: SocketAddr =
        SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

    fn page() -> Page {
        let registry = Registry::new();
        let counter = prometheus::IntCounter::new("canary", "help").unwrap();
        registry.register(Box::new(counter)).unwrap();
        Page::serve(ANYWHERE, false, registry).unwrap()
    }

    async fn ask(page: &Page, head: &str) -> String {
        let mut stream = TcpStream::connect(page.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_are_read_at_one_place_and_nothing_else_is_done() {
        let page = page();
        let read = ask(&page, "GET /metrics?x=1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(read.starts_with("HTTP/1.1 200 OK\r\n"), "{read}");
        assert!(read.contains("content-type: text/plain; version=0.0.4"));
        assert!(
            read.ends_with("# TYPE canary counter\ncanary 0\n"),
            "{read}"
        );
        let head = ask(&page, "HEAD /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("canary"));
        let post = ask(
            &page,
            "POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n",
        )
        .await;
        assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("allow: GET, HEAD"));
        for path in ["/", "/metrics/", "/healthz"] {
            let other = ask(&page, &format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            assert!(other.starts_with("HTTP/1.1 404 "), "{path}: {other}");
        }
    }

    #[tokio::test]
    async fn whoever_holds_connections_keeps_nobody_out() {
        let page = page();
        let mut held = Vec::new();
        for _ in 0..3 * MAX_CONNECTIONS {
            held.push(TcpStream::connect(page.address()).await.unwrap());
        }
        let read = ask(&page, "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(read.starts_with("HTTP/1.1 200 OK\r\n"), "{read}");
        // The oldest had to go.
        let mut gone = [0; 1];
        assert_eq!(held[0].read(&mut gone).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_arrive_is_not_waited_for() {
        let page = page();
        let begun = Instant::now();
        let answer = ask(&page, "GET /metrics HTTP/1.1\r\nhost: ").await;
        assert!(!answer.contains("canary"), "{answer}");
        assert!(begun.elapsed() <= HEAD_WITHIN * 2, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn it_ends_with_whoever_has_it() {
        let page = page();
        let address = page.address();
        let mut open = TcpStream::connect(address).await.unwrap();
        open.write_all(b"GET").await.unwrap();
        let taken = Page::serve(address, false, Registry::new()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(page);
        assert!(matches!(open.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        Page::serve(address, false, Registry::new()).unwrap();
    }

    #[tokio::test]
    async fn it_is_for_this_machine_unless_others_are_meant() {
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let refused = Page::serve(everywhere, false, Registry::new()).unwrap_err();
        assert!(refused.to_string().contains("allow_non_loopback"));
        Page::serve(everywhere, true, Registry::new()).unwrap();
    }
}
