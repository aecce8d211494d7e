//! Those who do not behave, each at a modest rate, all of them from a few connections of their own.
//!
//! What they hold is bounded here too, so that it is the gateway that is measured and not the machine.

use crate::{
    clouds::{NEUTRON, NSX},
    support::process::{self, Commands},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::{LocalBoxFuture, join_all},
    stream,
};
use http::{Method, Request};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use isthmus::grpc::pb;
use prost::Message;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

const GET: &str = "/isthmus.v1.ConnectionService/GetConnection";
const CREATE: &str = "/isthmus.v1.ConnectionService/CreateConnection";
const LIST: &str = "/isthmus.v1.ConnectionService/ListConnections";
const ONE_POLL: &str = "/isthmus.v1.RealizationService/GetRealization";
const WATCH: &str = "/isthmus.v1.RealizationService/WatchRealization";
const WATCH_MANY: &str = "/isthmus.v1.RealizationService/WatchRealizations";
/// How long an attacker waits for an answer that it would read.
const PATIENCE: Duration = Duration::from_secs(20);
/// Calls that are left open at the same time, by each kind of attack that leaves calls open.
const HELD: usize = 500;
/// The first bytes of an HTTP/2 connection, of which half are sent.
const HALF_A_PREFACE: &[u8] = b"PRI * HTTP/2";

/// How often each attack struck, and what came of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counts(BTreeMap<String, usize>);

impl Counts {
    /// A line for each.
    pub fn print(&self) {
        for (what, count) in &self.0 {
            println!("- {what}: {count}");
        }
    }
}

#[derive(Debug, Clone)]
struct Attacker {
    addr: SocketAddr,
    counts: Arc<Mutex<Counts>>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Attacks when told to, until told otherwise; then tells what it did.
pub async fn run(addr: SocketAddr) {
    let attacker = Attacker {
        addr,
        counts: Arc::default(),
    };
    process::answer(&());
    let mut commands = Commands::begin();
    while let Some(true) = commands.next::<bool>().await {
        tokio::select! {
            _ = join_all(attacker.attacks()) => {}
            _ = commands.next::<bool>() => {}
        }
        process::answer(&*attacker.counts());
    }
}

/// The body of a call: these frames, and then its end or nothing.
fn body(frames: Vec<Bytes>, ends: bool) -> Body {
    let frames = stream::iter(frames).map(|frame| Ok(Frame::data(frame)));
    match ends {
        true => StreamBody::new(frames).boxed_unsync(),
        false => StreamBody::new(frames.chain(stream::pending())).boxed_unsync(),
    }
}

fn framed(message: &impl Message) -> Bytes {
    crate::support::streams::framed(&message.encode_to_vec())
}

fn get(name: String) -> Bytes {
    framed(&pb::GetConnectionRequest { name })
}

fn junk(backend: &str, number: usize) -> String {
    format!("backends/{backend}/connections/junk-{number}")
}

impl Attacker {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, what: &str) {
        *self.counts().0.entry(what.to_owned()).or_default() += 1;
    }

    fn attacks(&self) -> Vec<LocalBoxFuture<'_, ()>> {
        let mut all = vec![
            self.read_greedily(NSX, 20).boxed_local(),
            self.read_greedily(NEUTRON, 20).boxed_local(),
            self.half_prefaces().boxed_local(),
            self.silent_connections().boxed_local(),
            self.cancel().boxed_local(),
            self.name_junk().boxed_local(),
            self.speak_badly().boxed_local(),
        ];
        // Calls that are never finished, and answers that are never read.
        let announced = [&[0, 0, 0x3f, 0xff, 0xff][..], &[1; 60_000]].concat();
        let list = |backend: &str| {
            framed(&pb::ListConnectionsRequest {
                parent: format!("backends/{backend}"),
                page_size: 1000,
                ..Default::default()
            })
        };
        let watch = framed(&pb::WatchRealizationsRequest {
            parent: "backends/-".to_owned(),
            ..Default::default()
        });
        let held = [
            ("a call without its message", CREATE, vec![], false, 20),
            (
                "a call with a part of 4 MiB",
                CREATE,
                vec![announced.into()],
                false,
                5,
            ),
            ("an unread list of NSX", LIST, vec![list(NSX)], true, 2),
            (
                "an unread list of Neutron",
                LIST,
                vec![list(NEUTRON)],
                true,
                2,
            ),
            ("an unread watch over all", WATCH_MANY, vec![watch], true, 2),
        ];
        all.extend(held.map(|(what, path, frames, ends, rate)| {
            self.hold(what, path, frames, ends, rate).boxed_local()
        }));
        all
    }

    /// A connection whose streams have a window of so many bytes.
    async fn connect(&self, window: u32) -> Option<SendRequest<Body>> {
        let socket = TcpStream::connect(self.addr).await.ok()?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(window)
            .handshake(TokioIo::new(socket))
            .await
            .ok()?;
        tokio::spawn(async move {
            // However it ends, the sender notices.
            let _ = connection.await;
        });
        Some(sender)
    }

    async fn call(
        &self,
        sender: &mut SendRequest<Body>,
        request: Request<Body>,
    ) -> Option<http::Response<Incoming>> {
        timeout(PATIENCE, sender.ready()).await.ok()?.ok()?;
        sender.send_request(request).await.ok()
    }

    fn request(&self, method: Method, path: &str, content_type: &str, body: Body) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.addr))
            .header("content-type", content_type)
            .header("te", "trailers")
            .body(body)
            .expect("a path is a path")
    }

    fn grpc(&self, path: &str, body: Body) -> Request<Body> {
        self.request(Method::POST, path, "application/grpc", body)
    }

    /// So many at once, each with the next call as soon as the last is answered.
    async fn read_greedily(&self, backend: &str, readers: usize) {
        let loops = (0..readers).map(|reader| async move {
            loop {
                let Some(mut sender) = self.connect(1 << 16).await else {
                    sleep(Duration::from_secs(1)).await;
                    continue;
                };
                for number in 0..1000 {
                    // NSX is asked for each; nobody needs to be there.
                    let body = body(vec![get(junk(backend, reader * 1000 + number))], true);
                    let answer = self.call(&mut sender, self.grpc(GET, body));
                    match timeout(PATIENCE, answer).await {
                        Ok(Some(answer)) => {
                            let _ = answer.into_body().collect().await;
                            self.count("greedy reads");
                        }
                        Ok(None) | Err(_) => break,
                    }
                }
            }
        });
        join_all(loops).await;
    }

    /// Twenty connections a second that say half of what begins HTTP/2, from another address of this machine.
    async fn half_prefaces(&self) {
        let mut open = VecDeque::new();
        loop {
            sleep(Duration::from_millis(50)).await;
            let Ok(socket) = TcpSocket::new_v4() else {
                continue;
            };
            let _ = socket.bind(SocketAddr::from(([127, 0, 0, 2], 0)));
            if let Ok(mut stream) = socket.connect(self.addr).await
                && stream.write_all(HALF_A_PREFACE).await.is_ok()
            {
                self.count("half prefaces");
                open.push_back(stream);
            }
            if open.len() > 2 * HELD {
                open.pop_front();
            }
        }
    }

    /// One a second that says nothing.
    async fn silent_connections(&self) {
        let mut open = VecDeque::new();
        loop {
            sleep(Duration::from_secs(1)).await;
            if let Ok(stream) = TcpStream::connect(self.addr).await {
                self.count("silent connections");
                open.push_back(stream);
            }
            if open.len() > HELD {
                open.pop_front();
            }
        }
    }

    /// Fifty watches a second, left as soon as they were asked for.
    async fn cancel(&self) {
        let watch = framed(&pb::WatchRealizationsRequest {
            parent: "backends/-".to_owned(),
            ..Default::default()
        });
        self.at_rate(50, async |sender, _| {
            let request = self.grpc(WATCH_MANY, body(vec![watch.clone()], true));
            if sender.ready().await.is_ok() {
                let answer = sender.send_request(request);
                let _ = timeout(Duration::from_millis(2), answer).await;
                self.count("cancelled watches");
            }
        })
        .await;
    }

    /// Fifty a second of names and tokens that no cloud and no gateway has ever had.
    async fn name_junk(&self) {
        self.at_rate(50, async |sender, number| {
            let name = junk([NSX, NEUTRON][number % 2], number);
            let token = format!(r#"{{"v":1,"n":"{name}","e":{number},"w":7}}"#);
            let write_token = URL_SAFE_NO_PAD.encode(token);
            let (path, message) = match number % 4 {
                0 | 1 => {
                    let watch = pb::WatchRealizationRequest {
                        name,
                        write_token,
                        ..Default::default()
                    };
                    (WATCH, framed(&watch))
                }
                _ => {
                    let poll = pb::GetRealizationRequest {
                        name,
                        write_token,
                        ..Default::default()
                    };
                    (ONE_POLL, framed(&poll))
                }
            };
            let request = self.grpc(path, body(vec![message], true));
            if sender.ready().await.is_ok() {
                let answer = sender.send_request(request);
                let _ = timeout(Duration::from_millis(200), answer).await;
                self.count("junk names");
            }
        })
        .await;
    }

    /// Ten a second that are no gRPC.
    async fn speak_badly(&self) {
        self.at_rate(10, async |sender, number| {
            let (method, content_type) = match number % 3 {
                0 => (Method::GET, "application/grpc"),
                1 => (Method::POST, "text/plain"),
                _ => (Method::POST, "application/grpc"),
            };
            let noise = Bytes::from(vec![0xff; 64]);
            let request = self.request(method, GET, content_type, body(vec![noise], true));
            if let Ok(Some(answer)) = timeout(PATIENCE, self.call(sender, request)).await {
                let _ = timeout(PATIENCE, answer.into_body().collect()).await;
                self.count("no gRPC");
            }
        })
        .await;
    }

    /// Calls something so many times a second, on a connection that is made anew when it breaks.
    async fn at_rate(&self, rate: u32, mut act: impl AsyncFnMut(&mut SendRequest<Body>, usize)) {
        let mut number = 0;
        loop {
            let Some(mut sender) = self.connect(1 << 16).await else {
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            while !sender.is_closed() {
                sleep(Duration::from_secs(1) / rate).await;
                act(&mut sender, number).await;
                number += 1;
            }
        }
    }

    /// So many calls a second whose answers are never read, on connections with small windows; [`HELD`] at a time.
    async fn hold(&self, what: &str, path: &str, frames: Vec<Bytes>, ends: bool, rate: u32) {
        let mut held: VecDeque<Box<dyn Send>> = VecDeque::new();
        loop {
            let Some(mut sender) = self.connect(1024).await else {
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            for _ in 0..200 {
                sleep(Duration::from_secs(1) / rate).await;
                if sender.is_closed() {
                    break;
                }
                let request = self.grpc(path, body(frames.clone(), ends));
                // In vain, once as many streams are open as the gateway allows.
                if !matches!(
                    timeout(Duration::from_secs(1), sender.ready()).await,
                    Ok(Ok(()))
                ) {
                    break;
                }
                let mut answer = Box::pin(sender.send_request(request));
                self.count(what);
                // Sent, and left.
                match timeout(Duration::from_millis(100), &mut answer).await {
                    Ok(Ok(answer)) => {
                        if answer.headers().contains_key("grpc-status") {
                            self.count(&format!("{what}, refused"));
                        }
                        held.push_back(Box::new(answer));
                    }
                    _ => held.push_back(Box::new(answer)),
                }
                while held.len() > HELD {
                    held.pop_front();
                }
            }
        }
    }
}
