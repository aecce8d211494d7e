//! Encoded messages of streams. The part that all streams share is encoded once.
//!
//! Protobuf fields may come in any order, and an encoded message is the concatenation of its fields. So an observation
//! and its resume token are encoded once, kept with the observation, and copied into each stream. The fields of a
//! single stream (`outcome`, `coalesced`) follow them.

use bytes::{BufMut, Bytes};
use prost::Message;
use std::marker::PhantomData;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
};
use tonic_prost::ProstDecoder;

/// Initial buffer of a stream, in bytes. It grows for larger messages. tonic's default of 8 KiB is most of the memory
/// of an idle stream.
const BUFFER: usize = 256;
/// Messages that are ready are sent together up to this size, in bytes.
const TOGETHER: usize = 32 * 1024;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    shared: Bytes,
    own: Vec<u8>,
}

impl Frame {
    /// Joins fields that many streams share with the rest of the message.
    pub fn new(shared: Bytes, rest: &impl Message) -> Frame {
        Frame {
            shared,
            own: rest.encode_to_vec(),
        }
    }

    /// Encodes a message of a single stream.
    pub fn of(message: &impl Message) -> Frame {
        Frame::new(Bytes::new(), message)
    }

    /// Appends a message to the repeated field `tag`. The message consists of fields that many streams share and of the
    /// rest.
    pub fn push(&mut self, tag: u32, shared: &Bytes, rest: &impl Message) {
        prost::encoding::encode_key(
            tag,
            prost::encoding::WireType::LengthDelimited,
            &mut self.own,
        );
        let length = shared.len() + rest.encoded_len();
        prost::encoding::encode_varint(length as u64, &mut self.own);
        self.own.extend_from_slice(shared);
        self.own.reserve(rest.encoded_len());
        rest.encode_raw(&mut self.own);
    }

    /// Returns the whole message.
    pub fn bytes(&self) -> Vec<u8> {
        [&self.shared[..], &self.own[..]].concat()
    }
}

/// A codec that decodes requests of type `Q` and sends frames.
#[derive(Debug)]
pub struct FrameCodec<Q>(PhantomData<fn(Q)>);

impl<Q> Default for FrameCodec<Q> {
    fn default() -> FrameCodec<Q> {
        FrameCodec(PhantomData)
    }
}

impl<Q: Message + Default + 'static> Codec for FrameCodec<Q> {
    type Encode = Frame;
    type Decode = Q;
    type Encoder = FrameEncoder;
    type Decoder = ProstDecoder<Q>;

    fn encoder(&mut self) -> FrameEncoder {
        FrameEncoder
    }

    fn decoder(&mut self) -> ProstDecoder<Q> {
        ProstDecoder::new(BufferSettings::new(BUFFER, TOGETHER))
    }
}

#[derive(Debug)]
pub struct FrameEncoder;

impl Encoder for FrameEncoder {
    type Item = Frame;
    type Error = Status;

    fn encode(&mut self, frame: Frame, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.reserve(frame.shared.len() + frame.own.len());
        into.put_slice(&frame.shared);
        into.put_slice(&frame.own);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, TOGETHER)
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

    /// The message that each stream would encode for itself.
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
                prop_assert_eq!(pb::WatchRealizationResponse::decode(&frame.bytes()[..]), Ok(expected));
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
                let decoded = pb::WatchRealizationsResponse::decode(&frame.bytes()[..]);
                prop_assert_eq!(decoded, Ok(expected.clone()));
            }
        }

        #[test]
        fn the_second_stream_gets_the_same_bytes(observation in observations()) {
            let [one, other] = [3, 0].map(|coalesced| {
                watch_event(event(&observation, coalesced, false)).shared
            });
            prop_assert!(!one.is_empty());
            prop_assert_eq!(one.as_ptr(), other.as_ptr());
        }
    }
}
