//! Encoded messages of streams. The fields that all streams share are encoded only once.
//!
//! An encoded protobuf message is a sequence of fields in any order. So an observation and its resume token are encoded
//! once and kept with the observation. The fields of a single stream (`outcome`, `coalesced`) are appended if it has
//! any; if not, every stream sends the same bytes.
//!
//! tonic would copy each message into a buffer of each stream, so these streams bypass it: the service puts them into
//! the extensions of its response, and the server takes them from there (`server::answer`).

use bytes::{BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};

/// The length of gRPC's message prefix: the compressed flag, which is always 0, and the message length in four bytes.
const PREFIX: usize = 5;

/// One encoded message with its gRPC prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    pub fn of(message: &impl Message) -> Frame {
        FrameBuilder::new(message, 0).finish()
    }

    /// Appends the fields of `rest` to a shared frame of the same message type. `shared` comes from
    /// [`Frame::into_bytes`]. If `rest` is empty, the frame shares those bytes.
    pub fn with(shared: &Bytes, rest: &impl Message) -> Frame {
        let more = rest.encoded_len();
        if more == 0 {
            return Frame(shared.clone());
        }
        let mut bytes = BytesMut::with_capacity(shared.len() + more);
        bytes.extend_from_slice(shared);
        rest.encode_raw(&mut bytes);
        FrameBuilder { bytes }.finish()
    }

    /// Returns the prefix and the message.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Returns the message without the prefix.
    pub fn message(&self) -> &[u8] {
        &self.0[PREFIX..]
    }
}

/// A message that is being encoded.
#[derive(Debug)]
pub struct FrameBuilder {
    /// Starts with room for the prefix.
    bytes: BytesMut,
}

impl FrameBuilder {
    /// Starts a frame with the fields of `message` and room for `more` bytes.
    pub fn new(message: &impl Message, more: usize) -> FrameBuilder {
        let mut bytes = BytesMut::with_capacity(PREFIX + message.encoded_len() + more);
        bytes.put_bytes(0, PREFIX);
        message.encode_raw(&mut bytes);
        FrameBuilder { bytes }
    }

    /// Appends an element to the repeated message field `tag`. The element consists of the encoded fields `shared` and
    /// the fields of `rest`.
    pub fn push(&mut self, tag: u32, shared: &Bytes, rest: &impl Message) {
        encode_key(tag, WireType::LengthDelimited, &mut self.bytes);
        let length = shared.len() + rest.encoded_len();
        encode_varint(length as u64, &mut self.bytes);
        self.bytes.extend_from_slice(shared);
        rest.encode_raw(&mut self.bytes);
    }

    /// Returns the whole message.
    ///
    /// # Panics
    /// Beyond 4 GiB, which the prefix cannot tell. Windows and batches are bounded far below.
    pub fn finish(mut self) -> Frame {
        let length = u32::try_from(self.bytes.len() - PREFIX).expect("a message below 4 GiB");
        self.bytes[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        Frame(self.bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{
            realizations::CurrentStatus,
            watch::{
                log::{Observation, Wire},
                many::ManyEvent,
                status::ConnectionStatus,
                stream::{EventKind, Outcome, Position, WatchEvent},
            },
        },
        grpc::{
            convert::realization::{many_event, standing, watch_event},
            pb::{self, watch_realization_response, watch_realizations_response as many_response},
        },
        model::{ConnectionName, Node, RealizationState, Reason},
    };
    use proptest::prelude::*;
    use std::{
        sync::Arc,
        time::{Duration, SystemTime},
    };

    prop_compose! {
        fn observations()(
            id in "[a-z0-9]{1,40}",
            revision in any::<u64>(),
            seconds in proptest::option::of(0u64..4_000_000_000),
            state in 0..RealizationState::ALL.len(),
            words in ".{0,200}",
            nodes in 0usize..5,
        ) -> Arc<Observation> {
            let node = Node { id: id.clone(), message: words.clone(), ..Node::default() };
            Arc::new(Observation {
                name: ConnectionName::connection(&"a".parse().unwrap(), &id).unwrap(),
                epoch: 7,
                revision,
                previous: 0,
                observe_time: seconds.map(|at| SystemTime::UNIX_EPOCH + Duration::from_secs(at)),
                status: ConnectionStatus {
                    state: RealizationState::ALL[state],
                    reason: (!words.is_empty()).then(|| Reason::new("CODE", words.clone())),
                    native_state: words,
                    nodes: vec![node; nodes].into(),
                    ..ConnectionStatus::default()
                },
                wire: Wire::default(),
            })
        }
    }

    fn event(observation: &Arc<Observation>, coalesced: u64, failed: bool) -> WatchEvent {
        WatchEvent {
            kind: EventKind::Change(Arc::clone(observation)),
            outcome: failed.then(|| Outcome::Failed(Reason::new("WHY", "words"))),
            coalesced,
            position: Position {
                name: observation.name.clone(),
                epoch: 9,
                revision: observation.revision,
            },
        }
    }

    /// Encodes a message as a stream that shares nothing would.
    fn plain(event: &WatchEvent) -> pb::WatchRealizationResponse {
        let EventKind::Change(observation) = &event.kind else {
            panic!("a change")
        };
        let (realization, outcome) = standing(&CurrentStatus {
            part_use: None,
            observation: Arc::clone(observation),
            stale: false,
            outcome: event.outcome.clone(),
        });
        pb::WatchRealizationResponse {
            event: Some(watch_realization_response::Event::Change(realization)),
            outcome,
            coalesced: event.coalesced,
            resume_token: event.resume_token(),
        }
    }

    proptest! {
        #[test]
        fn a_frame_is_the_message_that_each_stream_would_have_written(
            observation in observations(), coalesced in any::<u64>(), failed in any::<bool>(),
        ) {
            for event in [event(&observation, coalesced, failed), event(&observation, 0, false)] {
                let expected = plain(&event);
                let frame = watch_event(event);
                prop_assert_eq!(pb::WatchRealizationResponse::decode(frame.message()), Ok(expected));
            }
        }

        #[test]
        fn a_frame_of_many_is_the_message_that_each_stream_would_have_written(
            changes in proptest::collection::vec((observations(), any::<u64>()), 0..5),
            synced in any::<bool>(), resume_token in "[a-z]{0,30}",
        ) {
            let events = changes.iter().map(|(observation, coalesced)| many_response::Event {
                name: observation.name.to_string(),
                event: plain(&event(observation, 0, false)).event.map(|event| match event {
                    watch_realization_response::Event::Change(change) => {
                        many_response::event::Event::Change(change)
                    }
                    other => panic!("{other:?}"),
                }),
                coalesced: *coalesced,
            });
            let expected = pb::WatchRealizationsResponse {
                events: events.collect(),
                synced,
                resume_token: resume_token.clone(),
                unreachable: vec!["backends/b".to_owned()],
            };
            for _ in 0..2 {
                let frame = many_event(ManyEvent {
                    changes: changes.clone(),
                    synced,
                    resume_token: resume_token.clone(),
                    unreachable: vec!["b".parse().unwrap()],
                    ..ManyEvent::default()
                });
                let decoded = pb::WatchRealizationsResponse::decode(frame.message());
                prop_assert_eq!(decoded, Ok(expected.clone()));
            }
        }

        #[test]
        fn the_prefix_tells_the_length(observation in observations(), coalesced in any::<u64>()) {
            let bytes = watch_event(event(&observation, coalesced, false)).into_bytes();
            let length = u32::from_be_bytes(bytes[1..PREFIX].try_into().unwrap());
            prop_assert_eq!((bytes[0], length as usize), (0, bytes.len() - PREFIX));
        }

        #[test]
        fn the_second_stream_gets_the_same_bytes(observation in observations()) {
            let [one, other] = [0, 0].map(|coalesced| {
                watch_event(event(&observation, coalesced, false)).into_bytes()
            });
            prop_assert_eq!(one.as_ptr(), other.as_ptr());
        }
    }
}
