//! A server on port 0 whose service acts by the name in the request, and clients for it.

use crate::{
    grpc::pb::{
        self,
        realization_service_client::RealizationServiceClient,
        realization_service_server::{RealizationService, RealizationServiceServer},
    },
    server::{Settings, serve},
};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt, iter, once, pending, repeat_with};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Response, Status, codec::CompressionEncoding, service::Routes, transport::Channel};

/// Longer than anything here takes. A test that reaches it fails.
pub const SOON: Duration = Duration::from_secs(10);

/// Fails the test if `work` does not end soon.
pub async fn soon<F: Future>(work: F) -> F::Output {
    timeout(SOON, work).await.expect("this should end soon")
}

/// A server that runs until it is stopped.
pub struct Server {
    pub address: SocketAddr,
    /// Cancelled when the drain begins.
    pub drain: CancellationToken,
    stop: DropGuard,
    running: JoinHandle<io::Result<()>>,
}

impl Server {
    pub async fn start(settings: Settings, routes: Routes) -> Server {
        let drain = CancellationToken::new();
        Server::start_with(settings, routes, drain).await
    }

    pub async fn start_with(
        settings: Settings,
        routes: Routes,
        drain: CancellationToken,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let stopped = async move {
            stopping.cancelled().await;
            0
        };
        let running = serve(listener, routes, settings, drain.clone(), stopped);
        Server {
            address,
            drain,
            stop: stop.drop_guard(),
            running: tokio::spawn(running),
        }
    }

    /// Drains the server and returns when it has stopped.
    pub async fn stop(self) {
        drop(self.stop);
        soon(self.running).await.unwrap().unwrap();
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub async fn client(&self) -> RealizationServiceClient<Channel> {
        RealizationServiceClient::new(self.channel().await)
    }
}

/// A service that acts by the name in a request.
#[derive(Clone, Default)]
pub struct Scripted {
    /// Lets calls of `held` proceed.
    pub release: Arc<Notify>,
    /// Notified when a call of `held` has arrived.
    pub arrived: Arc<Notify>,
    /// Number of open streams.
    pub open: Arc<AtomicUsize>,
}

impl Scripted {
    pub fn routes(&self, settings: &Settings) -> Routes {
        Routes::new(
            RealizationServiceServer::new(self.clone())
                .max_decoding_message_size(settings.max_message_bytes)
                .accept_compressed(CompressionEncoding::Gzip),
        )
    }

    pub async fn serve(settings: Settings) -> (Scripted, Server) {
        let scripted = Scripted::default();
        let routes = scripted.routes(&settings);
        (scripted, Server::start(settings, routes).await)
    }
}

/// Counts an open stream until dropped.
struct Opened(Arc<AtomicUsize>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl RealizationService for Scripted {
    type WatchRealizationStream = Answers<pb::WatchRealizationResponse>;
    type WatchRealizationsStream = Answers<pb::WatchRealizationsResponse>;

    async fn get_tunnel_statistics(
        &self,
        _: tonic::Request<pb::GetTunnelStatisticsRequest>,
    ) -> Result<tonic::Response<pb::GetTunnelStatisticsResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("not in the script"))
    }

    async fn get_realization(
        &self,
        request: tonic::Request<pb::GetRealizationRequest>,
    ) -> Result<Response<pb::GetRealizationResponse>, Status> {
        match request.get_ref().name.as_str() {
            "panic" => panic!("as the script says"),
            "never" => std::future::pending().await,
            "large" => return Ok(Response::new(answer_of(LARGE))),
            "small" => return Ok(Response::new(answer_of(1_000))),
            "held" => {
                self.arrived.notify_one();
                self.release.notified().await;
            }
            _ => {}
        }
        Ok(Response::new(pb::GetRealizationResponse::default()))
    }

    async fn watch_realization(
        &self,
        request: tonic::Request<pb::WatchRealizationRequest>,
    ) -> Result<Response<Self::WatchRealizationStream>, Status> {
        let message = || {
            Ok(pb::WatchRealizationResponse {
                resume_token: "t".to_owned(),
                ..Default::default()
            })
        };
        let first = iter([message()]);
        let stream = match request.get_ref().name.as_str() {
            "endless" => repeat_with(message).boxed(),
            "panic" => first
                .chain(once(async {
                    // tonic sends the messages it has when no further one is ready at once.
                    tokio::task::yield_now().await;
                    panic!("as the script says")
                }))
                .boxed(),
            "short" => first.boxed(),
            _ => first.chain(pending()).boxed(),
        };
        self.open.fetch_add(1, Ordering::SeqCst);
        let opened = Opened(Arc::clone(&self.open));
        let stream = stream.map(move |message| {
            let _held = &opened;
            message
        });
        Ok(Response::new(stream.boxed()))
    }

    async fn watch_realizations(
        &self,
        _: tonic::Request<pb::WatchRealizationsRequest>,
    ) -> Result<Response<Self::WatchRealizationsStream>, Status> {
        Err(Status::unimplemented("not in the script"))
    }

    async fn wait_realization(
        &self,
        _: tonic::Request<pb::WaitRealizationRequest>,
    ) -> Result<Response<pb::WaitRealizationResponse>, Status> {
        Err(Status::unimplemented("not in the script"))
    }
}

/// Size of a large answer in bytes.
pub const LARGE: usize = 1024 * 1024;

fn answer_of(bytes: usize) -> pb::GetRealizationResponse {
    pb::GetRealizationResponse {
        realization: Some(pb::Realization {
            native_state: "x".repeat(bytes),
            ..Default::default()
        }),
    }
}

pub fn get(name: &str) -> pb::GetRealizationRequest {
    pb::GetRealizationRequest {
        name: name.to_owned(),
        ..Default::default()
    }
}

pub fn watch(name: &str) -> pb::WatchRealizationRequest {
    pb::WatchRealizationRequest {
        name: name.to_owned(),
        ..Default::default()
    }
}

/// A raw answer. A gRPC client would replace some of the server's codes with its own.
pub struct Raw {
    pub headers: HeaderMap,
    pub data: BytesMut,
    pub trailers: HeaderMap,
}

impl Raw {
    /// Returns the status of the trailers, or of the headers if the trailers hold none.
    pub fn status(&self) -> Status {
        Status::from_header_map(&self.trailers)
            .or_else(|| Status::from_header_map(&self.headers))
            .expect("a status")
    }
}

/// Calls a method of `RealizationService` over bare HTTP/2.
pub async fn raw_call(
    address: SocketAddr,
    method: &str,
    headers: &[(&str, &str)],
    message: &impl Message,
) -> Raw {
    let path = format!("isthmus.v1.RealizationService/{method}");
    raw_call_of(address, &path, headers, message).await
}

/// Calls a method of any service over bare HTTP/2.
pub async fn raw_call_of(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    message: &impl Message,
) -> Raw {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let mut body = vec![0];
    body.extend((message.encoded_len() as u32).to_be_bytes());
    message.encode(&mut body).unwrap();
    let mut request = Request::post(format!("http://{address}/{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let (parts, mut body) = soon(sender.send_request(request))
        .await
        .unwrap()
        .into_parts();
    let mut raw = Raw {
        headers: parts.headers,
        data: BytesMut::new(),
        trailers: HeaderMap::new(),
    };
    while let Some(frame) = soon(body.frame()).await {
        match frame.unwrap().into_data() {
            Ok(data) => raw.data.extend_from_slice(&data),
            Err(frame) => raw.trailers = frame.into_trailers().expect("data or trailers"),
        }
    }
    driver.abort();
    raw
}
