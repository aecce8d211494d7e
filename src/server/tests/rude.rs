//! A client that does only what the test tells it to, frame by frame, from any loopback address.

use crate::server::tests::support::soon;
use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{Request, Response};
use prost::Message;
use std::net::{IpAddr, SocketAddr};
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tonic::Status;

pub const GET: &str = "/isthmus.v1.RealizationService/GetRealization";
pub const WATCH: &str = "/isthmus.v1.RealizationService/WatchRealization";
pub const CHECK: &str = "/grpc.health.v1.Health/Check";

/// One HTTP/2 connection.
pub struct Rude {
    sender: SendRequest<Bytes>,
    address: SocketAddr,
    /// Ends with the connection.
    pub driver: JoinHandle<Result<(), h2::Error>>,
}

/// Opens a connection from this address and sends nothing.
pub async fn dial(from: &str, address: SocketAddr) -> TcpStream {
    let from: IpAddr = from.parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(address).await.unwrap()
}

impl Rude {
    pub async fn connect(address: SocketAddr) -> Rude {
        Rude::with(&Builder::new(), dial("127.0.0.1", address).await, address).await
    }

    /// Connects with a stream window of this many bytes.
    pub async fn reading(window: u32, address: SocketAddr) -> Rude {
        let mut builder = Builder::new();
        builder.initial_window_size(window);
        Rude::with(&builder, dial("127.0.0.1", address).await, address).await
    }

    pub async fn with(builder: &Builder, stream: TcpStream, address: SocketAddr) -> Rude {
        let (sender, connection) = builder.handshake(stream).await.unwrap();
        Rude {
            sender,
            address,
            driver: tokio::spawn(connection),
        }
    }

    /// Sends the headers of a call.
    pub async fn begin(&mut self, path: &str) -> RudeCall {
        let request = self.request(path);
        self.send(request).await
    }

    pub fn request(&self, path: &str) -> Request<()> {
        Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap()
    }

    pub async fn send(&mut self, request: Request<()>) -> RudeCall {
        let mut sender = soon(self.sender.clone().ready()).await.unwrap();
        let (answer, request) = sender.send_request(request, false).unwrap();
        RudeCall { answer, request }
    }

    /// Sends a whole call.
    pub async fn call(&mut self, path: &str, message: &impl Message) -> RudeCall {
        let mut call = self.begin(path).await;
        call.say(framed(&message.encode_to_vec()), true);
        call
    }
}

pub struct RudeCall {
    pub answer: ResponseFuture,
    pub request: SendStream<Bytes>,
}

impl RudeCall {
    pub fn say(&mut self, bytes: Bytes, is_end: bool) {
        self.request.send_data(bytes, is_end).unwrap();
    }

    /// Returns the final status, or the HTTP/2 error that ended the call.
    pub async fn status(self) -> Result<Status, h2::Error> {
        let _request = self.request;
        ended(soon(self.answer).await?).await
    }
}

/// Reads an answer to its end without enlarging the window.
pub async fn ended(answer: Response<RecvStream>) -> Result<Status, h2::Error> {
    let (parts, mut body) = answer.into_parts();
    if let Some(status) = Status::from_header_map(&parts.headers) {
        return Ok(status);
    }
    while let Some(data) = soon(body.data()).await {
        data?;
    }
    let trailers = soon(body.trailers()).await?.expect("trailers");
    Ok(Status::from_header_map(&trailers).expect("a status"))
}

/// Returns a message with the gRPC prefix.
pub fn framed(message: &[u8]) -> Bytes {
    let mut framed = announced(message.len());
    framed.put_slice(message);
    framed.freeze()
}

/// Returns the gRPC prefix of a message of this length.
pub fn announced(length: usize) -> BytesMut {
    let mut prefix = BytesMut::new();
    prefix.put_u8(0);
    prefix.put_u32(length as u32);
    prefix
}
