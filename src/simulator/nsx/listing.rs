//! Lists: filters, order, pages.

use serde_json::{Map, Value, json};

use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::levers::{EndMarker, Levers};
use crate::simulator::nsx::refusal::Refusal;
use crate::simulator::nsx::world::{Object, World, text};

/// The decoded query of a request, in its original order.
pub(crate) type Query = [(String, String)];

/// The value of the first parameter with this name.
pub(crate) fn parameter<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

pub(crate) fn list(world: &World, kind: Kind, query: &Query) -> Result<Value, Refusal> {
    let mut objects: Vec<&Object> = world
        .objects(kind)
        .map(|(_, object)| object)
        .filter(|object| passes(world, kind, object, query))
        .collect();
    objects.sort_by_key(|object| object.made);
    let values = objects.into_iter().map(|object| &object.value).collect();
    envelope(&world.levers, query, values)
}

/// Returns one page of these objects, which come in the order of creation.
pub(crate) fn envelope(
    levers: &Levers,
    query: &Query,
    mut objects: Vec<&Map<String, Value>>,
) -> Result<Value, Refusal> {
    if let Some(field) = parameter(query, "sort_by") {
        objects.sort_by_key(|object| text(object, field));
    }
    let ascending = parameter(query, "sort_ascending") != Some("false");
    if !ascending {
        objects.reverse();
    }

    let start = match parameter(query, "cursor").filter(|cursor| !cursor.is_empty()) {
        None => 0,
        Some(cursor) => position(cursor).ok_or_else(|| bad("cursor"))?,
    };
    let page_size = match parameter(query, "page_size") {
        None => levers.max_page,
        Some(size) => size
            .parse()
            .ok()
            .filter(|size| *size > 0)
            .ok_or_else(|| bad("page_size"))?,
    };
    let page_size = page_size.min(levers.max_page);

    let included = parameter(query, "included_fields").filter(|_| levers.included_fields);
    let total = objects.len();
    let results: Vec<Value> = objects
        .into_iter()
        .skip(start)
        .take(page_size)
        .map(|object| selected(object, included))
        .collect();
    let next = start + results.len();
    let mut envelope = json!({ "results": results });
    if start == 0 {
        envelope["result_count"] = json!(total);
    }
    if next < total {
        envelope["cursor"] = json!(cursor(next));
    } else if levers.end_marker == EndMarker::Zeros {
        envelope["cursor"] = json!(format!("{ZEROS}{next}"));
    }
    if let Some(field) = parameter(query, "sort_by") {
        envelope["sort_by"] = json!(field);
        envelope["sort_ascending"] = json!(ascending);
    }
    Ok(envelope)
}

fn passes(world: &World, kind: Kind, object: &Object, query: &Query) -> bool {
    let service = match kind {
        Kind::LocalEndpoint => object
            .value
            .get("ipsec_vpn_service_id")
            .map(|it| &it["target_id"]),
        Kind::Session => object.value.get("ipsec_vpn_service_id"),
        _ => return true,
    };
    let service = service.and_then(Value::as_str).unwrap_or_default();
    let router = || {
        let service = world.object(Kind::Service, service);
        service
            .map(|service| text(&service.value, "logical_router_id"))
            .unwrap_or_default()
    };
    let wants = |name: &str| parameter(query, name);
    wants("ipsec_vpn_service_id").is_none_or(|wanted| wanted == service)
        && wants("logical_router_id").is_none_or(|wanted| wanted == router())
        && (kind != Kind::Session
            || wants("session_type")
                .is_none_or(|wanted| wanted == text(&object.value, "resource_type")))
}

fn selected(object: &Map<String, Value>, included: Option<&str>) -> Value {
    let mut value = object.clone();
    if let Some(included) = included {
        value.retain(|name, _| included.split(',').any(|wanted| wanted.trim() == name));
    }
    Value::Object(value)
}

/// A cursor is opaque to clients. It encodes the index of the next object.
fn cursor(next: usize) -> String {
    format!("36{:x}", next + SHIFT)
}

fn position(cursor: &str) -> Option<usize> {
    usize::from_str_radix(cursor.strip_prefix("36")?, 16)
        .ok()?
        .checked_sub(SHIFT)
}

fn bad(parameter: &str) -> Refusal {
    Refusal::fields(&[format!("{parameter} is invalid")])
}

const ZEROS: &str = "0000";
const SHIFT: usize = 0x5eed_0000;
