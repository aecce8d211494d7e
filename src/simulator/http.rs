//! A server on loopback that can be stopped, restarted and cut, and remembers what it was asked.
//!
//! It has its own accept loop because the connections must be ours: a framework's server offers no way
//! to reset one, to lose an answer after the handler ran, or to write what is no HTTP. HTTP/1.1 only, so that
//! one connection carries one request at a time and cutting the connection cuts exactly that request.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use crate::simulator::bodies::{Endless, Half};
use crate::simulator::faults::{Answer, Fault, Faults};
use crate::simulator::requests::{RequestLog, Seen};

/// One HTTP server with a state of its own; dropped, it closes everything and stops.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// A tokio mutex, because `stop` waits for the accept loop while it holds it.
    listening: tokio::sync::Mutex<Listening>,
}

impl Server {
    /// Serves `router` on a free port of 127.0.0.1, misbehaving as `faults` says.
    ///
    /// # Errors
    /// If no port can be had.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(router: axum::Router, faults: Faults) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Self::serve(socket, router, faults)
    }

    /// Serves `router` on this address of this machine, misbehaving as `faults` says.
    ///
    /// # Errors
    /// If the address cannot be had.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start_at(addr: SocketAddr, router: axum::Router, faults: Faults) -> io::Result<Self> {
        Self::serve(bind(addr)?, router, faults)
    }

    /// Where it listens, stopped or not.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it does wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What it was asked.
    pub fn requests(&self) -> &RequestLog {
        &self.shared.log
    }

    /// Refuses connections from now on and resets all that are open; the state stays.
    ///
    /// Once this returns nobody is connected. Stopping twice is stopping once.
    ///
    /// # Errors
    /// If the port was taken by somebody else in the instant between closing and reserving it.
    pub async fn stop(&self) -> io::Result<()> {
        let mut listening = self.listening.lock().await;
        if let Listening::Open { stop, accepting } = &mut *listening {
            stop.cancel();
            // The loop cannot panic, and nobody else aborts it; whatever it says, it is over.
            let _ = accepting.await;
            // A socket that is bound and does not listen refuses connections and keeps the port ours. An
            // unbound port of the ephemeral range might even connect a client to itself.
            *listening = Listening::Closed {
                reserved: Some(bind(self.addr)?),
            };
        }
        Ok(())
    }

    /// Listens again on the same port. Restarting what runs does nothing.
    ///
    /// # Errors
    /// If the port cannot be listened on any more.
    pub async fn restart(&self) -> io::Result<()> {
        let mut listening = self.listening.lock().await;
        if let Listening::Closed { reserved } = &mut *listening {
            let socket = match reserved.take() {
                Some(socket) => socket,
                None => bind(self.addr)?,
            };
            *listening = Listening::open(socket.listen(BACKLOG)?, Arc::clone(&self.shared));
        }
        Ok(())
    }

    fn serve(socket: TcpSocket, router: axum::Router, faults: Faults) -> io::Result<Self> {
        let listener = socket.listen(BACKLOG)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            router,
            faults,
            log: RequestLog::default(),
        });
        let listening = tokio::sync::Mutex::new(Listening::open(listener, Arc::clone(&shared)));
        Ok(Self {
            addr,
            shared,
            listening,
        })
    }
}

#[derive(Debug)]
enum Listening {
    Open {
        stop: CancellationToken,
        accepting: AbortOnDropHandle<()>,
    },
    Closed {
        reserved: Option<TcpSocket>,
    },
}

impl Listening {
    fn open(listener: TcpListener, shared: Arc<Shared>) -> Self {
        let stop = CancellationToken::new();
        let accepting = tokio::spawn(accept(listener, shared, stop.clone()));
        Self::Open {
            stop,
            accepting: AbortOnDropHandle::new(accepting),
        }
    }
}

#[derive(Debug)]
struct Shared {
    router: axum::Router,
    faults: Faults,
    log: RequestLog,
}

/// How a connection is made to end before its time.
enum Cut {
    Reset,
    Close,
    Garbage,
}

fn bind(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Accepts until stopped, then resets every connection. Aborted, it drops them all.
async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&shared), stop.clone()));
                }
                // The peer has gone already, or we are out of file descriptors for the moment.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn converse(stream: TcpStream, shared: Arc<Shared>, stop: CancellationToken) {
    let (cut, mut cuts) = watch::channel(None);
    let service = service_fn(move |request| answer(request, Arc::clone(&shared), cut.clone()));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let cut = tokio::select! {
        () = stop.cancelled() => Cut::Reset,
        // Its sender lives in the service, which lives as long as the connection.
        Ok(cut) = cuts.wait_for(Option::is_some) => match *cut {
            Some(Cut::Close) => Cut::Close,
            Some(Cut::Garbage) => Cut::Garbage,
            Some(Cut::Reset) | None => Cut::Reset,
        },
        _ = &mut connection => return,
    };
    let mut stream = connection.into_parts().io.into_inner();
    // The peer may be gone; then there is nobody left to be rude to.
    let _ = match cut {
        // Closing with a linger time of zero sends RST in place of FIN.
        Cut::Reset => stream.set_zero_linger(),
        Cut::Close => stream.shutdown().await,
        Cut::Garbage => stream.write_all(GARBAGE).await,
    };
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    shared: Arc<Shared>,
    cut: watch::Sender<Option<Cut>>,
) -> Result<Response<Body>, Infallible> {
    let _in_flight = shared.log.arrived(Seen::of(&request));
    let uri = request.uri();
    let struck = shared.faults.strike(
        request.method(),
        uri.path(),
        uri.query().unwrap_or_default(),
    );
    let handle = shared.router.clone().oneshot(request.map(Body::new));
    for fault in struck {
        match fault {
            Fault::Delay(time) => tokio::time::sleep(time).await,
            Fault::Hold(gate) => gate.pass().await,
            Fault::HoldAnswer(gate) => {
                let response = handle.await;
                gate.pass().await;
                return response;
            }
            Fault::Answer(answer) => return Ok(say(answer)),
            Fault::CutBeforeHandling => return end(&cut, Cut::Reset).await,
            Fault::CutAfterHandling => {
                let Ok(_lost) = handle.await;
                return end(&cut, Cut::Close).await;
            }
            Fault::TruncateBody => {
                let Ok(response) = handle.await;
                return Ok(truncated(response).await);
            }
            Fault::EndlessBody => return Ok(endless()),
            Fault::Garbage => return end(&cut, Cut::Garbage).await,
        }
    }
    handle.await
}

/// Tells the connection to end so, and never answers.
async fn end(cut: &watch::Sender<Option<Cut>>, how: Cut) -> Result<Response<Body>, Infallible> {
    cut.send_replace(Some(how));
    std::future::pending().await
}

fn say(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    for (name, value) in answer.headers {
        response.headers_mut().append(name, value);
    }
    response
}

async fn truncated(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    head.headers
        .insert(http::header::CONTENT_LENGTH, body.len().into());
    let half = Half::Unsent(body.slice(..body.len() / 2));
    Response::from_parts(head, Body::new(half))
}

fn endless() -> Response<Body> {
    let mut response = Response::new(Body::new(Endless::default()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}

const BACKLOG: u32 = 1024;
const GARBAGE: &[u8] = b"\x00\xff\x16\x03\x01 this is not HTTP\r\n\r\n";
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::routing::{get, post};
    use http::{Method, StatusCode};
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::simulator::faults::{Gate, Rule};

    fn server() -> (Server, Arc<std::sync::atomic::AtomicU32>) {
        let writes = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = Arc::clone(&writes);
        let router = axum::Router::new()
            .route("/read", get(|| async { "0123456789" }))
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
        // reqwest asks for a TLS provider even where no TLS is spoken; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap()
    }

    /// One request on a connection of its own; whatever came back until the end, and how it ended.
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
}
