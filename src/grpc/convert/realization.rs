//! Outwards: states, nodes and tunnels. Inwards: the requests of the watches.

use crate::{
    core::{
        error::{Error, Result},
        realizations::{CurrentStatus, PollRequest, WatchManyRequest, WatchRequest},
        watch::{
            elsewhere::MAX_REQUEST_IDS,
            log::Observation,
            many::ManyEvent,
            part::{
                stream::{PartEvent, PartEventKind, PartStatus},
                tally::PartUse,
            },
            polling::Pulse,
            stream::{EventKind, Outcome, WatchEvent},
        },
    },
    grpc::{
        convert::{
            Problems,
            time::{duration, positive, timestamp},
        },
        frame::{Frame, FrameBuilder},
        pb,
    },
    model::{
        Assurance, Collection, Goal, Intent, Node, RealizationState, Reason, ResourceName, Tunnel,
        TunnelStatus,
    },
};
use prost::Message;
use std::time::Duration;

/// How long `WaitRealization` waits if the caller sets no timeout.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Wait {
    pub watch: WatchRequest,
    /// Longest time to wait.
    pub timeout: Duration,
}

impl TryFrom<pb::GetRealizationRequest> for PollRequest {
    type Error = Error;

    fn try_from(request: pb::GetRealizationRequest) -> Result<PollRequest> {
        let mut problems = Problems::default();
        let name = watchable(&request.name, &mut problems);
        let upstream_request_ids = request_ids(request.upstream_request_ids, &mut problems);
        problems.finish(name.map(|name| PollRequest {
            name,
            include_tunnel: request.include_tunnel,
            write_token: request.write_token,
            upstream_request_ids,
        }))
    }
}

impl TryFrom<pb::WatchRealizationRequest> for WatchRequest {
    type Error = Error;

    fn try_from(request: pb::WatchRealizationRequest) -> Result<WatchRequest> {
        let mut problems = Problems::default();
        let name = watchable(&request.name, &mut problems);
        let goal = goal(request.goal, &mut problems);
        let upstream_request_ids = request_ids(request.upstream_request_ids, &mut problems);
        problems.finish(name.map(|name| WatchRequest {
            name,
            goal,
            write_token: request.write_token,
            resume_token: request.resume_token,
            accept_partial: request.accept_partial,
            include_tunnel: request.include_tunnel,
            snapshot_if_compacted: request.snapshot_if_compacted,
            accept_assumed: request.accept_assumed,
            upstream_request_ids,
        }))
    }
}

impl TryFrom<pb::WatchRealizationsRequest> for WatchManyRequest {
    type Error = Error;

    fn try_from(request: pb::WatchRealizationsRequest) -> Result<WatchManyRequest> {
        let mut problems = Problems::default();
        let parent = problems.parent("parent", &request.parent);
        problems.finish(parent.map(|parent| WatchManyRequest {
            parent,
            resume_token: request.resume_token,
            include_tunnel: request.include_tunnel,
            snapshot_if_compacted: request.snapshot_if_compacted,
            deadline: None,
        }))
    }
}

impl TryFrom<pb::WaitRealizationRequest> for Wait {
    type Error = Error;

    fn try_from(request: pb::WaitRealizationRequest) -> Result<Wait> {
        let mut problems = Problems::default();
        let name = watchable(&request.name, &mut problems);
        let goal = goal(request.goal, &mut problems);
        let upstream_request_ids = request_ids(request.upstream_request_ids, &mut problems);
        if goal.is_none() && request.write_token.is_empty() && upstream_request_ids.is_empty() {
            problems.add(
                "goal",
                "is required where neither `write_token` nor `upstream_request_ids` is given",
            );
        }
        let timeout = positive("timeout", request.timeout, &mut problems);
        problems.finish(name.map(|name| Wait {
            watch: WatchRequest {
                name,
                goal,
                write_token: request.write_token,
                resume_token: String::new(),
                accept_partial: request.accept_partial,
                include_tunnel: request.include_tunnel,
                snapshot_if_compacted: false,
                accept_assumed: request.accept_assumed,
                upstream_request_ids,
            },
            timeout: timeout.unwrap_or(DEFAULT_WAIT),
        }))
    }
}

/// Reads the name of a connection, or of a part whose write is watched.
fn watchable(text: &str, problems: &mut Problems) -> Option<ResourceName> {
    const PARTS: [Collection; 6] = [
        Collection::IkePolicies,
        Collection::IpsecPolicies,
        Collection::DpdPolicies,
        Collection::VpnServices,
        Collection::LocalEndpoints,
        Collection::EndpointGroups,
    ];
    let segment = text.split('/').nth(2);
    let part = PARTS.into_iter().find(|it| Some(it.segment()) == segment);
    problems.resource_name("name", text, part.unwrap_or(Collection::Connections))
}

/// Reads the cloud's ids of writes made outside the gateway, without duplicates.
fn request_ids(given: Vec<String>, problems: &mut Problems) -> Vec<String> {
    /// NSX assigns UUIDs. A longer id cannot be valid.
    const LONGEST: usize = 128;
    const FIELD: &str = "upstream_request_ids";
    if given.len() > MAX_REQUEST_IDS {
        let message = format!(
            "has {} ids; at most {MAX_REQUEST_IDS} are accepted",
            given.len()
        );
        problems.add(FIELD, message);
        return Vec::new();
    }
    let mut ids: Vec<String> = Vec::new();
    for (index, id) in given.into_iter().enumerate() {
        let fits = (1..=LONGEST).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            let field = format!("{FIELD}[{index}]");
            problems.add(
                field,
                "accepted are 1 to 128 ASCII characters without blanks",
            );
        } else if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn goal(given: i32, problems: &mut Problems) -> Option<Goal> {
    match pb::Goal::try_from(given) {
        Ok(pb::Goal::Unspecified) => None,
        Ok(pb::Goal::Config) => Some(Goal::Config),
        Ok(pb::Goal::InEffect) => Some(Goal::InEffect),
        Ok(pb::Goal::TunnelUp) => Some(Goal::TunnelUp),
        Ok(pb::Goal::Gone) => Some(Goal::Gone),
        Err(_) => {
            problems.unknown_value("goal", given, |n| {
                Some(pb::Goal::try_from(n).ok()?.as_str_name())
            });
            None
        }
    }
}

/// Converts the current status to the contents of a unary answer.
pub fn standing(standing: &CurrentStatus) -> (pb::Realization, Option<pb::Outcome>) {
    let realization = pb::Realization {
        part_use: standing.part_use.as_ref().map(part_use),
        ..realization(&standing.observation, standing.stale)
    };
    (realization, standing.outcome.clone().map(outcome))
}

/// Converts one message of a watch. A change is encoded once, with its token. A snapshot is not shared, because it says
/// for each stream whether it is stale.
pub fn watch_event(event: WatchEvent) -> Frame {
    use pb::watch_realization_response::Event;
    let rest = pb::WatchRealizationResponse {
        outcome: event.outcome.map(outcome),
        coalesced: event.coalesced,
        ..pb::WatchRealizationResponse::default()
    };
    let position = event.position;
    let whole = |event| pb::WatchRealizationResponse {
        event: Some(event),
        resume_token: position.token(),
        ..rest.clone()
    };
    match event.kind {
        EventKind::Change(observation) => {
            let shared = observation.wire.alone.get_or_init(|| {
                let change = Event::Change(realization(&observation, false));
                let shared = pb::WatchRealizationResponse {
                    event: Some(change),
                    resume_token: position.token(),
                    ..pb::WatchRealizationResponse::default()
                };
                Frame::of(&shared).into_bytes()
            });
            Frame::with(shared, &rest)
        }
        EventKind::Snapshot(observation, stale) => {
            Frame::of(&whole(Event::Snapshot(realization(&observation, stale))))
        }
        EventKind::Heartbeat(pulse) => Frame::of(&whole(Event::Heartbeat(heartbeat(&pulse)))),
    }
}

/// Converts one message of a watch over a write to a part. It has no position.
pub fn part_event(event: PartEvent) -> Frame {
    use pb::watch_realization_response::Event;
    let said = |status: &PartStatus| pb::Realization {
        part_use: Some(part_use(&status.part_use)),
        ..realization(&status.observation, status.stale)
    };
    let kind = match &event.kind {
        PartEventKind::Snapshot(status) => Event::Snapshot(said(status)),
        PartEventKind::Change(status) => Event::Change(said(status)),
        PartEventKind::Heartbeat(pulse) => Event::Heartbeat(heartbeat(pulse)),
    };
    Frame::of(&pb::WatchRealizationResponse {
        event: Some(kind),
        outcome: event.outcome.map(outcome),
        ..pb::WatchRealizationResponse::default()
    })
}

fn part_use(part_use: &PartUse) -> pb::PartUse {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    pb::PartUse {
        connections: count(part_use.connections),
        proven: count(part_use.proven),
        failed: count(part_use.failed),
        waiting: part_use.waiting.iter().map(ToString::to_string).collect(),
    }
}

/// Converts one message of a watch over many connections. A change is encoded once for all streams, except for its
/// count of coalesced changes. Snapshots belong to one stream and are not shared, because few streams begin at the same
/// time.
pub fn many_event(many: ManyEvent) -> Frame {
    use pb::watch_realizations_response::{Event, event::Event as Kind};
    /// Number of the field `events`.
    const EVENTS: u32 = 1;
    /// Bytes of an event beside its shared fields: a key, a length, and the count of coalesced changes.
    const BESIDE: usize = 1 + 5 + 11;
    let snapshots = many.snapshots.iter().map(|observation| Event {
        name: observation.name.to_string(),
        // The connection of a snapshot may not have been polled for long; `observe_time` shows that.
        event: Some(Kind::Snapshot(realization(observation, false))),
        coalesced: 0,
    });
    let heartbeat = many.heartbeat.iter().map(|pulse| Event {
        name: String::new(),
        event: Some(Kind::Heartbeat(heartbeat(pulse))),
        coalesced: 0,
    });
    let changes = many.changes.iter().map(|(observation, coalesced)| {
        let shared = observation.wire.among_many.get_or_init(|| {
            let shared = Event {
                name: observation.name.to_string(),
                event: Some(Kind::Change(realization(observation, false))),
                coalesced: 0,
            };
            shared.encode_to_vec().into()
        });
        (shared, *coalesced)
    });
    let changes: Vec<_> = changes.collect();
    let room = changes.iter().map(|(shared, _)| shared.len() + BESIDE);
    let beside = pb::WatchRealizationsResponse {
        events: snapshots.chain(heartbeat).collect(),
        synced: many.synced,
        resume_token: many.resume_token,
        unreachable: many.unreachable.iter().map(ToString::to_string).collect(),
    };
    let mut frame = FrameBuilder::new(&beside, room.sum());
    for (shared, coalesced) in changes {
        let rest = Event {
            coalesced,
            ..Event::default()
        };
        frame.push(EVENTS, shared, &rest);
    }
    frame.finish()
}

fn realization(observation: &Observation, stale: bool) -> pb::Realization {
    let status = &observation.status;
    pb::Realization {
        part_use: None,
        name: observation.name.to_string(),
        state: state(status.state).into(),
        assurance: assurance(status.assurance).into(),
        reason: status.reason.clone().map(reason),
        native_state: status.native_state.clone(),
        intent: intent(status.intent).into(),
        observe_time: observation.observe_time.map(timestamp),
        stale,
        sequence: observation.revision,
        nodes: status.nodes.iter().cloned().map(node).collect(),
        tunnel: status.tunnel.clone().map(tunnel),
        epoch: observation.epoch,
        upstream_request_ids: status.request_ids.clone(),
        node_counts: status.nodes.counts().into_iter().map(node_count).collect(),
        assumption: status.assumption.clone().map(|it| reason(it.reason)),
    }
}

fn heartbeat(pulse: &Pulse) -> pb::Heartbeat {
    pb::Heartbeat {
        last_success_time: pulse.last_success.map(timestamp),
        next_look_time: pulse.next_poll.map(timestamp),
        stale: pulse.stale,
        interval: Some(duration(pulse.interval)),
        last_error: pulse
            .last_error
            .map(|reason| reason.as_str().to_owned())
            .unwrap_or_default(),
        budget_used: pulse.budget_used,
    }
}

fn outcome(outcome: Outcome) -> pb::Outcome {
    use pb::outcome::Result;
    let (result, why) = match outcome {
        Outcome::Succeeded(why) => (Result::Succeeded, why),
        Outcome::Failed(why) => (Result::Failed, Some(why)),
        Outcome::Undetermined(why) => (Result::Undetermined, Some(why)),
    };
    pb::Outcome {
        result: result.into(),
        reason: why.map(reason),
    }
}

fn state(state: RealizationState) -> pb::RealizationState {
    match state {
        RealizationState::Unknown => pb::RealizationState::Unknown,
        RealizationState::Accepted => pb::RealizationState::Accepted,
        RealizationState::Pending => pb::RealizationState::Pending,
        RealizationState::InProgress => pb::RealizationState::InProgress,
        RealizationState::Partial => pb::RealizationState::Partial,
        RealizationState::Realized => pb::RealizationState::Realized,
        RealizationState::Active => pb::RealizationState::Active,
        RealizationState::Degraded => pb::RealizationState::Degraded,
        RealizationState::Down => pb::RealizationState::Down,
        RealizationState::Disabled => pb::RealizationState::Disabled,
        RealizationState::Failed => pb::RealizationState::Failed,
        RealizationState::Deleting => pb::RealizationState::Deleting,
        RealizationState::Deleted => pb::RealizationState::Deleted,
    }
}

fn assurance(assurance: Assurance) -> pb::Assurance {
    match assurance {
        Assurance::None => pb::Assurance::None,
        Assurance::IntentStored => pb::Assurance::IntentStored,
        Assurance::ControlPlane => pb::Assurance::ControlPlane,
        Assurance::InEffect => pb::Assurance::InEffect,
        Assurance::TunnelUp => pb::Assurance::TunnelUp,
    }
}

fn intent(intent: Intent) -> pb::Intent {
    match intent {
        Intent::Unknown => pb::Intent::Unspecified,
        Intent::Enabled => pb::Intent::Enabled,
        Intent::Disabled => pb::Intent::Disabled,
        Intent::Deleted => pb::Intent::Deleted,
    }
}

fn reason(reason: Reason) -> pb::Reason {
    pb::Reason {
        code: reason.code,
        message: reason.message,
    }
}

fn node(node: Node) -> pb::Node {
    pb::Node {
        id: node.id,
        kind: node.kind,
        display_name: node.display_name,
        state: state(node.state).into(),
        native_state: node.native_state,
        message: node.message,
    }
}

fn node_count((of, count): (RealizationState, u32)) -> pb::NodeCount {
    pb::NodeCount {
        state: state(of).into(),
        count,
    }
}

fn tunnel(tunnel: Tunnel) -> pb::Tunnel {
    use pb::tunnel::Status;
    let status = match tunnel.status {
        TunnelStatus::Unknown => Status::Unspecified,
        TunnelStatus::Up => Status::Up,
        TunnelStatus::Degraded => Status::Degraded,
        TunnelStatus::Down => Status::Down,
        TunnelStatus::Negotiating => Status::Negotiating,
    };
    pb::Tunnel {
        status: status.into(),
        native_status: tunnel.native_status,
        fail_reason: tunnel.fail_reason,
        total_tunnels: tunnel.total,
        negotiated_tunnels: tunnel.negotiated,
        failed_tunnels: tunnel.failed,
        update_time: tunnel.update_time.map(timestamp),
        realtime: tunnel.realtime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::watch::{
            log::Wire,
            status::{Assumption, ConnectionStatus},
            stream::Position,
        },
        grpc::convert::fields_at_fault,
        model::ConnectionName,
    };
    use std::{sync::Arc, time::SystemTime};

    const NAME: &str = "backends/a/connections/c";

    fn observation(status: ConnectionStatus) -> Arc<Observation> {
        Arc::new(Observation {
            name: ConnectionName::connection(&"a".parse().unwrap(), "c").unwrap(),
            epoch: 7,
            revision: 9,
            previous: 0,
            observe_time: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)),
            status,
            wire: Wire::default(),
        })
    }

    fn position() -> Position {
        Position {
            name: ConnectionName::connection(&"a".parse().unwrap(), "c").unwrap(),
            epoch: 8,
            revision: 9,
        }
    }

    #[test]
    fn states_have_the_order_of_the_proto() {
        for (number, given) in (1..).zip(RealizationState::ALL) {
            assert_eq!(i32::from(state(given)), number, "{given:?}");
        }
    }

    #[test]
    fn an_event_carries_everything_that_was_observed() {
        let frame = watch_event(WatchEvent {
            kind: EventKind::Change(observation(ConnectionStatus {
                state: RealizationState::Failed,
                assurance: Assurance::ControlPlane,
                reason: Some(Reason::new("UPSTREAM_ERROR", "no route")),
                native_state: "error".to_owned(),
                intent: Intent::Enabled,
                nodes: vec![Node {
                    id: "n".to_owned(),
                    state: RealizationState::Pending,
                    ..Node::default()
                }]
                .into(),
                tunnel: Some(Tunnel {
                    status: TunnelStatus::Negotiating,
                    realtime: true,
                    ..Tunnel::default()
                }),
                request_ids: vec!["r".to_owned()],
                assumption: Some(Assumption {
                    reason: Reason::new("NO_REQUEST_ID", "words"),
                    as_is: Assurance::TunnelUp,
                    made: false,
                }),
                ..ConnectionStatus::default()
            })),
            outcome: Some(Outcome::Failed(Reason::new("UPSTREAM_ERROR", "no route"))),
            coalesced: 3,
            position: position(),
        });
        let event = pb::WatchRealizationResponse::decode(frame.message()).unwrap();
        let Some(pb::watch_realization_response::Event::Change(change)) = event.event else {
            panic!("a change");
        };
        assert_eq!(change.name, NAME);
        assert_eq!(change.state(), pb::RealizationState::Failed);
        assert_eq!(change.assurance(), pb::Assurance::ControlPlane);
        assert_eq!(change.intent(), pb::Intent::Enabled);
        assert_eq!((change.epoch, change.sequence), (7, 9));
        assert_eq!(change.nodes[0].state(), pb::RealizationState::Pending);
        assert_eq!(
            change.tunnel.unwrap().status(),
            pb::tunnel::Status::Negotiating
        );
        assert_eq!(change.upstream_request_ids, ["r"]);
        assert_eq!(change.assumption.unwrap().code, "NO_REQUEST_ID");
        assert_eq!(
            change.observe_time,
            Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 500_000_000
            })
        );
        let outcome = event.outcome.unwrap();
        assert_eq!(outcome.result(), pb::outcome::Result::Failed);
        assert_eq!(outcome.reason.unwrap().code, "UPSTREAM_ERROR");
        assert_eq!(
            (event.coalesced, event.resume_token),
            (3, position().token())
        );
    }

    #[test]
    fn a_connection_nobody_polled_claims_nothing() {
        let mut unseen = (*observation(ConnectionStatus::default())).clone();
        unseen.observe_time = None;
        let frame = many_event(ManyEvent {
            snapshots: vec![Arc::new(unseen)],
            synced: true,
            unreachable: vec!["b".parse().unwrap()],
            ..ManyEvent::default()
        });
        let said = pb::WatchRealizationsResponse::decode(frame.message()).unwrap();
        let Some(pb::watch_realizations_response::event::Event::Snapshot(snapshot)) =
            said.events[0].event.clone()
        else {
            panic!("a snapshot");
        };
        assert_eq!(snapshot.state(), pb::RealizationState::Unknown);
        assert_eq!(snapshot.assurance(), pb::Assurance::None);
        assert_eq!(snapshot.observe_time, None);
        assert_eq!(said.unreachable, ["backends/b"]);
        assert!(said.synced);
    }

    #[test]
    fn what_is_watched_is_checked_as_a_whole() {
        let watch = WatchRequest::try_from(pb::WatchRealizationRequest {
            name: "c".to_owned(),
            goal: 9,
            ..Default::default()
        });
        assert_eq!(fields_at_fault(watch), ["name", "goal"]);

        let wait = Wait::try_from(pb::WaitRealizationRequest {
            name: NAME.to_owned(),
            timeout: Some(prost_types::Duration {
                seconds: 0,
                nanos: 0,
            }),
            ..Default::default()
        });
        assert_eq!(fields_at_fault(wait), ["goal", "timeout"]);

        let wait = Wait::try_from(pb::WaitRealizationRequest {
            name: NAME.to_owned(),
            write_token: "t".to_owned(),
            ..Default::default()
        })
        .unwrap();
        assert_eq!((wait.timeout, wait.watch.goal), (DEFAULT_WAIT, None));
    }
}
