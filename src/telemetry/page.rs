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

/// The content type of Prometheus's text format.
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

const PATH: &str = "/metrics";

/// The limit of open connections. Another one closes the oldest: a scrape takes milliseconds, and a client that only
/// holds connections must not keep others out.
const MAX_CONNECTIONS: usize = 16;

/// The limit of a request's head, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// How long the head may take to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection may last.
const WITHIN: Duration = Duration::from_secs(30);

/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The page, which is served until this is dropped.
#[derive(Debug)]
pub(super) struct Page {
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl Page {
    /// Begins to serve the metrics in `registry`. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the address is not a loopback one and `allow_non_loopback` is off, or as the operating system says.
    pub(super) fn serve(
        address: SocketAddr,
        allow_non_loopback: bool,
        registry: Registry,
    ) -> io::Result<Page> {
        if !allow_non_loopback && !is_loopback(address.ip()) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it can be reached from other machines and nobody is authenticated: listen on a loopback \
                 address, or set `allow_non_loopback`",
            ));
        }
        // Bind first, so that an address in use is found at the start.
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

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, content: Arc<Content>) {
    // Oldest first. Dropping a handle closes its connection.
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

/// Serves one request.
async fn serve(stream: TcpStream, content: Arc<Content>) {
    let service = service_fn(|request| {
        let content = Arc::clone(&content);
        async move { Ok::<_, Infallible>(content.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_header_size(MAX_HEAD)
        // Scrapes are many seconds apart, and an idle connection would only take a place.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that is cut off notices it.
    let _ = timeout(WITHIN, connection).await;
}

#[derive(Debug)]
struct Content {
    registry: Registry,
    /// Allows one collection at a time, however many clients scrape, because each reads the whole gateway.
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

    /// Returns all metrics in Prometheus's text format.
    async fn text(&self) -> Option<String> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        let registry = self.registry.clone();
        // Callbacks may take locks, and the encoding takes CPU time.
        let read = spawn_blocking(move || {
            let text = TextEncoder::new().encode_to_string(&registry.gather());
            // Released here and not by the caller, because a caller that goes away does not stop this task.
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
        // The oldest connection is closed.
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
