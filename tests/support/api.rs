//! Calls in protobuf's JSON form, by the name of the method: what a client does that has nothing but the descriptors.
//! Names of fields are those of the protos.

use isthmus::{grpc::pb, model::ResourceKind};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Value, json};
use std::{sync::LazyLock, time::Duration};
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap());

/// How long a call may take if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the protos call a kind of resource.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// The service that has it.
    pub service: &'static str,
    /// The message, and what methods are about: `IkePolicy`.
    pub message: &'static str,
    /// The same of many: `IkePolicies`.
    pub messages: &'static str,
    /// Its field in requests and answers: `ike_policy`.
    pub field: &'static str,
    /// The same of many: `ike_policies`.
    pub fields: &'static str,
}

/// What the protos call this kind.
pub fn words(kind: ResourceKind) -> Words {
    let of = |service, message, messages, field, fields| Words {
        service,
        message,
        messages,
        field,
        fields,
    };
    let policy =
        |message, messages, field, fields| of("PolicyService", message, messages, field, fields);
    let topology =
        |message, messages, field, fields| of("TopologyService", message, messages, field, fields);
    match kind {
        ResourceKind::IkePolicy => policy("IkePolicy", "IkePolicies", "ike_policy", "ike_policies"),
        ResourceKind::IpsecPolicy => policy(
            "IpsecPolicy",
            "IpsecPolicies",
            "ipsec_policy",
            "ipsec_policies",
        ),
        ResourceKind::DpdPolicy => policy("DpdPolicy", "DpdPolicies", "dpd_policy", "dpd_policies"),
        ResourceKind::VpnService => {
            topology("VpnService", "VpnServices", "vpn_service", "vpn_services")
        }
        ResourceKind::LocalEndpoint => topology(
            "LocalEndpoint",
            "LocalEndpoints",
            "local_endpoint",
            "local_endpoints",
        ),
        ResourceKind::EndpointGroup => topology(
            "EndpointGroup",
            "EndpointGroups",
            "endpoint_group",
            "endpoint_groups",
        ),
    }
}

/// A client of everything.
#[derive(Debug, Clone)]
pub struct Api {
    channel: Channel,
    patience: Duration,
}

impl Api {
    /// One over this channel.
    pub fn new(channel: Channel) -> Api {
        Api {
            channel,
            patience: PATIENCE,
        }
    }

    /// The same, whose calls may take so long.
    pub fn within(&self, patience: Duration) -> Api {
        Api {
            patience,
            ..self.clone()
        }
    }

    /// One call, as `BackendService/GetBackend`.
    pub async fn call(&self, method: &str, request: &Value) -> Result<Value, Status> {
        let (_, name) = method.split_once('/').unwrap();
        let request = read(&descriptor(&format!("{name}Request")), request);
        let mut request = Request::new(request.encode_to_vec());
        request.set_timeout(self.patience);
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let path = format!("/isthmus.v1.{method}").parse().unwrap();
        let answer = client.unary(request, path, Bytes).await?.into_inner();
        Ok(written(&descriptor(&format!("{name}Response")), &answer))
    }

    /// What a backend can express.
    pub async fn capabilities(&self, backend: &str) -> Value {
        let request = json!({ "name": format!("backends/{backend}") });
        let answer = self.call("BackendService/GetBackend", &request).await;
        answer.unwrap()["backend"]["capabilities"].take()
    }

    /// Reads a resource.
    pub async fn get(&self, kind: ResourceKind, name: &str) -> Result<Value, Status> {
        let words = words(kind);
        let answer = self
            .of_kind(words, "Get", words.message, &json!({ "name": name }))
            .await;
        Ok(answer?[words.field].take())
    }

    /// Lists resources; the whole answer. `request` is what it says beside the backend.
    pub async fn list(
        &self,
        kind: ResourceKind,
        backend: &str,
        request: &Value,
    ) -> Result<Value, Status> {
        let (words, mut request) = (words(kind), request.clone());
        request["parent"] = json!(format!("backends/{backend}"));
        self.of_kind(words, "List", words.messages, &request).await
    }

    /// Makes a resource; the whole answer.
    pub async fn create(
        &self,
        kind: ResourceKind,
        backend: &str,
        body: &Value,
        validate_only: bool,
    ) -> Result<Value, Status> {
        let words = words(kind);
        let request = json!({
            "parent": format!("backends/{backend}"),
            words.field: body,
            "validate_only": validate_only,
        });
        self.of_kind(words, "Create", words.message, &request).await
    }

    /// Changes a resource; the whole answer. `mask`: what of it; `None`: everything that is set.
    pub async fn update(
        &self,
        kind: ResourceKind,
        body: &Value,
        mask: Option<&[&str]>,
        validate_only: bool,
    ) -> Result<Value, Status> {
        let words = words(kind);
        let mut request = json!({ words.field: body, "validate_only": validate_only });
        if let Some(paths) = mask {
            // A mask is one text in JSON, with its fields in lowerCamelCase.
            let paths: Vec<String> = paths.iter().map(|path| camel(path)).collect();
            request["update_mask"] = json!(paths.join(","));
        }
        self.of_kind(words, "Update", words.message, &request).await
    }

    /// Removes a resource; the whole answer. `request` is what it says beside the name.
    pub async fn delete(
        &self,
        kind: ResourceKind,
        name: &str,
        request: &Value,
    ) -> Result<Value, Status> {
        let (words, mut request) = (words(kind), request.clone());
        request["name"] = json!(name);
        self.of_kind(words, "Delete", words.message, &request).await
    }

    async fn of_kind(
        &self,
        words: Words,
        verb: &str,
        noun: &str,
        request: &Value,
    ) -> Result<Value, Status> {
        let method = format!("{}/{verb}{noun}", words.service);
        self.call(&method, request).await
    }
}

fn descriptor(name: &str) -> MessageDescriptor {
    let name = format!("isthmus.v1.{name}");
    let found = POOL.get_message_by_name(&name);
    found.unwrap_or_else(|| panic!("there is no message {name}"))
}

/// A message from JSON.
fn read(descriptor: &MessageDescriptor, json: &Value) -> DynamicMessage {
    DynamicMessage::deserialize(descriptor.clone(), json)
        .unwrap_or_else(|error| panic!("{} from {json}: {error}", descriptor.name()))
}

/// A message as JSON, without what is unset.
fn written(descriptor: &MessageDescriptor, bytes: &[u8]) -> Value {
    let message = DynamicMessage::decode(descriptor.clone(), bytes).unwrap();
    let options = SerializeOptions::new().use_proto_field_name(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap()
}

fn camel(path: &str) -> String {
    let mut words = path.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        text + &head.to_uppercase() + tail
    })
}

/// Messages that are bytes already.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Bytes;
    type Decoder = Bytes;

    fn encoder(&mut self) -> Bytes {
        Bytes
    }

    fn decoder(&mut self) -> Bytes {
        Bytes
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use bytes::Buf;
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}
