//! A server on loopback that can be stopped, restarted and cut, and remembers what it was asked.
//!
//! It has its own accept loop because the connections must be ours: a framework's server offers no way
//! to reset one, to lose an answer after the handler ran, or to write what is no HTTP. HTTP/1.1 only, so that
//! one connection carries one request at a time and cutting the connection cuts exactly that request.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
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

/// What is served: a router, what it does wrong, and what it was asked. Clones are the same site.
///
/// A [`Server`] serves one on loopback. On another network, hand each connection to [`Site::serve`].
#[derive(Clone, Debug)]
pub struct Site(Arc<Shared>);

impl Site {
    /// A site that nobody can reach yet.
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

    /// What it does wrong. [`Fault::Shut`] needs a [`Server`].
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// What it was asked.
    pub fn requests(&self) -> &RequestLog {
        &self.0.log
    }

    /// Answers on one connection until either side ends it. Where [`Server`] would reset it, it is dropped.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let never = Ends {
            stop: CancellationToken::new(),
            shut: CancellationToken::new(),
        };
        converse(stream, Arc::clone(&self.0), never, drop).await;
    }
}

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
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into())?;
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
    /// If the port cannot be reserved.
    pub async fn stop(&self) -> io::Result<()> {
        self.listening.lock().await.close(self.addr).await
    }

    /// Listens again on the same port, after [`Server::stop`] or [`Fault::Shut`]. Restarting what runs does nothing.
    ///
    /// # Errors
    /// If the port cannot be listened on any more.
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
    /// Handles this beside everything else, until it is done or the site is dropped.
    fn go_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut going_on = self
            .going_on
            .lock()
            .expect("no code panics while it holds this");
        while going_on.try_join_next().is_some() {}
        going_on.spawn(work);
    }

    /// Has connections refused, and waits until they are.
    async fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        self.shut_asked.notify_one();
        // The sender is ours, so it does not go away.
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
            // A socket that is bound and does not listen refuses connections and keeps the port ours. An
            // unbound port of the ephemeral range might even connect a client to itself.
            let reserved = Some(bind(addr)?);
            stop.cancel();
            // The loop cannot panic, and nobody else aborts it; whatever it says, it is over.
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
    /// Held once more by each request whose answer has not begun.
    asked: Arc<()>,
    /// Whether [`Fault::Shut`] struck since the last start.
    shut: AtomicBool,
    /// Wakes the accept loop to do so.
    shut_asked: Notify,
    /// Whether connections are refused because of it, as the accept loop says.
    shutting: watch::Sender<bool>,
    /// What goes on though its client was answered.
    going_on: Mutex<JoinSet<()>>,
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
    // So that the port can be reserved while it is still listened on, and nobody else gets it in between.
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Accepts until stopped, then resets every connection. Aborted, it drops them all.
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
                // Bound without listening, as `close` leaves it, so that nobody else gets the port.
                let addr = listener.as_ref().and_then(|listener| listener.local_addr().ok());
                reserved = addr.and_then(|addr| bind(addr).ok());
                listener = None;
                shut.cancel();
                // A client that is told it may go on must not find a connection that only seems open.
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
                // The peer has gone already, or we are out of file descriptors for the moment.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop((listener, reserved));
    while connections.join_next().await.is_some() {}
}

/// What ends a connection from outside.
struct Ends {
    /// At once, by a reset.
    stop: CancellationToken,
    /// When it is idle.
    shut: CancellationToken,
}

/// Closing with a linger time of zero sends RST in place of FIN.
fn reset(stream: TcpStream) {
    // The peer may be gone; then there is nobody left to be rude to.
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
                // Told so, a client sends nothing more on it; a connection that just closes it may find too late.
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
            // Its sender lives in the service, which lives as long as the connection.
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
    // The peer may be gone; then there is nobody left to be rude to.
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
    let handle = shared.router.clone().oneshot(request);
    for fault in struck {
        match fault {
            Fault::Delay(time) => tokio::time::sleep(time).await,
            Fault::Hold(gate) => gate.pass().await,
            Fault::HoldAnswer(gate) => {
                let response = handle.await;
                gate.pass().await;
                return response;
            }
            Fault::HoldOnTheWay(gate) => {
                let (answered, answer) = tokio::sync::oneshot::channel();
                shared.go_on(async move {
                    gate.pass().await;
                    // Nobody may be left to hear it.
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
            // Its request is being answered until the last byte is taken, or its client has hung up.
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

/// The request with all of its body, so that it does not need its client any more.
async fn whole(request: Request<Body>) -> Request<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    Request::from_parts(head, Body::from(body.unwrap_or_default()))
}

/// Tells the connection to end so, and never answers.
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
