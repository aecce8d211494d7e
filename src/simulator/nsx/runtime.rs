//! The runtime reads of a session: `/state`, `/status` and `/statistics`.

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::levers::UnknownRequestId;
use crate::simulator::nsx::realization::Track;
use crate::simulator::nsx::refusal::{Refusal, StatusKey};
use crate::simulator::nsx::statistics::{self, Reading};
use crate::simulator::nsx::tunnel::{Subject, Tunnel};
use crate::simulator::nsx::world::{Object, World, text};

/// `GET sessions/{id}/state`: how far the nodes are with this write, or with the newest one.
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

/// `GET sessions/{id}/status`: whether the tunnels are up. Cached unless `source=realtime`.
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
    let tunnel = tunnel(world, session, now);
    let reading = reading(world, &object.value, &tunnel, session, now);
    Ok(tunnel.answer(subject(world, session, object, now), reading.sum()))
}

/// `GET sessions/{id}/statistics`: the traffic counters. The documents say that only real time is supported, and also
/// that omitting `source` returns cached data. A request without `source` gets the real-time answer here.
pub(crate) fn statistics(
    world: &World,
    session: &str,
    source: Option<&str>,
    now: Instant,
) -> Result<Value, Refusal> {
    let object = world.read(Kind::Session, session)?;
    if source.is_some_and(|source| source != "realtime") {
        return Err(Refusal::unprocessable(http::StatusCode::BAD_REQUEST));
    }
    let tunnel = tunnel(world, session, now);
    let reading = reading(world, &object.value, &tunnel, session, now);
    let mut answer = tunnel.heading(subject(world, session, object, now));
    answer["aggregate_traffic_counters"] = reading.sum();
    answer["policy_statistics"] = Value::Array(reading.policies());
    answer["partial_stats"] = json!(world.meter(session).partial);
    Ok(answer)
}

/// `POST sessions/{id}/statistics?action=reset`: restarts every counter at zero.
pub(crate) fn reset(world: &mut World, session: &str, now: Instant) -> Result<(), Refusal> {
    world.read(Kind::Session, session)?;
    world.meter_mut(session).reset = Some(now);
    Ok(())
}

fn subject<'a>(
    world: &'a World,
    session: &'a str,
    object: &'a Object,
    now: Instant,
) -> Subject<'a> {
    Subject {
        session,
        name: object.value.get("display_name"),
        node: world.nodes.first().map(String::as_str).unwrap_or_default(),
        at: world.epoch_millis(now),
    }
}

fn reading<'a>(
    world: &World,
    session: &'a Map<String, Value>,
    tunnel: &'a Tunnel,
    id: &str,
    now: Instant,
) -> Reading<'a> {
    let meter = world.meter(id);
    let up_since = match world.tunnels.get(id) {
        Some(_) => meter.up_since,
        None => up_at(world, id),
    };
    let counting = up_since
        .max(meter.reset)
        .map(|since| now.saturating_duration_since(since));
    Reading {
        session,
        tunnel,
        counting: counting.unwrap_or_default(),
    }
}

/// The forced state of the tunnels if there is one, otherwise the true one.
fn tunnel(world: &World, session: &str, now: Instant) -> Tunnel {
    match world.tunnels.get(session) {
        Some(said) => said.clone(),
        None => true_tunnel(world, session, now),
    }
}

fn true_tunnel(world: &World, session: &str, now: Instant) -> Tunnel {
    let disabled = |object: &Map<String, Value>| object.get("enabled") == Some(&json!(false));
    let Some(object) = world.object(Kind::Session, session) else {
        return Tunnel::down("");
    };
    let service = world.service_of(&object.value);
    if disabled(&object.value) || service.is_none_or(|(_, service)| disabled(&service.value)) {
        return Tunnel::down("");
    }
    match up_at(world, session) {
        Some(up) if now >= up => Tunnel::up(statistics::tunnels(&object.value)),
        _ => Tunnel::negotiating(),
    }
}

/// When the tunnels of a session come up. `None` unless time alone decides.
fn up_at(world: &World, session: &str) -> Option<Instant> {
    let after = world.levers.tunnel_up_after?;
    Some(world.tracks.get(session)?.in_sync_since(world.course())? + after)
}

fn router(world: &World, session: &str) -> String {
    let object = world.object(Kind::Session, session);
    let service = object.and_then(|object| world.service_of(&object.value));
    match service {
        Some((_, service)) => text(&service.value, "logical_router_id"),
        None => world
            .routers
            .first()
            .map(|router| text(router, "id"))
            .unwrap_or_default(),
    }
}

/// The answer that the guide shows after a DELETE: it names the router instead of the session, and spells its status
/// key differently.
fn gone(router: &str) -> Refusal {
    Refusal::missing("LogicalRouter", router).spelled(StatusKey::Snake)
}
