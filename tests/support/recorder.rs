//! A server between a dialect and its cloud that passes everything on and remembers it, bodies included.

use axum::{body::Body, extract::State};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use isthmus::simulator::{faults::Faults, http::Server};
use std::{
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::net::TcpStream;

/// Passes on until dropped.
pub struct Recorder {
    server: Server,
    exchanges: Exchanges,
}

/// One request with its answer.
#[derive(Clone)]
pub struct Exchange {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub uri: Uri,
    /// What was sent; empty if nothing was.
    pub sent: Bytes,
    /// The status of the answer.
    pub status: StatusCode,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// What was answered; empty if nothing was.
    pub answered: Bytes,
}

type Exchanges = Arc<Mutex<Vec<Exchange>>>;

impl Recorder {
    /// Stands before the server at this address.
    pub fn before(cloud: SocketAddr) -> Recorder {
        let exchanges = Exchanges::default();
        let router = axum::Router::new()
            .fallback(pass_on)
            .with_state((cloud, Arc::clone(&exchanges)));
        let server = Server::start(router, Faults::default()).unwrap();
        Recorder { server, exchanges }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Everything so far, in the order of the answers.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap().clone()
    }
}

async fn pass_on(
    State((cloud, exchanges)): State<(SocketAddr, Exchanges)>,
    request: Request<Body>,
) -> Response<Body> {
    match exchange(cloud, request).await {
        Ok(exchange) => {
            let mut response = Response::new(Body::from(exchange.answered.clone()));
            *response.status_mut() = exchange.status;
            *response.headers_mut() = exchange.headers.clone();
            exchanges.lock().unwrap().push(exchange);
            response
        }
        Err(error) => {
            let mut response = Response::new(Body::from(error.to_string()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

async fn exchange(
    cloud: SocketAddr,
    request: Request<Body>,
) -> Result<Exchange, Box<dyn Error + Send + Sync>> {
    let (mut head, body) = request.into_parts();
    let sent = body.collect().await?.to_bytes();
    head.headers.insert(HOST, cloud.to_string().parse()?);
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let request = Request::from_parts(head, Full::new(sent.clone()));

    // A connection for each request: slow enough for nobody here, and nothing to keep in order.
    let socket = TokioIo::new(TcpStream::connect(cloud).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(socket).await?;
    let moving = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let answered = body.collect().await?.to_bytes();
    drop(sender);
    moving.await??;
    Ok(Exchange {
        method,
        uri,
        sent,
        status: head.status,
        headers: head.headers,
        answered,
    })
}
