//! The two questions about a session that is not intent: `/state` and `/status`.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::levers::UnknownRequestId;
use crate::simulator::nsx::realization::{Course, Track};
use crate::simulator::nsx::refusal::{Refusal, StatusKey};
use crate::simulator::nsx::tunnel::Tunnel;
use crate::simulator::nsx::world::{World, epoch_millis, text};

/// `GET sessions/{id}/state`: how far the nodes are with this write, or with the newest.
pub(crate) fn state(
    world: &World,
    session: &str,
    request_id: Option<&str>,
    now: Instant,
) -> Result<Value, Refusal> {
    let course = world.course();
    let unrealized = Track::default();
    let track = match world.object(Kind::Session, session) {
        Some(_) if world.stateless.contains(session) => return Err(gone(&router(world, session))),
        Some(object) => {
            let Some((service_id, service)) = world.service_of(&object.value) else {
                return Err(gone(&router(world, session)));
            };
            if service.value.get("enabled") == Some(&json!(false)) {
                let refusal = Refusal::service_disabled(service_id, session);
                return Err(refusal.spelled(world.levers.status_key));
            }
            world.tracks.get(session).unwrap_or(&unrealized)
        }
        None => {
            let grave = world.graves.iter().find(|grave| grave.session == session);
            let grave = grave.ok_or_else(|| Refusal::not_found(session))?;
            if grave.track.in_sync(course, now) {
                return Err(gone(&grave.router));
            }
            &grave.track
        }
    };
    let unknown = request_id.is_some_and(|id| !track.knows(id));
    if unknown && world.levers.unknown_request_id == UnknownRequestId::NotFound {
        return Err(Refusal::not_found(request_id.unwrap_or_default()));
    }
    Ok(track.state(request_id, &world.nodes, course, now))
}

/// `GET sessions/{id}/status`: whether the tunnels are up. Cached unless asked for in real time.
pub(crate) fn status(
    world: &World,
    session: &str,
    source: Option<&str>,
    now: Instant,
) -> Result<Value, Refusal> {
    let object = world.read(Kind::Session, session)?;
    match source {
        Some("realtime") => {}
        None | Some("cached") => {
            if let Some(held) = world.held_status.get(session) {
                return Ok(held.clone());
            }
        }
        Some(_) => return Err(Refusal::unprocessable(http::StatusCode::BAD_REQUEST)),
    }
    let tunnel = match world.tunnels.get(session) {
        Some(said) => said.clone(),
        None => true_tunnel(world, session, now),
    };
    let name = object
        .value
        .get("display_name")
        .cloned()
        .unwrap_or_default();
    let node = world.nodes.first().map(String::as_str).unwrap_or_default();
    Ok(tunnel.answer(session, &name, node, epoch_millis()))
}

fn true_tunnel(world: &World, session: &str, now: Instant) -> Tunnel {
    let disabled =
        |object: &serde_json::Map<String, Value>| object.get("enabled") == Some(&json!(false));
    let Some(object) = world.object(Kind::Session, session) else {
        return Tunnel::down("");
    };
    let service = world.service_of(&object.value);
    if disabled(&object.value) || service.is_none_or(|(_, service)| disabled(&service.value)) {
        return Tunnel::down("");
    }
    let up = |track: &Track, course: Course| {
        let after = world.levers.tunnel_up_after?;
        Some(now >= track.in_sync_since(course)? + after)
    };
    match world.tracks.get(session) {
        Some(track) if up(track, world.course()) == Some(true) => Tunnel::up(1),
        _ => Tunnel::negotiating(),
    }
}

fn router(world: &World, session: &str) -> String {
    let object = world.object(Kind::Session, session);
    let service = object.and_then(|object| world.service_of(&object.value));
    match service {
        Some((_, service)) => text(&service.value, "logical_router_id"),
        None => world.routers.first().cloned().unwrap_or_default(),
    }
}

/// What the guide shows after a DELETE: it names the router, not the session, and spells its status key its own way.
fn gone(router: &str) -> Refusal {
    Refusal::missing("LogicalRouter", router).spelled(StatusKey::Snake)
}
