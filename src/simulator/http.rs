//! A server on loopback that can be stopped, restarted and cut off, and that logs its requests.
//!
//! It runs its own accept loop because it must own its connections. A framework's server cannot reset a connection,
//! lose an answer after the handler ran, or write bytes that are not HTTP. It speaks HTTP/1.1 only: one connection
//! carries one request at a time, so cutting the connection cuts exactly that request.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use futures_util::future::{Either, ready};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use crate::simulator::bodies::{Endless, Half, Held};
use crate::simulator::faults::{Answer, Fault, Faults};
use crate::simulator::requests::{InFlight, RequestLog, Seen};

/// A router with its faults and its request log. Clones share one site.
///
/// A [`Server`] serves a site on loopback. On another network, hand each connection to [`Site::serve`].
#[derive(Clone, Debug)]
pub struct Site(Arc<Shared>);

impl Site {
    /// Creates a site that accepts no connections of its own.
    pub fn new(router: axum::Router, faults: Faults) -> Self {
        Self(Arc::new(Shared {
            router,
            faults,
            log: RequestLog::default(),
            asked: Arc::new(()),
            shut: AtomicBool::new(false),
            shut_asked: Notify::new(),
            shutting: watch::Sender::new(false),
            going_on: Mutex::default(),
        }))
    }

    /// The faults of this site. [`Fault::Shut`] needs a [`Server`].
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The log of requests.
    pub fn requests(&self) -> &RequestLog {
        &self.0.log
    }

    /// Serves one connection until either side ends it. Where a [`Server`] would reset the connection, this drops it.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let never = Ends {
            stop: CancellationToken::new(),
            shut: CancellationToken::new(),
        };
        converse(stream, Arc::clone(&self.0), never, drop).await;
    }
}

/// One HTTP server with its own state. Dropping it closes every connection and stops it.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// A tokio mutex, because `stop` holds it while it awaits the accept loop.
    listening: tokio::sync::Mutex<Listening>,
}

impl Server {
    /// Serves `router` on a free port of 127.0.0.1, with the given faults.
    ///
    /// # Errors
    /// If no port can be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(router: axum::Router, faults: Faults) -> io::Result<Self> {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Self::serve(socket, router, faults)
    }

    /// Serves `router` on this address, with the given faults.
    ///
    /// # Errors
    /// If the address cannot be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start_at(addr: SocketAddr, router: axum::Router, faults: Faults) -> io::Result<Self> {
        Self::serve(bind(addr)?, router, faults)
    }

    /// The address of the server. It is valid while the server is stopped, too.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:<port>`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The faults of this server.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The log of requests.
    pub fn requests(&self) -> &RequestLog {
        &self.shared.log
    }

    /// Refuses new connections and resets the open ones. The state stays.
    ///
    /// When this returns, no client is connected. Stopping a stopped server does nothing.
    ///
    /// # Errors
    /// If the port cannot be reserved.
    pub async fn stop(&self) -> io::Result<()> {
        self.listening.lock().await.close(self.addr).await
    }

    /// Listens again on the same port, after [`Server::stop`] or [`Fault::Shut`]. Restarting a running server does
    /// nothing.
    ///
    /// # Errors
    /// If the server can no longer listen on its port.
    pub async fn restart(&self) -> io::Result<()> {
        let mut listening = self.listening.lock().await;
        if self.shared.shut.swap(false, Ordering::SeqCst) {
            listening.close(self.addr).await?;
        }
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
        let Site(shared) = Site::new(router, faults);
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

impl Shared {
    /// Runs `work` in the background until it ends or the site is dropped.
    fn go_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut going_on = self
            .going_on
            .lock()
            .expect("no code panics while it holds this");
        while going_on.try_join_next().is_some() {}
        going_on.spawn(work);
    }

    /// Makes the accept loop refuse connections, and waits until it does.
    async fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        self.shut_asked.notify_one();
        // `self` owns the sender, so it cannot be gone.
        let _ = self.shutting.subscribe().wait_for(|shut| *shut).await;
    }
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

    async fn close(&mut self, addr: SocketAddr) -> io::Result<()> {
        if let Self::Open { stop, accepting } = self {
            // A socket that is bound and does not listen refuses connections and keeps the port reserved. An unbound
            // port of the ephemeral range might even connect a client to itself.
            let reserved = Some(bind(addr)?);
            stop.cancel();
            // The loop does not panic and nothing else aborts it. Whatever the result, it has ended.
            let _ = accepting.await;
            *self = Self::Closed { reserved };
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Shared {
    router: axum::Router,
    faults: Faults,
    log: RequestLog,
    /// Each request whose answer has not begun holds one more reference.
    asked: Arc<()>,
    /// Whether [`Fault::Shut`] has struck since the last start.
    shut: AtomicBool,
    /// Wakes the accept loop to refuse connections.
    shut_asked: Notify,
    /// Whether the accept loop refuses connections because of [`Fault::Shut`].
    shutting: watch::Sender<bool>,
    /// Work that continues although its client was already answered.
    going_on: Mutex<JoinSet<()>>,
}

/// How a connection ends early.
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
    // Lets `close` reserve the port while the listener still holds it, so no other process gets it in between.
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Accepts connections until stopped, then resets all of them. If aborted, it drops them.
async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    let mut listener = Some(listener);
    let mut reserved = None;
    let shut = CancellationToken::new();
    shared.shutting.send_replace(false);
    loop {
        let accepting = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = shared.shut_asked.notified(), if listener.is_some() => {
                // Bound but not listening, as in `close`, so no other process gets the port.
                let addr = listener.as_ref().and_then(|listener| listener.local_addr().ok());
                reserved = addr.and_then(|addr| bind(addr).ok());
                listener = None;
                shut.cancel();
                // A client that is told to go on must not find a connection that only seems open.
                while connections.len() >= Arc::strong_count(&shared.asked) {
                    tokio::select! {
                        () = stop.cancelled() => break,
                        _ = connections.join_next() => {}
                    }
                }
                shared.shutting.send_replace(true);
            }
            accepted = accepting => match accepted {
                Ok((stream, _)) => {
                    let ends = Ends { stop: stop.clone(), shut: shut.clone() };
                    connections.spawn(converse(stream, Arc::clone(&shared), ends, reset));
                }
                // The peer is already gone, or the process is out of file descriptors for the moment.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop((listener, reserved));
    while connections.join_next().await.is_some() {}
}

/// Signals that end a connection from outside.
struct Ends {
    /// Resets the connection at once.
    stop: CancellationToken,
    /// Closes the connection when it is idle.
    shut: CancellationToken,
}

/// Closing with a linger time of zero sends RST instead of FIN.
fn reset(stream: TcpStream) {
    // This fails if the peer is gone, and then there is nothing to reset.
    let _ = stream.set_zero_linger();
}

async fn converse<S>(stream: S, shared: Arc<Shared>, ends: Ends, reset: fn(S))
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (cut, mut cuts) = watch::channel(None);
    let service = service_fn(move |request| {
        let (shared, cut) = (Arc::clone(&shared), cut.clone());
        async move {
            let _asked = Arc::clone(&shared.asked);
            let mut response = answer(request, Arc::clone(&shared), cut).await?;
            if shared.shut.load(Ordering::SeqCst) {
                // `Connection: close` tells the client to send nothing more. A client may notice a plain close too
                // late.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut is_shut = false;
    let cut = loop {
        tokio::select! {
            () = ends.stop.cancelled() => break Cut::Reset,
            // The sender lives in the service, which lives as long as the connection.
            Ok(cut) = cuts.wait_for(Option::is_some) => match *cut {
                Some(Cut::Close) => break Cut::Close,
                Some(Cut::Garbage) => break Cut::Garbage,
                Some(Cut::Reset) | None => break Cut::Reset,
            },
            () = ends.shut.cancelled(), if !is_shut => {
                is_shut = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            _ = &mut connection => return,
        }
    };
    let mut stream = connection.into_parts().io.into_inner();
    // The peer may be gone.
    let _ = match cut {
        Cut::Reset => {
            reset(stream);
            Ok(())
        }
        Cut::Close => stream.shutdown().await,
        Cut::Garbage => stream.write_all(GARBAGE).await,
    };
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    shared: Arc<Shared>,
    cut: watch::Sender<Option<Cut>>,
) -> Result<Response<Body>, Infallible> {
    let in_flight = shared.log.arrived(Seen::of(&request));
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let struck = shared
        .faults
        .strike(&method, uri.path(), uri.query().unwrap_or_default());
    let on_the_way =
        |fault: &Fault| matches!(fault, Fault::HoldOnTheWay(_) | Fault::AnswerMeanwhile(..));
    let mut reading = in_flight.reading();
    let request = request.map(|body| {
        Body::new(body.map_frame(move |frame| {
            frame
                .data_ref()
                .into_iter()
                .for_each(|piece| reading(piece));
            frame
        }))
    });
    let request = match struck.iter().any(on_the_way) {
        true => whole(request).await,
        false => request,
    };
    let mut handle = Either::Left(shared.router.clone().oneshot(request));
    for fault in struck {
        match fault {
            Fault::Delay(time) => tokio::time::sleep(time).await,
            Fault::Hold(gate) => gate.pass().await,
            Fault::HoldAnswer(gate) => {
                let response = handle.await;
                gate.pass().await;
                handle = Either::Right(ready(response));
            }
            Fault::HoldOnTheWay(gate) => {
                let (answered, answer) = tokio::sync::oneshot::channel();
                shared.go_on(async move {
                    gate.pass().await;
                    // The client may be gone.
                    let _ = answered.send(handle.await);
                    drop(in_flight);
                });
                return match answer.await {
                    Ok(response) => response,
                    // The site is being dropped, and this connection with it.
                    Err(_) => std::future::pending().await,
                };
            }
            Fault::Shut => shared.shut().await,
            // The request stays in flight until the last byte is sent or the client has hung up.
            Fault::Answer(answer) => return Ok(held(say(answer), in_flight)),
            Fault::Foreign404(kind) => {
                return Ok(held(say(kind.answer(&method, uri.path())), in_flight));
            }
            Fault::AnswerAfterHandling(answer) => {
                let Ok(_lost) = handle.await;
                return Ok(held(say(answer), in_flight));
            }
            Fault::AnswerMeanwhile(answer, time) => {
                shared.go_on(async move {
                    tokio::time::sleep(time).await;
                    let Ok(_lost) = handle.await;
                    drop(in_flight);
                });
                return Ok(say(answer));
            }
            Fault::CutBeforeHandling => return end(&cut, Cut::Reset).await,
            Fault::CutAfterHandling => {
                let Ok(_lost) = handle.await;
                return end(&cut, Cut::Close).await;
            }
            Fault::TruncateBody => {
                let Ok(response) = handle.await;
                return Ok(held(truncated(response).await, in_flight));
            }
            Fault::EndlessBody => return Ok(held(endless(), in_flight)),
            Fault::Garbage => return end(&cut, Cut::Garbage).await,
        }
    }
    let Ok(response) = handle.await;
    in_flight.answered(response.status());
    Ok(response)
}

/// Reads the whole body, so that the request no longer needs its client.
async fn whole(request: Request<Body>) -> Request<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    Request::from_parts(head, Body::from(body.unwrap_or_default()))
}

/// Makes the connection end in this way, and never returns.
async fn end(cut: &watch::Sender<Option<Cut>>, how: Cut) -> Result<Response<Body>, Infallible> {
    cut.send_replace(Some(how));
    std::future::pending().await
}

fn held(response: Response<Body>, in_flight: InFlight) -> Response<Body> {
    response.map(|body| Body::new(Held { body, in_flight }))
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
mod tests;
