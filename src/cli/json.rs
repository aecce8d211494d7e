//! Messages as JSON, in the standard mapping of protobuf: names in lowerCamelCase, times as text.

use crate::{grpc::pb, text::clean_json};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor,
};
use std::sync::LazyLock;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET)
        .expect("the build wrote these descriptors from the same protos")
});

/// Formats a message as one line of JSON, without the newline and cleaned of characters that would mislead on a
/// terminal. `kind` is its name within `isthmus.v1`.
///
/// # Panics
/// If there is no message of that name, or `message` is another one.
pub fn line(kind: &str, message: &impl Message) -> String {
    let json =
        serde_json::to_string(&dynamic(kind, message)).expect("every message has a JSON form");
    clean_json(&json).into_owned()
}

/// Converts a message to its dynamic form. `kind` is its name within `isthmus.v1`.
///
/// # Panics
/// If there is no message of that name, or `message` is another one.
pub fn dynamic(kind: &str, message: &impl Message) -> DynamicMessage {
    DynamicMessage::decode(descriptor(kind), message.encode_to_vec().as_slice())
        .expect("the bytes were written from the same descriptor")
}

/// Returns the descriptor of a message. `kind` is its name within `isthmus.v1`.
///
/// # Panics
/// If there is no message of that name.
pub fn descriptor(kind: &str) -> MessageDescriptor {
    POOL.get_message_by_name(&format!("isthmus.v1.{kind}"))
        .expect("callers name messages of the protos")
}

/// Returns the descriptor of a call.
///
/// # Panics
/// If there is no call of that name.
pub fn method(service: &str, call: &str) -> MethodDescriptor {
    POOL.get_service_by_name(&format!("isthmus.v1.{service}"))
        .and_then(|service| service.methods().find(|method| method.name() == call))
        .expect("callers name calls of the protos")
}

/// Reports whether a field names another resource, according to `google.api.resource_reference` in the protos.
pub fn is_reference(field: &FieldDescriptor) -> bool {
    POOL.get_extension_by_name("google.api.resource_reference")
        .is_some_and(|reference| field.options().has_extension(&reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_in_the_json_form_of_protobuf() {
        let event = pb::WatchRealizationResponse {
            event: Some(pb::watch_realization_response::Event::Change(
                pb::Realization {
                    name: "backends/a/connections/b".to_owned(),
                    state: pb::RealizationState::InProgress.into(),
                    native_state: "in_progress".to_owned(),
                    observe_time: Some(prost_types::Timestamp {
                        seconds: 1_700_000_000,
                        nanos: 0,
                    }),
                    sequence: 7,
                    ..Default::default()
                },
            )),
            resume_token: "t".to_owned(),
            ..Default::default()
        };
        assert_eq!(
            line("WatchRealizationResponse", &event),
            r#"{"change":{"name":"backends/a/connections/b","state":"REALIZATION_STATE_IN_PROGRESS","nativeState":"in_progress","observeTime":"2023-11-14T22:13:20Z","sequence":"7"},"resumeToken":"t"}"#
        );
    }
}
