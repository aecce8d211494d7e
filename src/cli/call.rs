//! Calls by name: one way to call for every kind of resource.

use crate::cli::{
    gateway::{Gateway, PATIENCE, answer_within, time_up},
    json,
};
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use std::{error::Error as _, time::Duration};
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};

/// Makes one call of a service, with these fields in its request.
///
/// # Errors
/// What the gateway says, or DEADLINE_EXCEEDED.
///
/// # Panics
/// If the protos have no such call, or its request no such fields.
pub async fn call(
    gateway: &Gateway,
    service: &str,
    call: &str,
    fields: impl IntoIterator<Item = (String, Value)>,
) -> Result<DynamicMessage, Status> {
    call_within(gateway, service, call, fields, PATIENCE).await
}

/// Like [`call`], with a timeout that the gateway also receives as the deadline.
///
/// # Errors
/// Those of [`call`].
///
/// # Panics
/// Those of [`call`].
pub async fn call_within(
    gateway: &Gateway,
    service: &str,
    call: &str,
    fields: impl IntoIterator<Item = (String, Value)>,
    patience: Duration,
) -> Result<DynamicMessage, Status> {
    let method = json::method(service, call);
    let mut request = DynamicMessage::new(method.input());
    for (name, value) in fields {
        request.set_field_by_name(&name, value);
    }
    let path = format!("/isthmus.v1.{service}/{call}");
    let path = PathAndQuery::try_from(path).expect("names of the protos make a path");
    let codec = ByDescriptor(method.output());
    let mut client = tonic::client::Grpc::new(gateway.channel());
    let asked = async {
        let not_ready = |error| Status::unavailable(format!("could not be called: {error}"));
        client.ready().await.map_err(not_ready)?;
        let mut request = Request::new(request);
        // The gateway answers shortly before this deadline, with what it knows.
        request.set_timeout(patience);
        client.unary(request, path, codec).await
    };
    let answer = answer_within(patience, asked).await;
    answer.map_err(|status| match status.code() {
        // The transport reports its own timeout as CANCELLED. Either timer may fire first.
        Code::Cancelled if status.source().is_some() => time_up(patience),
        _ => status,
    })
}

/// A codec for messages whose descriptors are known at run time.
#[derive(Debug, Clone)]
pub(crate) struct ByDescriptor(pub(crate) MessageDescriptor);

impl Codec for ByDescriptor {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = ByDescriptor;
    type Decoder = ByDescriptor;

    fn encoder(&mut self) -> ByDescriptor {
        self.clone()
    }

    fn decoder(&mut self) -> ByDescriptor {
        self.clone()
    }
}

impl Encoder for ByDescriptor {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let unsent = |error| Status::internal(format!("the request cannot be sent: {error}"));
        message.encode(to).map_err(unsent)
    }
}

impl Decoder for ByDescriptor {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let unread = |error| Status::internal(format!("the answer cannot be read: {error}"));
        DynamicMessage::decode(self.0.clone(), from)
            .map(Some)
            .map_err(unread)
    }
}
